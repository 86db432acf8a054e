"""Waits for changes in any number of folders."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Self

from scopecraft_git.stream.elsewhere import Elsewhere
from scopecraft_git.stream.inotify import Inotify

_TELLER = Inotify() if sys.platform == "linux" else Elsewhere()


class Folders:
    """One thread's. `ignoring` are names of files whose changes do not count."""

    def __init__(self, *folders: Path, ignoring: Collection[str] = ()) -> None:
        self._ignoring = ignoring
        self._changed = threading.Event()
        self._which: set[Path] = set()
        self._lock = threading.Lock()
        self._ends: dict[Path, Callable[[], None]] = {}
        self._untold: set[Path] = set()
        for folder in folders:
            self.add(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for folder in [*self._ends]:
            self.discard(folder)

    @property
    def told(self) -> bool:
        """False when changes of one of them cannot be had here or now, and it must be looked at."""
        return not self._untold

    def add(self, folder: Path) -> None:
        """Idempotent."""
        if folder in self._ends:
            return

        def tell(name: str) -> None:
            if name not in self._ignoring:
                with self._lock:
                    self._which.add(folder / name)
                    self._changed.set()

        try:
            self._ends[folder] = _TELLER.watch(folder, tell)
            self._untold.discard(folder)
        except OSError:  # the user's channels are used up, or the folder is gone, as whoever waits will see
            self._untold.add(folder)

    def discard(self, folder: Path) -> None:
        """Idempotent."""
        self._untold.discard(folder)
        if end := self._ends.pop(folder, None):
            end()

    def wake(self) -> None:
        """Whoever waits, in another thread; as if nothing had changed."""
        self._changed.set()

    def wait(self, seconds: float) -> set[Path]:
        """Which files have changed since this was last called; empty when none has after `seconds`.

        It is the folder where it is not known which of its files has.
        """
        self._changed.wait(seconds)
        with self._lock:
            self._changed.clear()
            found, self._which = self._which, set()
        return found
