"""Has a keeper at all times: the supervisor's side of it, in a thread that sleeps while there is one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from scopecraft_git import __version__, paths
from scopecraft_git.supervisor import keeper, presence
from scopecraft_git.supervisor.dismissal import signalled
from scopecraft_git.supervisor.log import complain
from scopecraft_git.supervisor.waking import COMMAND

SCRIPT = Path(keeper.__file__)


def begin() -> None:
    """Called once the supervisor is at work: a keeper costs time that a first session would wait for."""
    threading.Thread(target=_keep, name="keeper", daemon=True).start()


def _keep() -> None:
    process: subprocess.Popen[bytes] | None = None
    pause = 0.0
    while True:
        begun = time.monotonic()
        try:
            _dismiss_other_version()
            lock = _await_death()
            if lock is None:
                return
            killed = process is None or process.wait() in (-signal.SIGKILL, -signal.SIGTERM)
            longest = keeper.KILLED_PAUSE if killed else keeper.FAILED_PAUSE
            pause = 0.0 if time.monotonic() - begun > keeper.LIVED else min(longest, max(keeper.FIRST_PAUSE, pause * 2))
            process = _start(lock)
        except Exception as error:  # without it there would be nobody for the next time
            complain("the keeper", error)
            pause = min(keeper.FAILED_PAUSE, max(keeper.FIRST_PAUSE, pause * 2))
        time.sleep(pause)


def _dismiss_other_version() -> None:
    """What it would bring back is the supervisor that it knows."""
    found = presence.keeping()
    if found and found.pid and found.version != __version__:
        signalled(found, signal.SIGTERM)


def _await_death() -> int | None:
    """The keeper's lock once there is no keeper, or None when the home is gone or another."""
    path = paths.supervisor() / presence.KEEPER_LOCK
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:
        os.close(lock)
        raise
    if keeper.is_in_place(lock, str(path)):
        return lock
    os.close(lock)
    return None


def _start(lock: int) -> subprocess.Popen[bytes]:
    """A keeper that has `lock` from its birth."""
    try:
        with contextlib.suppress(OSError):  # on a full disk
            keeper.mark(lock, 0, __version__)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(SCRIPT), str(paths.supervisor()), str(lock), __version__, *COMMAND],
            stdin=subprocess.DEVNULL,
            pass_fds=[lock],
            start_new_session=True,
        )
    finally:
        os.close(lock)
