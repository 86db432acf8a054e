"""`list show wait stop pause resume attach diff`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Annotated

import typer

from scopecraft_git import console, sessions
from scopecraft_git.cli import context, listing, output
from scopecraft_git.cli.options import Json, SessionName, SessionNames
from scopecraft_git.errors import (
    FAILED,
    AttachNeedsTerminalError,
    SessionEndedError,
    SessionQueuedError,
    SessionStoppingError,
    WorkGoneError,
)
from scopecraft_git.models import Session, SessionStatus

LOOKS_AGAIN = 0.05


def list_(
    all_: Annotated[bool, typer.Option("--all", "-a", help="Every session, however old")] = False,
    json: Json = False,
) -> None:
    """List sessions, those that live and the newest that ended"""
    listing.list_sessions(everything=all_, as_json=json)


def show(session: SessionName, json: Json = False) -> None:
    """Show one session: how it stands, what it used, how it ended"""
    document = output.as_document(context.session(session), full=True)
    if json:
        console.answer_json(document)
        return
    for name, value in document.items():
        for number, line in enumerate(_shown(name, value)):
            console.answer(f"{name.replace('_', ' ') if number == 0 else '':<16}  {line}".rstrip())


def wait(
    wanted: SessionNames,
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", min=0, help="Give up after this long")] = None,
) -> None:
    """Wait until sessions have ended; fails unless all completed"""
    waiting = context.sessions_called(wanted)
    deadline = None if timeout is None else time.monotonic() + timeout
    ended = [_await_end(session, deadline) for session in waiting]
    for session in ended:
        output.tell_end(session)
    if any(session.status is not SessionStatus.COMPLETED for session in ended):
        raise typer.Exit(FAILED)


def stop(wanted: SessionNames) -> None:
    """Stop sessions: interrupt, then end them"""
    context.with_each(wanted, _stop)


def pause(wanted: SessionNames) -> None:
    """Freeze sessions until they are resumed

    Their agents stay where they are, and no time limit runs.
    """
    context.with_each(wanted, _pause)


def resume(wanted: SessionNames) -> None:
    """Have paused sessions go on"""
    context.with_each(wanted, _resume)


def attach(session: SessionName) -> None:
    """Go to the terminal of a dispatched session"""
    from scopecraft_git import plugins

    found = _living(context.session(session))
    command = plugins.executor(found.executor).attach(sessions.request(found))
    if not (sys.stdin.isatty() or "TMUX" in os.environ):  # within tmux it is the client that goes there
        raise AttachNeedsTerminalError(found.id)
    sys.stdout.flush()
    os.execvp(command[0], list(command))


def diff(session: SessionName) -> None:
    """Show what changed in a session's worktree since it began

    Where the worktree is gone, what its branch has.
    """
    if changes := _diff(context.session(session)).rstrip("\n"):
        console.answer(changes)
    else:
        console.unchanged("Nothing has changed")


def _diff(session: Session) -> str:
    from scopecraft_git import worktrees
    from scopecraft_git.repository import Repository

    repository = Repository(session.repository)
    if session.worktree.is_dir() and session.worktree in repository.linked():
        return worktrees.diff(repository, session.worktree, session.base_commit)
    if session.branch in repository.refs().heads:
        return worktrees.branch_diff(repository, session.branch, session.base_commit)
    raise WorkGoneError(session.id, session.worktree, session.branch)


def _shown(name: str, value: object) -> list[str]:
    match name, value:
        case _, None | []:
            return ["-"]
        case "tools_used", list(tools):
            return [f"{tool['name']} × {tool['count']}" + _errors(tool["errors"]) for tool in tools]
        case _, float():
            return [f"{value:.6g}"]
        case "outcome", dict(outcome):
            return [outcome["reason"], *outcome["stderr"].splitlines()]
        case _:
            return str(value).splitlines() or ["-"]


def _errors(count: int) -> str:
    return f" ({count} failed)" if count else ""


def _living(session: Session) -> Session:
    if session.status.ended:
        raise SessionEndedError(session.id, session.status)
    return session


def _at_work(session: Session) -> Session:
    if _living(session).status is SessionStatus.QUEUED:
        raise SessionQueuedError(session.id)
    return session


def _resume(session: Session) -> None:
    if _at_work(session).status is SessionStatus.PAUSED:
        _ask(session, "resume")  # of which it may have ended by now
        console.changed(f"Resumed {session.id}")
    else:
        console.unchanged(f"{session.id} is not paused ({session.status})")


def _pause(session: Session) -> None:
    if _at_work(session).status is SessionStatus.PAUSED:
        console.unchanged(f"{session.id} is paused already")
        return
    session = _living(_ask(session, "pause"))
    if session.status is not SessionStatus.PAUSED:
        raise SessionStoppingError(session.id)
    console.changed(f"Paused {session.id}")
    console.hint(f"To have it go on, run git scopecraft resume {session.id}")


def _ask(session: Session, kind: str) -> Session:
    """The session once that was carried out, or cannot be."""
    from scopecraft_git import supervisor

    name = sessions.ask(session.id, kind)
    supervisor.wake()
    return _await(session, lambda: all(asked.name != name for asked in sessions.asked(session.id)))


def _await_end(session: Session, deadline: float | None) -> Session:
    """The session once it ended, or as it is at the deadline."""
    return _await(session, lambda: False, deadline)


def _await(session: Session, met: Callable[[], bool], deadline: float | None = None) -> Session:
    """The session once `met`, or once it ended. Says so when nobody can follow it meanwhile."""
    from scopecraft_git import supervisor

    storage = context.storage()
    warned = False
    with supervisor.attended():
        while True:
            done = met()
            session = storage.load(session.id)
            if done or session.status.ended or (deadline is not None and time.monotonic() > deadline):
                return session
            if session.evidence and session.status is not SessionStatus.IDLE and not warned:
                console.warning(f"{session.id}: {session.evidence}")
                warned = True
            time.sleep(LOOKS_AGAIN)


def _stop(session: Session) -> None:
    output.tell_end(_stopped(_living(session)))


def _stopped(session: Session) -> Session:
    """Out of the queue if it still waits there, else through the supervisor."""
    from scopecraft_git import session_queue, supervisor

    if removed := session_queue.remove(context.storage(), session.id, reason="Stopped on request"):
        supervisor.wake()
        return removed
    sessions.ask(session.id, "stop")
    supervisor.wake()
    return _await_end(session, None)
