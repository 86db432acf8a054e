"""What the rest of the package talks about: task, worktree, session."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

SCHEMA_VERSION = 1


def rfc3339(time: datetime) -> str:
    """UTC with milliseconds, the form of every time that leaves this package."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[AwareDatetime, PlainSerializer(rfc3339, when_used="json")]


class Model(BaseModel):
    """Frozen; a newer version's extra fields are kept out of the way, not an error."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Mode(StrEnum):
    AUTONOMOUS = "autonomous"
    DISPATCH = "dispatch"


class SessionStatus(StrEnum):
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    IDLE = "idle"
    """It runs, and has said nothing for a long time."""
    WAITING = "waiting"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def ended(self) -> bool:
        return self in ENDED


ENDED = frozenset({SessionStatus.COMPLETED, SessionStatus.FAILED, SessionStatus.CANCELLED, SessionStatus.LOST})


class Task(Model):
    """What to do: a Markdown file, or just a name when `path` is None."""

    id: str
    title: str = ""
    path: Path | None = None
    parent: str | None = None
    status: str = ""
    type: str = ""
    area: str = ""
    metadata: dict[str, Any] = Field(default_factory=dict)
    """The whole front matter, unknown keys included."""
    sections: dict[str, str] = Field(default_factory=dict)
    """Text by heading, in the file's order, unknown headings included."""
    location: str = ""
    """Where the file lies: current, backlog or archive/YYYY-MM."""
    problem: str = ""
    """Why the file could not be read, where that is no reason to stop."""


class Worktree(Model):
    path: Path
    branch: str | None
    """Short name; None when HEAD is detached."""
    head: str
    main: bool = False
    ours: bool = False
    """Made by git scopecraft, and so the only kind it will remove."""
    base_commit: str | None = None
    """What the branch started from, when we made it."""
    locked: str | None = None
    """The lock's reason; empty when locked without one."""


class Commit(Model):
    sha: str
    subject: str
    author: str
    files: int = 0
    """How many files it changed; 0 for a merge."""
    insertions: int = 0
    deletions: int = 0


class ToolUse(Model):
    name: str
    count: int = 0
    errors: int = 0


class Tokens(Model):
    """Of a whole session, each message counted once."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


class Approval(Model):
    """A tool call that waits for a human's word."""

    id: str
    """What `approve` and `deny` name; the agent's id of the request."""
    tool: str
    input: dict[str, Any] = Field(default_factory=dict)
    """Long texts in it are cut; the events have all of it."""
    reason: str
    """Why it is asked: the message of the rule, or what a handler said."""
    since: Time
    until: Time | None = None
    """When it is answered without anyone's word; None for never."""


class MessageState(StrEnum):
    QUEUED = "queued"
    """On disk, for whoever supervises the session."""
    DELIVERED = "delivered"
    """In the agent's hands."""
    SEEN = "seen"
    """The agent has taken it up. Only of agents that tell."""
    REFUSED = "refused"
    """The agent took no more input."""


class Message(Model):
    """What a human told the agent in mid-session."""

    id: str
    """A UUID."""
    text: str
    """Cut when it is long."""
    state: MessageState
    sent_at: Time


class Outcome(Model):
    """How a session ended, and how that is known."""

    status: SessionStatus
    reason: str
    exit_code: int | None = None
    stderr: str = ""
    """The last lines the agent wrote there."""


class Session(Model):
    """One agent run. The record on disk is this model; fields are only ever added."""

    schema_version: int = SCHEMA_VERSION
    id: str
    task: str
    mode: Mode
    executor: str
    agent: str
    status: SessionStatus = SessionStatus.QUEUED
    branch: str
    worktree: Path
    repository: Path
    """The repository's common directory (`.git`)."""
    base_commit: str
    """What the branch stood on when the session was made."""
    model: str | None = None
    created_at: Time
    started_at: Time | None = None
    ended_at: Time | None = None
    exit_code: int | None = None
    outcome: Outcome | None = None
    evidence: str | None = None
    """What is known of a session that is idle, or that cannot be followed for now; None when all is as it should be."""
    cost_usd: float | None = None
    messages: int = 0
    """How many texts the agent wrote."""
    tools_used: tuple[ToolUse, ...] = ()
    tokens: Tokens | None = None
    errors: dict[str, int] = Field(default_factory=dict)
    """How many, by severity."""
    approvals: tuple[Approval, ...] = ()
    """What waits for a human's word, oldest first."""
    inbox: tuple[Message, ...] = ()
    """What the agent was told in mid-session, oldest first; the newest few."""
    last_activity: Time | None = None
    last_message: str | None = None
    agent_session_id: str | None = None
    parent: str | None = None
    """The session this one continues."""
    continued_by: tuple[str, ...] = ()
    """The sessions that continue this one, oldest first."""
    prompt_delivered: bool = False
    imported_commit: str | None = None
    """The newest commit of the agent's that the repository holds on `branch`."""
    path: Path
    """The session's folder below SCOPECRAFT_HOME."""
