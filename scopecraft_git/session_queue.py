"""Which autonomous sessions wait and which run, first come, first served: `queue.json`.

The records are the truth. What the file adds is the order, and the places of sessions that are just being made;
a place whose session has ended, or whose maker has died, is given up by the next `take`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from scopecraft_git import paths, plugins, sessions, worktrees
from scopecraft_git.config import Settings
from scopecraft_git.errors import (
    IllegalTransitionError,
    QueueFullError,
    SessionNotFoundError,
    UnreadableSessionError,
)
from scopecraft_git.models import Mode, Outcome, Session, SessionStatus
from scopecraft_git.protocols import Storage
from scopecraft_git.repository import Repository
from scopecraft_git.storage import files
from scopecraft_git.storage.queue import Queue, read, snapshot, write

__all__ = ["Queue", "clear", "hold", "look", "place", "position", "release", "remove", "snapshot", "take"]


@contextlib.contextmanager
def place(session_id: str, settings: Settings) -> Iterator[None]:
    """Keep a place for a session while the body makes its worktree and record, within `sessions.reserved_id`.

    Raises `QueueFullError`. The place is given up when the body fails; the session can be taken as soon as it is
    made, which is at the end of `reserved_id`.
    """
    _reserve(session_id, settings)
    try:
        yield
    except BaseException:
        release(session_id)
        raise


def take(storage: Storage) -> Session | None:
    """Give the first session that may start a slot, and make it `starting`. None when there is none, or no slot.

    How many may run, and with how much free memory, is what the user who submitted the session had set; where memory
    is wanting the queue's `reason` says so until the next call. Passed over are sessions that are still being made,
    and those in whose worktree another one runs.
    """
    with _locked():
        queue, records = _healed(storage)
        queue = queue._replace(reason=None)
        for session in [] if queue.held else _ready(queue, records):
            settings = _settings(session)
            if len(queue.running) >= settings.max_running:
                break
            if reason := _want_of_memory(settings.min_free_memory):
                queue = queue._replace(reason=reason)
                break
            # The slot before the status: after a crash between the two, `look` sees that the slot is unused.
            write(queue.without(session.id)._replace(running=(*queue.running, session.id)))
            with contextlib.suppress(IllegalTransitionError, SessionNotFoundError):
                return sessions.transition(storage, session, SessionStatus.STARTING)
        write(queue)
        return None


def release(session_id: str) -> None:
    """Give up the session's slot or place. Idempotent."""
    with _locked():
        queue = snapshot()
        if session_id in (*queue.waiting, *queue.running):
            write(queue.without(session_id))


def remove(storage: Storage, session_id: str, reason: str = "Removed from the queue") -> Session | None:
    """Cancel a session that waits and unlock its worktree, which stays; None when it waits no more.

    After this it cannot be taken.
    """
    with _locked():
        session = storage.load(session_id)
        if session.status is not SessionStatus.QUEUED or session.mode is not Mode.AUTONOMOUS:
            return None
        ended = sessions.finish(storage, session, Outcome(status=SessionStatus.CANCELLED, reason=reason))
        write(_known(storage).without(session_id))
    if session.repository.is_dir():
        worktrees.unlock(Repository(session.repository), session.worktree, session.id)
    return ended


def clear(storage: Storage) -> list[Session]:
    """`remove` every session that waits. Those that are just being made come after it."""
    removed = []
    for session_id in look(storage)[0].waiting:
        with contextlib.suppress(SessionNotFoundError):
            removed.append(remove(storage, session_id))
    return [session for session in removed if session]


def hold(storage: Storage, *, held: bool) -> bool:
    """Start nothing from now on, or go on; whether that is new. What runs goes on running."""
    with _locked():
        queue = _known(storage)
        write(queue._replace(held=held, reason=None), durable=True)
    return queue.held != held


def position(session_id: str) -> int | None:
    """1 for the next to start, None for a session that does not wait."""
    return snapshot().position(session_id)


