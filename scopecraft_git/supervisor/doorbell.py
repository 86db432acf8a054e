"""A named pipe that wakes the supervisor. It carries no message: what there is to do is on disk."""

from __future__ import annotations

import contextlib
import os
import select
import time

from scopecraft_git import paths

WORK, FLUSH = b"w", b"f"


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
    except OSError:
        return False  # who listened has just gone
    finally:
        os.close(descriptor)
    return True


class Doorbell:
    """The supervisor's end. Until `mend` could make it nobody is heard, and time passes as it should."""

    def __init__(self) -> None:
        self._path = paths.supervisor() / "doorbell"
        self._pipe: int | None = None

    def mend(self) -> None:
        """Make it where it is missing. Cheap when all is well; on a full disk, an OSError."""
        try:
            if self._pipe is not None and os.path.samestat(os.fstat(self._pipe), self._path.stat()):
                return
        except FileNotFoundError:
            pass
        self.close()
        if not self._path.is_fifo():
            self._path.unlink(missing_ok=True)
            os.mkfifo(self._path, 0o600)
        # Read and write: with a writer of its own the pipe never reports its end.
        self._pipe = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)

    def wait(self, seconds: float) -> bytes:
        """What was rung, after at most `seconds`; empty when nothing was."""
        if self._pipe is None:
            time.sleep(seconds)
            return b""
        if not select.select([self._pipe], [], [], seconds)[0]:
            return b""
        return os.read(self._pipe, 4096)

    def rouse(self) -> None:
        """End a `wait` of this process, from within a signal handler."""
        with contextlib.suppress(OSError):
            if self._pipe is not None:
                os.write(self._pipe, FLUSH)

    def close(self) -> None:
        """From now on a command that rings starts a new supervisor."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
