"""The contracts that plugins fulfil: Executor, Agent, Storage, MonitorHandler.

One protocol for each kind, beside what passes through it. `tests/` holds one contract suite for each,
and the built-ins pass the same suite as anyone else's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from signal import Signals
from typing import Any, NamedTuple, Protocol, runtime_checkable

from pydantic import ConfigDict

from scopecraft_git.config import AgentSettings, Settings
from scopecraft_git.errors import ScopecraftError
from scopecraft_git.events import Event, LoggedEvent, PermissionRequest, Severity
from scopecraft_git.models import Mode, Model, Session, SessionStatus


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


class ExecRequest(Model):
    """All an executor needs to run one agent. Kept on disk: another process may be the one that starts it."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    session_id: str
    task: str
    mode: Mode
    agent: str
    directory: Path
    """The session's folder; the executor writes `stream.log` and `stderr.log` there, append-only."""
    repository: Path
    """The common directory (`.git`)."""
    worktree: Path
    branch: str
    commit: str
    """Where the branch stands at the start."""
    argv: tuple[str, ...]
    environment: dict[str, str]
    """Variables for the agent. An executor without isolation adds them to the user's own."""
    credentials: dict[str, Path]
    """Variable by variable, the file that holds its value; read at the start, never copied into records."""
    login_files: tuple[str, ...] = ()
    input: bytes = b""
    """What it reads first. An executor without a terminal sees to that as it starts it; others leave it to `send`."""
    input_ends: bool = False
    """Whether the agent's input ends behind that."""
    agent_request: AgentRequest | None = None
    """What `argv` was made of; a session that continues this one is made of it again."""
    transcript: str | None = None
    """`Agent.transcript`, for executors that have a terminal."""
    input_box: str | None = None
    """`Agent.input_box`, for executors that have a terminal."""
    settings: Settings


class Exit(NamedTuple):
    """How the agent's process ended, as its own parent saw it."""

    code: int
    """128 + n for a process that signal n ended."""
    reason: str = ""
    """What is known beyond the code: a memory limit, a window closed by hand."""
    lost: bool = False
    """Nobody saw it end; `reason` tells the evidence."""


class Imported(NamedTuple):
    """What came home from an agent's own copy of the repository."""

    ref: str
    commit: str
    note: str = ""
    """Why it did not go to the session's branch, or what it replaced there."""


class Execution(Protocol):
    """One agent's process, also after a restart of ours."""

    def poll(self) -> Exit | None:
        """How it ended, or None while it runs. Never blocks for long.

        Raises a `ScopecraftError` when that cannot be known for now, as when an engine does not answer.
        """

    def wait(self, timeout: float | None = None) -> Exit | None:
        """`poll` after its end, or None when `timeout` seconds pass first."""

    def stream(self, offset: int) -> Iterator[bytes]:
        """What the agent writes, from byte `offset` of `stream.log` on, as it comes.

        Every byte is in `stream.log` before it is yielded. Chunks end anywhere. Ends when the agent's output has
        ended; an offset beyond the end yields nothing. At most one stream of an execution is read at a time.
        """

    def send(self, data: bytes) -> None:
        """Give it input. Raises `BrokenPipeError` when it takes none any more.

        Raises `TimeoutError` when it takes none yet, such as while a dialog waits for a human: nothing was given.
        """

    def interrupt(self, data: bytes) -> None:
        """Give it what `Agent.interrupt` says: as keys that are pressed where there is a terminal, else like `send`."""

    def close_input(self) -> None:
        """Let it read the end of its input. Idempotent."""

    def terminate(self, signal: Signals = Signals.SIGTERM) -> None:
        """Send a signal to all of it. No error when it has ended."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def import_commits(self) -> list[Imported]:
        """Bring home what the agent committed in a copy of its own. Cheap when nothing moved; idempotent.

        Returns all that has come home in this session so far, oldest first, also what an earlier call or another
        process brought: the caller knows what it has told of before.
        """

    def evidence(self) -> str:
        """What can be seen of it now, in a few words: its process and what that has used, its container, its pane."""

    def release(self) -> None:
        """Its end is recorded and its work is home: drop what only a running agent needs. Idempotent."""


class Executor(Protocol):
    """Runs an agent's process somewhere, and finds it again after a restart."""

    name: str
    modes: tuple[Mode, ...]
    """Beside a human, unattended, or both."""
    isolated: bool
    """False when the agent can touch everything its user can.

    It is then left the user's environment as `environment.json` in the session's folder, to give to the agent and
    remove; what is left of it goes when the session ends.
    """

    worktree_seen_at: Path | None
    """Where its agents find the worktree; None for where it is."""

    def check(self, settings: Settings, argv: Sequence[str], /) -> None:
        """Raise `ExecutorUnavailableError` if nothing could start here now. Called before a session is queued."""

    def describe(self, request: ExecRequest) -> Mapping[str, Any]:
        """What `run --dry-run` shows of it, such as image and mounts. Creates nothing."""

    def start(self, request: ExecRequest) -> Execution:
        """Start it, and give it `request.input`, once. A failure leaves nothing half made behind and is a
        `ScopecraftError`. One that was killed half-way may be repeated.
        """

    def find(self, request: ExecRequest) -> Execution | None:
        """The execution that `start` made for this session, if it or its end still exists. Starts nothing.

        None while the agent has not come to life and never will: then it may be started, and is started once.
        """

    def remains(self) -> Iterable[str]:
        """The sessions of this SCOPECRAFT_HOME of which something still exists here, whatever their records say."""

    def attach(self, request: ExecRequest) -> Sequence[str]:
        """The command that shows the agent's screen; raises `CannotAttachError` where there is none."""


