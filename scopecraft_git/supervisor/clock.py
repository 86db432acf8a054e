"""A session's own time, and what rings when some of it has passed."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from scopecraft_git.storage import files

BOOT = Path("/proc/sys/kernel/random/boot_id")
_FARTHEST = 86400.0
"""Seconds. Whoever is woken too early sets the alarm again, and no timer can be set to what a setting may say."""


class Clock:
    """Seconds that a session has worked. It stands still while the session is paused or waits for a human.

    What it says outlives this process in `clock.json`. Setting the machine's time does not move it, unless the
    machine was started anew meanwhile or cannot tell; then it never runs backwards.
    """

    def __init__(self, path: Path, began: datetime | None) -> None:
        """`began`: when the session started by the machine's time, for a session that has no such file."""
        self._path = path
        self._stands = False
        self._worked = max(0.0, time.time() - began.timestamp()) if began else 0.0
        self.spoke = self._worked
        """When the agent was last heard, or was resumed."""
        self.done: float | None = None
        """When it said that it is done, if that is the last it said."""
        self._read_at = time.monotonic()
        self._kept = ""
        self._take_up()

    @property
    def now(self) -> float:
        return self._worked if self._stands else self._worked + time.monotonic() - self._read_at

    def stand(self, *, still: bool) -> None:
        """Stand still, or go on. Silence counts from then on."""
        if still != self._stands:
            self._worked, self._read_at = self.now, time.monotonic()
            self._stands = still
            self.spoke = self.now

    def keep(self) -> None:
        """Write it down if it says anything new. Does not wait for the disk."""
        said = json.dumps([self._stands, self.spoke, self.done])
        if said == self._kept:
            return
        document = {
            "boot": _boot(), "monotonic": time.monotonic(), "time": time.time(),
            "worked": self.now, "spoke": self.spoke, "done": self.done, "stands": self._stands,
        }  # fmt: skip
        files.replace(self._path, json.dumps(document).encode(), durable=False)
        self._kept = said

    def _take_up(self) -> None:
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            kept = json.loads(self._path.read_bytes())
            same = kept["boot"] and kept["boot"] == _boot()
            passed = time.monotonic() - kept["monotonic"] if same else max(0.0, time.time() - kept["time"])
            self.spoke, self.done, self._stands = kept["spoke"], kept["done"], kept["stands"]
            self._worked = kept["worked"] + (0.0 if self._stands else passed)


class Alarm:
    """Calls `ring` once, in a thread of its own, when it is time; an earlier time replaces a later one."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._due = float("inf")
        self._off = False

    def set(self, seconds: float) -> None:
        """From now. One that is set to ring before stays: whoever is woken too early sets it again."""
        due = time.monotonic() + min(max(0.0, seconds), _FARTHEST)
        with self._lock:
            if self._off or due >= self._due:
                return
            if self._timer:
                self._timer.cancel()
            self._due = due
            self._timer = threading.Timer(due - time.monotonic(), self._go_off)
            self._timer.daemon = True
            self._timer.start()

    def turn_off(self) -> None:
        """For good."""
        with self._lock:
            self._off = True
            if self._timer:
                self._timer.cancel()

    def _go_off(self) -> None:
        with self._lock:
            self._due, self._timer = float("inf"), None
            if self._off:
                return
        self._ring()


def _boot() -> str:
    """Which start of the machine this is; empty where it does not tell."""
    try:
        return BOOT.read_text().strip()
    except OSError:
        return ""
