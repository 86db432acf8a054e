"""What the supervisor noticed of a session so far, whoever it was then."""

from __future__ import annotations

from datetime import datetime

from scopecraft_git.events import LoggedEvent, Notice
from scopecraft_git.protocols import Action

STOPPING = "stopping"


class Noticed:
    """The notices that are not an agent's own."""

    def __init__(self) -> None:
        self.latest: dict[str, Notice] = {}
        self.in_silence: set[str] = set()
        """Codes since the agent's last output, or since it was resumed."""
        self.imported: set[tuple[str | None, ...]] = set()
        self.ending: Notice | None = None
        """Why the session is being ended, if it is by us; the first reason counts."""
        self.trouble_since: datetime | None = None
        self.paused = False

    def __contains__(self, code: str) -> bool:
        return code in self.latest

    def take(self, logged: LoggedEvent, notice: Notice) -> None:
        code, data = notice.code, notice.data
        self.latest[code] = notice
        self.in_silence.add(code)
        if self.ending is None and (code in (STOPPING, Action.STOP) or data.get("action") == Action.STOP):
            self.ending = notice
        match code:
            case "imported":
                self.imported.add(tuple(data.get(name) for name in ("ref", "commit", "note")))
            case "paused":
                self.paused = True
            case "resumed":
                self.paused = False
                self.in_silence.clear()
            case "not_followed":
                self.trouble_since = self.trouble_since or logged.time
            case "followed_again":
                self.trouble_since = None
        if self.ending:
            self.paused = False  # it has to run to end
