"""Sees to it that there is a supervisor: one, and of the newest version that was asked for."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from scopecraft_git import __version__, paths
from scopecraft_git.errors import ScopecraftError
from scopecraft_git.storage import files
from scopecraft_git.supervisor import keeper, presence
from scopecraft_git.supervisor.dismissal import Pressure
from scopecraft_git.supervisor.doorbell import WORK, ring

SETTLES_WITHIN = 20.0
LOOKS_AGAIN = 0.01
ASKED_AGAIN = 5
"""How often to try for a lock that somebody may only be looking at."""
ATTENDED_EVERY = 1.0
OF_THE_COMMAND = frozenset({"TMUX", "TMUX_PANE", "SCOPECRAFT_SESSION", "TASK_ID", "WORK_MODE"})
"""What the environment says of where a command was typed; it is nothing to the supervisor."""
COMMAND = (sys.executable, "-P", "-m", "scopecraft_git.supervisor")

started: list[subprocess.Popen[bytes]] = []
"""Kept, so that nobody is told that this process leaves children behind: that is what it is for."""


def wake() -> None:
    """Have the supervisor look at what there is to do, and start it if there is none. Returns at once.

    One that has just been started looks around by itself once it listens. One of an older version is replaced.
    Raises `HomeFullError`, `HomeNotWritableError` where none can be started.
    """
    with files.writing():
        _wake()


def _wake() -> None:
    if ring(WORK):
        if _is_outdated(presence.supervising()):
            _start(None)
        return
    if started and started[-1].poll() is None:
        return
    for _ in range(ASKED_AGAIN):
        if (lock := files.try_lock(presence.lock_file())) is not None:
            try:
                keeper.mark(lock, 0, __version__)
                _start(lock)
            finally:
                os.close(lock)
            return
        time.sleep(0.002)
    holder = presence.supervising()
    if holder is None or holder.leaves or _is_outdated(holder):
        _start(None)


def ensure() -> None:
    """Start a supervisor where neither one nor its keeper is left. Says nothing to one that is there."""
    if not (files.is_locked(presence.lock_file()) or presence.keeping()):
        wake()


@contextlib.contextmanager
def attended() -> Iterator[None]:
    """While the body waits for what a supervisor does, have one there, whatever is killed. At once, however short."""
    _see_to_one()
    over = threading.Event()
    thread = threading.Thread(target=_attend, args=[over], name="attend", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def take_up(arguments: list[str]) -> int | None:
    """The supervisor's lock for this process: the one it was started with, or once it is free.

    None when somebody else supervises who is not older; he has been rung for.
    """
    lock = int(arguments[0]) if arguments else _await_lock()
    if lock is not None:
        os.set_inheritable(lock, False)
        with contextlib.suppress(OSError):  # on a full disk
            keeper.mark(lock, os.getpid(), __version__)
    return lock


def _start(lock: int | None) -> None:
    """A supervisor that has `lock` from its birth, or one that waits until it is free."""
    if lock is None and started and started[-1].poll() is None:
        return
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") and k not in OF_THE_COMMAND}
    with (paths.supervisor() / "supervisor.log").open("a") as output:
        process = subprocess.Popen(
            [*COMMAND, *([] if lock is None else [str(lock)])],
            cwd=paths.home(),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[] if lock is None else [lock],
            start_new_session=True,
        )
    started.append(process)


def _is_outdated(holder: presence.Holder | None) -> bool:
    return bool(holder and holder.pid and presence.numbers(holder.version) < presence.numbers(__version__))


def _await_lock() -> int | None:
    """An older supervisor is told to leave; one that is leaving is waited for."""
    pressure = Pressure()
    while pressure.age < SETTLES_WITHIN:
        if (lock := files.try_lock(presence.lock_file())) is not None:
            return lock
        if _is_outdated(presence.supervising()):
            pressure.apply()
        elif ring(WORK):
            return None
        time.sleep(LOOKS_AGAIN)
    return None


def _attend(over: threading.Event) -> None:
    while not over.wait(ATTENDED_EVERY):
        _see_to_one()


def _see_to_one() -> None:
    with contextlib.suppress(ScopecraftError, OSError):
        ensure()
