"""A session's life: its id, its folder, its states, and what commands ask of whoever supervises it."""

from __future__ import annotations

import contextlib
import difflib
import itertools
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from scopecraft_git import paths
from scopecraft_git.errors import (
    AmbiguousSessionError,
    IllegalTransitionError,
    SessionNotFoundError,
    UnreadableSessionError,
)
from scopecraft_git.executors import launching
from scopecraft_git.models import Outcome, Session, SessionStatus
from scopecraft_git.protocols import ExecRequest, Storage
from scopecraft_git.storage import files, records

QUEUED, STARTING, RUNNING, IDLE, WAITING, PAUSED, COMPLETED, FAILED, CANCELLED, LOST = SessionStatus

TRANSITIONS: Mapping[SessionStatus, frozenset[SessionStatus]] = {
    QUEUED: frozenset({STARTING, FAILED, CANCELLED, LOST}),
    STARTING: frozenset({RUNNING, COMPLETED, FAILED, CANCELLED, LOST}),
    RUNNING: frozenset({IDLE, WAITING, PAUSED, COMPLETED, FAILED, CANCELLED, LOST}),
    IDLE: frozenset({RUNNING, WAITING, PAUSED, COMPLETED, FAILED, CANCELLED, LOST}),
    WAITING: frozenset({RUNNING, PAUSED, COMPLETED, FAILED, CANCELLED, LOST}),
    PAUSED: frozenset({RUNNING, WAITING, COMPLETED, FAILED, CANCELLED, LOST}),
    COMPLETED: frozenset(),
    FAILED: frozenset(),
    CANCELLED: frozenset(),
    LOST: frozenset(),
}
"""Which states follow which. A fast agent completes before anyone has seen it run."""

_CODE_BEGINS = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
_CODE_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_TICKS = 10
"""Of a second, in a code."""
_CODE_LENGTH = 7  # enough for 108 years
_LONGEST_SLUG = 40
_MAKING_BEGINS_WITHIN = 10.0
"""Seconds that may pass between the making of the mark and its lock."""
_SEARCHED = 200
"""How many ended sessions are read to find a task whose name no id tells, such as a subtask's."""


# Making one


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


def is_being_made(session_id: str) -> bool:
    return files.is_locked(_mark(session_id))


def new_id(slug: str) -> str:
    """`<slug>-<code>` with its empty folder. Codes sort by time; the slug is cut to what may name a container."""
    paths.ensure_home()
    name = id_slug(slug)
    for number in itertools.count(_next_number()):
        session_id = f"{name}-{_code(number)}"
        with contextlib.suppress(FileExistsError), files.writing():
            _remember_number(number)
            paths.session(session_id).mkdir(mode=0o700)
            return session_id
    raise AssertionError


def id_slug(name: str) -> str:
    """What the ids of sessions for `name` begin with."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:_LONGEST_SLUG]
    return re.sub(r"\.{2,}", ".", plain).strip("-._") or "session"


def slug_of(session_id: str) -> str:
    """What the id begins with, as `new_id` was given it."""
    return session_id.rpartition("-")[0]


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


def request(session: Session) -> ExecRequest:
    """How the session is to be started."""
    path = session.path / "request.json"
    try:
        return ExecRequest.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UnreadableSessionError(path, str(error)) from error


def prompt(session: Session) -> str:
    """What its agent is asked."""
    path = session.path / "prompt.md"
    try:
        return path.read_bytes().decode(errors="surrogateescape")
    except OSError as error:
        raise UnreadableSessionError(path, str(error)) from error


# Changing one


def transition(storage: Storage, session: Session, status: SessionStatus, **changes: Any) -> Session:
    """Raises `IllegalTransitionError` unless the record on disk, which may be ahead of `session`, allows it."""
    expected = {before for before, after in TRANSITIONS.items() if status in after}
    return storage.update_status(session.id, status, expected=expected, changes=changes)


def record(storage: Storage, session: Session, **changes: Any) -> Session:
    """Change fields other than the status. What others changed meanwhile stays, their status too."""
    while True:
        try:
            return storage.update_status(session.id, session.status, expected={session.status}, changes=changes)
        except IllegalTransitionError:
            session = storage.load(session.id)


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


def finish(storage: Storage, session: Session, outcome: Outcome) -> Session:
    """End it, once: a session that has ended stays as it is. The user's environment does not stay with it."""
    launching.forget_environment(session.path)
    ending = {"ended_at": datetime.now(UTC), "exit_code": outcome.exit_code, "outcome": outcome}
    try:
        return transition(storage, session, outcome.status, **ending)
    except IllegalTransitionError:
        current = storage.load(session.id)
        if not current.status.ended:
            raise
        return current


