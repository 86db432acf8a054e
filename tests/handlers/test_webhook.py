from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scopecraft_git.config import Settings, WebhookSettings
from scopecraft_git.errors import InvalidSettingError
from scopecraft_git.handlers import webhook

DOCUMENT = {"event": "waiting", "session": "auth-05A-0000001", "text": "grüß dich"}


class Post(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes
    time: float


class Receiver:
    """An HTTP server that answers with `answers`, one after the other, and then with 204."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.posts: list[Post] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posts.append(Post(self.path, dict(self.headers), body, time.monotonic()))
                status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
                if not status:  # without a word
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is called there
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/s3cret"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,))
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


def post(receiver: Receiver, **fields: Any) -> None:
    webhook.post(WebhookSettings(url=receiver.url, **fields), "d-1", DOCUMENT)


def test_what_is_posted(receiver: Receiver) -> None:
    post(receiver)
    (got,) = receiver.posts
    assert (got.path, json.loads(got.body)) == ("/hooks/s3cret", DOCUMENT)
    assert got.headers["Content-Type"] == "application/json"
    assert (got.headers["X-Scopecraft-Event"], got.headers["X-Scopecraft-Delivery"]) == ("waiting", "d-1")
    assert "X-Scopecraft-Signature" not in got.headers


def test_each_post_is_signed(receiver: Receiver, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("  hush hush\n")
    post(receiver, secret_file=str(secret))
    (got,) = receiver.posts
    expected = hmac.new(b"hush hush", got.body, hashlib.sha256).hexdigest()
    assert got.headers["X-Scopecraft-Signature"] == f"sha256={expected}"


def test_the_secret_may_be_in_the_home_directory(receiver: Receiver) -> None:
    (Path.home() / "secret").write_text("x")
    post(receiver, secret_file="~/secret")
    assert "X-Scopecraft-Signature" in receiver.posts[0].headers


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file or directory"), (" \n", "is empty")])
def test_without_its_secret_nothing_is_posted(
    receiver: Receiver, tmp_path: Path, content: str | None, reason: str
) -> None:
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_text(content)
    with pytest.raises(webhook.NotPostedError, match=reason):
        post(receiver, secret_file=str(secret))
    assert receiver.posts == []


def test_it_is_tried_again_with_growing_pauses_as_the_same_delivery(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    receiver.answers = [(503, {}), (0, {})]
    post(receiver, secret_file=str(tmp_path / "secret"), attempts=3)
    assert len(receiver.posts) == 3
    first = receiver.posts[0]
    assert all(got[:3] == first[:3] for got in receiver.posts)
    assert receiver.posts[2].time - receiver.posts[1].time >= 2 * webhook.BACKOFF


def test_it_waits_as_long_as_it_is_told_to(receiver: Receiver) -> None:
    receiver.answers = [(429, {"Retry-After": "1"})]
    post(receiver)
    assert receiver.posts[1].time - receiver.posts[0].time >= 1


def test_it_gives_up_and_says_so_without_the_address(receiver: Receiver) -> None:
    receiver.answers = [(500, {})] * 9
    with pytest.raises(webhook.NotPostedError) as caught:
        post(receiver, attempts=2)
    assert str(caught.value) == "127.0.0.1: too many 500 error responses"
    assert len(receiver.posts) == 2


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_what_is_refused_is_not_tried_again(receiver: Receiver, status: int) -> None:
    receiver.answers = [(status, {})]
    with pytest.raises(webhook.NotPostedError, match=rf"^127.0.0.1 answered {status}$"):
        post(receiver)
    assert len(receiver.posts) == 1


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    receiver.answers = [(307, {"Location": "/elsewhere"})]
    with pytest.raises(webhook.NotPostedError, match="answered 307"):
        post(receiver)
    assert len(receiver.posts) == 1


def test_nobody_there() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(webhook.NotPostedError) as caught:
        webhook.post(WebhookSettings(url=f"http://127.0.0.1:{port}/s3cret", attempts=2), "d-1", DOCUMENT)
    assert str(caught.value) == "127.0.0.1: [Errno 111] Connection refused"


def test_somebody_who_says_nothing() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/s3cret"
        settings = WebhookSettings(url=url, attempts=1, timeout_seconds=0.2)
        with pytest.raises(webhook.NotPostedError, match=r"^127.0.0.1: Read timed out"):
            webhook.post(settings, "d-1", DOCUMENT)


@pytest.mark.parametrize("url", ["ftp://example.org/x", "file:///etc/passwd", "example.org", "https://", "http://a b"])
def test_only_addresses_of_the_web_can_be_set(home: Path, url: str) -> None:
    from scopecraft_git import config

    with pytest.raises(InvalidSettingError):
        config.with_setting("notify.webhook.url", url)
    assert Settings().notify.webhook.url is None
