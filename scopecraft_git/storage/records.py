"""Sessions' records as the documents they are on disk, and which of them are the newest.

Nothing here needs the models: `git scopecraft list` shows ten records in less time than pydantic takes to import.
"""

from __future__ import annotations

import heapq
import json
import os
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, TypeVar

from scopecraft_git import paths
from scopecraft_git.errors import SessionNotFoundError, UnreadableSessionError

SHORT = ("id", "task", "mode", "executor", "agent", "status", "branch", "worktree")
FULL = (
    *SHORT, "repository", "base_commit", "created_at", "started_at", "ended_at", "exit_code", "outcome", "evidence",
    "cost_usd", "messages", "tools_used", "tokens", "errors", "approvals", "inbox", "last_activity", "last_message",
    "agent_session_id", "parent", "continued_by", "path",
)  # fmt: skip
"""Fields that the command line shows. They are only ever added."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FEW = 64
"""Enough for a screenful of sessions and the other files beside them."""
Record = TypeVar("Record")


def folder_of(session_id: str) -> Path:
    """Raises `SessionNotFoundError` for what cannot be an id, such as a path out of the folder."""
    if not _ID.fullmatch(session_id):
        raise SessionNotFoundError(session_id)
    return paths.session(session_id)


def path_of(session_id: str) -> Path:
    return folder_of(session_id) / "metadata.json"


def read(session_id: str) -> dict[str, Any]:
    """Raises `SessionNotFoundError`, or `UnreadableSessionError` for what is no record of this session."""
    path = path_of(session_id)
    try:
        document = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise SessionNotFoundError(session_id) from None
    except (OSError, ValueError) as error:
        raise UnreadableSessionError(path, str(error)) from error
    if not isinstance(document, dict):
        raise UnreadableSessionError(path, "it holds no JSON object")
    if (found := document.get("id")) != session_id:
        raise UnreadableSessionError(path, f"it is the record of {found}")
    return document


def ids() -> list[str]:
    """Newest first, of every session that has a folder, its record readable or not."""
    return sorted(folders(), key=age, reverse=True)


def newest_first() -> Iterator[str]:
    """`ids`, lazily: who wants a few pays neither for sorting all of them nor for looking closely at each."""
    names = _folders()
    first = heapq.nlargest(_FEW, names, key=age)
    yield from filter(_is_id, first)
    if len(first) < len(names):
        yield from filter(_is_id, sorted(set(names).difference(first), key=age, reverse=True))


def folders() -> Iterator[str]:
    """`ids`, in no order."""
    return filter(_is_id, _folders())


def age(session_id: str) -> str:
    """A key to sort by: ids end in a code that sorts by time."""
    return f"{session_id.rpartition('-')[2]} {session_id}"


def select(
    living: Collection[str],
    load: Callable[[str], Record | None],
    ended: Callable[[Record], bool],
    *,
    active: bool = False,
    newest: int | None = None,
) -> Iterator[Record]:
    """What `Storage.sessions` yields, in whatever form `load` gives it; `living` may name too many, never too few."""
    wanted = -1 if newest is None else newest
    left = set(living)
    for session_id in () if active or not wanted else newest_first():
        left.discard(session_id)
        record = load(session_id)
        if record is None:
            continue
        yield record
        wanted -= ended(record)
        if not wanted:
            break
    for session_id in sorted(left, key=age, reverse=True):
        record = load(session_id)
        if record is not None and not ended(record):
            yield record


def _folders() -> list[str]:
    try:
        with os.scandir(paths.sessions()) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        return []


def _is_id(name: str) -> bool:
    return _ID.fullmatch(name) is not None and not name.endswith(".broken")
