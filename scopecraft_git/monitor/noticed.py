"""What the supervisor noticed of a session so far, whoever it was then."""

from __future__ import annotations

from datetime import datetime

from scopecraft_git.events import LoggedEvent, Notice
from scopecraft_git.protocols import Action, Deadline

STOPPING = "stopping"
_TO_BE_DONE = (Action.PAUSE, Action.INTERRUPT)


class Noticed:
    """The notices that are not an agent's own."""

    def __init__(self) -> None:
        self.latest: dict[str, Notice] = {}
        self.in_silence: set[str] = set()
        """Codes since the agent's last output, or since it was resumed."""
        self.missed: set[tuple[str, object]] = set()
        """Deadlines: their codes and when they were due."""
        self.imported: set[tuple[str | None, ...]] = set()
        self.ending: Notice | None = None
        """Why the session is being ended, if it is by us; the first reason counts."""
        self.wanted: Notice | None = None
        """A pause or an interruption that a handler wants, and that is not noted as done."""
        self.trouble_since: datetime | None = None
        self.paused = False

    def __contains__(self, code: str) -> bool:
        return code in self.latest

    def is_missed(self, deadline: Deadline) -> bool:
        """Whether that is told: of this very deadline, or of one of its kind since the agent was last heard."""
        return deadline.code in self.in_silence or (deadline.code, round(deadline.due, 3)) in self.missed

    def take(self, logged: LoggedEvent, notice: Notice) -> None:
        code, data = notice.code, notice.data
        self.latest[code] = notice
        self.in_silence.add(code)
        self.missed.add((code, data.get("due")))
        if self.ending is None and (code in (STOPPING, Action.STOP) or data.get("action") == Action.STOP):
            self.ending = notice
        if _is_wanted(notice):
            self.wanted = notice
        match code:
            case "imported":
                self.imported.add(tuple(data.get(name) for name in ("ref", "commit", "note")))
            case "paused":
                self.paused, self.wanted = True, None
            case "resumed":
                self.paused, self.wanted = False, None
                self.in_silence.clear()
            case "interrupting":
                self.wanted = None
            case "not_followed":
                self.trouble_since = self.trouble_since or logged.time
            case "followed_again":
                self.trouble_since = None
        if self.ending:
            self.paused, self.wanted = False, None  # it has to run to end


def _is_wanted(notice: Notice) -> bool:
    """Of a call that waits for an answer, `ask` and `deny` are no more than that answer."""
    action = notice.data.get("action", notice.code)
    return action in _TO_BE_DONE or (action in (Action.ASK, Action.DENY) and "id" not in notice.data)
