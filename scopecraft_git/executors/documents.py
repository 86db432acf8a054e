"""JSON files that are whole or not there, for this user alone, whoever else writes them at the same time."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path


def write(path: Path, document: object, *, durable: bool = False) -> None:
    """Replace `path`; `durable` also when the machine goes down. One who is killed may leave a file in `.new`."""
    part = path.with_name(f"{path.name}.new")
    with os.fdopen(_alone(part), "w") as file:
        file.truncate()
        json.dump(document, file)
        file.flush()
        if durable:
            os.fsync(file.fileno())
        part.rename(path)


def _alone(part: Path) -> int:
    """The file that the document is written to, once nobody else writes there."""
    while True:
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(file), part.stat()):
                return file
        except FileNotFoundError:
            pass  # it has become the document meanwhile
        except BaseException:
            os.close(file)
            raise
        os.close(file)
