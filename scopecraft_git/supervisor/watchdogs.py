"""Deadlines of a session: how long it may be silent, work, or stay after it is done.

They are data, looked at when the next of them is due and not before, so a quiet session costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from scopecraft_git.config import Settings
from scopecraft_git.console import safe_line
from scopecraft_git.models import Mode, SessionStatus
from scopecraft_git.monitor import Monitor
from scopecraft_git.protocols import Action
from scopecraft_git.supervisor import ending
from scopecraft_git.supervisor.clock import Alarm, Clock
from scopecraft_git.supervisor.log import complain
from scopecraft_git.supervisor.standing import Standing

SETTLES_WITHIN = 2.0
"""Seconds after which a session that is found again counts as followed, and what it said meanwhile as read."""


class Deadline(NamedTuple):
    code: str
    """Of the notice that tells that it was missed."""
    due: float
    """On the session's clock."""
    action: Action
    text: str


def deadlines(settings: Settings, clock: Clock, monitor: Monitor) -> Iterator[Deadline]:
    """Those that the session can still miss, as it now is."""
    noticed, watchdog = monitor.noticed, settings.watchdog
    if noticed.ending:
        return
    if settings.idle_minutes and "idle" not in noticed.in_silence:
        due = clock.spoke + settings.idle_minutes * 60
        yield Deadline("idle", due, Action(watchdog.idle), f"No output within idle_minutes = {settings.idle_minutes:g}")
    if monitor.session.mode is not Mode.AUTONOMOUS:
        return
    if settings.max_minutes:
        due = settings.max_minutes * 60
        yield Deadline("time_is_up", due, Action.STOP, f"It ran for max_minutes = {settings.max_minutes:g}")
    if watchdog.first_event_minutes and not monitor.spoken and "no_first_event" not in noticed:
        minutes = watchdog.first_event_minutes
        text = f"It said nothing within watchdog.first_event_minutes = {minutes:g}"
        yield Deadline("no_first_event", minutes * 60, Action(watchdog.first_event), text)
    if watchdog.lingering_seconds and clock.done is not None and "lingering" not in noticed:
        seconds = watchdog.lingering_seconds
        text = f"It was done and did not leave within watchdog.lingering_seconds = {seconds:g}"
        yield Deadline("lingering", clock.done + seconds, Action(watchdog.lingering), text)


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
            for code, _, action, text in self._missed():
                self._standing.note(code, text, action=action, evidence=evidence)
                self._standing.settle()
                if action is Action.STOP:
                    self._standing.have_it_leave()

    def _missed(self) -> list[Deadline]:
        return [deadline for deadline in self._deadlines() if deadline.due <= self._standing.clock.now]

    def _deadlines(self) -> list[Deadline]:
        return list(deadlines(self._settings, self._standing.clock, self._standing.monitor))
