"""Ends the streams of an engine that has fallen silent: one that is frozen closes none."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

EVERY = 15.0
"""Seconds between two questions, however many streams there are."""


class Heartbeat:
    """`ask` raises when the engine does not answer. Asks only while there are streams."""

    def __init__(self, ask: Callable[[], object]) -> None:
        self._ask = ask
        self._hang_ups: list[Callable[[], object]] = []
        self._lock = threading.Lock()
        self._beats = False

    @contextlib.contextmanager
    def guarding(self, hang_up: Callable[[], object]) -> Iterator[None]:
        """Calls `hang_up`, from another thread, if the engine falls silent while the body runs."""
        with self._lock:
            self._hang_ups.append(hang_up)
            if not self._beats:
                self._beats = True
                threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        try:
            yield
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._hang_ups.remove(hang_up)

    def _beat(self) -> None:
        time.sleep(EVERY)
        while self._goes_on():
            try:
                self._ask()
            except Exception:  # whatever it is, those who read have to find out
                self._hang_up()
            time.sleep(EVERY)

    def _goes_on(self) -> bool:
        with self._lock:
            self._beats = bool(self._hang_ups)
            return self._beats

    def _hang_up(self) -> None:
        with self._lock:
            silent, self._hang_ups = self._hang_ups, []
        for hang_up in silent:
            with contextlib.suppress(Exception):
                hang_up()
