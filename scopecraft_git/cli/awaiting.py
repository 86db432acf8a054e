"""Waits that a user sees: what keeps a session from going on is told meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scopecraft_git import console, intervention
from scopecraft_git.cli import context, output
from scopecraft_git.models import Session, SessionStatus


def ended(waited: Sequence[Session], deadline: float | None = None, *, questions: bool = True) -> list[Session]:
    """The sessions once all of them have ended, or as they are at the deadline."""
    return intervention.ended(context.storage(), waited, deadline, tell=narrator(questions=questions))


def done(session: Session, name: str, deadline: float | None = None) -> Session:
    """The session once what was asked is carried out or cannot be, or at the deadline."""
    return intervention.done(context.storage(), session, name, deadline, tell=narrator(questions=False))


def narrator(*, questions: bool = True) -> Callable[[Session], None]:
    """Tells, once each, what a session asks for and why it cannot be followed."""
    told: set[str] = set()

    def tell(session: Session) -> None:
        if session.evidence and session.status is not SessionStatus.IDLE and session.id not in told:
            console.warning(f"{session.id}: {session.evidence}")
            told.add(session.id)
        for approval in session.approvals if questions else ():
            if approval.id not in told:
                output.tell_question(session, approval)
                told.add(approval.id)

    return tell
