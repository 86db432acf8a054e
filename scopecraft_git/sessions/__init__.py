"""A session's life: its id, its folder, its states, and what commands ask of whoever supervises it."""

from __future__ import annotations

from scopecraft_git.sessions.asking import (
    Asked,
    answered,
    ask,
    asked,
)
from scopecraft_git.sessions.finding import (
    as_json,
    prompt,
    request,
    resolve,
)
from scopecraft_git.sessions.ids import (
    id_slug,
    new_id,
    slug_of,
)
from scopecraft_git.sessions.life import (
    CANCELLED,
    COMPLETED,
    FAILED,
    IDLE,
    LOST,
    PAUSED,
    QUEUED,
    RUNNING,
    STARTING,
    TRANSITIONS,
    WAITING,
    finish,
    record,
    transition,
)
from scopecraft_git.sessions.making import (
    create,
    discard,
    is_being_made,
    link,
    reserved_id,
    sweep,
)
from scopecraft_git.sessions.messages import INTERRUPT, SEND, inbox, message, sent_at

__all__ = [
    "CANCELLED",
    "COMPLETED",
    "FAILED",
    "IDLE",
    "INTERRUPT",
    "LOST",
    "PAUSED",
    "QUEUED",
    "RUNNING",
    "SEND",
    "STARTING",
    "TRANSITIONS",
    "WAITING",
    "Asked",
    "answered",
    "as_json",
    "ask",
    "asked",
    "create",
    "discard",
    "finish",
    "id_slug",
    "inbox",
    "is_being_made",
    "link",
    "message",
    "new_id",
    "prompt",
    "record",
    "request",
    "reserved_id",
    "resolve",
    "sent_at",
    "slug_of",
    "sweep",
    "transition",
]
