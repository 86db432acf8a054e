"""`queue list|remove|clear|hold|release`."""

from __future__ import annotations

from typing import Annotated

import typer

from scopecraft_git import console, session_queue
from scopecraft_git.cli import complete, context, listing, output
from scopecraft_git.cli.commands import group
from scopecraft_git.cli.options import Json
from scopecraft_git.errors import NotWaitingError, SessionEndedError
from scopecraft_git.models import Session, rfc3339

HEADINGS = ("PLACE", "SESSION", "TASK", "WHERE", "AGE")

app = group("See who waits for a slot, and change it")

Waiting = Annotated[
    list[str], typer.Argument(metavar="SESSION", help="Session ids or tasks", autocompletion=complete.waiting)
]


@app.callback(invoke_without_command=True, no_args_is_help=False)
def queue(ctx: typer.Context, json: Json = False) -> None:
    if ctx.invoked_subcommand is None:
        list_(json=json)


@app.command("list")
def list_(json: Json = False) -> None:
    """List the sessions that run and those that wait, next first"""
    settings = context.settings()
    line, records = session_queue.look(context.storage())
    limits = {"max_running": settings.max_running, "max_waiting": settings.max_waiting}
    if json:
        state = {"running": line.running, "waiting": line.waiting, **limits, "held": line.held}
        console.answer_json(state | {"reason": line.obstacle})
        return
    places = [("running", each) for each in line.running]
    places += [(str(number), each) for number, each in enumerate(line.waiting, 1)]
    if places:
        console.answer_table(HEADINGS, [_row(place, each, records) for place, each in places])
    running = f"{len(line.running)} of {settings.max_running} running"
    console.unchanged(f"{running}, {len(line.waiting)} of {settings.max_waiting} waiting")
    output.warn_of_obstacle(line)


@app.command()
def remove(wanted: Waiting) -> None:
    """Cancel sessions that wait

    Their worktrees stay.
    """
    context.with_each(wanted, _remove)


@app.command()
def clear() -> None:
    """Cancel every session that waits"""
    removed = session_queue.clear(context.storage())
    if not removed:
        console.unchanged("No session waits")
        return
    console.changed(f"Removed {len(removed)} {'session' if len(removed) == 1 else 'sessions'} from the queue")


@app.command()
def hold() -> None:
    """Start no more sessions until released

    Those that run go on.
    """
    if session_queue.hold(context.storage(), held=True):
        console.changed("Held the queue: nothing starts")
    else:
        console.unchanged("The queue is held already")
    console.hint("To go on, run git scopecraft queue release")


@app.command()
def release() -> None:
    """Start sessions again"""
    if session_queue.hold(context.storage(), held=False):
        console.changed("Released the queue")
    else:
        console.unchanged("The queue is not held")
    _wake()


def _remove(session: Session) -> None:
    if session.status.ended:
        raise SessionEndedError(session.id, session.status)
    if session_queue.remove(context.storage(), session.id) is None:
        raise NotWaitingError(session.id, context.storage().load(session.id).status)
    console.changed(f"Removed {session.id} from the queue")
    _wake()


def _row(place: str, session_id: str, records: dict[str, Session]) -> tuple[str, ...]:
    """Of one that is just being made, or that cannot be read, only the id is known."""
    if not (session := records.get(session_id)):
        return (place, session_id, "-", "-", "-")
    since = listing.age(rfc3339(session.started_at or session.created_at))
    return (place, session_id, session.task, session.executor, since)


def _wake() -> None:
    """Whoever still waits may start now."""
    from scopecraft_git import supervisor

    if session_queue.snapshot().waiting:
        supervisor.wake()
