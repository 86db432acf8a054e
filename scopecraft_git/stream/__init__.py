"""Follows files that grow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from scopecraft_git.stream.folders import Folders

__all__ = ["CHUNK", "PATIENCE", "SETTLES", "UNTOLD", "Folders", "changes", "follow", "read_from"]

CHUNK = 1 << 16
PATIENCE = 30.0
"""Seconds, at most, after which to look again without having been told."""
SETTLES = 0.05
"""Seconds after a change to look again, and twice as long each time: it may announce what is yet to come.

The system tells that a file was closed before it gives up the lock on it.
"""
UNTOLD = 1.0
"""Seconds between looks where the system does not tell."""
KEPT_BESIDE = frozenset(
    {"stream.log", "events.jsonl", "metadata.json", ".metadata.json.new", "clock.json", ".clock.json.new", "lock"}
)
"""What whoever follows a session writes as it does so: no reason to look again."""


def follow(path: Path, offset: int, ended: Callable[[], bool], *, also: Path | None = None) -> Iterator[bytes]:
    """Bytes of `path` from `offset` on, as they come, until `ended` and the file is read out.

    `also` names another folder whose changes may be the end. While more and more comes, it is asked for now and then.
    """
    with Folders(path.parent, also or path.parent, ignoring=KEPT_BESIDE - {path.name}) as folders:
        longest = PATIENCE if folders.told else UNTOLD
        pause, asked = SETTLES, 0.0
        speaks = over = False
        while not over:
            if not speaks or time.monotonic() - asked > UNTOLD:
                over, asked = ended(), time.monotonic()
            for chunk in read_from(path, offset):
                offset += len(chunk)
                yield chunk
            if not over:
                changed = folders.wait(pause)
                speaks = changed == {path}
                pause = SETTLES if changed else min(pause * 2, longest)


def changes(
    folder: Path, ended: Callable[[], bool], *, also: Path | None = None, patience: float = PATIENCE
) -> Iterator[None]:
    """Yields at once, then whenever something in `folder` was written, and once more when `ended`.

    `ended` is asked before each of them, so nothing that was written before the end is missed; it is asked every
    `patience` seconds also when nothing is written.
    """
    with Folders(folder, also or folder) as folders:
        longest = patience if folders.told else min(patience, UNTOLD)
        pause, over = SETTLES, False
        while not over:
            over = ended()
            yield
            if not over:
                pause = SETTLES if folders.wait(pause) else min(pause * 2, longest)


def read_from(path: Path, offset: int) -> Iterator[bytes]:
    """What `path` holds now from `offset` on; nothing when there is no such file."""
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        return
    with file:
        file.seek(offset)
        while chunk := file.read(CHUNK):
            yield chunk
