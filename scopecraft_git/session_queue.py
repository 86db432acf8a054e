"""Which autonomous sessions wait and which run, first come, first served: `queue.json`.

The records are the truth. What the file adds is the order, and the places of sessions that are just being made;
a place whose session has ended, or whose maker has died, is given up by the next `take`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import NamedTuple

from scopecraft_git import paths, plugins, sessions
from scopecraft_git.config import Settings
from scopecraft_git.errors import (
    IllegalTransitionError,
    NewerFormatError,
    QueueFullError,
    SessionNotFoundError,
    UnreadableSessionError,
)
from scopecraft_git.models import Mode, Outcome, Session, SessionStatus
from scopecraft_git.protocols import Storage
from scopecraft_git.storage import files

_VERSION = 1


class Queue(NamedTuple):
    """Session ids, oldest first."""

    waiting: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    held: bool = False
    """While it is, nothing starts."""

    def without(self, session_id: str) -> Queue:
        return self._replace(
            waiting=tuple(other for other in self.waiting if other != session_id),
            running=tuple(other for other in self.running if other != session_id),
        )

    def is_full(self, settings: Settings) -> bool:
        """A session that could start at once needs no place among those that wait."""
        free = max(0, settings.max_running - len(self.running))
        return len(self.waiting) >= settings.max_waiting + free


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

    How many may run is what the user who submitted the session had set. Passed over are sessions that are still
    being made, and those in whose worktree another one runs.
    """
    with _locked():
        queue, records = _healed(storage)
        _write(queue)
        if queue.held:
            return None
        busy = {records[session_id].worktree for session_id in queue.running if session_id in records}
        for session_id in queue.waiting:
            session = records.get(session_id)
            if session is None or session.worktree in busy or sessions.is_being_made(session_id):
                continue
            if len(queue.running) >= _max_running(session):
                return None
            # The slot before the status: after a crash between the two, `_healed` sees that the slot is unused.
            _write(queue.without(session_id)._replace(running=(*queue.running, session_id)))
            with contextlib.suppress(IllegalTransitionError, SessionNotFoundError):
                return sessions.transition(storage, session, SessionStatus.STARTING)
        return None


def release(session_id: str) -> None:
    """Give up the session's slot or place. Idempotent."""
    with _locked():
        queue = _read() or Queue()
        if session_id in (*queue.waiting, *queue.running):
            _write(queue.without(session_id))


def remove(storage: Storage, session_id: str, reason: str = "removed from the queue") -> Session | None:
    """Cancel a session that waits; None when it waits no more. After this it cannot be taken."""
    with _locked():
        session = storage.load(session_id)
        if session.status is not SessionStatus.QUEUED:
            return None
        ended = sessions.finish(storage, session, Outcome(status=SessionStatus.CANCELLED, reason=reason))
        _write((_read() or Queue()).without(session_id))
        return ended


def hold(*, held: bool) -> None:
    """Start nothing from now on, or go on. What runs goes on running."""
    with _locked():
        _write((_read() or Queue())._replace(held=held))


def position(session_id: str) -> int | None:
    """1 for the next to start, None for a session that does not wait."""
    waiting = snapshot().waiting
    return waiting.index(session_id) + 1 if session_id in waiting else None


def snapshot() -> Queue:
    """As it is on disk; reading needs no lock. Places that only `take` knows to be void are in it."""
    return _read() or Queue()


def _reserve(session_id: str, settings: Settings) -> None:
    with _locked():
        queue = _read()
        if queue is None or queue.is_full(settings):
            queue, _ = _healed(plugins.storage(settings.storage))
        if queue.is_full(settings):
            raise QueueFullError(len(queue.waiting), settings.max_waiting)
        _write(queue._replace(waiting=(*queue.waiting, session_id)))


def _max_running(session: Session) -> int:
    """Of a session that cannot be started for want of its request, whoever tries will say so: no reason to wait."""
    try:
        return sessions.request(session).settings.max_running
    except UnreadableSessionError:
        return Settings().max_running


def _healed(storage: Storage) -> tuple[Queue, dict[str, Session]]:
    """The queue as the records have it, and the records of the sessions in it."""
    queue = _read() or Queue()
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
        elif not _is_over(storage, session_id) and session_id in queue.running:
            running.append(session_id)
    return queue._replace(waiting=tuple(waiting), running=tuple(running)), records


def _is_over(storage: Storage, session_id: str) -> bool:
    """Whether a session that is not among those that live has ended or never came to be; then its folder goes too.

    False for a record that cannot be read: its agent may well run, so it keeps its slot until someone looks.
    """
    try:
        storage.load(session_id)
    except SessionNotFoundError:
        sessions.discard(storage, session_id)
    except UnreadableSessionError:
        return False
    return True


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    path = paths.ensure_home() / "queue.lock"
    with files.locked(path):
        yield


def _read() -> Queue | None:
    """None when it is missing or spoilt, and so to be made again from the records."""
    try:
        document = json.loads(paths.queue_file().read_bytes())
        if document["schema_version"] > _VERSION:
            raise NewerFormatError(paths.queue_file())
        return Queue(tuple(document["waiting"]), tuple(document["running"]), bool(document["held"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _write(queue: Queue) -> None:
    """Does not wait for the disk: the records do."""
    if queue != _read():
        document = {"schema_version": _VERSION, **queue._asdict()}
        files.replace(paths.queue_file(), json.dumps(document, indent=2).encode() + b"\n", durable=False)
