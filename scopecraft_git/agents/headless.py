"""Agents that, unattended, read one prompt to the end of their input and print lines of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from scopecraft_git.agents import json_lines
from scopecraft_git.agents.json_lines import Readers
from scopecraft_git.errors import PromptOptionNotTakenError
from scopecraft_git.events import Event, PermissionRequest
from scopecraft_git.models import Mode
from scopecraft_git.protocols import AgentRequest


class Headless:
    """What these agents have in common. Beside a human they are told things in their own input box."""

    name: str
    readers: ClassVar[Readers]
    keeps_input = False
    takes_command = False
    resumes = True
    asks = False
    login_files: tuple[str, ...] = ()
    input_box: str | None = None

    def environment(self, request: AgentRequest) -> Mapping[str, str]:
        return {"TASK_ID": request.task, "WORK_MODE": request.mode.value}

    def message(self, text: str, mode: Mode = Mode.AUTONOMOUS, *, id: str = "") -> bytes:  # noqa: A002, ARG002 - they tell none
        if mode is Mode.DISPATCH and text.startswith("!"):
            text = f" {text}"  # as the first letter it would have the text run as a shell command
        return text.encode(errors="replace")

    def parse(self, line: bytes) -> list[Event]:
        return json_lines.parse(line, self.readers)

    def answer(self, request: PermissionRequest, *, allow: bool, message: str = "") -> bytes:  # noqa: ARG002 - never asked
        return b"\n"

    def interrupt(self, mode: Mode) -> bytes | None:
        return b"\x1b" if mode is Mode.DISPATCH else None

    def transcript(self, request: AgentRequest) -> str | None:  # noqa: ARG002 - none that can be named beforehand
        return None


def refuse_what_only_claude_knows(agent: str, request: AgentRequest) -> None:
    """Raises `PromptOptionNotTakenError` rather than let an agent do what a prompt file forbids.

    Tools that it allows need no refusal: the agent then may less than it could.
    """
    only_claudes = {"disallowedTools": request.disallowed_tools, "mcpConfig": request.mcp_config}
    if asked := [name for name, value in only_claudes.items() if value]:
        raise PromptOptionNotTakenError(agent, asked, request.task)


def says(request: AgentRequest, *options: str) -> bool:
    """Whether the user's own arguments settle one of these options, which may be given only once."""
    return any(word.partition("=")[0] in options for word in request.settings.args)


def instructions(request: AgentRequest) -> str:
    """The system prompts, for an agent that has one place for them."""
    return "\n\n".join(text for text in (request.system_prompt, request.append_system_prompt) if text)
