"""Rings while nobody looks: what `watch` rings for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from textual.message import Message

from scopecraft_git.dashboard.news import Rung
from scopecraft_git.errors import ScopecraftError

if TYPE_CHECKING:
    from scopecraft_git.dashboard.news import Opened
    from scopecraft_git.models import Session


class Bell(threading.Thread):
    """Hears of every event of a repository's sessions, or of all, until `stop`; ends with the process."""

    def __init__(self, opened: Opened, repository: str | None, tell: Callable[[Message], object]) -> None:
        from scopecraft_git.watching import Watching

        super().__init__(name="bell", daemon=True)
        self._opened = opened
        self._repository = repository
        self._began = datetime.now(UTC)
        self._tell = tell
        self._watching = Watching(opened.storage, since=self._began, wants=self._wants)

    def run(self) -> None:
        try:
            self._listen()
        except (ScopecraftError, OSError):
            return  # whoever looks at the records tells of it

    def stop(self) -> None:
        self._watching.stop()

    def _listen(self) -> None:
        from scopecraft_git import news

        for watched in self._watching:
            if news.rings(watched.logged, self._opened.settings.notify, self._began):
                self._tell(Rung())

    def _wants(self, session: Session) -> bool:
        return self._repository in (None, str(session.repository))
