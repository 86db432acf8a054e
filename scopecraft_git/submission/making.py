"""Makes the session that was decided on."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext

from scopecraft_git import paths, plugins, session_queue, sessions, supervisor, worktrees
from scopecraft_git.config import Settings
from scopecraft_git.errors import StartFailedError, SupervisorSilentError
from scopecraft_git.executors import launching
from scopecraft_git.models import Mode, Session, SessionStatus
from scopecraft_git.protocols import Storage
from scopecraft_git.submission.drafts import Draft

STARTS_WITHIN = 90.0
LOOKS_AGAIN = 0.005


def submit(drafted: Draft) -> Session:
    """Make the session: a place in the queue, the worktree, the record. All of it, or nothing is left."""
    storage = plugins.storage(drafted.settings.storage)
    with (
        sessions.reserved_id(storage, drafted.suffix) as session_id,
        _place(session_id, drafted),
        worktrees.made(drafted.repository, drafted.plan, session_id),
    ):
        session = drafted.session(session_id)
        if not drafted.executor.isolated:
            launching.remember_environment(session.path)
        sessions.create(storage, session, drafted.prompt, drafted.exec_request(session_id))
        sessions.link(storage, session)
    supervisor.wake()
    return session


def await_start(storage: Storage, session: Session, settings: Settings) -> Session:
    """The session once it has started, or as it waits for others to end. Raises `StartFailedError`."""
    deadline = time.monotonic() + STARTS_WITHIN
    with supervisor.attended():
        while (session := storage.load(session.id)).status in (SessionStatus.QUEUED, SessionStatus.STARTING):
            if _waits_for_others(storage, session, settings):
                return session
            if time.monotonic() > deadline:
                raise SupervisorSilentError(session.id, paths.supervisor() / "supervisor.log")
            time.sleep(LOOKS_AGAIN)
    if session.outcome and not session.started_at:
        raise StartFailedError(session.id, session.outcome.reason)
    return session


def _place(session_id: str, drafted: Draft) -> AbstractContextManager[None]:
    """Only unattended sessions queue; a human who opens one to sit beside does not wait."""
    if drafted.mode is Mode.AUTONOMOUS:
        return session_queue.place(session_id, drafted.settings)
    return nullcontext()


def _waits_for_others(storage: Storage, session: Session, settings: Settings) -> bool:
    """Whether every slot is taken, or another session runs in its worktree."""
    if session.status is not SessionStatus.QUEUED or session.mode is not Mode.AUTONOMOUS:
        return False
    queue = session_queue.snapshot()
    if session.id not in queue.waiting:
        return False
    if queue.obstacle or len(queue.running) + queue.waiting.index(session.id) >= settings.max_running:
        return True
    return any(storage.load(other).worktree == session.worktree for other in queue.running)
