"""OpenAI's Codex CLI."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from scopecraft_git.agents.codex_lines import READERS
from scopecraft_git.agents.headless import Headless, instructions, refuse_what_only_claude_knows, says
from scopecraft_git.hookspecs import hookimpl
from scopecraft_git.models import Mode
from scopecraft_git.protocols import Agent, AgentRequest


class Codex(Headless):
    """Unattended it works in its own sandbox, or without one where the executor is the boundary.

    Its sandbox lets it write in the worktree and in temporary folders, not in `.git`: there it cannot commit.
    """

    name = "codex"
    readers = READERS
    login_files: tuple[str, ...] = (".codex/auth.json", ".codex/config.toml")
    input_box: str | None = r"(?m)^› (.*(?:\n(?:  .*)?)*?)\n\n  (?![Ee]nter |[Pp]ress )\S.* · .*$"
    """Above its status line. Dialogs have `›` before a choice, and below them say which keys do what."""

    def argv(self, request: AgentRequest) -> list[str]:
        refuse_what_only_claude_knows(self.name, request)
        program = request.settings.command or self.name
        resume = ["resume", request.resume] if request.resume else []
        if request.mode is Mode.DISPATCH:
            return [program, *_options(request), *request.settings.args, *resume]
        return [program, "exec", "--json", *_sandbox(request), *_options(request), *request.settings.args, *resume, "-"]


def _sandbox(request: AgentRequest) -> list[str]:
    if says(request, "-s", "--sandbox", "--approve-for-me", "--dangerously-bypass-approvals-and-sandbox"):
        return []
    return ["--sandbox", "danger-full-access" if request.isolated else "workspace-write"]


def _options(request: AgentRequest) -> Iterator[str]:
    yield from ("-c", "check_for_update_on_startup=false")
    if request.settings.model:
        yield from ("--model", request.settings.model)
    if told := instructions(request):
        yield from ("-c", f"developer_instructions={_toml(told)}")


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@hookimpl
def register_agents() -> Iterable[Agent]:
    return [Codex()]
