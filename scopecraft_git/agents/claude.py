"""Claude Code."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from scopecraft_git.agents import claude_lines
from scopecraft_git.agents.claude_options import options
from scopecraft_git.events import Event, PermissionRequest
from scopecraft_git.hookspecs import hookimpl
from scopecraft_git.models import Mode
from scopecraft_git.protocols import Agent, AgentRequest


class Claude:
    name = "claude"
    keeps_input = True
    takes_command = False
    resumes = True
    asks = True
    login_files: tuple[str, ...] = (".claude/.credentials.json", ".claude.json", ".claude/settings.json")
    input_box: str | None = r"(?m)^[─╭]{3}.*\n(?:│ )?[❯>](?: |\xa0)?((?:.*\n)*?)[─╰]{3}"
    """Between two rules. Not while it holds a shell command (`!`), nor when a dialog has taken its place."""

    def argv(self, request: AgentRequest) -> list[str]:
        return [request.settings.command or self.name, *options(request)]

    def environment(self, request: AgentRequest) -> Mapping[str, str]:
        told = {"TASK_ID": request.task, "WORK_MODE": request.mode.value}
        return told | ({"DISABLE_AUTOUPDATER": "1"} if request.mode is Mode.AUTONOMOUS else {})

    def message(self, text: str, mode: Mode = Mode.AUTONOMOUS, *, id: str = "") -> bytes:  # noqa: A002 - a message's
        if mode is Mode.DISPATCH:
            # Typed as the first letter, ! would have it run the text as a shell command.
            return (f" {text}" if text.startswith("!") else text).encode(errors="replace")
        text = text.encode(errors="replace").decode()  # a service refuses half a surrogate pair
        line = {"type": "user", "message": {"role": "user", "content": text}}
        return _line(line | ({"uuid": id} if id else {}))

    def parse(self, line: bytes) -> list[Event]:
        return claude_lines.parse(line)

    def answer(self, request: PermissionRequest, *, allow: bool, message: str = "") -> bytes:
        verdict: dict[str, Any] = (
            {"behavior": "allow", "updatedInput": request.input}
            if allow
            else {"behavior": "deny", "message": message or "Denied"}
        )
        response = {"subtype": "success", "request_id": request.id, "response": verdict}
        return _line({"type": "control_response", "response": response})

    def interrupt(self, mode: Mode) -> bytes | None:
        if mode is Mode.DISPATCH:
            return b"\x1b"
        return _line({"type": "control_request", "request_id": str(uuid.uuid4()), "request": {"subtype": "interrupt"}})

    def transcript(self, request: AgentRequest) -> str | None:
        # A resumed session goes on in the file it began in.
        return f".claude/projects/*/{request.resume or request.agent_session_id}.jsonl"


def _line(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"


@hookimpl
def register_agents() -> Iterable[Agent]:
    return [Claude()]