# Finding one


def resolve(storage: Storage, selector: str) -> Session:
    """The session that a user means by an id, the beginning of just one id, or a task's name: its newest session.

    The environment's suffix will do for the task's name. Raises `SessionNotFoundError`, `AmbiguousSessionError`,
    and `UnreadableSessionError` for a session that is found and cannot be read.
    """
    with contextlib.suppress(SessionNotFoundError):
        return storage.load(selector)
    ids = storage.ids()
    named = [session_id for session_id in ids if slug_of(session_id) == selector]
    begun = [session_id for session_id in ids if selector and session_id.startswith(selector)]
    if not named and len(begun) > 1:
        raise AmbiguousSessionError(selector, begun[:5])
    found = next(_existing(storage, named or begun), None) or _of_task(storage, ids, selector)
    if found is None:
        known = dict.fromkeys(slug_of(session_id) for session_id in ids)
        raise SessionNotFoundError(selector, difflib.get_close_matches(selector, known, n=3))
    return found


def _of_task(storage: Storage, ids: list[str], task: str) -> Session | None:
    """Ids end where tasks end: `auth-05A-…` may be of `implement-auth-05A`. Only a subtask's tell nothing."""
    slug = id_slug(task)
    likely = (session_id for session_id in ids if f"-{slug}".endswith(f"-{slug_of(session_id)}"))
    for session in itertools.chain(_existing(storage, likely), storage.sessions(newest=_SEARCHED)):
        if session.task == task:
            return session
    return None


def _existing(storage: Storage, ids: Iterable[str]) -> Iterator[Session]:
    for session_id in ids:
        with contextlib.suppress(SessionNotFoundError):
            yield storage.load(session_id)


# Telling of one


def as_json(session: Session, *, position: int | None = None, full: bool = False) -> dict[str, Any]:
    """What `run --json` prints of it, and with `full` what `list --json` and `show --json` do."""
    document = session.model_dump(mode="json", include=set(records.FULL if full else records.SHORT))
    return document | {"queue_position": position}


# Asking its supervisor


class Asked(NamedTuple):
    """What a command wants done with a session."""

    name: str
    """Unlike any other of this session; sorts by when it was asked."""
    kind: str
    """`stop`, `send` and the like."""
    data: dict[str, Any]


_COUNTER = itertools.count()


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


def _mark(session_id: str) -> Path:
    return paths.session(session_id) / "making"


def _next_number() -> int:
    """The time; when the clock was set back, what follows the last one."""
    now = max(0, int((time.time() - _CODE_BEGINS) * _TICKS))
    try:
        last = round((paths.last_id().stat().st_mtime - _CODE_BEGINS) * _TICKS)
    except FileNotFoundError:
        return now
    return now if now >= last else last + 1


def _remember_number(number: int) -> None:
    """As a file's time, which any number of processes may set at once, also on a full disk."""
    moment = _CODE_BEGINS + number / _TICKS
    if not paths.last_id().exists():
        paths.last_id().touch(mode=0o600)
    os.utime(paths.last_id(), (moment, moment))


def _code(number: int) -> str:
    digits = []
    for _ in range(_CODE_LENGTH):
        number, digit = divmod(number, len(_CODE_DIGITS))
        digits.append(_CODE_DIGITS[digit])
    return "".join(reversed(digits))