class Action(StrEnum):
    """What a handler wants done, mildest first; where several want something, the hardest is done."""

    WARN = "warn"
    """Note it."""
    ASK = "ask"
    """A human decides whether the call is made. Of anything but a `PermissionRequest`: pause."""
    DENY = "deny"
    """The call is not made, and the reason given to the agent. Of anything but a `PermissionRequest`: interrupt."""
    PAUSE = "pause"
    INTERRUPT = "interrupt"
    """End the agent's turn; where nothing but a signal does that, stop."""
    STOP = "stop"


class Verdict(NamedTuple):
    action: Action
    reason: str
    """For the human and, where a call is denied, for the agent."""
    until: datetime | None = None
    """Of `ASK`: when nobody's word is waited for any longer."""
    otherwise: Action | None = None
    """Of `ASK` with `until`: what then is done; None to allow the call. `ASK` and `PAUSE` wait on."""


class HandlerRequest(NamedTuple):
    """What a handler is made for."""

    session: Session
    """As it was when the handler was made."""
    settings: Settings
    worktree: Path
    """Where the agent sees it; paths in tool calls are its."""
    agent_asks: bool
    """`Agent.asks`, in this mode: whether a call is judged when its `PermissionRequest` comes, else as it is seen."""


class MonitorHandler(Protocol):
    """Watches one session. Made anew for each session and for each restart of the supervisor.

    One that also fulfils `Timekeeper` is called when time has passed, too.
    """

    name: str

    def handle(self, session: Session, event: Event) -> Verdict | None:
        """Called for every event, in order, also for those of before a restart.

        Verdicts on those are not carried out again, but for a `PermissionRequest` that nobody has answered: that is
        judged anew. One that raises is left out for the rest of this session, with a notice; without `policy`, every
        call is asked about.
        """

    def summary(self) -> Mapping[str, Any]:
        """Fields of the session's record that this handler keeps, as they now are."""


class Passed(NamedTuple):
    """Seconds in which the session was at work: neither paused, nor waiting for a human, nor the machine asleep."""

    now: float
    """Since its start."""
    spoke: float
    """What `now` was when its agent last said something."""
    silent: frozenset[str]
    """Codes of the notices since then."""


class Deadline(NamedTuple):
    """By when something is to have happened."""

    code: str
    """Of the notice that tells that it was missed; a deadline is missed once."""
    due: float
    """In seconds, as `Passed.now` counts them."""
    verdict: Verdict


@runtime_checkable
class Timekeeper(Protocol):
    def deadlines(self, session: Session, passed: Passed) -> Iterable[Deadline]:
        """What the session can still miss, as it now stands. Called often, and cheap; changes nothing."""


class HandlerFactory(Protocol):
    """What a plugin registers: a handler's class, or anything that makes one."""

    name: str

    def __call__(self, request: HandlerRequest, /) -> MonitorHandler: ...


class ErrorKind(NamedTuple):
    """A row of the table that tells how bad an error is. The first that matches counts, plugins' before ours."""

    name: str
    severity: Severity
    pattern: str
    """Regular expression, searched without regard to case in an error's text."""


class Storage(Protocol):
    """Keeps sessions' records and events. Safe for any number of processes; readers never block."""

    name: str

    def create(self, session: Session) -> None:
        """Keep a new record. Raises FileExistsError when the id is taken."""

    def save(self, session: Session) -> None:
        """Replace a record, whole or not at all. On disk when it returns.

        Raises `SessionNotFoundError`, and `UnreadableSessionError` rather than replace what cannot be read. To change
        a few fields of a record that others change too, use `update_status`.
        """

    def load(self, session_id: str) -> Session:
        """Raises `SessionNotFoundError`, or `UnreadableSessionError` for one that cannot be read."""

    def sessions(
        self,
        *,
        active: bool = False,
        newest: int | None = None,
        onerror: Callable[[ScopecraftError], None] | None = None,
    ) -> Iterator[Session]:
        """Records, newest first: those that have not ended and, unless `active`, the ended ones, `newest` of them.

        Costs the same however many have ended before. One that cannot be read is left out and told to `onerror`.
        """

    def ids(self) -> list[str]:
        """Every session's id, newest first, without reading records: of some `load` may find none yet."""

    def update_status(
        self,
        session_id: str,
        status: SessionStatus,
        *,
        expected: Collection[SessionStatus],
        changes: Mapping[str, Any] | None = None,
    ) -> Session:
        """Compare and swap; raises `IllegalTransitionError` when the record's status is none of `expected`.

        `changes` are fields of the record and go with it; the others keep what is on disk. Returns what then is.
        """

    def append(self, session_id: str, events: Iterable[LoggedEvent]) -> None:
        """Add events. One writer at a time per session: its supervisor.

        All or nothing when it fails; a writer that was killed leaves the first of them, or all.
        """

    def events(self, session_id: str, after: int = 0) -> Iterator[LoggedEvent]:
        """Events with a `seq` above `after`, in order. One that is half written is not there yet."""

    def delete(self, session_id: str) -> None:
        """Forget a session that never came to be. Idempotent."""
