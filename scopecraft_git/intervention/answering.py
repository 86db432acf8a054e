"""Answer what an agent asks for."""

from __future__ import annotations

import os
from typing import Literal

from scopecraft_git import sessions, supervisor
from scopecraft_git.errors import (
    AgentMayNotApproveError,
    AmbiguousApprovalError,
    NothingToApproveError,
    UnknownApprovalError,
)
from scopecraft_git.events import Notice
from scopecraft_git.intervention.guards import at_work, storable
from scopecraft_git.models import Approval, Session
from scopecraft_git.monitor import ANSWERED
from scopecraft_git.protocols import Storage


def approval(session: Session, name: str = "") -> Approval:
    """What `session` asks for, by its id or the beginning of it; without a name, the only thing it asks for."""
    known = at_work(session).approvals
    if not known:
        raise NothingToApproveError(session.id, session.status)
    found = [each for each in known if each.id == name] or [each for each in known if each.id.startswith(name)]
    if not found:
        raise UnknownApprovalError(session.id, name, [each.id for each in known])
    if len(found) > 1:
        raise AmbiguousApprovalError(session.id, [each.id for each in found])
    return found[0]


def approve(_storage: Storage, session: Session, approval: Approval, *, always: bool = False) -> str:
    """Have the call made; with `always`, also those like it from now on. Returns the request's name."""
    _require_human(session)
    if always:
        _add_rule(session, approval, "allow")
    return _ask(session, "approve", id=approval.id)


def deny(_storage: Storage, session: Session, approval: Approval, *, message: str = "", always: bool = False) -> str:
    """Have the call not made, and the agent told why; with `always`, also those like it. Returns the request's name."""
    _require_human(session)
    if always:
        _add_rule(session, approval, "deny", storable(message))
    return _ask(session, "deny", id=approval.id, message=storable(message))


def newest_event(storage: Storage, session: Session) -> int:
    """The number of its newest event, 0 where there is none; found by halving, since a long session has many."""
    low, high = 0, 1
    while _is_there(storage, session, high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _is_there(storage, session, middle) else (low, middle)
    return low


def _is_there(storage: Storage, session: Session, seq: int) -> bool:
    return next(storage.events(session.id, after=seq - 1), None) is not None


def answer(storage: Storage, session: Session, approval: Approval, *, after: int) -> Notice | None:
    """The notice that tells how it was answered, if that is among the events behind `after`."""
    ours = (logged.event for logged in storage.events(session.id, after=after) if logged.offset is None)
    for event in ours:
        if isinstance(event, Notice) and event.code == ANSWERED and event.data.get("id") == approval.id:
            return event
    return None


def _require_human(session: Session) -> None:
    """As far as the environment tells: an agent without isolation is free to change that."""
    if own := os.environ.get("SCOPECRAFT_SESSION"):
        raise AgentMayNotApproveError(session.id, own)


def _add_rule(session: Session, approval: Approval, action: Literal["allow", "deny"], message: str = "") -> None:
    """Before the answer: of those two, the rule is that which can be repeated."""
    from scopecraft_git import policy

    policy.always(approval, session, action, message)


def _ask(session: Session, kind: Literal["approve", "deny"], **data: str) -> str:
    name = sessions.ask(at_work(session).id, kind, **data)
    supervisor.wake()
    return name
