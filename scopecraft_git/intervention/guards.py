"""What a session and a word must be like for anyone to step in."""

from __future__ import annotations

from scopecraft_git import sessions
from scopecraft_git.errors import SessionEndedError, SessionQueuedError, SessionStoppingError
from scopecraft_git.models import Session, SessionStatus


def living(session: Session) -> Session:
    if session.status.ended:
        raise SessionEndedError(session.id, session.status)
    return session


def at_work(session: Session) -> Session:
    """Started, and not told to stop."""
    if living(session).status is SessionStatus.QUEUED:
        raise SessionQueuedError(session.id)
    if any(asked.kind == "stop" for asked in sessions.asked(session.id)):
        raise SessionStoppingError(session.id)
    return session


def storable(text: str) -> str:
    """Without what was no UTF-8 where it was typed, which no record takes."""
    return text.encode(errors="replace").decode()
