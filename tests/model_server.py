"""A scripted Messages endpoint, so that a real agent CLI acts out a known story.

The n-th turn of a conversation is answered with the n-th step of the story, and with the last one from then on;
n is the number of tool results seen so far. A request without tools is a side question of the CLI's own.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import takewhile
from typing import Any, NamedTuple

import pytest

KEY = "sk-ant-scripted-0123456789abcdefghij"


class Step(NamedTuple):
    """One answer: a text, a tool call, both, or an HTTP error."""

    text: str = ""
    tool: str = ""
    input: dict[str, Any] | None = None
    delay: float = 0.0
    """Seconds before the answer."""
    status: int = 200

    def blocks(self) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = [{"type": "text", "text": self.text}] if self.text else []
        if self.tool:
            call = {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex[:20]}", "name": self.tool}
            blocks.append({**call, "input": self.input or {}})
        return blocks


def bash(command: str, text: str = "") -> Step:
    return Step(text, "Bash", {"command": command, "description": "a step"})


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A CLI that is stopped leaves in the middle of an answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class ModelServer:
    """Listens on a free port from its making until `close`. `story` may be replaced at any time."""

    def __init__(self, story: Sequence[Step] = (Step("Done."),), host: str = "127.0.0.1") -> None:
        self.story = list(story)
        self.told: dict[str, list[Step]] = {}
        """Other stories, by a text that their conversation begins with, such as what a sub-agent is asked."""
        self.requests: list[dict[str, Any]] = []
        """Bodies of the requests for messages, oldest first."""
        server = self

        class Handler(_Handler):
            model = server

        self._http = _Listener((host, 0), Handler)
        self.port: int = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """What makes a CLI on this machine talk to this endpoint and to nothing else."""
        return self.environment_from("127.0.0.1")

    def environment_from(self, host: str) -> dict[str, str]:
        """The same for one that reaches this machine as `host`, such as from a container."""
        return {
            "ANTHROPIC_BASE_URL": f"http://{host}:{self.port}",
            "ANTHROPIC_API_KEY": KEY,
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }

    def story_of(self, body: dict[str, Any]) -> list[Step]:
        beginning = json.dumps(list(takewhile(lambda message: message["role"] != "assistant", body["messages"])))
        return next((story for text, story in self.told.items() if text in beginning), self.story)

    def asked(self) -> list[str]:
        """Every text a user message held, of all requests."""
        messages = [message for body in self.requests for message in body.get("messages", [])]
        contents = [message["content"] for message in messages if message["role"] == "user"]
        texts = [content for content in contents if isinstance(content, str)]
        blocks = [block for content in contents if isinstance(content, list) for block in content]
        return texts + [block["text"] for block in blocks if block.get("type") == "text"]

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: ModelServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        pass

    def do_GET(self) -> None:
        self._answer({})

    def do_HEAD(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        if "count_tokens" in self.path:
            self._answer({"input_tokens": 10})
        elif self.path.startswith("/v1/messages"):
            self.model.requests.append(body)
            self._act(body)
        else:
            self._answer({})

    def _act(self, body: dict[str, Any]) -> None:
        story = self.model.story_of(body)
        step = story[min(_turn(body), len(story) - 1)] if body.get("tools") else Step("ok")
        time.sleep(step.delay)
        if step.status != 200:
            self._answer({"type": "error", "error": {"type": "api_error", "message": "scripted"}}, step.status)
        elif body.get("stream"):
            self._stream(body, step)
        else:
            self._answer(_message(body) | {"content": step.blocks(), "stop_reason": _stop_reason(step)})

    def _stream(self, body: dict[str, Any], step: Step) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self._event("message_start", message=_message(body))
        for index, block in enumerate(step.blocks()):
            self._block(index, block)
        delta = {"stop_reason": _stop_reason(step), "stop_sequence": None}
        self._event("message_delta", delta=delta, usage={"output_tokens": 25})
        self._event("message_stop")
        self.close_connection = True

    def _block(self, index: int, block: dict[str, Any]) -> None:
        if block["type"] == "text":
            empty, delta = block | {"text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            empty = block | {"input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        self._event("content_block_start", index=index, content_block=empty)
        self._event("content_block_delta", index=index, delta=delta)
        self._event("content_block_stop", index=index)

    def _event(self, kind: str, **fields: Any) -> None:
        self.wfile.write(f"event: {kind}\ndata: {json.dumps(fields | {'type': kind})}\n\n".encode())

    def _answer(self, document: dict[str, Any], status: int = 200) -> None:
        payload = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(payload)


def _turn(body: dict[str, Any]) -> int:
    contents = [message.get("content") for message in body.get("messages", [])]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    return sum(block.get("type") == "tool_result" for block in blocks)


def _stop_reason(step: Step) -> str:
    return "tool_use" if step.tool else "end_turn"


def _message(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"msg_{uuid.uuid4().hex[:20]}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model", "scripted"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 1},
    }


@pytest.fixture
def model() -> Iterator[ModelServer]:
    """The endpoint on loopback. `ModelServer(host="0.0.0.0")` is one that containers reach."""
    server = ModelServer()
    yield server
    server.close()
