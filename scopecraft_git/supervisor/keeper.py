"""Brings the supervisor back: a script of its own, run as `python -I -S keeper.py FOLDER LOCK VERSION COMMAND…`.

It waits for the supervisor's lock, which the kernel gives it when the supervisor has died, and hands that lock to the
one it starts, so that there is no moment in which another could come between. The supervisor waits for the keeper's
lock in the same way. Nothing is polled. It imports almost nothing, since it is there for as long as any session is.

What a lock file says, `PID VERSION`, holds while somebody has the lock: a PID of 0 has yet to say which it is, and an
empty line says that the last one left on purpose.
"""

import fcntl
import os
import signal
import sys
import time

LIVED = 5.0
"""Seconds after which a supervisor counts as one that works."""
FIRST_PAUSE = 0.1
"""Seconds before one that died sooner is started again; they double."""
KILLED_PAUSE = 1.0
"""At most, when something outside killed it, as far as is known."""
FAILED_PAUSE = 60.0
"""At most, when it died of itself."""
LOCK = "lock"


def mark(lock: int, pid: int, version: str) -> None:
    """Say who holds the lock. Over what was there, so a reader finds a whole line at any instant."""
    line = f"{pid} {version}\n".encode()
    os.pwrite(lock, line, 0)
    os.ftruncate(lock, len(line))


def clear(lock: int) -> None:
    """Say that its holder leaves on purpose. In place: it takes no room on a disk that is full."""
    if os.fstat(lock).st_size:
        os.pwrite(lock, b"\n", 0)


def marked(lock: int) -> tuple[int, str] | None:
    """PID and version of the holder, or of the last one; None when it left on purpose or never was."""
    pid, _, version = os.pread(lock, 200, 0).partition(b"\n")[0].decode(errors="replace").partition(" ")
    return (int(pid), version) if pid.isdecimal() else None


def is_in_place(lock: int, path: str) -> bool:
    """Whether the lock is still the file at `path`: a home that was removed, or made anew, is no longer ours."""
    try:
        return os.path.samestat(os.fstat(lock), os.stat(path))  # noqa: PTH116 - pathlib costs more than this script
    except OSError as error:
        return not is_gone(error)


def is_gone(error: OSError) -> bool:
    """Rather than out of reach, as on a disk that fails, where things may be well again."""
    return isinstance(error, (FileNotFoundError, NotADirectoryError))


def main(folder: str, own_lock: str, version: str, *command: str) -> None:
    os.set_inheritable(int(own_lock), False)
    mark_if_possible(int(own_lock), version)
    path = f"{folder}/{LOCK}"
    child, pause = 0, 0.0
    while True:
        begun = time.monotonic()
        if not await_death(path):
            return
        lived, killed = time.monotonic() - begun, was_killed(child)
        child = 0
        longest = KILLED_PAUSE if killed else FAILED_PAUSE
        pause = 0.0 if lived > LIVED else min(longest, max(FIRST_PAUSE, pause * 2))
        time.sleep(pause)
        if (lock := take(path)) is not None:
            child = start(lock, folder, version, command)
            os.close(lock)


def await_death(path: str) -> bool:
    """Until nobody supervises any more. Whether that was no intention, and the home is still there."""
    try:
        lock = os.open(path, os.O_RDONLY)
    except OSError as error:
        return not is_gone(error)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        return is_in_place(lock, path) and marked(lock) is not None
    finally:
        os.close(lock)


def was_killed(child: int) -> bool:
    """Whether something outside ended it; also when that cannot be known, since a command had started it."""
    if not child:
        return True
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGKILL, signal.SIGTERM)


def take(path: str) -> int | None:
    """The supervisor's lock, or None when a command was faster, or somebody looks at it just now."""
    try:
        lock = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    if marked(lock) is None or not is_in_place(lock, path):
        os.close(lock)
        return None
    return lock


def start(lock: int, folder: str, version: str, command: tuple[str, ...]) -> int:
    """A supervisor that holds `lock` from its birth."""
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        mark_if_possible(lock, version)
        os.set_inheritable(lock, True)
        log = os.open(f"{folder}/supervisor.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
    except OSError:
        pass  # it can do without a log
    try:
        os.execv(command[0], [*command, str(lock)])
    finally:
        os._exit(127)


def mark_if_possible(lock: int, version: str) -> None:
    """Not on a full disk where the file was empty: then nobody learns the pid, and nothing else depends on it."""
    try:  # noqa: SIM105 - contextlib would be another import
        mark(lock, os.getpid(), version)
    except OSError:
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
