"""`logs`: what a session's agent said and did."""

from __future__ import annotations

import json as json_format
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated

import typer

from scopecraft_git import console, description, stream
from scopecraft_git.cli import colours, context, output
from scopecraft_git.cli.moments import Since, moment
from scopecraft_git.cli.options import SessionName
from scopecraft_git.events import Event, LoggedEvent, Notice
from scopecraft_git.models import Session

LOOKS_AGAIN = 1.0
"""Seconds: a storage backend of a plugin's need not write to the session's folder."""


def logs(
    session: SessionName,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it ends")] = False,
    since: Since = None,
    lines: Annotated[int | None, typer.Option("-n", "--lines", min=0, help="Only so many events of before")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line")] = False,
) -> None:
    """Show what a session's agent said and did"""
    begins = None if since is None else moment(since)
    print_events(context.session(session), follow=follow, as_json=json, since=begins, newest=lines)


def print_events(
    session: Session, *, follow: bool, as_json: bool, since: datetime | None = None, newest: int | None = None
) -> None:
    """To stdout, one after the other; with `follow` until the session has ended, and then how it did.

    Of what is stored before, only from `since` on, and at most the `newest` so many that there is something to say of.
    """
    found = _events(session, follow=follow, since=since, newest=newest, as_json=as_json)
    if as_json:
        for logged in found:
            console.answer_exactly(json_format.dumps(logged.as_json()))
        return
    _print(logged.event for logged in found if not (follow and _is_end(logged)))
    if follow:
        output.tell_end(context.storage().load(session.id))


def _print(events: Iterable[Event]) -> None:
    pieces = description.Pieces()
    for event in events:
        _print_whole(pieces.take(event))
    _print_whole(pieces.rest())


def _print_whole(events: list[Event]) -> None:
    for event in events:
        if text := description.of(event):
            console.answer_exactly(colours.of_event(event, text))


def _events(
    session: Session, *, follow: bool, since: datetime | None, newest: int | None, as_json: bool
) -> Iterator[LoggedEvent]:
    storage = context.storage()
    seen = 0
    kept: deque[LoggedEvent] = deque(maxlen=newest)
    for logged in storage.events(session.id):
        seen = logged.seq
        if since is not None and logged.time < since:
            continue
        if newest is None:
            yield logged
        elif as_json or description.line(logged.event):
            kept.append(logged)
    yield from kept
    if not follow:
        return
    from scopecraft_git import supervisor

    with supervisor.attended():
        for _ in stream.changes(session.path, lambda: storage.load(session.id).status.ended, patience=LOOKS_AGAIN):
            for logged in storage.events(session.id, after=seen):
                seen = logged.seq
                yield logged


def _is_end(logged: LoggedEvent) -> bool:
    return logged.offset is None and isinstance(logged.event, Notice) and logged.event.code == "ended"
