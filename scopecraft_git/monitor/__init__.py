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
from pathlib import Path
from typing import Any, NamedTuple

from scopecraft_git import plugins
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
from scopecraft_git.models import Approval, Mode, Session
from scopecraft_git.monitor.annotating import Annotator, judge
from scopecraft_git.monitor.handling import FAILED, Handling, Remark, hardest, key, made
from scopecraft_git.monitor.noticed import STOPPING, Noticed
from scopecraft_git.protocols import Action, Agent, Deadline, MonitorHandler, Passed, Storage, Verdict

ANSWERED = "permission_answered"
BACKGROUND, WITHDRAWN = "background", "permission_cancelled"
"""Notices of an agent's own: what it has under way, and that a request wants no answer any more."""
__all__ = ["ANSWERED", "STOPPING", "Digest", "Monitor", "Noticed", "hardest", "made"]
WANT_A_REACTION = (PermissionRequest, Finished)


class Digest(NamedTuple):
    """What some lines of output came to: the last one may want a reaction before the next is looked at."""

    events: list[Event]
    verdicts: list[Verdict]
    """On everything but requests for permission, see `Monitor.judged`."""


class Monitor:
    """One session's. `session` is the record as the events so far make it; saving it is the caller's."""

    def __init__(self, session: Session, storage: Storage, agent: Agent, handlers: Iterable[MonitorHandler]) -> None:
        self.session = session
        self.noticed = Noticed()
        self.finished: Finished | None = None
        self.done = False
        """Whether that is the last it said."""
        self.background: frozenset[str] = frozenset()
        """Kinds of what the agent has under way when its turn ends: it goes on by itself when that has ended."""
        self.spoken = False
        self.unanswered: dict[str, PermissionRequest] = {}
        self.judged: dict[str, Verdict] = {}
        """The hardest verdict on each request in `unanswered`, by its id; none allows it, and so does `WARN`."""
        self.observers: list[Callable[[LoggedEvent], object]] = []
        """Told of every event once it is stored, in order, and of those stored before. They may not raise."""
        self._storage = storage
        self._agent = agent
        self._handling = Handling(handlers, agent_asks=agent.asks and session.mode is Mode.AUTONOMOUS)
        self._annotator = Annotator(judge(plugins.error_kinds()))
        self._lock = threading.RLock()
        self._seq = 0
        self._line: list[bytes] = []
        self._line_starts = 0
        self._already_stored = 0
        self._not_noted: list[Remark] = []
        self._output_before = 0
        self._asked: dict[str, datetime] = {}

    def take_up(self) -> int:
        """Go through the events stored before; returns the offset in `stream.log` to read from. Called once, first."""
        spoke = self.session.last_activity
        late: list[Remark] = []
        self._output_before = _size(self.session.path / "stream.log")
        for logged in self._storage.events(self.session.id):
            self._seq = logged.seq
            remarks = self._show(logged.event, ours=logged.offset is None)
            self._note(logged)
            if logged.offset is None:
                if isinstance(logged.event, Notice):
                    _take_away(logged.event, self._not_noted, late)
                late += remarks
                continue
            self._annotator.take(logged.event, logged.time)
            if logged.offset == self._line_starts:
                self._already_stored += 1
                self._not_noted += remarks
            else:
                late += self._not_noted
                self._already_stored, self._not_noted = 1, remarks
            self._line_starts = logged.offset
            spoke = logged.time
        self.change(last_activity=spoke)
        self._summarise()
        self._store_remarks([remark for remark in late if self._still_matters(remark)])
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

    def notice(self, code: str, text: str, /, **data: Any) -> None:
        """Something the supervisor did or saw, for the record. Callable from any thread."""
        with self._lock:
            self._store([(None, Notice(code=code, text=text, data=data))])

    def notice_once(self, code: str, text: str, /, **data: Any) -> None:
        """`notice`, unless one of this code is stored already."""
        with self._lock:
            if code not in self.noticed:
                self.notice(code, text, **data)

    @property
    def approvals(self) -> tuple[Approval, ...]:
        """What waits for a human's word, oldest first; inputs are whole."""
        with self._lock:
            return tuple(
                _approval(request, verdict, self._asked[request.id])
                for request in self.unanswered.values()
                if request.id in self._asked
                and (verdict := self.judged.get(request.id))
                and verdict.action is Action.ASK
            )

    def deadlines(self, passed: Passed) -> list[Deadline]:
        """What handlers say that the session can still miss. Callable from any thread."""
        with self._lock:
            found = self._handling.deadlines(self.session, passed)
            self._store_remarks(self._handling.failures())
            return [deadline for deadline in found if not self.noticed.is_missed(deadline)]

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
            now = datetime.now(UTC)
            wants_reaction = False
            while lines and not wants_reaction:
                line = lines.popleft()
                again = self._already_stored
                seen = now if self._line_starts >= self._output_before else None
                events = [self._annotator.take(event, seen) for event in self._agent.parse(line)[again:]]
                remarks = self._not_noted + [remark for event in events for remark in self._show(event)]
                found += [(self._line_starts, event) for event in events]
                found += [(None, remark.notice) for remark in remarks]
                taken.events.extend(events)
                taken.verdicts.extend(remark.verdict for remark in remarks if remark.verdict and not remark.request)
                self._line_starts += len(line) + 1
                self._already_stored = 0
                self._not_noted = []
                wants_reaction = bool(again or remarks or any(isinstance(e, WANT_A_REACTION) for e in events))
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
        remarks: list[Remark] = []
        for each in logged:
            self._note(each)
            if each.offset is None:  # who saw the agent's own was asked before
                remarks += self._show(each.event, ours=True)
        self._summarise()
        if any(offset is not None for offset, _ in found):
            self.change(last_activity=now)
        self._store_remarks(remarks + self._handling.failures())

    def _store_remarks(self, remarks: list[Remark]) -> None:
        """Those that came of no line of output. Nothing follows the end."""
        if "ended" not in self.noticed:
            self._store([(None, remark.notice) for remark in remarks])

    def _note(self, logged: LoggedEvent) -> None:
        event = logged.event
        for tell in self.observers:
            tell(logged)
        if logged.offset is None:
            if isinstance(event, Notice):
                self._note_ours(logged, event)
            return
        self.spoken = True
        self.noticed.in_silence.clear()
        if isinstance(event, Finished):
            self.finished, self.done = event, True
        elif isinstance(event, Text | Reasoning | ToolCall):
            self.done = False
        elif isinstance(event, PermissionRequest):
            self.unanswered[event.id] = event
        elif isinstance(event, Notice):
            self._note_theirs(event)

    def _note_theirs(self, notice: Notice) -> None:
        if notice.code == BACKGROUND:
            self.background = frozenset(str(task["type"]) for task in notice.data.get("tasks", ()))
        elif notice.code == WITHDRAWN:
            self._forget(str(notice.data.get("id")))

    def _forget(self, request: str) -> None:
        for known in (self.unanswered, self.judged, self._asked):
            known.pop(request, None)

    def _note_ours(self, logged: LoggedEvent, notice: Notice) -> None:
        self.noticed.take(logged, notice)
        request = notice.data.get("id")
        if notice.code == ANSWERED:
            self._forget(notice.data["id"])
            self._annotator.answered(notice.data["id"], allow=notice.data.get("allow") is True)
        elif notice.code == FAILED:
            self._handling.leave_out(notice.data["handler"])
        elif notice.code == "resumed":
            self.judged = {name: verdict for name, verdict in self.judged.items() if verdict.action is not Action.PAUSE}
        elif notice.code == Action.ASK and request in self.unanswered and request not in self._asked:
            self._asked[request] = logged.time
            self._hold_to(request, notice.data.get("until"))

    def _hold_to(self, request: str, until: str | None) -> None:
        """A handler that is asked again after a restart would give a human more time each time."""
        verdict = self.judged.get(request)
        if verdict and verdict.until and until:
            self.judged[request] = verdict._replace(until=datetime.fromisoformat(until))

    def _show(self, event: Event, *, ours: bool = False) -> list[Remark]:
        """To every handler. What they say of our own notices is not heard, but for their failures."""
        remarks = self._handling.show(self.session, event)
        if ours:
            return [remark for remark in remarks if not remark.verdict]
        if isinstance(event, PermissionRequest):
            self.judged.pop(event.id, None)
            if verdict := hardest(remark.verdict for remark in remarks if remark.verdict):
                self.judged[event.id] = verdict
        return remarks

    def _still_matters(self, remark: Remark) -> bool:
        """Of those on what was stored before a restart, though nothing of them was."""
        return remark.verdict is None or remark.request in self.unanswered

    def _summarise(self) -> None:
        if changed := self._handling.summary(self.session):
            self.change(**changed)


def _take_away(told: Notice, *pending: list[Remark]) -> None:
    """The first of the remarks that has been told, or all of a handler that is told to have failed."""
    for remarks in pending:
        if told.code == FAILED:
            remarks[:] = [remark for remark in remarks if remark.notice.data["handler"] != told.data["handler"]]
        elif same := [remark for remark in remarks if key(remark.notice) == key(told)]:
            remarks.remove(same[0])
            return


def _approval(request: PermissionRequest, verdict: Verdict, since: datetime) -> Approval:
    return Approval(
        id=request.id,
        tool=request.tool,
        input=request.input,
        reason=verdict.reason,
        since=since,
        until=verdict.until,
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
