"""opencode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from scopecraft_git.agents.headless import Headless, refuse_what_only_claude_knows, says
from scopecraft_git.agents.opencode_lines import READERS
from scopecraft_git.hookspecs import hookimpl
from scopecraft_git.models import Mode
from scopecraft_git.protocols import Agent, AgentRequest

INSIDE = '{"external_directory": "deny", "doom_loop": "deny"}'
"""A question that nobody answers would end its turn; a refusal it is told of, and goes on."""

PRESSED_TWICE = b"\x1b[27u" * 2
"""Escape, which it wants twice, in the spelling of terminals that tell keys apart: ESC ESC would be another key."""


class OpenCode(Headless):
    """Unattended it may do what its own settings allow, in its worktree; elsewhere only behind a boundary."""

    name = "opencode"
    readers = READERS
    login_files: tuple[str, ...] = (".local/share/opencode/auth.json", ".config/opencode/opencode.json")
    input_box: str | None = r"(?m)^ *┃.*\n *┃ *(.*?)(?: {3,}.*)?\n(?: *┃.*\n)+? *┃ .* · .*\n *╹▀{3}"
    """Its first line, beside a bar that ends in a corner. Dialogs have the bar alone; what is far right is no input."""

    def argv(self, request: AgentRequest) -> list[str]:
        refuse_what_only_claude_knows(self.name, request)
        program = request.settings.command or self.name
        unattended = _unattended(request) if request.mode is Mode.AUTONOMOUS else ()
        return [program, *unattended, *_options(request), *request.settings.args]

    def environment(self, request: AgentRequest) -> Mapping[str, str]:
        told = super().environment(request)
        if request.mode is Mode.DISPATCH:
            return told
        inside = {} if request.isolated else {"OPENCODE_PERMISSION": INSIDE}
        return {**told, "OPENCODE_DISABLE_AUTOUPDATE": "1", **inside}

    def interrupt(self, mode: Mode) -> bytes | None:
        return PRESSED_TWICE if mode is Mode.DISPATCH else None


def _unattended(request: AgentRequest) -> Iterator[str]:
    yield from ("run", "--format", "json", "--thinking")
    if request.isolated and not says(request, "--auto"):
        yield "--auto"


def _options(request: AgentRequest) -> Iterator[str]:
    if request.settings.model:
        yield from ("--model", request.settings.model)
    if request.resume:
        yield from ("--session", request.resume)


@hookimpl
def register_agents() -> Iterable[Agent]:
    return [OpenCode()]
