"""The supervisor's log: its stderr, which goes to `supervisor/supervisor.log`."""

from __future__ import annotations

import sys
import time
import traceback

from scopecraft_git.errors import ScopecraftError


def complain(about: str, error: Exception) -> None:
    """One line for what a user can mend, the traceback for what only we can."""
    expected = isinstance(error, ScopecraftError | OSError)
    text = str(error) if expected else "".join(traceback.format_exception(error))
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f"{when} {about}: {text}", file=sys.stderr, flush=True)
