"""The states of a session, and how its record changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from scopecraft_git.errors import IllegalTransitionError
from scopecraft_git.executors import launching
from scopecraft_git.models import Outcome, Session, SessionStatus
from scopecraft_git.protocols import Storage

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
