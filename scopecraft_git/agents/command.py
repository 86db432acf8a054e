"""Any program, given after `--`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scopecraft_git.agents import claude_lines
from scopecraft_git.agents.claude import Claude
from scopecraft_git.errors import AgentCommandMissingError
from scopecraft_git.events import Event, PermissionRequest, Text
from scopecraft_git.hookspecs import hookimpl
from scopecraft_git.models import Mode
from scopecraft_git.protocols import Agent, AgentRequest


class Command:
    """Its lines that look like Claude's are read as such; whatever else it prints is text."""

    name = "command"
    keeps_input = False
    takes_command = True
    resumes = False
    asks = True
    login_files: tuple[str, ...] = ()
    input_box: str | None = None

    def argv(self, request: AgentRequest) -> list[str]:
        if not request.command:
            raise AgentCommandMissingError(request.task)
        return list(request.command)

    def environment(self, request: AgentRequest) -> Mapping[str, str]:
        return {"TASK_ID": request.task, "WORK_MODE": request.mode.value}

    def message(self, text: str, mode: Mode = Mode.AUTONOMOUS, *, id: str = "") -> bytes:  # noqa: A002, ARG002 - alike
        try:
            return text.encode(errors="surrogateescape")  # what was no UTF-8 when the user typed it arrives as it was
        except UnicodeEncodeError:
            return text.encode(errors="replace")

    def parse(self, line: bytes) -> list[Event]:
        text = line.decode(errors="replace").rstrip("\r")
        if not text.strip():
            return []
        found = claude_lines.read(line)
        return [Text(text=text)] if found is None else found

    def answer(self, request: PermissionRequest, *, allow: bool, message: str = "") -> bytes:
        return Claude().answer(request, allow=allow, message=message)

    def interrupt(self, mode: Mode) -> bytes | None:  # noqa: ARG002 - whatever it is, it has no turns of ours
        return None

    def transcript(self, request: AgentRequest) -> str | None:  # noqa: ARG002 - it keeps none
        return None


@hookimpl
def register_agents() -> Iterable[Agent]:
    return [Command()]
