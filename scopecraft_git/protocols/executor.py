"""Where an agent runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from signal import Signals
from typing import Any, NamedTuple, Protocol

from pydantic import ConfigDict

from scopecraft_git.config import Settings
from scopecraft_git.models import Mode, Model
from scopecraft_git.protocols.agent import AgentRequest


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
