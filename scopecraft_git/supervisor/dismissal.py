"""Has a supervisor leave, and its keeper with it. The agents go on: nothing of a session is in these processes."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from scopecraft_git.errors import SupervisorStaysError
from scopecraft_git.supervisor import presence

PATIENCE = 3.0
"""Seconds to leave in order, before it is killed: it has nothing to lose."""
GIVES_UP = 15.0
LOOKS_AGAIN = 0.01


def stop(home: Path | None = None) -> bool:
    """Until there is neither of them. Whether there was one. Raises `SupervisorStaysError`."""
    pressure = Pressure(home)
    while pressure.is_needed():
        pressure.apply()
        if pressure.age > GIVES_UP:
            raise SupervisorStaysError(pressure.last or 0)
        time.sleep(LOOKS_AGAIN)
    return pressure.applied


class Pressure:
    """On supervisor and keeper to leave: a request, and after `PATIENCE` force."""

    def __init__(self, home: Path | None = None) -> None:
        self.applied = False
        self.last: int | None = None
        """The last process that was asked."""
        self._home = home
        self._begun = time.monotonic()
        self._asked: set[int] = set()

    @property
    def age(self) -> float:
        return time.monotonic() - self._begun

    def is_needed(self) -> bool:
        return any((presence.supervising(self._home), presence.keeping(self._home)))

    def apply(self) -> None:
        """Called again and again: who is there changes meanwhile."""
        self.applied = True
        supervisor, keeper = presence.supervising(self._home), presence.keeping(self._home)
        if supervisor and self.age > PATIENCE:
            for holder in (keeper, supervisor):  # else it would be brought back
                self._signal(holder, signal.SIGKILL)
        elif supervisor:
            self._ask(supervisor)
        elif keeper:
            self._ask(keeper)  # it may be about to start one; a supervisor that left in order takes it along

    def _ask(self, holder: presence.Holder) -> None:
        if holder.pid and holder.pid not in self._asked:
            self._asked.add(holder.pid)
            self._signal(holder, signal.SIGTERM)

    def _signal(self, holder: presence.Holder | None, number: signal.Signals) -> None:
        if holder and signalled(holder, number):
            self.last = holder.pid


def signalled(holder: presence.Holder, number: signal.Signals) -> bool:
    """Whether the holder of a lock could be told."""
    if not (holder.pid and _is_one_of_us(holder.pid)):
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(holder.pid, number)
    return True


def _is_one_of_us(pid: int) -> bool:
    """The number in a lock file may be its last holder's for an instant, and by now anyone's."""
    import psutil

    try:
        return any("scopecraft_git.supervisor" in argument for argument in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False
