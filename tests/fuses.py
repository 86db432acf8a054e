"""Ends processes of a test at a chosen point, as a kill would: nothing is cleaned up and nobody is told."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Collection
from types import CodeType, FrameType
from typing import Any, Protocol

KILLED = 9

Line = tuple[str, int]


class Fuse(Protocol):
    def begin(self) -> None:
        """Burn from now on. Called in the process that is to end."""


def dies(act: Callable[[], object], fuse: Fuse | None = None) -> bool:
    """Whether a child that does this is killed before it is through, by its fuse or otherwise."""
    child = os.fork()
    if not child:
        if fuse:
            fuse.begin()
        act()
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED, -KILLED), code
    return code != 0


class LineFuse:
    """Ends the process before the line of `files` that is number `at` to be come to.

    A line counts whenever it is executed, or `once`. Those that are `spared` do not count.
    """

    def __init__(
        self, files: Collection[str], at: int, *, once: bool = False, spared: Collection[Line] = frozenset()
    ) -> None:
        self._files = files
        self._left = at
        self._passed = set(spared)
        self._once = once

    def begin(self) -> None:
        sys.settrace(self._trace)

    def begin_in_threads(self) -> None:
        """Rather than in this one: in those that are started from now on."""
        threading.settrace(self._trace)

    def watches(self, code: CodeType) -> bool:
        return code.co_filename in self._files

    def blow(self, _line: Line) -> None:
        os._exit(KILLED)

    def _trace(self, frame: FrameType, event: str, _arg: Any) -> Any:
        if not self.watches(frame.f_code):
            return None
        line = (frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and line not in self._passed:
            if self._once:
                self._passed.add(line)
            self._left -= 1
            if self._left < 0:
                self.blow(line)
        return self._trace


class ChangeFuse:
    """Ends the process before the change number `at`, as `counts` knows them by the interpreter's audit events."""

    def __init__(self, at: int, counts: Callable[[str, tuple[Any, ...]], bool]) -> None:
        self._left = at
        self._counts = counts

    def begin(self) -> None:
        sys.addaudithook(self._burn)

    def _burn(self, event: str, given: tuple[Any, ...]) -> None:
        if self._counts(event, given):
            self._left -= 1
            if self._left == -1:
                os._exit(KILLED)
