"""What a human tells an agent in mid-session: from the mailbox, where it waits, to the record."""

from __future__ import annotations

from datetime import UTC, datetime

from scopecraft_git.models import Message, MessageState, Session
from scopecraft_git.sessions.asking import Asked, asked

SEND, INTERRUPT = "send", "interrupt"
KEPT = 20
"""How many messages a record holds, the newest."""
LONGEST = 500
"""Characters of a message that a record holds."""


def message(request: Asked, state: MessageState) -> Message | None:
    """What a request in the mailbox has to tell the agent, if anything."""
    if request.kind not in (SEND, INTERRUPT) or not request.data.get("text"):
        return None
    return written(request.data["id"], request.data["text"], state, sent_at(request))


def written(name: str, text: str, state: MessageState, at: datetime) -> Message:
    """As a record holds it."""
    return Message(id=name, text=text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…", state=state, sent_at=at)


def sent_at(request: Asked) -> datetime:
    """To the millisecond, as it is written everywhere."""
    return datetime.fromtimestamp(int(request.name.partition("-")[0]) // 1_000_000 / 1000, UTC)


def inbox(session: Session) -> tuple[Message, ...]:
    """What its agent was told, oldest first, the newest few: also what still waits to be delivered."""
    known = {message.id for message in session.inbox}
    state = MessageState.REFUSED if session.status.ended else MessageState.QUEUED
    waiting = [found for request in asked(session.id) if (found := message(request, state)) and found.id not in known]
    return (*session.inbox, *waiting)[-KEPT:]
