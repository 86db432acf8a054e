"""Google's Gemini CLI."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scopecraft_git.agents.gemini_lines import READERS
from scopecraft_git.agents.headless import Headless, refuse_what_only_claude_knows, says
from scopecraft_git.hookspecs import hookimpl
from scopecraft_git.models import Mode
from scopecraft_git.protocols import Agent, AgentRequest

GIT = ("add", "commit", "diff", "log", "show", "status")


class Gemini(Headless):
    """Unattended it may edit files and commit; where the executor is the boundary, whatever it likes.

    It works in folders alone that are trusted, since what a repository commits may have it run commands.
    """

    name = "gemini"
    readers = READERS
    login_files: tuple[str, ...] = (".gemini/oauth_creds.json", ".gemini/settings.json", ".gemini/google_accounts.json")
    input_box: str | None = r"(?m)^─{3,}\n.*\n▄*\n [>*] +((?:.*\n)*?)(?:▀{3,}$|\n \S)"
    """Below a rule and a hint, between two half-blocks or blank lines by what the terminal can show."""

    def argv(self, request: AgentRequest) -> list[str]:
        refuse_what_only_claude_knows(self.name, request)
        program = request.settings.command or self.name
        unattended = _unattended(request) if request.mode is Mode.AUTONOMOUS else ()
        return [program, *unattended, *_options(request), *request.settings.args]

    def transcript(self, request: AgentRequest) -> str | None:
        session = request.resume or request.agent_session_id
        return f".gemini/tmp/*/chats/session-*-{session[:8]}.jsonl"


def _unattended(request: AgentRequest) -> Iterator[str]:
    yield from ("--output-format", "stream-json")
    if request.isolated and not says(request, "--skip-trust"):
        yield "--skip-trust"
    if says(request, "--approval-mode", "--yolo", "-y"):
        return
    yield from ("--approval-mode", "yolo" if request.isolated else "auto_edit")
    if not request.isolated and not says(request, "--allowed-tools"):
        for command in GIT:
            yield from ("--allowed-tools", f"run_shell_command(git {command})")


def _options(request: AgentRequest) -> Iterator[str]:
    if request.settings.model:
        yield from ("--model", request.settings.model)
    yield from ("--resume", request.resume) if request.resume else ("--session-id", request.agent_session_id)


@hookimpl
def register_agents() -> Iterable[Agent]:
    return [Gemini()]
