"""Wait for what comes of a request, or for the end of sessions. A supervisor is there meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from scopecraft_git import sessions, supervisor
from scopecraft_git.models import Session
from scopecraft_git.protocols import Storage

LOOKS_AGAIN = 0.05


def _say_nothing(_session: Session) -> None:
    pass


def done(
    storage: Storage,
    session: Session,
    name: str,
    deadline: float | None = None,
    *,
    tell: Callable[[Session], None] = _say_nothing,
) -> Session:
    """The session once the request, or the message, called `name` was carried out or cannot be, or at the deadline.

    `deadline` is of `time.monotonic`. The session as it stands is told to `tell`, again and again.
    """

    def is_answered(session_id: str) -> bool:
        return all(name not in (asked.name, asked.data.get("id")) for asked in sessions.asked(session_id))

    (found,) = _await(storage, [session], is_answered, deadline, tell)
    return found


def ended(
    storage: Storage,
    waited: Iterable[Session],
    deadline: float | None = None,
    *,
    tell: Callable[[Session], None] = _say_nothing,
) -> list[Session]:
    """The sessions once all of them have ended, or as they are at the deadline."""
    return _await(storage, waited, lambda _id: False, deadline, tell)


def _await(
    storage: Storage,
    waited: Iterable[Session],
    met: Callable[[str], bool],
    deadline: float | None,
    tell: Callable[[Session], None],
) -> list[Session]:
    found = {session.id: session for session in waited}
    left = list(found)
    with supervisor.attended():
        while True:
            for session_id in list(left):
                is_met = met(session_id)  # before the record is read, which then has what came of it
                session = found[session_id] = storage.load(session_id)
                if is_met or session.status.ended:
                    left.remove(session_id)
                else:
                    tell(session)
            if not left or (deadline is not None and time.monotonic() > deadline):
                return list(found.values())
            time.sleep(LOOKS_AGAIN)
