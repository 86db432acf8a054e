"""System calls that change a disk, counted, so that a chosen one does not come back or fails."""

from __future__ import annotations

import errno
import fcntl
import io
import os
from collections.abc import Callable
from typing import Any, NoReturn

from tests.fuses import KILLED

CHANGING = {
    os: ("open", "pwrite", "ftruncate", "fsync", "rename", "replace", "unlink", "mkdir", "rmdir"),
    fcntl: ("flock",),
}
TAKE_SPACE = frozenset({"open", "write", "pwrite", "mkdir", "rename", "replace", "fsync"})
GIVE_SPACE = frozenset({"ftruncate", "unlink", "rmdir"})
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Countdown:
    """Ends this process before the call numbered `at`, or has that call fail with `error`, and with `sticky` every one
    from there on. Counts in this process alone: meant for a child that is about to do one thing.
    """

    def __init__(self, at: int, error: int | None = None, *, sticky: bool = False) -> None:
        self._left = at
        self._error = error
        self._sticky = sticky

    def begin(self) -> None:
        for module, names in CHANGING.items():
            for name in names:
                setattr(module, name, self._counted(name, getattr(module, name)))
        os.fdopen = self._fdopen  # type: ignore[assignment]

    def step(self, name: str) -> bool:
        """Count a call; whether it fails. Does not return from the one that the process is to die before."""
        self._left -= 1
        if self._error is None:
            if self._left < 0:
                os._exit(KILLED)
            return False
        if name not in (TAKE_SPACE if self._error in FULL else TAKE_SPACE | GIVE_SPACE):
            return False
        return self._left < 0 if self._sticky else self._left == -1

    def fail(self) -> NoReturn:
        assert self._error
        raise OSError(self._error, os.strerror(self._error))

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            changes = name != "open" or arguments[1] & (os.O_CREAT | os.O_TRUNC)
            if changes and self.step(name):
                if name == "pwrite" and self._is_first():
                    return call(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2 or 1], *arguments[2:])
                self.fail()
            return call(*arguments, **options)

        return counted

    def _is_first(self) -> bool:
        """A disk that has just filled up takes part of what it is given, and says so only the next time."""
        return self._sticky and self._left == -1

    def _fdopen(self, descriptor: int, mode: str = "r", buffering: int = -1) -> io.FileIO:
        assert (mode, buffering) == ("wb", 0)
        return _CountedFile(self, descriptor)


class _CountedFile(io.FileIO):
    def __init__(self, countdown: Countdown, descriptor: int) -> None:
        super().__init__(descriptor, "wb")
        self._countdown = countdown

    def write(self, data: Any, /) -> int:
        if self._countdown.step("write"):
            if self._countdown._is_first():
                return super().write(bytes(data)[: len(data) // 2 or 1])
            self._countdown.fail()
        return super().write(data)
