"""Who does a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from scopecraft_git.config import AgentSettings
from scopecraft_git.events import Event, PermissionRequest
from scopecraft_git.models import Mode, Model


class AgentRequest(Model):
    """What an agent needs to know to say how it is started."""

    task: str
    mode: Mode
    agent_session_id: str
    """A fresh UUID that the agent should give its session, if it can."""
    isolated: bool = False
    """`Executor.isolated`: whether it needs no sandbox of its own."""
    command: tuple[str, ...] = ()
    """What the user gave after `--`."""
    settings: AgentSettings = AgentSettings()
    append_system_prompt: str | None = None
    system_prompt: str | None = None
    allowed_tools: tuple[str, ...] = ()
    disallowed_tools: tuple[str, ...] = ()
    mcp_config: str | None = None
    resume: str | None = None
    """The agent's id of the session to continue."""


class Agent(Protocol):
    """Knows one agent's command line and its language. Holds no state: one instance serves every session."""

    name: str
    keeps_input: bool
    """Whether its input stays open for more messages; if not, it is closed behind the prompt."""
    takes_command: bool
    """Whether it is what the user gives after `--`."""
    resumes: bool
    """Whether it can go on with an earlier session of its own, named by `AgentRequest.resume`."""
    asks: bool
    """Whether, unattended, it asks before it calls a tool, with a `PermissionRequest`.

    If not, its calls are judged as they are seen, when they may have been made.
    """
    login_files: tuple[str, ...]
    """Files below the home directory that hold its login; a container's home gets copies of them."""
    input_box: str | None
    """Regular expression for the input box on the screen of its interactive mode; group 1 is what is typed there.

    It matches only while the agent takes input: not while it starts, nor while a dialog waits for a human.
    None when there is no such thing and input may be given at any time.
    """

    def argv(self, request: AgentRequest) -> list[str]:
        """The command that starts it. Holds neither prompt nor credential: any user of the machine can read it."""

    def environment(self, request: AgentRequest) -> Mapping[str, str]:
        """Variables it needs beside the user's `agents.<name>.env`."""

    def message(self, text: str, mode: Mode = Mode.AUTONOMOUS, *, id: str = "") -> bytes:  # noqa: A002 - a message's
        """`text` as it takes it, from stdin or pasted into its terminal; the prompt is the first message.

        `id` is a UUID. An agent that can be told it takes a message that is given twice once, and tells that it has
        taken it up: by a `Notice` with the code `prompt` and `data["message_id"]`.
        """

    def parse(self, line: bytes) -> list[Event]:
        """One line of output without its newline. Never raises and drops nothing: the unknown is `Unrecognized`."""

    def answer(self, request: PermissionRequest, *, allow: bool, message: str = "") -> bytes:
        """The answer to a permission request, as it reads it from stdin. `message` tells it why not."""

    def interrupt(self, mode: Mode) -> bytes | None:
        """What ends its turn, for `Execution.interrupt`; None when only a signal does, which ends the session."""

    def transcript(self, request: AgentRequest) -> str | None:
        """Where its interactive mode keeps a record, as a glob below the home directory; None if nowhere."""
