"""Colours of events and sessions on a terminal, of the eight that every terminal has."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping

from scopecraft_git import console, description
from scopecraft_git.description import Style
from scopecraft_git.events import Event

_OF_STYLES: Mapping[Style, str] = {
    "text": "", "reasoning": "2", "call": "36", "result": "2", "error": "31", "critical": "1;31", "finished": "32",
    "notice": "34", "permission": "33", "dim": "2",
}  # fmt: skip
_OF_SESSIONS = ("36", "32", "33", "35", "34", "96", "92", "95")


def of_event(event: Event, text: str) -> str:
    """`text`, which tells of the event, as stdout shows it."""
    code = _OF_STYLES[description.style(event)]
    return console.style(text, code, sys.stdout) if code else text


def of_session(session_id: str, text: str) -> str:
    """In the session's own colour, the same wherever and whenever it is shown."""
    return console.style(text, _OF_SESSIONS[zlib.crc32(session_id.encode()) % len(_OF_SESSIONS)], sys.stdout)
