"""Names of sessions: they begin with the task, and sort by when the sessions were made."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import time
from datetime import UTC, datetime

from scopecraft_git import paths
from scopecraft_git.storage import files

_CODE_BEGINS = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
_CODE_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_TICKS = 10
"""Of a second, in a code."""
_CODE_LENGTH = 7  # enough for 108 years
_LONGEST_SLUG = 40


def new_id(slug: str) -> str:
    """`<slug>-<code>` with its empty folder. Codes sort by time; the slug is cut to what may name a container."""
    paths.ensure_home()
    name = id_slug(slug)
    for number in itertools.count(_next_number()):
        session_id = f"{name}-{_code(number)}"
        with contextlib.suppress(FileExistsError), files.writing():
            _remember_number(number)
            paths.session(session_id).mkdir(mode=0o700)
            return session_id
    raise AssertionError


def id_slug(name: str) -> str:
    """What the ids of sessions for `name` begin with."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:_LONGEST_SLUG]
    return re.sub(r"\.{2,}", ".", plain).strip("-._") or "session"


def slug_of(session_id: str) -> str:
    """What the id begins with, as `new_id` was given it."""
    return session_id.rpartition("-")[0]


def _next_number() -> int:
    """The time; when the clock was set back, what follows the last one."""
    now = max(0, int((time.time() - _CODE_BEGINS) * _TICKS))
    try:
        last = round((paths.last_id().stat().st_mtime - _CODE_BEGINS) * _TICKS)
    except FileNotFoundError:
        return now
    return now if now >= last else last + 1


def _remember_number(number: int) -> None:
    """As a file's time, which any number of processes may set at once, also on a full disk."""
    moment = _CODE_BEGINS + number / _TICKS
    if not paths.last_id().exists():
        paths.last_id().touch(mode=0o600)
    os.utime(paths.last_id(), (moment, moment))


def _code(number: int) -> str:
    digits = []
    for _ in range(_CODE_LENGTH):
        number, digit = divmod(number, len(_CODE_DIGITS))
        digits.append(_CODE_DIGITS[digit])
    return "".join(reversed(digits))
