"""Turns a session's output into numbered events on disk, and shows each one to every handler.

Everything derives from `stream.log`: an event remembers where its line began, so after a restart the monitor goes on
from the last event stored, and the events are those of an undisturbed run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from scopecraft_git.events import Event, Finished, LoggedEvent, Notice, PermissionRequest
from scopecraft_git.models import Session
from scopecraft_git.protocols import Action, Agent, HandlerFactory, MonitorHandler, Storage, Verdict

ANSWERED = "permission_answered"


class Monitor:
    """One session's. `session` is the record as the events so far make it; saving it is the caller's."""

    def __init__(self, session: Session, storage: Storage, agent: Agent, handlers: Iterable[HandlerFactory]) -> None:
        self.session = session
        self.finished: Finished | None = None
        self.unanswered: dict[str, PermissionRequest] = {}
        self._storage = storage
        self._agent = agent
        self._handlers: list[MonitorHandler] = [make() for make in handlers]
        self._lock = threading.RLock()
        self._seq = 0
        self._line: list[bytes] = []
        self._line_starts = 0
        self._already_stored = 0

    def take_up(self) -> int:
        """Go through the events stored before; returns the offset in `stream.log` to read from. Called once, first."""
        for logged in self._storage.events(self.session.id):
            self._seq = logged.seq
            if logged.offset is not None:
                self._already_stored = self._already_stored + 1 if logged.offset == self._line_starts else 1
                self._line_starts = logged.offset
            self._show(logged.event)
        self._summarise()
        return self._line_starts

    def feed(self, chunk: bytes) -> tuple[list[Event], list[Verdict]]:
        """More output, cut anywhere: the events of the lines it completes, stored, and what the handlers say."""
        *complete, rest = chunk.split(b"\n")
        lines = []
        for piece in complete:
            self._line.append(piece)
            lines.append(b"".join(self._line))
            self._line.clear()
        if rest:
            self._line.append(rest)
        return self._take(lines)

    def end(self) -> tuple[list[Event], list[Verdict]]:
        """The output is over: a last line without its newline counts too."""
        last = b"".join(self._line)
        self._line.clear()
        return self._take([last] if last else [])

    def notice(self, code: str, text: str, **data: Any) -> None:
        """Something the supervisor did or saw, for the record. Callable from any thread."""
        self._store([(None, Notice(code=code, text=text, data=data))])

    def change(self, **fields: Any) -> Session:
        """Set fields of the record that no handler keeps. Callable from any thread."""
        with self._lock:
            self.session = self.session.model_copy(update=fields)
            return self.session

    def _take(self, lines: Sequence[bytes]) -> tuple[list[Event], list[Verdict]]:
        found: list[tuple[int | None, Event]] = []
        for line in lines:
            events = self._agent.parse(line)[self._already_stored :]
            self._already_stored = 0
            found += [(self._line_starts, event) for event in events]
            self._line_starts += len(line) + 1
        return [event for _, event in found], self._store(found)

    def _store(self, found: Sequence[tuple[int | None, Event]]) -> list[Verdict]:
        if not found:
            return []
        with self._lock:
            now = datetime.now(UTC)
            logged = [
                LoggedEvent(seq=self._seq + number, time=now, offset=offset, event=event)
                for number, (offset, event) in enumerate(found, 1)
            ]
            self._storage.append(self.session.id, logged)
            self._seq += len(logged)
            verdicts = [verdict for _, event in found for verdict in self._show(event)]
            self._summarise()
            if any(offset is not None for offset, _ in found):
                self.change(last_activity=now)
            return verdicts

    def _show(self, event: Event) -> list[Verdict]:
        if isinstance(event, Finished):
            self.finished = event
        elif isinstance(event, PermissionRequest):
            self.unanswered[event.id] = event
        elif isinstance(event, Notice) and event.code == ANSWERED:
            self.unanswered.pop(event.data["id"], None)
        return [verdict for handler in list(self._handlers) if (verdict := self._ask(handler, event))]

    def _ask(self, handler: MonitorHandler, event: Event) -> Verdict | None:
        try:
            return handler.handle(self.session, event)
        except Exception as error:  # a plugin may raise anything; it must not stop the monitor
            self._handlers.remove(handler)
            return Verdict(Action.WARN, f"the handler {handler.name} was left out: it raised {error!r}")

    def _summarise(self) -> None:
        self.change(**{name: value for handler in self._handlers for name, value in handler.summary().items()})
