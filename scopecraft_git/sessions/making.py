"""From an id to a record: a session is there whole or not at all, whatever becomes of its maker."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from scopecraft_git import paths
from scopecraft_git.errors import SessionNotFoundError, UnreadableSessionError
from scopecraft_git.models import Session
from scopecraft_git.protocols import ExecRequest, Storage
from scopecraft_git.sessions.ids import new_id
from scopecraft_git.sessions.life import record
from scopecraft_git.storage import files

_MAKING_BEGINS_WITHIN = 10.0
"""Seconds that may pass between the making of the mark and its lock."""


@contextlib.contextmanager
def reserved_id(storage: Storage, slug: str) -> Iterator[str]:
    """The id and folder of a session that the body is to `create`. Nothing is left of it when the body fails.

    While the body runs others can tell that the session `is_being_made`, and once this process has died that it
    is not.
    """
    session_id = new_id(slug)
    mark = _mark(session_id)
    with contextlib.ExitStack() as making:
        try:
            making.enter_context(files.locked(mark))
        except BaseException:
            discard(storage, session_id)
            raise
        try:
            yield session_id
            with files.writing():
                mark.unlink()
        except BaseException:
            if mark.exists():
                discard(storage, session_id)
            raise


def create(storage: Storage, session: Session, prompt: str, request: ExecRequest) -> None:
    """Keep a new session: `prompt.md`, `request.json`, then the record, with which it exists. In `reserved_id`.

    After a crash of the machine it is there whole or not at all, and it is there when this has returned.
    """
    files.write(session.path / "prompt.md", prompt.encode(errors="surrogateescape"))
    files.write(session.path / "request.json", request.model_dump_json(indent=2).encode())
    storage.create(session)


def discard(storage: Storage, session_id: str) -> None:
    """Forget a session that never came to be, with its folder. Idempotent."""
    try:
        storage.delete(session_id)
    finally:
        shutil.rmtree(paths.session(session_id), ignore_errors=True)


def link(storage: Storage, session: Session) -> None:
    """Have the session that this one continues name it. Idempotent, and no error where that has no record any more."""
    if session.parent is None:
        return
    with contextlib.suppress(SessionNotFoundError, UnreadableSessionError):
        parent = storage.load(session.parent)
        with files.locked(parent.path / "continued.lock"):
            names = storage.load(parent.id).continued_by
            if session.id not in names:
                record(storage, parent, continued_by=(*names, session.id))


def is_being_made(session_id: str) -> bool:
    return files.is_locked(_mark(session_id))


def sweep(storage: Storage) -> list[str]:
    """Clear away what makers left that were killed before there was a record; returns the ids. For those killed right
    after it, do what was left to do. Costs little however many sessions there are: their making came to its end.
    """
    swept = []
    for session_id in storage.ids():
        mark = _mark(session_id)
        try:
            age = time.time() - mark.stat().st_mtime
        except FileNotFoundError:
            if _discard_if_empty(paths.session(session_id)):
                swept.append(session_id)
            continue
        if files.is_locked(mark):
            continue
        try:
            _finish_making(storage, storage.load(session_id))
        except SessionNotFoundError:
            if age > _MAKING_BEGINS_WITHIN:
                discard(storage, session_id)
                swept.append(session_id)
        except UnreadableSessionError:
            continue
    return swept


def _discard_if_empty(folder: Path) -> bool:
    """Its maker was killed before the mark was there, or is just about to make it."""
    with contextlib.suppress(OSError):
        if time.time() - folder.stat().st_mtime > _MAKING_BEGINS_WITHIN:
            folder.rmdir()  # refused for one that holds anything
            return True
    return False


def _finish_making(storage: Storage, session: Session) -> None:
    mark = _mark(session.id)
    if not files.is_locked(mark):  # asked anew, now that there is a record: its maker has died, or is through
        link(storage, session)
        mark.unlink(missing_ok=True)


def _mark(session_id: str) -> Path:
    return paths.session(session_id) / "making"
