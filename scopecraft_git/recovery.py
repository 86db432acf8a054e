"""After a crash, or a restart of the machine: what is left of every session, and what becomes of it.

The supervisor takes up by itself whatever has not ended, as soon as there is one. What it does not look for are
records that the registry does not name, and what still runs or lies about of sessions that count as ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from scopecraft_git import paths, plugins, sessions, supervisor
from scopecraft_git.errors import ScopecraftError, SessionNotFoundError, UnreadableSessionError
from scopecraft_git.models import Session, SessionStatus
from scopecraft_git.protocols import Storage
from scopecraft_git.storage import queue
from scopecraft_git.supervisor import ending

SETTLES_WITHIN = 60.0
LOOKS_AGAIN = 0.05


class Recovered(NamedTuple):
    """A session of which something was found."""

    session: str
    status: str
    """As its record now has it; `unknown` where there is no record that can be read."""
    executor: str
    result: str
    """What became of it, in the user's words."""
    mended: bool
    """Whether something had to be done."""


def recover(storage: Storage, onerror: Callable[[ScopecraftError], None]) -> Iterator[Recovered]:
    """Have every session that lives followed or ended, then end what is left of those that have ended.

    Idempotent, and safe while sessions run: what a supervisor follows is left to it. Records that cannot be read are
    told to `onerror` and left alone.
    """
    paths.ensure_home()
    for session_id in sessions.sweep(storage):
        yield Recovered(session_id, "unknown", "", "its making was cut short, and nothing of it had begun", mended=True)
    living = _register(storage, onerror)
    supervisor.wake()
    for session in living:
        yield _settled(storage, session)
    for name in plugins.names("executor"):
        yield from _remains(storage, name, spared={session.id for session in living})


def _register(storage: Storage, onerror: Callable[[ScopecraftError], None]) -> list[Session]:
    """Every session that lives, oldest first, whatever the registry says; afterwards it names them all."""
    named = {session.id for session in storage.sessions(active=True)}
    living = [session for session in storage.sessions(onerror=onerror) if not session.status.ended]
    for session in living:
        if session.id not in named:
            sessions.record(storage, session)
    return living[::-1]


def _settled(storage: Storage, session: Session) -> Recovered:
    """Once it has ended, or a supervisor follows it or has said why it cannot."""
    deadline = time.monotonic() + SETTLES_WITHIN
    while True:
        session = storage.load(session.id)
        if session.status.ended:
            reason = session.outcome.reason if session.outcome else "it has ended"
            return _told(session, f"{session.status}: {reason}", mended=True)
        if session.evidence:
            return _told(session, f"{session.status}: {session.evidence}")
        if session.status is SessionStatus.QUEUED:
            return _told(session, _waits())
        if session.id in (supervisor.status().following or ()) and _works(session):
            return _told(session, f"it is {session.status}, and followed")
        if time.monotonic() > deadline:
            return _told(session, f"it is {session.status}, and nobody follows it yet")
        time.sleep(LOOKS_AGAIN)


def _waits() -> str:
    obstacle = queue.snapshot().obstacle
    return "it waits for its turn" + (f"; nothing starts: {obstacle}" if obstacle else "")


def _works(session: Session) -> bool:
    """Whether its agent is there. When not, or when nobody can tell, its follower is about to say so."""
    try:
        execution = plugins.executor(session.executor).find(sessions.request(session))
        return execution is not None and execution.poll() is None
    except ScopecraftError:
        return False


def _remains(storage: Storage, executor: str, spared: set[str]) -> Iterator[Recovered]:
    """What an executor still has of sessions that have ended, or that nobody knows."""
    for session_id in plugins.executor(executor).remains():
        if session_id in spared:
            continue
        try:
            session = storage.load(session_id)
        except (SessionNotFoundError, UnreadableSessionError) as error:
            yield Recovered(session_id, "unknown", executor, f"left alone: {error.message}", mended=False)
            continue
        if session.status.ended:
            yield _cleared(session)


def _cleared(session: Session) -> Recovered:
    """End what still runs of it, bring its commits home, and only then let go of it."""
    try:
        execution = plugins.executor(session.executor).find(sessions.request(session))
        if execution is None:
            return _told(session, "nothing of it is left")
        ran = execution.poll() is None
        if ran and not ending.end(execution):
            return _told(session, "left as it is: it still runs, and does not end")
        arrived = execution.import_commits()
        execution.release()
    except ScopecraftError as error:
        return _told(session, f"left as it is: {error.message}")
    found = "it still ran, and was ended" if ran else "what was left of it is cleared away"
    return _told(session, found + ("; what it committed is home" if arrived else ""), mended=True)


def _told(session: Session, result: str, *, mended: bool = False) -> Recovered:
    return Recovered(session.id, session.status, session.executor, result, mended)
