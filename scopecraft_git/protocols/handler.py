"""What reacts to what an agent says and does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from scopecraft_git.config import Settings
from scopecraft_git.events import Event, Severity
from scopecraft_git.models import Session


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
