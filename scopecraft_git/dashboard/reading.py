"""Reads a session's events in a thread of its own: the newest, then each as it comes, and older ones when asked."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from scopecraft_git.errors import ScopecraftError

if TYPE_CHECKING:
    from scopecraft_git.events import LoggedEvent
    from scopecraft_git.protocols import Storage

PAGE = 300
"""How many events are read at first, and at a time of those before."""
AT_A_TIME = 500
BREATH = 0.05
"""Seconds between what is told of a session that never stops talking."""
LOOKS_AGAIN = 1.0
"""Seconds: a plugin's storage need not write to the session's folder."""
LONGEST = 20_000
"""Characters of one event; `logs` has all of it."""


class Entry(NamedTuple):
    seq: int
    text: str
    style: str
    """Of `description.Style`."""


class Page(NamedTuple):
    session: str
    entries: tuple[Entry, ...]
    first: int
    """Number of the oldest event that it was made of: many have nothing to show."""
    older: bool = False
    """Whether it goes before what is there."""


class Reader(threading.Thread):
    """Of one session, until `stop`; ends with the process."""

    def __init__(self, storage: Storage, session: str, folder: Path, tell: Callable[[Page], None]) -> None:
        super().__init__(name=f"read {session}", daemon=True)
        self.session = session
        self._storage = storage
        self._folder = folder
        self._tell = tell
        self._stopped = threading.Event()

    def run(self) -> None:
        try:
            self._follow()
        except (ScopecraftError, OSError) as error:
            self._tell(Page(self.session, (Entry(0, f"✗ {error}", "error"),), first=1))

    def stop(self) -> None:
        self._stopped.set()

    def tell_older(self, before: int) -> None:
        """The page of events before that number, from a thread of its own."""
        threading.Thread(target=self._older, args=[before], name=f"read back {self.session}", daemon=True).start()

    def _follow(self) -> None:
        from scopecraft_git import intervention, stream

        newest = intervention.newest_event(self._storage, self._storage.load(self.session))
        seen = max(0, newest - PAGE)
        self._tell(Page(self.session, (), first=seen + 1))
        for _ in stream.changes(self._folder, self._stopped.is_set, patience=LOOKS_AGAIN):
            while not self._stopped.is_set():
                events = list(itertools.islice(self._storage.events(self.session, after=seen), AT_A_TIME))
                if not events:
                    break
                self._tell(Page(self.session, entries(events), first=seen + 1))
                seen = events[-1].seq
                self._stopped.wait(BREATH)

    def _older(self, before: int) -> None:
        after = max(0, before - 1 - PAGE)
        try:
            events = list(itertools.islice(self._storage.events(self.session, after=after), before - 1 - after))
        except (ScopecraftError, OSError):
            return  # whoever reads the newer ones tells of it
        self._tell(Page(self.session, entries(events), first=after + 1, older=True))


def entries(events: Iterable[LoggedEvent]) -> tuple[Entry, ...]:
    """Those that have something to show."""
    from scopecraft_git import description

    found = ((logged, description.of(logged.event)) for logged in events)
    return tuple(Entry(logged.seq, _cut(text), description.style(logged.event)) for logged, text in found if text)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n… git scopecraft logs shows all of it"
