"""Files that are whole or not there, and locks on them: what keeping state in a folder takes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from scopecraft_git import paths
from scopecraft_git.errors import HomeFullError, HomeNotWritableError, LockTimeoutError

LOCK_TIMEOUT = 60.0
"""Longer than a busy disk takes: who holds a lock may be waiting for one."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO})


def replace(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Give `path` new content: readers see the old or the new, also after a crash, and a failure leaves the old.

    One writer at a time: callers hold a lock. `durable` waits for the disk; what can be derived again need not.
    """
    new = path.with_name(f".{path.name}.new")
    with writing():
        try:
            write(new, data, durable=durable)
            new.rename(path)
        except BaseException:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)  # on a full disk all the more
            raise
        if durable:
            sync_folder(path.parent)


def write(path: Path, data: bytes, *, durable: bool = True) -> None:
    """For a file that nobody looks at yet. As durable as its folder, which the next `replace` there makes durable."""
    with writing():
        private = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(private, "wb", buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            if durable:
                os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until the names in it are on the disk, whatever the files hold."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def append(path: Path, data: bytes) -> None:
    """Add lines in one write. A half-written last line, which a crash left behind, is cut off first.

    Waits for another appender; all or nothing, unless this process is killed: then a part is there, line by line.
    """
    with writing():
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            end = _end_of_lines(file)
            if end != os.fstat(file).st_size:
                os.ftruncate(file, end)
            _append(file, data, end)
        finally:
            os.close(file)


@contextlib.contextmanager
def locked(path: Path, timeout: float = LOCK_TIMEOUT) -> Iterator[None]:
    """Hold the lock file `path`, which is made if need be and stays. Raises `LockTimeoutError`."""
    deadline = time.monotonic() + timeout
    pause = 0.0005
    while (file := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise LockTimeoutError(path, timeout)
        time.sleep(pause)
        pause = min(pause * 2, 0.01)
    try:
        yield
    finally:
        os.close(file)


def try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock until it is closed, or None while someone else holds it."""
    with writing():
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def is_locked(path: Path) -> bool:
    """Whether someone holds the lock file. Leaves no file where there is none."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """A full disk and a read-only one get their names; what else the system says passes as it is."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            raise HomeFullError(paths.home(), reason) from error
        if error.errno in _READ_ONLY:
            raise HomeNotWritableError(paths.home(), reason) from error
        raise


def _append(file: int, data: bytes, end: int) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.pwrite(file, view, end + len(data) - len(view)) :]
    except OSError:
        os.ftruncate(file, end)
        raise


def _end_of_lines(file: int) -> int:
    """Where the last whole line ends."""
    end = os.fstat(file).st_size
    if not end or os.pread(file, 1, end - 1) == b"\n":
        return end
    while end:
        start = max(0, end - 65536)
        newline = os.pread(file, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
