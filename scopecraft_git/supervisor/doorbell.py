"""A named pipe that wakes the supervisor. It carries no message: what there is to do is on disk."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from scopecraft_git import paths
from scopecraft_git.storage import files

WORK, FLUSH = b"w", b"f"
SETTLES_WITHIN = 10.0

_started: list[subprocess.Popen[bytes]] = []
"""Kept, so that nobody is told that this process leaves children behind: that is what it is for."""


def wake() -> None:
    """Have the supervisor look at what there is to do, and start it if there is none. Returns at once.

    One that this process has just started looks around by itself once it listens.
    """
    if not ring(WORK) and (not _started or _started[-1].poll() is not None):
        _started.append(_start())


def ring(byte: bytes) -> bool:
    """Whether somebody listens."""
    try:
        descriptor = os.open(paths.supervisor() / "doorbell", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        os.write(descriptor, byte)
    except BlockingIOError:
        pass  # rung so often already that the pipe is full
    finally:
        os.close(descriptor)
    return True


def _start() -> subprocess.Popen[bytes]:
    log = paths.supervisor() / "supervisor.log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") and k not in ("TMUX", "TMUX_PANE")}
    with log.open("a") as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "scopecraft_git.supervisor"],
            cwd=paths.home(),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def process_id(home: Path | None = None) -> int | None:
    """The process that supervises this SCOPECRAFT_HOME or another, if there is one. Starts nothing."""
    lock = (home / "supervisor" if home else paths.supervisor()) / "lock"
    return int(lock.read_text()) if files.is_locked(lock) else None


class Doorbell:
    """The supervisor's end."""

    def __init__(self) -> None:
        path = paths.supervisor() / "doorbell"
        if not path.is_fifo():
            path.unlink(missing_ok=True)
            os.mkfifo(path, 0o600)
        # Read and write: with a writer of its own the pipe never reports its end.
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def wait(self, seconds: float) -> bytes:
        """What was rung, after at most `seconds`; empty when nothing was."""
        if not select.select([self._pipe], [], [], seconds)[0]:
            return b""
        return os.read(self._pipe, 4096)

    def close(self) -> None:
        """From now on a command that rings starts a new supervisor."""
        os.close(self._pipe)


@contextmanager
def sole_supervisor() -> Iterator[bool]:
    """Whether this process is the one supervisor: it holds the lock, or another one listens to the doorbell.

    A supervisor that is leaving still holds the lock but does not listen any more; it is waited for.
    """
    with (paths.supervisor() / "lock").open("a+") as lock:
        yield _acquire(lock)


def _acquire(lock: TextIO) -> bool:
    deadline = time.monotonic() + SETTLES_WITHIN
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if ring(WORK):
                return False
            time.sleep(0.01)
            continue
        lock.seek(0)
        lock.truncate()
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        return True
    return False
