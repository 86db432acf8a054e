"""ChannelCoder, which runs Claude Code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from scopecraft_git.agents import channelcoder_lines
from scopecraft_git.agents.claude import Claude
from scopecraft_git.events import Event, PermissionRequest
from scopecraft_git.hookspecs import hookimpl
from scopecraft_git.models import Mode
from scopecraft_git.protocols import Agent, AgentRequest

PROMPT = "${prompt}"
"""Filled from its input by ChannelCoder itself: a prompt in its place would stand in the list of processes."""
INSIDE = ("Edit(./**)", "Write(./**)", "Bash(git add:*)", "Bash(git commit:*)")
"""What it may do where it could touch everything, unless a prompt file says."""


class ChannelCoder:
    """Unattended, Claude Code asks nobody here: what it is not allowed beforehand it may not.

    It goes on with no earlier session: what ChannelCoder shows of one that is resumed comes at its end, as text alone.
    """

    name = "channelcoder"
    keeps_input = False
    takes_command = False
    resumes = False
    asks = False
    login_files: tuple[str, ...] = Claude.login_files
    input_box: str | None = Claude.input_box

    def __init__(self) -> None:
        self._claude = Claude()

    def argv(self, request: AgentRequest) -> list[str]:
        program = request.settings.command or self.name
        if request.mode is Mode.DISPATCH:
            return [program, "interactive", *_options(request), *request.settings.args]
        stream = ("stream", "--parse", "--dataStdin")
        return [program, *stream, *_permissions(request), *_options(request), *request.settings.args, PROMPT]

    def environment(self, request: AgentRequest) -> Mapping[str, str]:
        model = request.settings.model
        return {**self._claude.environment(request), **({"ANTHROPIC_MODEL": model} if model else {})}

    def message(self, text: str, mode: Mode = Mode.AUTONOMOUS, *, id: str = "") -> bytes:  # noqa: A002, ARG002 - it tells none
        if mode is Mode.DISPATCH:
            return self._claude.message(text, mode)
        return json.dumps({"prompt": text.encode(errors="replace").decode()}).encode() + b"\n"

    def parse(self, line: bytes) -> list[Event]:
        return channelcoder_lines.parse(line)

    def answer(self, request: PermissionRequest, *, allow: bool, message: str = "") -> bytes:
        return self._claude.answer(request, allow=allow, message=message)

    def interrupt(self, mode: Mode) -> bytes | None:
        return self._claude.interrupt(mode) if mode is Mode.DISPATCH else None

    def transcript(self, request: AgentRequest) -> str | None:  # noqa: ARG002 - it cannot be told a session's id
        return None


def _permissions(request: AgentRequest) -> Iterator[str]:
    if request.isolated:
        yield "--dangerouslySkipPermissions"
    yield from ("--tools", ", ".join(request.allowed_tools or INSIDE))


def _options(request: AgentRequest) -> Iterator[str]:
    options = {
        "--disallowedTools": ", ".join(request.disallowed_tools),
        "--mcpConfig": request.mcp_config,
        "--system": request.system_prompt,
        "--appendSystem": request.append_system_prompt,
    }
    for option, value in options.items():
        if value:
            yield from (option, value)


@hookimpl
def register_agents() -> Iterable[Agent]:
    return [ChannelCoder()]
