"""Turns a session's output into numbered events on disk, and shows each one to every handler.

Everything derives from `stream.log`: an event remembers where its line began, so after a restart the monitor goes on
from the last event stored, and the events are those of an undisturbed run. What the supervisor itself notices is known
from the stored events, too: nothing that happens once is told twice.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from scopecraft_git.events import (
    Event,
    Finished,
    LoggedEvent,
    Notice,
    PermissionRequest,
    Reasoning,
    Text,
    ToolCall,
)
from scopecraft_git.models import Session
from scopecraft_git.monitor.noticed import STOPPING, Noticed
from scopecraft_git.protocols import Action, Agent, MonitorHandler, Storage, Verdict

ANSWERED = "permission_answered"
__all__ = ["ANSWERED", "STOPPING", "Digest", "Monitor", "Noticed"]
WANT_A_REACTION = (PermissionRequest, Finished)


class Digest(NamedTuple):
    """What some lines of output came to: the last one may want a reaction before the next is looked at."""

    events: list[Event]
    verdicts: list[Verdict]


class Monitor:
    """One session's. `session` is the record as the events so far make it; saving it is the caller's."""

    def __init__(self, session: Session, storage: Storage, agent: Agent, handlers: Iterable[MonitorHandler]) -> None:
        self.session = session
        self.noticed = Noticed()
        self.finished: Finished | None = None
        self.done = False
        """Whether that is the last it said."""
        self.spoken = False
        self.unanswered: dict[str, PermissionRequest] = {}
        self.observers: list[Callable[[LoggedEvent], object]] = []
        """Told of every event once it is stored, in order, and of those stored before. They may not raise."""
        self._storage = storage
        self._agent = agent
        self._handlers = list(handlers)
        self._lock = threading.RLock()
        self._seq = 0
        self._line: list[bytes] = []
        self._line_starts = 0
        self._already_stored = 0
        self._not_noticed: list[Verdict] = []

    def take_up(self) -> int:
        """Go through the events stored before; returns the offset in `stream.log` to read from. Called once, first."""
        spoke = self.session.last_activity
        for logged in self._storage.events(self.session.id):
            self._seq = logged.seq
            verdicts = self._ask(logged.event)
            self._note(logged)
            if logged.offset is not None:
                same_line = logged.offset == self._line_starts
                self._already_stored = self._already_stored + 1 if same_line else 1
                self._not_noticed = self._not_noticed + verdicts if same_line else verdicts
                self._line_starts = logged.offset
                spoke = logged.time
            elif isinstance(logged.event, Notice) and logged.event.code in set(Action):
                del self._not_noticed[:1]
        self.change(last_activity=spoke)
        self._summarise()
        return self._line_starts

    def feed(self, chunk: bytes) -> Iterator[Digest]:
        """More output, cut anywhere: what the lines it completes come to, each part stored as it is yielded.

        After a restart the last line that was stored comes first, once more, with what is left of it.
        """
        *complete, rest = chunk.split(b"\n")
        lines = deque[bytes]()
        for piece in complete:
            self._line.append(piece)
            lines.append(b"".join(self._line))
            self._line.clear()
        if rest:
            self._line.append(rest)
        return self._digest(lines)

    def end(self) -> Iterator[Digest]:
        """The output is over: a last line without its newline counts too."""
        last = b"".join(self._line)
        self._line.clear()
        return self._digest(deque([last] if last else []))

    def notice(self, code: str, text: str, **data: Any) -> None:
        """Something the supervisor did or saw, for the record. Callable from any thread."""
        with self._lock:
            self._store([(None, Notice(code=code, text=text, data=data))])

    def notice_once(self, code: str, text: str, **data: Any) -> None:
        """`notice`, unless one of this code is stored already."""
        with self._lock:
            if code not in self.noticed:
                self.notice(code, text, **data)

    def change(self, **fields: Any) -> Session:
        """Set fields of the record that no handler keeps. Callable from any thread."""
        with self._lock:
            self.session = self.session.model_copy(update=fields)
            return self.session

    def _digest(self, lines: deque[bytes]) -> Iterator[Digest]:
        while lines:
            yield self._take(lines)

    def _take(self, lines: deque[bytes]) -> Digest:
        """Lines from the left, up to the first that wants a reaction: where its answer is noted depends on it alone."""
        with self._lock:
            taken = Digest([], [])
            found: list[tuple[int | None, Event]] = []
            wants_reaction = False
            while lines and not wants_reaction:
                line = lines.popleft()
                again = self._already_stored
                events = self._agent.parse(line)[again:]
                verdicts = self._not_noticed + [verdict for event in events for verdict in self._ask(event)]
                found += [(self._line_starts, event) for event in events]
                found += [(None, Notice(code=verdict.action, text=verdict.reason)) for verdict in verdicts]
                taken.events.extend(events)
                taken.verdicts.extend(verdicts)
                self._line_starts += len(line) + 1
                self._already_stored = 0
                self._not_noticed = []
                wants_reaction = bool(again or verdicts or any(isinstance(e, WANT_A_REACTION) for e in events))
            self._store(found)
            return taken

    def _store(self, found: Sequence[tuple[int | None, Event]]) -> None:
        """Number and keep events. When that fails none is kept, and what they came from is for another monitor."""
        if not found:
            return
        now = datetime.now(UTC)
        logged = [
            LoggedEvent(seq=self._seq + number, time=now, offset=offset, event=event)
            for number, (offset, event) in enumerate(found, 1)
        ]
        self._storage.append(self.session.id, logged)
        self._seq += len(logged)
        for each in logged:
            self._note(each)
            if each.offset is None:
                self._ask(each.event)  # who saw the agent's own was asked before
        self._summarise()
        if any(offset is not None for offset, _ in found):
            self.change(last_activity=now)

    def _note(self, logged: LoggedEvent) -> None:
        event = logged.event
        for tell in self.observers:
            tell(logged)
        if logged.offset is None:
            if isinstance(event, Notice):
                self.noticed.take(logged, event)
                if event.code == ANSWERED:
                    self.unanswered.pop(event.data["id"], None)
            return
        self.spoken = True
        self.noticed.in_silence.clear()
        if isinstance(event, Finished):
            self.finished, self.done = event, True
        elif isinstance(event, Text | Reasoning | ToolCall):
            self.done = False
        elif isinstance(event, PermissionRequest):
            self.unanswered[event.id] = event

    def _ask(self, event: Event) -> list[Verdict]:
        found = (self._verdict(handler, event) for handler in list(self._handlers))
        return [verdict for verdict in found if verdict]

    def _verdict(self, handler: MonitorHandler, event: Event) -> Verdict | None:
        try:
            return handler.handle(self.session, event)
        except Exception as error:  # a plugin may raise anything; it must not stop the monitor
            self._handlers.remove(handler)
            return Verdict(Action.WARN, f"the handler {handler.name} was left out: it raised {error!r}")

    def _summarise(self) -> None:
        self.change(**{name: value for handler in self._handlers for name, value in handler.summary().items()})
