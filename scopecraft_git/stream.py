"""Follows a file that grows."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

CHUNK = 1 << 16
PATIENCE = 1.0
"""Seconds after which to look again without having been told: a process's death changes no file."""


def follow(path: Path, offset: int, ended: Callable[[], bool]) -> Iterator[bytes]:
    """Bytes of `path` from `offset` on, as they come, until `ended` and the file is read out."""
    for _ in changes(path.parent, ended):
        for chunk in read_from(path, offset):
            offset += len(chunk)
            yield chunk


def changes(folder: Path, ended: Callable[[], bool]) -> Iterator[None]:
    """Yields at once, then whenever something in `folder` may have changed, and once more when `ended`.

    `ended` is asked before each of them, so nothing that was written before the end is missed.
    """
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers import Observer

    logging.getLogger("watchdog").addHandler(logging.NullHandler())  # it warns of its own stopping
    changed = threading.Event()

    class Waker(FileSystemEventHandler):
        def on_any_event(self, _event: FileSystemEvent) -> None:
            changed.set()

    observer = Observer()
    observer.schedule(Waker(), str(folder))
    observer.start()
    try:
        over = False
        while not over:
            changed.clear()
            over = ended()
            yield
            if not over:
                changed.wait(PATIENCE)
    finally:
        observer.stop()
        observer.join()


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
