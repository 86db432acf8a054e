"""Deadlines of a session: what its handlers say that it can miss, and how long it may work or stay after it is done.

They are data, looked at when the next of them is due and not before, so a quiet session costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from scopecraft_git.config import Settings
from scopecraft_git.console import safe_line
from scopecraft_git.models import Mode, SessionStatus
from scopecraft_git.monitor import Monitor
from scopecraft_git.protocols import Action, Deadline, Passed, Verdict
from scopecraft_git.supervisor import ending
from scopecraft_git.supervisor.clock import Alarm, Clock
from scopecraft_git.supervisor.log import complain
from scopecraft_git.supervisor.standing import Standing

SETTLES_WITHIN = 2.0
"""Seconds after which a session that is found again counts as followed, and what it said meanwhile as read."""


def deadlines(settings: Settings, clock: Clock, monitor: Monitor) -> Iterator[Deadline]:
    """Those that the session can still miss, as it now is: the handlers' and our own."""
    if monitor.noticed.ending:
        return
    yield from monitor.deadlines(Passed(clock.now, clock.spoke, frozenset(monitor.noticed.in_silence)))
    if monitor.session.mode is Mode.AUTONOMOUS:
        yield from _unattended(settings, clock, monitor)


def _unattended(settings: Settings, clock: Clock, monitor: Monitor) -> Iterator[Deadline]:
    noticed, watchdog = monitor.noticed, settings.watchdog
    if settings.max_minutes:
        text = f"It ran for max_minutes = {settings.max_minutes:g}"
        yield Deadline("time_is_up", settings.max_minutes * 60, Verdict(Action.STOP, text))
    if watchdog.first_event_minutes and not monitor.spoken and "no_first_event" not in noticed:
        minutes = watchdog.first_event_minutes
        text = f"It said nothing within watchdog.first_event_minutes = {minutes:g}"
        yield Deadline("no_first_event", minutes * 60, Verdict(Action(watchdog.first_event), text))
    if watchdog.lingering_seconds and clock.done is not None and "lingering" not in noticed:
        seconds = watchdog.lingering_seconds
        text = f"It was done and did not leave within watchdog.lingering_seconds = {seconds:g}"
        yield Deadline("lingering", clock.done + seconds, Verdict(Action(watchdog.lingering), text))


class Watch:
    """Over one session's deadlines."""

    def __init__(self, standing: Standing, settings: Settings) -> None:
        self._standing = standing
        self._settings = settings
        self._alarm = Alarm(self._look)

    def begin(self) -> None:
        self._alarm.set(SETTLES_WITHIN)

    def end(self) -> None:
        self._alarm.turn_off()

    def set(self) -> None:
        """Be woken when the next deadline is due. Cheap: to be called whenever there may be an earlier one."""
        with self._standing.lock:
            if self._standing.session.status in (SessionStatus.PAUSED, SessionStatus.WAITING):
                return
            if due := [deadline.due for deadline in self._deadlines()]:
                self._alarm.set(min(due) - self._standing.clock.now)

    def _look(self) -> None:
        try:
            self._standing.end_trouble()
            if self._missed():
                self._tell()
        except Exception as error:  # an executor of a plugin's may raise anything
            complain(self._standing.session.id, error)
            self._alarm.set(ending.TRIES_AGAIN)
        else:
            self.set()

    def _tell(self) -> None:
        execution = self._standing.execution
        if execution is None or execution.poll() is not None:
            return
        evidence = safe_line(execution.evidence())  # which may take a while, so not with the lock held
        with self._standing.lock:
            for code, due, verdict in self._missed():
                missed = {"action": verdict.action, "evidence": evidence, "due": round(due, 3)}
                self._standing.note(code, verdict.reason, **missed)
                self._standing.settle()
                self._standing.carry_out(verdict)

    def _missed(self) -> list[Deadline]:
        return [deadline for deadline in self._deadlines() if deadline.due <= self._standing.clock.now]

    def _deadlines(self) -> list[Deadline]:
        return list(deadlines(self._settings, self._standing.clock, self._standing.monitor))
