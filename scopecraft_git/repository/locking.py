"""One command at a time makes or removes worktrees in a repository: git itself fails when several do."""

from __future__ import annotations

import contextlib
import fcntl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from scopecraft_git.errors import GitFailedError, LockTimeoutError

TIMEOUT = 300.0


class Lock:
    """Holds among processes and among threads; a thread that holds it may take it again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = threading.RLock()
        self._depth = 0
        self._descriptor: int | None = None

    @property
    def descriptors(self) -> tuple[int, ...]:
        """For a process that is started while it is held, which holds it on where this one is killed."""
        descriptor = self._descriptor
        return () if descriptor is None else (descriptor,)

    @contextlib.contextmanager
    def held(self, timeout: float = TIMEOUT) -> Iterator[None]:
        """Raises `LockTimeoutError` after `timeout` seconds."""
        if not self._thread.acquire(timeout=timeout):
            raise LockTimeoutError(self._path, timeout)
        try:
            with contextlib.nullcontext() if self._depth else self._file(timeout):
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
        finally:
            self._thread.release()

    @contextlib.contextmanager
    def _file(self, timeout: float) -> Iterator[None]:
        try:
            file = self._path.open("a")
        except OSError as error:
            raise GitFailedError("worktree", f"{self._path}: {error.strerror}") from None
        with file:
            deadline = time.monotonic() + timeout
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise LockTimeoutError(self._path, timeout) from None
                    time.sleep(0.005)
            self._descriptor = file.fileno()
            try:
                yield
            finally:
                self._descriptor = None
                fcntl.flock(file, fcntl.LOCK_UN)  # for all who have it: what git left running holds nobody up
