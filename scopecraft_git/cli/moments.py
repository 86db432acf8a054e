"""Times as they are typed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from scopecraft_git.errors import InvalidTimeError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")

Since = Annotated[
    str | None, typer.Option(metavar="SPAN|TIME", help="From then on, such as 10m, 2h or 2026-03-04T05:06:07Z")
]


def moment(text: str) -> datetime:
    """So long ago, such as `10m` or `1h30m`, or an RFC 3339 time; one without a zone is the machine's."""
    try:
        if _SPAN.fullmatch(text):
            return datetime.now(UTC) - timedelta(seconds=sum(float(n) * _UNITS[u] for n, u in _PART.findall(text)))
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidTimeError(text) from None
