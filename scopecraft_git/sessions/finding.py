"""Which session a user means, and what is kept and told of it."""

from __future__ import annotations

import contextlib
import difflib
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from scopecraft_git.errors import AmbiguousSessionError, SessionNotFoundError, UnreadableSessionError
from scopecraft_git.models import Session
from scopecraft_git.protocols import ExecRequest, Storage
from scopecraft_git.sessions.ids import id_slug, slug_of
from scopecraft_git.storage import records

_SEARCHED = 200
"""How many ended sessions are read to find a task whose name no id tells, such as a subtask's."""


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


def as_json(session: Session, *, position: int | None = None, full: bool = False) -> dict[str, Any]:
    """What `run --json` prints of it, and with `full` what `list --json` and `show --json` do."""
    document = session.model_dump(mode="json", include=set(records.FULL if full else records.SHORT))
    return document | {"queue_position": position}


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
