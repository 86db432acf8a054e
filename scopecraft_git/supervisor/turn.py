"""Whether an agent's turn was ended by an interruption, as the stored events tell it."""

from __future__ import annotations

from scopecraft_git.events import Finished, LoggedEvent, Notice

INTERRUPTING = "interrupting"


class Turn:
    def __init__(self) -> None:
        self.interrupting: Notice | None = None
        """An interruption of which nothing has come yet."""
        self.interrupted: Notice | None = None
        """The one that ended the last turn, if one did."""
        self._noted: set[str] = set()

    def was_asked(self, request: str) -> bool:
        """Whether the interruption that a request asked for is noted."""
        return request in self._noted

    def take(self, logged: LoggedEvent) -> None:
        event = logged.event
        if isinstance(event, Notice) and logged.offset is None and event.code == INTERRUPTING:
            self.interrupting = event
            self._noted.add(event.data.get("id", ""))
        elif isinstance(event, Finished):
            # One that came just too late has ended nothing.
            self.interrupted = self.interrupting if event.is_error else None
            self.interrupting = None
