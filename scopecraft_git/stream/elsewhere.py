"""Has other systems than Linux tell of files that are written, in the way that each of them has for it."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver, ObservedWatch


class Elsewhere:
    """`Inotify`, by a library that knows many systems and takes longer to tell."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._observer: BaseObserver | None = None
        self._waiting: Counter[ObservedWatch] = Counter()

    def watch(self, folder: Path, tell: Callable[[str], object]) -> Callable[[], None]:
        from watchdog.events import (
            FileClosedEvent,
            FileCreatedEvent,
            FileModifiedEvent,
            FileMovedEvent,
            FileSystemEvent,
            FileSystemEventHandler,
        )

        class Waker(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                tell(Path(os.fsdecode(event.dest_path or event.src_path)).name)

        handler = Waker()
        with self._lock:
            # Not told of who reads: to look would be a reason to look again.
            written: list[type[FileSystemEvent]] = [
                FileModifiedEvent,
                FileClosedEvent,
                FileMovedEvent,
                FileCreatedEvent,
            ]
            watch = self._observing().schedule(handler, str(folder), event_filter=written)
            self._waiting[watch] += 1
        return lambda: self._end(handler, watch)

    def _end(self, handler: Any, watch: ObservedWatch) -> None:
        with self._lock:
            self._waiting[watch] -= 1
            if self._waiting[watch]:
                self._observing().remove_handler_for_watch(handler, watch)
            else:
                del self._waiting[watch]
                self._observing().unschedule(watch)

    def _observing(self) -> BaseObserver:
        if self._observer is None:
            from watchdog.observers import Observer

            logging.getLogger("watchdog").addHandler(logging.NullHandler())  # it warns of its own stopping
            observer = Observer()
            observer.start()
            self._observer = observer
        return self._observer
