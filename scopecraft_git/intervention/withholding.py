"""Have a session stand still, go on, or end."""

from __future__ import annotations

from scopecraft_git import session_queue, sessions, supervisor
from scopecraft_git.intervention.guards import at_work, living
from scopecraft_git.models import Session
from scopecraft_git.protocols import Storage


def pause(_storage: Storage, session: Session) -> str:
    """Freeze it until `resume` or `stop`. Returns the request's name; to ask again does no harm."""
    return _ask(at_work(session), "pause")


def resume(_storage: Storage, session: Session) -> str:
    """Have it go on, if it is paused. Returns the request's name."""
    return _ask(at_work(session), "resume")


def stop(storage: Storage, session: Session) -> str:
    """End it. Returns the request's name; empty when it waited in the queue, and has ended by now."""
    living(session)
    if session_queue.remove(storage, session.id, reason="Stopped on request"):
        supervisor.wake()
        return ""
    return _ask(session, "stop")


def _ask(session: Session, kind: str) -> str:
    name = sessions.ask(session.id, kind)
    supervisor.wake()
    return name