def look(storage: Storage) -> tuple[Queue, dict[str, Session]]:
    """The queue as the records have it, and the records of the sessions in it. Changes nothing."""
    queue = snapshot()
    # Before the records are read: one that was made meanwhile has its record by then.
    being_made = {session_id for session_id in queue.waiting if sessions.is_being_made(session_id)}
    records = {session.id: session for session in storage.sessions(active=True) if session.mode is Mode.AUTONOMOUS}
    running: list[str] = []
    waiting: list[str] = []
    for session_id in dict.fromkeys([*queue.running, *queue.waiting, *reversed(records)]):
        if session_id in records:
            if records[session_id].status is not SessionStatus.QUEUED:
                running.append(session_id)
            else:
                waiting.append(session_id)
        elif session_id in being_made:
            waiting.append(session_id)
        elif session_id in queue.running and _is_unreadable(storage, session_id):
            running.append(session_id)
    return queue._replace(waiting=tuple(waiting), running=tuple(running)), records


def _known(storage: Storage) -> Queue:
    """As it is on disk; where that is gone, as the records have it: what is written must name everyone."""
    return read() or look(storage)[0]


def _reserve(session_id: str, settings: Settings) -> None:
    with _locked():
        queue = read()
        # A slot that was taken and never used weighs as much as a place, but for a queue in which nothing starts.
        if queue is None or queue.obstacle or _is_full(queue, settings):
            queue, _ = _healed(plugins.storage(settings.storage))
        if _is_full(queue, settings):
            raise QueueFullError(len(queue.waiting), settings.max_waiting)
        write(queue._replace(waiting=(*queue.waiting, session_id)))


def _is_full(queue: Queue, settings: Settings) -> bool:
    """A session that could start at once needs no place among those that wait; while nothing starts, none could."""
    free = 0 if queue.obstacle else max(0, settings.max_running - len(queue.running))
    return len(queue.waiting) >= settings.max_waiting + free


def _ready(queue: Queue, records: dict[str, Session]) -> Iterator[Session]:
    """Those that could start if there were a slot, first come first."""
    busy = {records[session_id].worktree for session_id in queue.running if session_id in records}
    for session_id in queue.waiting:
        session = records.get(session_id)
        if session and session.worktree not in busy and not sessions.is_being_made(session_id):
            yield session


def _settings(session: Session) -> Settings:
    """Of a session that cannot be started for want of its request, whoever tries will say so: no reason to wait."""
    try:
        return sessions.request(session).settings
    except UnreadableSessionError:
        return Settings()


def _want_of_memory(least: int) -> str | None:
    """Why memory is too short for one more, or None. What the system could free at once counts as free."""
    import psutil

    free = psutil.virtual_memory().available
    return f"free memory is {_size(free)}, below min_free_memory = {_size(least)}" if free < least else None


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{round(count, 1):g} {unit}"
        count /= 1024
    return f"{round(count, 1):g} TiB"


def _healed(storage: Storage) -> tuple[Queue, dict[str, Session]]:
    """`look`; what makers left that were killed goes with their places."""
    before = snapshot()
    queue, records = look(storage)
    for session_id in {*before.waiting, *before.running} - {*queue.waiting, *queue.running}:
        with contextlib.suppress(UnreadableSessionError):
            _discard_unless_recorded(storage, session_id)
    return queue, records


def _discard_unless_recorded(storage: Storage, session_id: str) -> None:
    try:
        storage.load(session_id)
    except SessionNotFoundError:
        sessions.discard(storage, session_id)


def _is_unreadable(storage: Storage, session_id: str) -> bool:
    """Then its agent may well run, so it keeps its slot until someone looks."""
    try:
        storage.load(session_id)
    except SessionNotFoundError:
        return False
    except UnreadableSessionError:
        return True
    return False


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    path = paths.ensure_home() / "queue.lock"
    with files.locked(path):
        yield
