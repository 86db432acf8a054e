"""What commands ask of whoever supervises a session: files in its folder, until they are answered."""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from scopecraft_git import paths
from scopecraft_git.errors import SessionNotFoundError
from scopecraft_git.storage import files

_COUNTER = itertools.count()


class Asked(NamedTuple):
    """What a command wants done with a session."""

    name: str
    """Unlike any other of this session; sorts by when it was asked."""
    kind: str
    """`stop`, `send` and the like."""
    data: dict[str, Any]


def ask(session_id: str, kind: str, **data: Any) -> str:
    """Leave a request for whoever supervises the session, now or after a restart. Returns its name."""
    folder = _requests(session_id)
    try:
        with files.writing():
            folder.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        raise SessionNotFoundError(session_id) from None
    last = max((int(asked.name.partition("-")[0]) for asked in asked(session_id)), default=0)
    name = f"{max(time.time_ns(), last + 1):020}-{os.getpid()}-{next(_COUNTER)}"
    document = {"kind": kind, "data": data}
    files.replace(folder / f"{name}.json", json.dumps(document).encode())
    return name


def asked(session_id: str) -> list[Asked]:
    """What was asked and not yet `answered`, oldest first. What is half written is not there yet."""
    names = sorted(path.stem for path in _requests(session_id).glob("[0-9]*.json"))
    return [found for name in names if (found := _asked(session_id, name)) is not None]


def answered(session_id: str, name: str) -> None:
    """It was done, or cannot be. Idempotent."""
    with files.writing():
        (_requests(session_id) / f"{name}.json").unlink(missing_ok=True)


def _asked(session_id: str, name: str) -> Asked | None:
    try:
        document = json.loads((_requests(session_id) / f"{name}.json").read_bytes())
        return Asked(name, document["kind"], document["data"])
    except (FileNotFoundError, ValueError, LookupError, TypeError):  # answered meanwhile, or none of ours
        return None


def _requests(session_id: str) -> Path:
    return paths.session(session_id) / "requests"
