"""`logs`: what a session's agent said and did."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterator
from typing import Annotated

import typer

from scopecraft_git import console, stream
from scopecraft_git.cli import context, output
from scopecraft_git.cli.options import SessionName
from scopecraft_git.events import (
    Event,
    Finished,
    LoggedEvent,
    Notice,
    PermissionRequest,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Unrecognized,
    Usage,
)
from scopecraft_git.models import Session

RESULT_LINES = 5
WIDTH = 200
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
        elif text := "" if follow and _is_end(logged.event) else describe(logged.event):
            console.answer(text)
    if follow and not as_json:
        output.tell_end(context.storage().load(session.id))


def describe(event: Event) -> str:
    """An event as a person reads it; empty for what only programs want."""
    match event:
        case Text(text=text):
            return text.rstrip()
        case Reasoning(text=text):
            return f"∴ {console.safe_line(text, WIDTH)}"
        case ToolCall(name=name, input=given):
            return f"● {name} {console.safe_line(_gist(given), WIDTH)}".rstrip()
        case ToolResult(text=text, is_error=failed):
            return _result(text, failed=failed)
        case Finished(is_error=failed, text=text):
            return f"{'✗' if failed else '✓'} finished" + (f": {console.safe_line(text, WIDTH)}" if failed else "")
        case Notice():
            return "" if _is_routine(event) else f"· {event.text}"
        case Unrecognized(raw=raw):
            return f"… {console.safe_line(raw, WIDTH)}"
        case Usage() | PermissionRequest():
            return ""


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


def _is_routine(notice: Notice) -> bool:
    """A transcript's bookkeeping, and the permission for a call that is shown itself."""
    allowed = notice.code == "permission_answered" and notice.data.get("allow") is True
    return allowed or notice.code == "record"


def _is_end(event: Event) -> bool:
    return isinstance(event, Notice) and event.code == "ended"


def _gist(given: dict[str, object]) -> str:
    """The one value that says most, else all of it."""
    for key in ("command", "file_path", "path", "pattern", "url", "query", "description", "prompt"):
        if isinstance(value := given.get(key), str):
            return value
    return json_format.dumps(given) if given else ""


def _result(text: str, *, failed: bool) -> str:
    lines = console.safe_text(text).strip().splitlines()
    shown = [line[:WIDTH] for line in lines[:RESULT_LINES]]
    if len(lines) > RESULT_LINES:
        shown.append(f"… {len(lines) - RESULT_LINES} more lines")
    mark = "✗" if failed else "└"
    return "\n".join(f"  {mark if number == 0 else ' '} {line}" for number, line in enumerate(shown or ["(nothing)"]))
