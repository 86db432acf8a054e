"""A scripted endpoint that speaks Gemini's API, for the real Gemini CLI. It acts out stories as `model_server` does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.model_server import Step

KEY = "scripted-key"


class GeminiServer:
    """Listens on a free port from its making until `close`. `story` may be replaced at any time."""

    def __init__(self) -> None:
        self.story = [Step("Done.")]
        self.requests: list[dict[str, Any]] = []
        """Bodies of the requests for answers, oldest first."""
        server = self

        class Handler(_Handler):
            gemini = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        port = self._http.server_address[1]
        return {"GOOGLE_GEMINI_BASE_URL": f"http://127.0.0.1:{port}", "GEMINI_API_KEY": KEY}

    def asked(self) -> list[str]:
        """Every text a user message held, of all requests."""
        contents = [content for body in self.requests for content in body["contents"] if content["role"] == "user"]
        return [part["text"] for content in contents for part in content["parts"] if "text" in part]

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    gemini: GeminiServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.gemini.requests.append(body)
        parts = [part for content in body["contents"] for part in content["parts"]]
        turn = sum("functionResponse" in part for part in parts)
        step = self.gemini.story[min(turn, len(self.gemini.story) - 1)]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(f"data: {json.dumps(_answer(step))}\n\n".encode())


def _answer(step: Step) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"text": step.text}] if step.text else []
    if step.tool:
        parts.append({"functionCall": {"name": step.tool, "args": step.input or {}}})
    usage = {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120}
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": usage,
    }


@pytest.fixture
def gemini_model() -> Iterator[GeminiServer]:
    server = GeminiServer()
    yield server
    server.close()
