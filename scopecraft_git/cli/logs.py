"""`logs`: what a session's agent said and did."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterator
from typing import Annotated

import typer

from scopecraft_git import console, description, stream
from scopecraft_git.cli import context, output
from scopecraft_git.cli.options import SessionName
from scopecraft_git.events import Event, LoggedEvent, Notice
from scopecraft_git.models import Session

LOOKS_AGAIN = 1.0
"""Seconds: a storage backend of a plugin's need not write to the session's folder."""


def logs(
    session: SessionName,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it ends")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line")] = False,
) -> None:
    """Show what a session's agent said and did"""
    print_events(context.session(session), follow=follow, as_json=json)


def print_events(session: Session, *, follow: bool, as_json: bool) -> None:
    """To stdout, one after the other; with `follow` until the session has ended, and then how it did."""
    for logged in _events(session, follow=follow):
        if as_json:
            console.answer_exactly(json_format.dumps(logged.as_json()))
        elif text := "" if follow and _is_end(logged.event) else description.of(logged.event):
            console.answer(text)
    if follow and not as_json:
        output.tell_end(context.storage().load(session.id))


def _events(session: Session, *, follow: bool) -> Iterator[LoggedEvent]:
    storage = context.storage()
    seen = 0
    for logged in storage.events(session.id):
        seen = logged.seq
        yield logged
    if not follow:
        return
    from scopecraft_git import supervisor

    with supervisor.attended():
        for _ in stream.changes(session.path, lambda: storage.load(session.id).status.ended, patience=LOOKS_AGAIN):
            for logged in storage.events(session.id, after=seen):
                seen = logged.seq
                yield logged


def _is_end(event: Event) -> bool:
    return isinstance(event, Notice) and event.code == "ended"
