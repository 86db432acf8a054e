"""Follows files that grow."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver, ObservedWatch

CHUNK = 1 << 16
PATIENCE = 30.0
"""Seconds, at most, after which to look again without having been told."""
SETTLES = 0.05
"""Seconds after a change to look again, and twice as long each time: it may announce what is yet to come.

The system tells that a file was closed before it gives up the lock on it.
"""
UNTOLD = 1.0
"""Seconds between looks where the system does not tell."""


def follow(path: Path, offset: int, ended: Callable[[], bool], *, also: Path | None = None) -> Iterator[bytes]:
    """Bytes of `path` from `offset` on, as they come, until `ended` and the file is read out.

    `also` names another folder whose changes may be the end.
    """
    for _ in changes(path.parent, ended, also=also):
        for chunk in read_from(path, offset):
            offset += len(chunk)
            yield chunk


def changes(
    folder: Path, ended: Callable[[], bool], *, also: Path | None = None, patience: float = PATIENCE
) -> Iterator[None]:
    """Yields at once, then whenever something in `folder` was written, and once more when `ended`.

    `ended` is asked before each of them, so nothing that was written before the end is missed; it is asked every
    `patience` seconds also when nothing is written.
    """
    changed = threading.Event()
    with ExitStack() as watched:
        told = [watched.enter_context(_WATCHER.told(each, changed)) for each in {folder, also or folder}]
        longest = patience if all(told) else min(patience, UNTOLD)
        pause = SETTLES
        over = False
        while not over:
            changed.clear()
            over = ended()
            yield
            if not over:
                pause = SETTLES if changed.wait(pause) else min(pause * 2, longest)


def read_from(path: Path, offset: int) -> Iterator[bytes]:
    """What `path` holds now from `offset` on; nothing when there is no such file."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(offset)
        while chunk := file.read(CHUNK):
            yield chunk


class _Watcher:
    """Has the system tell of changes, to any number of those who wait: it gives a user few such channels."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._observer: BaseObserver | None = None
        self._waiting: Counter[ObservedWatch] = Counter()

    @contextmanager
    def told(self, folder: Path, changed: threading.Event) -> Iterator[bool]:
        """`changed` is set whenever a file in `folder` was written; False when that cannot be had here or now."""
        try:
            handler, watch = self._begin(folder, changed)
        except OSError:  # the user's channels are used up, or the folder is gone, as `ended` will see
            yield False
            return
        try:
            yield True
        finally:
            self._end(handler, watch)

    def _begin(self, folder: Path, changed: threading.Event) -> tuple[Any, ObservedWatch]:
        from watchdog.events import FileClosedEvent, FileModifiedEvent, FileSystemEvent, FileSystemEventHandler

        class Waker(FileSystemEventHandler):
            def on_any_event(self, _event: FileSystemEvent) -> None:
                changed.set()

        handler = Waker()
        with self._lock:
            # Not told of who reads: to look would be a reason to look again.
            written: list[type[FileSystemEvent]] = [FileModifiedEvent, FileClosedEvent]
            watch = self._observing().schedule(handler, str(folder), event_filter=written)
            self._waiting[watch] += 1
        return handler, watch

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


_WATCHER = _Watcher()
