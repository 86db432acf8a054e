"""The supervisor's log: its stderr, which goes to `supervisor/supervisor.log`."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import traceback

from scopecraft_git import paths
from scopecraft_git.errors import ScopecraftError

LIMIT = 1 << 20
"""Bytes above which the log makes way for a new one, when a supervisor starts."""
SUBJECTS = 100
"""How many of them are remembered with what was last complained about."""

_lock = threading.Lock()
_last: dict[str, tuple[str, int]] = {}
"""By subject, what was said of it last, and how often it would have been said since."""


def begin() -> None:
    """Send what this process prints to the log, and set a long one aside as `supervisor.log.1`."""
    path = paths.supervisor() / "supervisor.log"
    with contextlib.suppress(OSError):
        if path.exists() and path.stat().st_size > LIMIT:
            path.rename(path.with_name("supervisor.log.1"))
        log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(log, sys.stdout.fileno())
        os.dup2(log, sys.stderr.fileno())
        os.close(log)


def complain(about: str, error: Exception) -> None:
    """One line for what a user can mend, the traceback for what only we can.

    The same of the same subject is said once, and how often it was when that changes. Raises nothing: what a full
    disk does not take is said when it comes again.
    """
    expected = isinstance(error, ScopecraftError | OSError)
    text = str(error) if expected else "".join(traceback.format_exception(error)).rstrip()
    with _lock, contextlib.suppress(OSError, ValueError):
        said, again = _last.get(about, ("", 0))
        if text == said:
            _last[about] = said, again + 1
            return
        if len(_last) >= SUBJECTS:
            _last.clear()
        _last.pop(about, None)
        if again:
            _say(about, f"the same {again} more {'time' if again == 1 else 'times'}")
        _say(about, text)
        _last[about] = text, 0


def _say(about: str, text: str) -> None:
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    os.write(sys.stderr.fileno(), f"{when} {about}: {text}\n".encode(errors="replace"))
