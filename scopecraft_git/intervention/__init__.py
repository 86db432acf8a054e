"""Stepping in: what a human does to a session that is at work.

Each call leaves a request on disk for whoever supervises the session, and returns at once: what comes of it is in the
record and the events. `done` waits for that. Where something cannot be done, a `ScopecraftError` says why.
"""

from __future__ import annotations

from scopecraft_git.intervention.answering import answer, approval, approve, deny, newest_event
from scopecraft_git.intervention.awaiting import done, ended
from scopecraft_git.intervention.telling import interrupt, send
from scopecraft_git.intervention.withholding import pause, resume, stop

__all__ = [
    "answer",
    "approval",
    "approve",
    "deny",
    "done",
    "ended",
    "interrupt",
    "newest_event",
    "pause",
    "resume",
    "send",
    "stop",
]
