from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git.config import Settings
from scopecraft_git.events import Event, Notice, Text, ToolCall
from scopecraft_git.handlers.notify import Notify, register_monitor_handlers
from scopecraft_git.models import Session, SessionStatus
from tests.executors.contract import until
from tests.handlers.test_webhook import Receiver, receiver
from tests.samples import handler_request, session

__all__ = ["receiver"]
ASKED = Notice(code="ask", text="A push leaves \x1b]0;x\x07the machine.", data={"id": "r1", "handler": "policy"})
FAILED = Notice(code="ended", text="The agent exited with 1", data={"status": "failed"})
COMPLETED = Notice(code="ended", text="The agent is done", data={"status": "completed"})
IDLE = Notice(code="idle", text="No output", data={"action": "warn"})


@pytest.fixture
def of(home: Path) -> Session:
    made = session(status=SessionStatus.RUNNING)
    made.path.mkdir(parents=True)
    return made


@pytest.fixture(autouse=True)
def _nobody_left() -> Iterator[None]:
    yield
    until(lambda: not any(thread.name == "notify" for thread in threading.enumerate()))


def make(of: Session, **fields: Any) -> Notify:
    return Notify(handler_request(of, Settings.model_validate({"notify": fields})))


def by_webhook(of: Session, receiver: Receiver, **fields: Any) -> Notify:
    return make(of, webhook={"url": receiver.url, "attempts": 1}, **fields)


def show(handler: Notify, of: Session, *events: Event) -> None:
    assert [handler.handle(of, event) for event in events] == [None] * len(events)


def posted(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(post.body) for post in receiver.posts]


def told(of: Session) -> int:
    mark = of.path / "notified.json"
    return json.loads(mark.read_text())["told"] if mark.exists() else 0


def test_what_a_webhook_gets(of: Session, receiver: Receiver) -> None:
    show(by_webhook(of, receiver), of, Text(text="x"), ASKED)
    until(lambda: told(of) == 2)
    (document,) = posted(receiver)
    assert document.pop("time").endswith("Z")
    assert document.pop("delivery") == receiver.posts[0].headers["X-Scopecraft-Delivery"]
    assert document == {
        "event": "waiting", "session": of.id, "task": of.task, "status": "waiting", "mode": "autonomous",
        "agent": "command", "executor": "local", "repository": "app", "branch": "feature/auth-05A",
        "text": "? Waits for approve or deny: A push leaves the machine.",
    }  # fmt: skip


def test_only_what_is_wanted_is_told(of: Session, receiver: Receiver) -> None:
    handler = by_webhook(of, receiver, on=["failed", "completed"])
    show(handler, of, ASKED, IDLE, ToolCall(id="1", name="Bash", input={"command": "echo $TOKEN"}), COMPLETED, FAILED)
    until(lambda: told(of) == 5)
    assert [(document["event"], document["status"]) for document in posted(receiver)] == [
        ("completed", "completed"),
        ("failed", "failed"),
    ]


def test_long_texts_stay_here(of: Session, receiver: Receiver) -> None:
    show(by_webhook(of, receiver), of, ASKED.model_copy(update={"text": "ü" * 100_000}))
    until(lambda: told(of) == 1)
    assert len(posted(receiver)[0]["text"]) <= 200


def test_nothing_is_told_twice_by_whoever_comes_next(of: Session, receiver: Receiver) -> None:
    show(by_webhook(of, receiver), of, Text(text="x"), ASKED)
    until(lambda: told(of) == 2)
    again = by_webhook(of, receiver)
    show(again, of, Text(text="x"), ASKED, IDLE)
    until(lambda: told(of) == 3)
    assert [document["event"] for document in posted(receiver)] == ["waiting", "idle"]


def test_what_was_not_told_before_a_restart_is_told_then_as_the_same_delivery(of: Session, receiver: Receiver) -> None:
    for _ in "killed", "back":
        (of.path / "notified.json").unlink(missing_ok=True)
        show(by_webhook(of, receiver), of, Text(text="x"), ASKED)
        until(lambda: told(of) == 2)
    first, second = posted(receiver)
    assert first["delivery"] == second["delivery"]
    show(by_webhook(of, receiver), of, Text(text="x"), ASKED, ASKED)
    until(lambda: told(of) == 3)
    assert posted(receiver)[-1]["delivery"] != first["delivery"]


def test_what_is_not_taken_is_a_line_in_the_log_and_no_more(
    of: Session, receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver.answers = [(404, {})]
    show(by_webhook(of, receiver), of, ASKED, IDLE)
    until(lambda: told(of) == 2)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.endswith(f"{of.id}: not told of waiting: 127.0.0.1 answered 404")
    assert len(receiver.posts) == 2


def test_nobody_waits_for_a_slow_webhook(of: Session, receiver: Receiver) -> None:
    receiver.answers = [(503, {"Retry-After": "1"})]
    handler = make(of, webhook={"url": receiver.url})
    show(handler, of, ASKED)
    until(lambda: len(receiver.posts) == 1)
    assert told(of) == 0
    until(lambda: told(of) == 1)


def test_a_folder_that_is_gone_does_no_harm(of: Session, receiver: Receiver) -> None:
    handler = by_webhook(of, receiver)
    of.path.rmdir()
    show(handler, of, ASKED)
    until(lambda: receiver.posts)


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a `notify-send` on the path writes its arguments, one a line."""
    program, file = tmp_path / "bin" / "notify-send", tmp_path / "shown"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {file}.new && mv {file}.new {file}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return file


def test_what_the_desktop_shows_is_no_markup_and_no_command(of: Session, shown: Path) -> None:
    show(make(of, desktop=True), of, ASKED.model_copy(update={"text": "<b>--icon=x</b> $(touch /tmp/x) & so"}))
    until(lambda: told(of) == 1)
    assert shown.read_text().splitlines() == [
        "--app-name=git scopecraft",
        "--",
        f"{of.id}: waiting",
        "? Waits for approve or deny: &lt;b&gt;--icon=x&lt;/b&gt; $(touch /tmp/x) &amp; so",
    ]


def test_without_a_desktop_nothing_is_said(
    of: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    show(make(of, desktop=True), of, ASKED)
    until(lambda: told(of) == 1)
    assert capfd.readouterr().err == ""


def test_without_anywhere_to_tell_it_does_nothing(of: Session) -> None:
    show(make(of), of, ASKED)
    assert not (of.path / "notified.json").exists()


def test_it_is_registered(of: Session) -> None:
    (factory,) = register_monitor_handlers()
    made = factory(handler_request(of))
    assert (factory.name, made.name, made.summary()) == ("notify", "notify", {})
