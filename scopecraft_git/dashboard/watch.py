"""Looks for what is otherwise than before, in a thread of its own, and tells the screen."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from textual.message import Message

from scopecraft_git.dashboard.news import Broken, Failed, Known, Loaded, Opened
from scopecraft_git.dashboard.source import Records, Worktrees, joined
from scopecraft_git.dashboard.terminal import Terminal
from scopecraft_git.errors import ScopecraftError


class Watch(threading.Thread):
    """Until `stop`; ends with the process."""

    def __init__(
        self,
        records: Records,
        opening: Callable[[], Opened],
        repository: str | None,
        tell: Callable[[Message], object],
    ) -> None:
        super().__init__(name="watch", daemon=True)
        self._records = records
        self._opening = opening
        self._worktrees = Worktrees(repository)
        self._tell = tell
        self._terminal = Terminal()
        self._stopped = threading.Event()
        self._told: set[str] = set()

    def run(self) -> None:
        try:
            opened = self._opening()
            self._tell(Loaded(opened))
            with contextlib.ExitStack() as attendance:
                self._go_on(opened, attendance)
        except Exception as error:
            self._tell(Broken(error))

    def stop(self) -> None:
        self._stopped.set()

    def _go_on(self, opened: Opened, attendance: contextlib.ExitStack) -> None:
        attended = False
        while not self._stopped.is_set():
            self._terminal.leave_with_it()
            with contextlib.suppress(OSError):  # a disk that does not answer for a moment
                self._look()
            lives = any(row.session and not row.ended for row in self._records.rows.values())
            if lives and not attended:
                attended = self._attend(opened, attendance)
            elif attended and not lives:
                attendance.close()
                attended = False
            self._stopped.wait(self._records.pause)

    def _attend(self, opened: Opened, attendance: contextlib.ExitStack) -> bool:
        """Whether somebody supervises. A disk that takes nothing does not keep from looking, and is tried again."""
        try:
            attendance.enter_context(opened.attended())
        except ScopecraftError as problem:
            if problem.message not in self._told:
                self._told.add(problem.message)
                self._tell(Failed(problem))
            return False
        return True

    def _look(self) -> None:
        changed = [self._records.look(), self._worktrees.look(self._records.rows)]
        if any(changed):
            self._tell(Known(joined(self._records.rows, self._worktrees.rows)))
        while self._records.problems:
            self._tell(Failed(self._records.problems.pop()))
