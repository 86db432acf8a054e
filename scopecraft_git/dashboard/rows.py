"""What the dashboard knows of a worktree or a session, in which order, and what of it a filter keeps.

Made of records as the documents they are, so that the first screen waits for no models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from scopecraft_git import console
from scopecraft_git.console import safe_line

if TYPE_CHECKING:
    from scopecraft_git.models import Worktree

Document = Mapping[str, Any]
NO_SESSION = "no session"
MAIN = "main"
SYMBOLS = {
    "waiting": "◆",
    "idle": "◌",
    "running": "●",
    "starting": "◔",
    "paused": "‖",
    "queued": "…",
    "completed": "✓",
    "failed": "✗",
    "cancelled": "-",
    "lost": "?",
    NO_SESSION: "○",
    MAIN: "○",
}
_ENDED = frozenset({"completed", "failed", "cancelled", "lost"})
_RANKS = {"waiting": 0, "idle": 1, "running": 1, "starting": 1, "paused": 2, "queued": 3, NO_SESSION: 5, MAIN: 6}
_OF_THE_ENDED = 4
_SAID = 400


class Ask(NamedTuple):
    """A tool call that waits for a human's word, and whose it is."""

    session: str
    task: str
    id: str
    tool: str
    input: dict[str, Any]
    reason: str
    since: str
    until: str | None

    @property
    def key(self) -> tuple[str, str]:
        """The agents' ids are only unlike each other within a session."""
        return self.session, self.id


class Row(NamedTuple):
    id: str
    """The session's; of a worktree without one, its path."""
    session: str | None
    status: str
    task: str = ""
    branch: str = ""
    agent: str = ""
    executor: str = ""
    mode: str = ""
    tools: int | None = None
    """How many calls of tools."""
    cost: float | None = None
    since: str | None = None
    """RFC 3339."""
    said: str = ""
    asks: tuple[Ask, ...] = ()
    worktree: str = ""
    repository: str = ""

    @property
    def ended(self) -> bool:
        return self.status in _ENDED

    @property
    def where(self) -> str:
        return f"{self.agent}@{self.executor}" if self.session else ""

    @property
    def state(self) -> str:
        return f"{SYMBOLS.get(self.status, '·')} {self.status}"


def of_session(document: Document) -> Row:
    """Raises what a record raises that is none: `LookupError`, `TypeError`, `ValueError`, `AttributeError`."""
    status = str(document["status"])
    asks = tuple(_ask(document, each) for each in document.get("approvals") or ())
    return Row(
        id=str(document["id"]),
        session=str(document["id"]),
        status=status,
        task=safe_line(str(document["task"])),
        branch=safe_line(str(document["branch"])),
        agent=safe_line(str(document["agent"])),
        executor=safe_line(str(document["executor"])),
        mode=str(document["mode"]),
        tools=sum(int(tool["count"]) for tool in document.get("tools_used") or ()) or None,
        cost=document.get("cost_usd"),
        since=document.get("ended_at") or document.get("started_at") or document["created_at"],
        said=_said(document, asks),
        asks=() if status in _ENDED else asks,
        worktree=str(document["worktree"]),
        repository=str(document["repository"]),
    )


def of_worktree(worktree: Worktree, repository: str) -> Row:
    """One in which no session is known."""
    return Row(
        id=str(worktree.path),
        session=None,
        status=MAIN if worktree.main else NO_SESSION,
        task=safe_line(worktree.path.name),
        branch=safe_line(worktree.branch or worktree.head[:10]),
        said=_of_whom(worktree),
        worktree=str(worktree.path),
        repository=repository,
    )


def _of_whom(worktree: Worktree) -> str:
    if worktree.main:
        return "the main worktree, in which no session works"
    return "" if worktree.ours else "not made by git scopecraft"


def age(since: str | None, now: datetime | None = None) -> str:
    """`5m`, in its largest unit; empty where nobody knows."""
    if since is None:
        return ""
    seconds = max(0, int(((now or datetime.now(UTC)) - datetime.fromisoformat(since)).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def left(until: str | None, now: datetime | None = None) -> str:
    """`4:31 left`; empty for something that waits for ever."""
    if until is None:
        return ""
    seconds = max(0, int((datetime.fromisoformat(until) - (now or datetime.now(UTC))).total_seconds()))
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02} left" if hours else f"{rest // 60}:{rest % 60:02} left"


def matches(row: Row, wanted: str) -> bool:
    """Whether each word is in its task, status, agent, branch or id."""
    text = f"{row.task} {row.status} {row.agent} {row.branch} {row.id}".casefold()
    return all(word in text for word in wanted.casefold().split())


ORDERS: Mapping[str, Callable[[Row], Any]] = {
    "status": lambda row: _RANKS.get(row.status, _OF_THE_ENDED),
    "task": lambda row: row.task.casefold(),
    "age": lambda _: 0,
    "cost": lambda row: -(row.cost or 0),
    "tools": lambda row: -(row.tools or 0),
}
"""What the rows may be sorted by; those that are alike come newest first."""


def arranged(rows: Iterable[Row], order: str = "status", wanted: str = "") -> list[Row]:
    newest_first = sorted((row for row in rows if matches(row, wanted)), key=_made, reverse=True)
    return sorted(newest_first, key=ORDERS[order])


def asked(rows: Iterable[Row]) -> list[Ask]:
    """What waits for a human, oldest first."""
    return sorted((ask for row in rows for ask in row.asks), key=lambda ask: (ask.since, ask.key))


def _made(row: Row) -> tuple[str, str]:
    """Ids end in a code that sorts by time; worktrees by path come behind all of them."""
    return (row.id.rpartition("-")[2], row.id) if row.session else ("", row.id)


def _said(document: Document, asks: tuple[Ask, ...]) -> str:
    """What it asks, what is the matter with it, or what it said last."""
    if document.get("ended_at") is None and asks:
        return safe_line(f"asks: {asks[0].tool} {console.gist(asks[0].input)}"[: 4 * _SAID], _SAID)
    if document.get("ended_at") is None and document.get("evidence"):
        return f"▲ {safe_line(document['evidence'], _SAID)}"
    outcome = document.get("outcome")
    if outcome and document["status"] in ("failed", "lost"):
        return safe_line(outcome["reason"], _SAID)
    return safe_line(document.get("last_message") or "", _SAID)


def _ask(document: Document, approval: Document) -> Ask:
    return Ask(
        session=str(document["id"]),
        task=safe_line(str(document["task"])),
        id=str(approval["id"]),
        tool=safe_line(str(approval["tool"])),
        input=dict(approval.get("input") or {}),
        reason=safe_line(str(approval.get("reason") or "")),
        since=str(approval["since"]),
        until=approval.get("until"),
    )
