"""Lines of JSON as agents print them: one document a line, which its `type` tells how to read."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from scopecraft_git.events import Event, Notice, Unrecognized

Document = Mapping[str, Any]
Readers = Mapping[str, Callable[[Document], list[Event] | None]]
"""By `type`, which is `""` where there is none. None is for what a reader does not know either."""

_MAY_HOLD_SURROGATES = re.compile(rb"\\u[dD][89a-fA-F]")
_DRAWS = re.compile(rb"\x1b\[[?>=<]?[\d;:]*[A-HJKSTfhlrsu]")
"""Moves the cursor, clears, or changes the terminal; colours alone do not."""


def parse(line: bytes, readers: Readers) -> list[Event]:
    """The events of one line. Never raises: what no reader understands is `Unrecognized`, whole."""
    if not line.strip():
        return []
    if _DRAWS.search(line):
        return [Notice(code="record", text="drawn on the screen")]  # which `stream.log` has as it was
    found = _read(line, readers)
    return [Unrecognized(raw=line.decode(errors="replace"))] if found is None else found


def time(value: Any) -> datetime | None:
    """When something was: RFC 3339, or milliseconds since 1970; None for what is neither."""
    try:
        if isinstance(value, str):
            told = datetime.fromisoformat(value)
            return told if told.tzinfo else None
        return datetime.fromtimestamp(value / 1000, UTC) if value else None
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def writable(document: Any, line: bytes) -> Any:
    """What `line` says without halves of surrogate pairs, which are legal in JSON and cannot be written as UTF-8."""
    return _without_surrogates(document) if _MAY_HOLD_SURROGATES.search(line) else document


def _read(line: bytes, readers: Readers) -> list[Event] | None:
    try:
        document = _decode(line)
        reader = readers.get(document.get("type", "")) if isinstance(document, dict) else None
        return reader(document) if reader else None
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return None


def _decode(line: bytes) -> Any:
    document = json.loads(
        line.decode(errors="replace"), parse_constant=lambda _: None, parse_float=lambda digits: _finite(float(digits))
    )
    return writable(document, line)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value
