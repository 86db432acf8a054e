"""The command line: declarations, and one call each. `main` is the one place that turns an error into an exit code."""

from __future__ import annotations

import gc
import io
import os
import sys
from pathlib import Path
from typing import NoReturn

from scopecraft_git import console, paths
from scopecraft_git.errors import BUG, INTERRUPTED, HomeNotReadableError, ScopecraftError

COMPLETE = "_GIT_SCOPECRAFT_COMPLETE"
"""Set by the shell's completion: candidates are wanted, and nothing is to be done."""


def main() -> None:
    """The console script. Expected errors become a message, a hint and their exit code; a bug becomes a log."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without our symbols, an agent's odd letters
    gc.set_threshold(50_000)  # importing makes many objects and no garbage
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]  # a git hook sets them; here the current directory decides
    try:
        _call()
    except ScopecraftError as error:
        _refuse(error)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads the rest
        sys.exit(1)
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # pydantic wraps what hits it while it calls us
            sys.exit(INTERRUPTED)
        if isinstance(error, PermissionError) and _is_ours(error.filename):
            _refuse(HomeNotReadableError(Path(error.filename), str(error.strerror)))
        console.failure(f"This is a bug in git scopecraft: {error!r}")
        console.hint(f"Its traceback, for a report: cat {_log_crash(error)}")
        sys.exit(BUG)


def _refuse(error: ScopecraftError) -> NoReturn:
    console.error(error)
    sys.exit(error.exit_code)


def _is_ours(path: object) -> bool:
    return isinstance(path, str) and Path(path).is_relative_to(paths.home())


def _call() -> None:
    if sys.argv[1:] in (["list"], ["list", "--json"]) and COMPLETE not in os.environ:
        # The parser alone would take longer than the listing.
        from scopecraft_git.cli import listing

        listing.list_sessions(as_json="--json" in sys.argv)
    elif sys.argv[1:] in (["dashboard"], ["dashboard", "--all"]) and COMPLETE not in os.environ:
        from scopecraft_git.cli import opening

        opening.open_dashboard(everything="--all" in sys.argv)
    else:
        from scopecraft_git.cli.commands import app

        if COMPLETE in os.environ:
            from typer._completion_classes import completion_init

            completion_init()  # typer's own scripts would come with it, which know nothing of git
        app(prog_name="git scopecraft", complete_var=COMPLETE)


def _log_crash(error: Exception) -> str:
    """Where the traceback went; the temporary folder where the home cannot be written."""
    import traceback
    from datetime import UTC, datetime

    text = "".join(traceback.format_exception(error))
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.log"
    try:
        paths.crash_logs().mkdir(mode=0o700, parents=True, exist_ok=True)
        log = paths.crash_logs() / name
        log.write_text(text)
    except OSError:
        import tempfile

        with tempfile.NamedTemporaryFile("w", prefix="git-scopecraft-", suffix=".log", delete=False) as file:
            file.write(text)
        return file.name
    return str(log)
