"""`list show wait diff`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from scopecraft_git import console, sessions
from scopecraft_git.cli import awaiting, context, listing, output, record
from scopecraft_git.cli.options import Json, SessionName, SessionNames
from scopecraft_git.errors import FAILED
from scopecraft_git.models import SessionStatus
from scopecraft_git.sessions import changes


def list_(
    all_: Annotated[bool, typer.Option("--all", "-a", help="Every session, however old")] = False,
    json: Json = False,
) -> None:
    """List sessions, those that live and the newest that ended"""
    listing.list_sessions(everything=all_, as_json=json)


def show(session: SessionName, json: Json = False) -> None:
    """Show one session: how it stands, what it used, how it ended"""
    found = context.session(session)
    document = output.as_document(found.model_copy(update={"inbox": sessions.inbox(found)}), full=True)
    if json:
        console.answer_json(document)
        return
    for name, value in document.items():
        for number, line in enumerate(record.lines(name, value)):
            console.answer(f"{name.replace('_', ' ') if number == 0 else '':<16}  {line}".rstrip())


def wait(
    wanted: SessionNames,
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", min=0, help="Give up after this long")] = None,
) -> None:
    """Wait until sessions have ended; fails unless all completed"""
    deadline = None if timeout is None else time.monotonic() + timeout
    ended = awaiting.ended(context.sessions_called(wanted), deadline)
    for session in ended:
        output.tell_end(session)
    if any(session.status is not SessionStatus.COMPLETED for session in ended):
        raise typer.Exit(FAILED)


def diff(session: SessionName) -> None:
    """Show what changed in a session's worktree since it began

    Where the worktree is gone, what its branch has.
    """
    if changed := changes.diff(context.session(session)).rstrip("\n"):
        console.answer(changed)
    else:
        console.unchanged("Nothing has changed")
