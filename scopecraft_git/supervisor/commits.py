"""What an agent committed in a copy of its own comes home, and is told of at the end."""

from __future__ import annotations

import time

from scopecraft_git.errors import ScopecraftError
from scopecraft_git.monitor import Monitor
from scopecraft_git.protocols import Execution, Imported

IMPORT_EVERY = 1.0


class Commits:
    """One session's. `branch` is the session's own."""

    def __init__(self, monitor: Monitor, branch: str) -> None:
        self._monitor = monitor
        self._ref = f"refs/heads/{branch}"
        self._imported_at = 0.0

    def bring_some(self, execution: Execution) -> None:
        """There may be news; not looked at too often."""
        if time.monotonic() - self._imported_at > IMPORT_EVERY:
            self.bring_home(execution, ended=False)

    def bring_home(self, execution: Execution, *, ended: bool) -> bool:
        """Bring commits home; whether everything is. What could not come is reported and stays where it is.

        What came is told at the end: whether it was seen on its way there depends on who looked when.
        """
        self._imported_at = time.monotonic()
        try:
            arrived = execution.import_commits()
        except ScopecraftError as error:
            if ended:
                self._monitor.notice_once("import_failed", error.message, hint=error.hint)
            return False
        if commits := [commit for ref, commit, _ in arrived if ref == self._ref]:
            self._monitor.change(imported_commit=commits[-1])
        for ref, commit, note in _worth_telling(arrived) if ended else []:
            if (ref, commit, note) not in self._monitor.noticed.imported:
                text = f"{ref} is at {commit[:10]}" + (f": {note}" if note else "")
                self._monitor.notice("imported", text, ref=ref, commit=commit, note=note)
        return True


def _worth_telling(arrived: list[Imported]) -> list[Imported]:
    """Where each ref ended, the branch first, and whatever there is to say of the way there."""
    last = {imported.ref: imported for imported in arrived}
    told = dict.fromkeys(imported for imported in arrived if imported.note or imported == last[imported.ref])
    return sorted(told, key=lambda imported: not imported.ref.startswith("refs/heads/"))
