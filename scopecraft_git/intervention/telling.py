"""Say something to an agent in mid-session, or have it stop what it is at."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from scopecraft_git import plugins, sessions, supervisor
from scopecraft_git.errors import (
    CannotInterruptError,
    CannotSendError,
    EmptyMessageError,
    MessageTooLateError,
    SessionPausedError,
)
from scopecraft_git.intervention.guards import at_work, storable
from scopecraft_git.models import Message, MessageState, Mode, Session, SessionStatus
from scopecraft_git.protocols import Storage


def send(_storage: Storage, session: Session, text: str) -> Message:
    """Tell its agent something, which takes it up when it next can. What becomes of it is in `Session.inbox`."""
    if not text.strip():
        raise EmptyMessageError(session.id)
    _require_input(session)
    text = storable(text)
    message = Message(id=str(uuid.uuid4()), text=text, state=MessageState.QUEUED, sent_at=datetime.now(UTC))
    sessions.ask(session.id, "send", id=message.id, text=text)
    supervisor.wake()
    return message


def interrupt(_storage: Storage, session: Session, text: str = "") -> str:
    """End its agent's turn; with `text`, have it go on with that. Returns the request's name.

    An unattended session that is told nothing, and has no message left to take up, ends.
    """
    if at_work(session).status is SessionStatus.PAUSED:
        raise SessionPausedError(session.id)
    if plugins.agent(session.agent).interrupt(session.mode) is None:
        raise CannotInterruptError(session.id, session.agent)
    if text.strip():
        _require_input(session)
    name = sessions.ask(session.id, "interrupt", id=str(uuid.uuid4()), text=storable(text) if text.strip() else "")
    supervisor.wake()
    return name


def _require_input(session: Session) -> None:
    if session.status.ended:
        raise MessageTooLateError(session.id, session.status)
    agent = plugins.agent(session.agent)
    if session.mode is not Mode.DISPATCH and not agent.keeps_input:
        raise CannotSendError(session.id, session.agent, resumes=agent.resumes)
    at_work(session)
