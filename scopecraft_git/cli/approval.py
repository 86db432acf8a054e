"""`approve deny`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, NamedTuple, NoReturn

import typer

from scopecraft_git import console, description, intervention
from scopecraft_git.cli import awaiting, complete, context, listing, output
from scopecraft_git.cli.options import Json
from scopecraft_git.errors import AlreadyAnsweredError, SessionEndedError
from scopecraft_git.events import Notice
from scopecraft_git.models import Approval, Session, SessionStatus, rfc3339
from scopecraft_git.protocols import Storage

HEADINGS = ("SESSION", "ID", "SINCE", "UNTIL", "WHY", "CALL")
SHORTEST_ID = 8
WHY = 40
"""Characters of the reason; `show` has all of it."""

Asking = Annotated[
    str | None,
    typer.Argument(metavar="SESSION", help="Session that asks; without, who does", autocompletion=complete.asking),
]
Id = Annotated[
    str,
    typer.Argument(
        metavar="ID", show_default=False, help="What it asks, where it is several", autocompletion=complete.approvals
    ),
]
Always = Annotated[bool, typer.Option("--always", help="The same for such calls from now on: add a rule")]


Answer = Callable[[Storage, Session, Approval], str]
"""Leaves it for whoever supervises the session; returns the request's name."""


class Given(NamedTuple):
    """An answer."""

    allow: bool
    always: bool


def approve(session: Asking = None, approval: Id = "", always: Always = False, json: Json = False) -> None:
    """Allow a call that a session asks for

    Without SESSION, list what all of them ask for, and answer nothing.
    """
    _answer(
        session, approval, partial(intervention.approve, always=always), Given(allow=True, always=always), json=json
    )


def deny(
    session: Asking = None,
    approval: Id = "",
    message: Annotated[str, typer.Option("--message", "-m", metavar="TEXT", help="What to tell the agent")] = "",
    always: Always = False,
    json: Json = False,
) -> None:
    """Refuse a call that a session asks for

    The agent is told, and goes on. Without SESSION, list what all of them ask for, and answer nothing.
    """
    answer = partial(intervention.deny, message=message, always=always)
    _answer(session, approval, answer, Given(allow=False, always=always), json=json)


def _answer(name: str | None, approval: str, answer: Answer, given: Given, *, json: bool) -> None:
    """Give it, and see whether it was that which counted; of a paused session, that is seen when it goes on."""
    if name is None:
        _list(given, as_json=json)
        return
    session = context.session(name)
    asked = intervention.approval(session, approval)
    is_paused = session.status is SessionStatus.PAUSED
    if is_paused:
        answer(context.storage(), session, asked)
    else:
        session = _counted(session, asked, answer, given)
    if json:
        console.answer_json({"session": session.id, "id": asked.id, "tool": asked.tool, **given._asdict()})
        return
    done = f"{'Allowed' if given.allow else 'Denied'} {output.call(asked)} ({session.id})"
    console.changed(f"{done}, which is paused" if is_paused else done)
    if given.always:
        console.hint("To see the rule that does so from now on, run git scopecraft policy show")
    if is_paused:
        console.hint(f"To have it go on with that, run git scopecraft resume {session.id}")


def _counted(session: Session, asked: Approval, answer: Answer, given: Given) -> Session:
    storage = context.storage()
    before = intervention.newest_event(storage, session)
    session = awaiting.done(session, answer(storage, session, asked))
    notice = intervention.answer(storage, session, asked, after=before)
    if notice is None or notice.data.get("by") != "human" or notice.data.get("allow") is not given.allow:
        _complain(session, asked, notice)
    return session


def _complain(session: Session, asked: Approval, notice: Notice | None) -> NoReturn:
    """The session went on, or ended, before the answer was there."""
    if notice:
        raise AlreadyAnsweredError(session.id, description.line(notice))
    if session.status.ended:
        raise SessionEndedError(session.id, session.status)
    raise AlreadyAnsweredError(session.id, f"{output.call(asked)} was answered before")


def _list(given: Given, *, as_json: bool) -> None:
    """What waits for a word anywhere: sessions belong to a user."""
    living = context.storage().sessions(active=True, onerror=console.problem)
    asking = [(session, approval) for session in living if not session.status.ended for approval in session.approvals]
    if as_json:
        console.answer_json([_as_json(session, approval) for session, approval in asking])
    elif asking:
        console.answer_table(HEADINGS, [_row(session, approval) for session, approval in asking])
        how = "allow one, run git scopecraft approve" if given.allow else "refuse one, run git scopecraft deny"
        console.hint(f"To {how} {asking[0][0].id}")
    else:
        console.unchanged("No session asks for anything")


def _row(session: Session, approval: Approval) -> tuple[str, ...]:
    until = description.clock(approval.until) if approval.until else "-"
    name = _short(approval.id, [each.id for each in session.approvals])
    reason = console.safe_line(approval.reason, WHY)
    return session.id, name, listing.age(rfc3339(approval.since)), until, reason, output.call(approval)


def _as_json(session: Session, approval: Approval) -> dict[str, Any]:
    return {"session": session.id, "task": session.task, **approval.model_dump(mode="json")}


def _short(name: str, names: list[str]) -> str:
    """What is enough of it to tell it from the others."""
    for length in range(SHORTEST_ID, len(name)):
        if sum(other.startswith(name[:length]) for other in names) == 1:
            return name[:length]
    return name
