"""`send interrupt pause resume stop attach`."""

from __future__ import annotations

import os
import sys
import time
from typing import Annotated

import typer

from scopecraft_git import console, intervention, sessions
from scopecraft_git.cli import awaiting, context, output
from scopecraft_git.cli.options import Json, LivingSession, LivingSessions
from scopecraft_git.errors import (
    AttachNeedsTerminalError,
    MessageRefusedError,
    SessionEndedError,
    SessionQueuedError,
    SessionStoppingError,
)
from scopecraft_git.models import Message, MessageState, Mode, Session, SessionStatus

DELIVERED_WITHIN = 10.0
"""Seconds that `send` waits; an agent in a window may be in a dialog for hours."""
ENDS_WITHIN = 15.0
"""Seconds that `interrupt` waits for a session with nothing left to do to end."""


def send(
    session: LivingSession,
    text: Annotated[str, typer.Argument(metavar="TEXT", show_default=False, help="Message; from stdin for -")] = "-",
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Return before the agent has it")] = False,
    json: Json = False,
) -> None:
    """Tell a session's agent something in mid-session

    It takes the message up when it next can, such as after the tool call that it waits for.
    """
    storage = context.storage()
    found = sessions.resolve(storage, session)
    message = intervention.send(storage, found, _from_stdin() if text == "-" else text)
    if not (no_wait or found.status is SessionStatus.PAUSED):
        found = awaiting.done(found, message.id, time.monotonic() + DELIVERED_WITHIN)
        message = next((each for each in found.inbox if each.id == message.id), message)
    if json:
        console.answer_json({"id": message.id, "session": found.id, "state": message.state})
    _tell_delivery(found, message, quiet=json)


def interrupt(
    session: LivingSession,
    prompt: Annotated[str, typer.Option("--prompt", "-p", metavar="TEXT", help="What to do instead")] = "",
) -> None:
    """End the turn of a session's agent

    An unattended session that is told nothing then ends, and can be continued.
    """
    storage = context.storage()
    found = sessions.resolve(storage, session)
    name = intervention.interrupt(storage, found, prompt)
    _tell_interrupt(awaiting.done(found, name), goes_on=bool(prompt.strip()))


def pause(wanted: LivingSessions) -> None:
    """Freeze sessions until they are resumed

    Their agents stay where they are, and no time limit runs.
    """
    context.with_each(wanted, _pause)


def resume(wanted: LivingSessions) -> None:
    """Have paused sessions go on"""
    context.with_each(wanted, _resume)


def stop(wanted: LivingSessions) -> None:
    """Stop sessions: interrupt, then end them"""
    context.with_each(wanted, _stop)


def attach(session: LivingSession) -> None:
    """Go to the terminal of a dispatched session"""
    from scopecraft_git import plugins

    found = context.session(session)
    if found.status.ended:
        raise SessionEndedError(found.id, found.status)
    command = plugins.executor(found.executor).attach(sessions.request(found))
    if not (sys.stdin.isatty() or "TMUX" in os.environ):  # within tmux it is the client that goes there
        raise AttachNeedsTerminalError(found.id)
    sys.stdout.flush()
    os.execvp(command[0], list(command))


def _from_stdin() -> str:
    if sys.stdin.isatty():
        console.hint("Write the message; Ctrl-D on a line of its own ends it")
    return sys.stdin.buffer.read().decode(errors="replace").rstrip("\n")


def _tell_delivery(session: Session, message: Message, *, quiet: bool) -> None:
    if message.state is MessageState.REFUSED:
        raise MessageRefusedError(session.id)
    if session.status.ended and message.state is MessageState.QUEUED:
        raise MessageRefusedError(session.id)
    if quiet:
        return
    match message.state:
        case MessageState.SEEN:
            console.changed(f"{session.id} has taken it up")
        case MessageState.DELIVERED:
            console.changed(f"Delivered to {session.id}")
            console.hint(f"To see whether it was taken up, run git scopecraft show {session.id}")
        case _ if session.status is SessionStatus.PAUSED:
            console.unchanged(f"Queued for {session.id}, which is paused")
            console.hint(f"To have it go on, run git scopecraft resume {session.id}")
        case _:
            console.unchanged(f"Queued for {session.id}, which gets it as soon as it takes input")
            console.hint(f"To see whether it has it, run git scopecraft show {session.id}")


def _tell_interrupt(session: Session, *, goes_on: bool) -> None:
    unseen = any(message.state is not MessageState.SEEN for message in session.inbox)
    if session.mode is Mode.AUTONOMOUS and not (goes_on or unseen):
        (session,) = awaiting.ended([session], time.monotonic() + ENDS_WITHIN, questions=False)
    if session.status.ended and not goes_on:
        output.tell_end(session)
        console.hint(f"To go on from there, run git scopecraft continue {session.id} -p 'What to do next'")
        return
    console.changed(f"Interrupted {session.id}")
    console.hint(f"To see what it does now, run git scopecraft logs -f {session.id}")


def _pause(session: Session) -> None:
    if session.status is SessionStatus.PAUSED:
        console.unchanged(f"{session.id} is paused already")
        return
    session = awaiting.done(session, intervention.pause(context.storage(), session))
    if session.status.ended:
        raise SessionEndedError(session.id, session.status)
    if session.status is not SessionStatus.PAUSED:
        raise SessionStoppingError(session.id)
    console.changed(f"Paused {session.id}")
    console.hint(f"To have it go on, run git scopecraft resume {session.id}")


def _resume(session: Session) -> None:
    if session.status is not SessionStatus.PAUSED:
        _require_work(session)
        console.unchanged(f"{session.id} is not paused ({session.status})")
        return
    awaiting.done(session, intervention.resume(context.storage(), session))  # of which it may have ended by now
    console.changed(f"Resumed {session.id}")


def _require_work(session: Session) -> None:
    if session.status.ended:
        raise SessionEndedError(session.id, session.status)
    if session.status is SessionStatus.QUEUED:
        raise SessionQueuedError(session.id)


def _stop(session: Session) -> None:
    name = intervention.stop(context.storage(), session)
    output.tell_end(awaiting.done(session, name))  # which is once it has ended
