"""How a session stands while it is followed: record, clock and notices, changed together and from any thread."""

from __future__ import annotations

import contextlib
import threading
import time
from datetime import UTC, datetime
from typing import Any

from scopecraft_git import plugins, sessions
from scopecraft_git.console import safe_text
from scopecraft_git.models import Approval, Mode, Outcome, Session, SessionStatus
from scopecraft_git.monitor import Monitor, Noticed
from scopecraft_git.protocols import Action, Execution, Storage, Verdict
from scopecraft_git.supervisor import ending
from scopecraft_git.supervisor.clock import Clock
from scopecraft_git.supervisor.inbox import Inbox
from scopecraft_git.supervisor.log import complain
from scopecraft_git.supervisor.turn import INTERRUPTING, Turn

LONGEST_TEXT = 2000
"""Characters of a text in what is asked for, as the record holds it."""


class Standing:
    """What is stored of the session decides what its record says, so it can be put right after any crash."""

    def __init__(self, session: Session, storage: Storage, monitor: Monitor) -> None:
        self.monitor = monitor
        self.clock = Clock(session.path / "clock.json", session.started_at)
        self.execution: Execution | None = None
        self.started = threading.Event()
        """Whether `execution` is known, or never will be."""
        self.over = threading.Event()
        """Nobody notes or saves anything any more: another follower may have begun."""
        self.lock = threading.RLock()
        self.floor = threading.RLock()
        """Held while output is read, or input given to an unattended agent: nothing comes of what is not noted yet.

        Never asked for by who holds `lock`.
        """
        self.takes_input = threading.Event()
        """Whether the agent has its prompt and is not paused; or nobody is to wait for that any more."""
        self.inbox = Inbox()
        self.turn = Turn()
        monitor.observers += [self.inbox.take, self.turn.take]
        self.saved_at = 0.0
        self._agent = plugins.agent(session.agent)
        self._storage = storage
        self._saved = session
        self._leaving = False
        self._acting: set[Action] = set()

    @property
    def session(self) -> Session:
        return self.monitor.session

    @property
    def noticed(self) -> Noticed:
        return self.monitor.noticed

    @property
    def is_unattended(self) -> bool:
        return self.session.mode is Mode.AUTONOMOUS

    @property
    def has_started(self) -> bool:
        return self.session.started_at is not None or "started" in self.noticed

    def save(self) -> None:
        """Write the record if it changed since it was last written."""
        with self.lock:
            session = self.session
            if session != self._saved:
                self._storage.save(session)
                self._saved = session
            if not session.status.ended:
                self.clock.keep()
            self.saved_at = time.monotonic()

    def note(self, code: str, text: str, /, **data: Any) -> None:
        """Unless it comes too late: nothing follows the end."""
        with self.lock:
            if not (self.over.is_set() or "ended" in self.noticed):
                self.monitor.notice(code, text, **data)

    def hear(self) -> None:
        """The agent said something, so it lives, and it is followed."""
        with self.lock:
            self.clock.spoke = self.clock.now
            if not self.monitor.done:
                self.clock.done = None
            self.noticed.in_silence.clear()
            self.end_trouble()
            self.settle()

    def settle(self, **changes: Any) -> None:
        """Have the record and the clock say what the notices make of the session."""
        with self.lock:
            if self.over.is_set() or self.session.status.ended:
                return
            status = self._status()
            self.clock.stand(still=status in (SessionStatus.PAUSED, SessionStatus.WAITING))
            changes |= {"approvals": self._approvals(), "inbox": self.inbox.newest}
            if status is SessionStatus.PAUSED:
                self.takes_input.clear()
            if not self.noticed.trouble_since:
                changes["evidence"] = self._silence() if status is SessionStatus.IDLE else None
            self.become(status, **changes)

    def become(self, status: SessionStatus, **changes: Any) -> None:
        """On disk when it returns; nothing has changed when it fails."""
        with self.lock:
            session = self.session
            if session.status is status and all(getattr(session, name) == value for name, value in changes.items()):
                return
            self.save()  # what is on disk stays, but for the changes
            if session.status is status:
                saved = sessions.record(self._storage, self.session, **changes)
            else:
                saved = sessions.transition(self._storage, self.session, status, **changes)
            self._saved = self.monitor.change(**dict(saved))

    def finish(self, outcome: Outcome) -> None:
        """Note the end and record it, each once."""
        with self.lock:
            self.monitor.notice_once("ended", outcome.reason, status=outcome.status, exit_code=outcome.exit_code)
            self.monitor.change(evidence=None, approvals=(), inbox=self.inbox.newest)
            self.save()
            self._saved = self.monitor.change(**dict(sessions.finish(self._storage, self.session, outcome)))

    def have_it_leave(self) -> None:
        """Interrupt the agent, and end it. Returns at once; idempotent."""
        with self.lock:
            self.settle()
            if self.execution is None or self._leaving:
                return
            self._leaving = True
            thread = threading.Thread(target=ending.make_leave, args=(self.execution, self.over), daemon=True)
            thread.start()

    def carry_out(self, verdict: Verdict) -> None:
        """What a handler wants, on anything but a request for permission. Returns at once; idempotent.

        That it is wanted is on record already, so a supervisor that is killed before it is done leaves it to the next.
        """
        match verdict.action:
            case Action.ASK | Action.PAUSE:
                self._insist(Action.PAUSE, verdict.reason)
            case Action.DENY | Action.INTERRUPT:
                self._insist(Action.INTERRUPT, verdict.reason)
            case Action.STOP:
                self.stop(verdict.reason)

    def stop(self, reason: str) -> None:
        """For a reason of a handler's."""
        with self.lock:
            if not self.noticed.ending:
                self.note(Action.STOP, reason)
            self.have_it_leave()

    def pause(self, execution: Execution, by: str = "") -> None:
        """Freeze the agent, and note it. `by` is a handler's reason; without one a human asked for it."""
        if self.noticed.ending or execution.poll() is not None:
            return
        execution.pause()
        with self.lock:
            if not (self.noticed.paused or self.noticed.ending):
                self.note("paused", "Paused", **({"by": by} if by else {}))
            self.settle()

    def resume(self, execution: Execution) -> None:
        with self.lock:
            if self.noticed.paused:
                self.note("resumed", "Resumed")  # before anything that comes of it
            self.settle()
        execution.resume()
        self.open_input()

    def open_input(self) -> None:
        """Let those go on who wait for the agent to take input, if it does."""
        with self.lock:
            if self.session.prompt_delivered and not self.noticed.paused:
                self.takes_input.set()

    def interrupt(self, execution: Execution, by: str = "", *, request: str = "") -> None:
        """End the agent's turn, or all of it where nothing else ends one. `by` as in `pause`.

        A `request` has an effect once, however often it is carried out.
        """
        if self._agent.interrupt(self.session.mode) is None:
            self.stop(by or "Asked to interrupt")
            return
        with self.lock:
            if self.noticed.ending:
                return
            if not (request and self.turn.was_asked(request)):
                told = {name: value for name, value in {"by": by, "id": request}.items() if value}
                # Before anything that comes of it.
                self.note(INTERRUPTING, f"Interrupted: {by}" if by else "Interrupted", **told)
            elif self.is_unattended and not self.turn.interrupting:
                return
        self._end_turn(execution)

    def interrupt_again(self, execution: Execution) -> None:
        """As before, if nothing has come of it: nobody knows whether it was heard."""
        if self.is_unattended and self.turn.interrupting and not self.noticed.ending:
            self._end_turn(execution)

    def _end_turn(self, execution: Execution) -> None:
        data = self._agent.interrupt(self.session.mode)
        if data is not None:
            with contextlib.suppress(BrokenPipeError):  # who takes no input is leaving
                execution.interrupt(data)

    def _insist(self, action: Action, reason: str) -> None:
        """In a thread of its own: an engine may take its time, and refuse at first."""
        with self.lock:
            if self.execution is not None and action not in self._acting:
                self._acting.add(action)
                threading.Thread(target=self._act, args=(self.execution, action, reason), daemon=True).start()

    def _act(self, execution: Execution, action: Action, reason: str) -> None:
        act = self.pause if action is Action.PAUSE else self.interrupt
        while not self.over.is_set():
            try:
                act(execution, reason)
                break
            except Exception as error:  # an executor of a plugin's may raise anything
                complain(self.session.id, error)
                self.over.wait(ending.TRIES_AGAIN)
        with self.lock:
            self._acting.discard(action)

    def tell_trouble(self, message: str, *, notice: bool) -> None:
        """It cannot be followed for now. Noted once for each time that it cannot; the record says why."""
        with self.lock:
            if notice and not self.noticed.trouble_since:
                self.monitor.notice("not_followed", f"Not followed for now: {message}")
            since = _clock_time(self.noticed.trouble_since or datetime.now(UTC))
            evidence = safe_text(f"not followed since {since}: {message}")
            sessions.record(self._storage, self.session, evidence=evidence)

    def end_trouble(self) -> None:
        """It is followed again, if it was not."""
        with self.lock:
            if self.noticed.trouble_since:
                self.note("followed_again", "Followed again")
                self.settle()

    def _status(self) -> SessionStatus:
        noticed = self.noticed
        if noticed.paused:
            return SessionStatus.PAUSED
        if self.monitor.approvals and not noticed.ending:
            return SessionStatus.WAITING
        if "waiting" in noticed and not self.session.prompt_delivered:
            return SessionStatus.WAITING
        if "idle" in noticed.in_silence and not noticed.ending:
            return SessionStatus.IDLE
        return SessionStatus.RUNNING

    def _approvals(self) -> tuple[Approval, ...]:
        """As the record holds them; who is made to leave asks for nothing any more."""
        waiting = () if self.noticed.ending else self.monitor.approvals
        return tuple(each.model_copy(update={"input": _cut(each.input)}) for each in waiting)

    def _silence(self) -> str:
        since = self.session.last_activity or self.session.started_at or datetime.now(UTC)
        return f"no output since {_clock_time(since)}; {self.noticed.latest['idle'].data['evidence']}"


def _clock_time(time: datetime) -> str:
    return f"{time.astimezone(UTC):%H:%M:%SZ}"


def _cut(value: Any) -> Any:
    """Its texts, wherever they are, at a length that a record can bear."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else f"{value[: LONGEST_TEXT - 1]}…"
    if isinstance(value, dict):
        return {key: _cut(each) for key, each in value.items()}
    return [_cut(each) for each in value] if isinstance(value, list) else value
