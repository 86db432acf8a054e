"""Events of many sessions as they are stored, one after the other, also of sessions that start meanwhile."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from scopecraft_git import paths, stream
from scopecraft_git.errors import ScopecraftError, SessionNotFoundError
from scopecraft_git.events import LoggedEvent, Notice
from scopecraft_git.models import Session
from scopecraft_git.protocols import Storage

TICK = 1.0
"""Seconds between looks at what nobody tells of: sessions that a plugin's storage keeps elsewhere."""
LOOKS_AROUND = 30.0
"""Seconds after which it is seen who lives, also without having been told; sooner after a session began or ended."""
STORED_WITHIN = 60.0
"""Seconds from an event to the last change in its session's folder, at most."""
_NO_EVENTS = frozenset({"stream.log", "stderr.log", "clock.json", ".clock.json.new", "lock", ".metadata.json.new"})


class Watched(NamedTuple):
    session: Session
    """As it was when it was found."""
    logged: LoggedEvent


class _Followed:
    def __init__(self, session: Session, seen: int) -> None:
        self.session = session
        self.seen = seen
        """The last `seq` that was told."""
        self.kept_here = (session.path / "metadata.json").exists()


class Watching:
    """One look at the sessions, to be iterated once. It holds what it has told, and no more.

    `named` are the only ones to watch; it is over when they have. Without, all that `wants` accepts are watched, for
    ever. Every event stored from `since` on is told once, those of before it began in order of their times; each
    session's are in their own order always. `tick` is called about once a second while any of them lives, `onerror`
    for a session that cannot be read, once.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        since: datetime,
        named: Sequence[Session] = (),
        wants: Callable[[Session], bool] = lambda _: True,
        tick: Callable[[], object] = lambda: None,
        onerror: Callable[[ScopecraftError], object] = lambda _: None,
    ) -> None:
        self._storage = storage
        self._since = since
        self._named = [session.id for session in named]
        self._wants = wants
        self._tick = tick
        self._onerror = onerror
        self._told_of: set[str] = set()
        self._followed: dict[str, _Followed] = {}
        self._folders = stream.Folders(ignoring=_NO_EVENTS)
        self._looks_at = 0.0
        self._pause = stream.SETTLES
        self._stopped = False

    def stop(self) -> None:
        """Have it be over at once. Callable from any thread."""
        self._stopped = True
        self._folders.wake()

    def __iter__(self) -> Iterator[Watched]:
        with self._folders:
            self._folders.add(paths.sessions())
            living = self._find()
            yield from self._stored_before(living)
            while not (self._stopped or (self._named and not self._followed)):
                yield from self._turn()

    @property
    def living(self) -> list[Session]:
        """Who is watched that has not ended, oldest first, as they now are."""
        self._find()
        return [self._load(session_id) or self._followed[session_id].session for session_id in sorted(self._followed)]

    def _turn(self) -> Iterator[Watched]:
        if self._followed:
            self._tick()
        limit = TICK if self._followed else LOOKS_AROUND
        changed = self._folders.wait(max(0.0, min(limit, self._looks_at - time.monotonic())))
        if any(path.parent == paths.sessions() for path in changed):
            self._look_soon()
        folders = {path.parent for path in changed} | changed
        for followed in [*self._followed.values()]:
            told = self._folders.told and followed.kept_here
            if followed.session.path in folders or not told:
                yield from self._read(followed)
        if time.monotonic() >= self._looks_at:
            yield from self._look_around()

    def _look_soon(self) -> None:
        self._looks_at, self._pause = time.monotonic(), stream.SETTLES

    def _look_around(self) -> Iterator[Watched]:
        """Take up who began; of who ended, tell the rest. All are read, in case that somebody was not told of."""
        living = self._find()
        for session_id, followed in [*self._followed.items()]:
            yield from self._read(followed)
            if session_id not in living:
                self._folders.discard(followed.session.path)
                self._followed.pop(session_id, None)
        self._looks_at = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, LOOKS_AROUND)

    def _find(self) -> Collection[str]:
        """Follow who lives and is not followed yet; returns the ids of all that live."""
        living = [session for session in self._sessions() if not session.status.ended]
        for session in living:
            if session.id not in self._followed:
                self._folders.add(session.path)
                self._followed[session.id] = _Followed(session, self._seq_before(session))
        return {session.id for session in living}

    def _sessions(self) -> Iterator[Session]:
        if self._named:
            yield from filter(None, map(self._load, self._named))
        else:
            found = self._storage.sessions(active=True, newest=0, onerror=self._complain)
            yield from filter(self._wants, found)

    def _load(self, session_id: str) -> Session | None:
        try:
            return self._storage.load(session_id)
        except SessionNotFoundError:
            return None
        except ScopecraftError as error:
            self._complain(error)
            return None

    def _complain(self, error: ScopecraftError) -> None:
        if error.message not in self._told_of:
            self._told_of.add(error.message)
            self._onerror(error)

    def _read(self, followed: _Followed) -> Iterator[Watched]:
        try:
            for logged in self._storage.events(followed.session.id, after=followed.seen):
                followed.seen = logged.seq
                yield Watched(followed.session, logged)
                if isinstance(logged.event, Notice) and logged.event.code == "ended" and logged.offset is None:
                    self._look_soon()
        except SessionNotFoundError:  # it was deleted
            self._look_soon()
        except ScopecraftError as error:
            self._complain(error)

    # What was stored before

    def _stored_before(self, living: Collection[str]) -> Iterator[Watched]:
        """In order of time. A session's file is opened when its time has come, and closed when it is read."""
        ended = [_Followed(session, self._seq_before(session)) for session in self._ended_since(living)]
        due = sorted([*self._followed.values(), *ended], key=lambda each: each.session.created_at, reverse=True)
        open_: list[tuple[datetime, int, Watched, Iterator[Watched]]] = []
        while due or open_:
            while due and (not open_ or due[-1].session.created_at <= open_[0][0]):
                events = self._read(due.pop())
                if watched := next(events, None):
                    heapq.heappush(open_, (watched.logged.time, len(due), watched, events))
            if open_:
                _, number, watched, events = open_[0]
                yield watched
                if following := next(events, None):
                    heapq.heapreplace(open_, (following.logged.time, number, following, events))
                else:
                    heapq.heappop(open_)

    def _ended_since(self, living: Collection[str]) -> Iterator[Session]:
        """Those that may have events of then: ten thousand folders are looked at sooner than as many records."""
        names = self._named or self._storage.ids()
        for session_id in names:
            if session_id not in living and _changed_since(paths.session(session_id), self._since):
                session = self._load(session_id)
                if session and (self._named or self._wants(session)):
                    yield session

    def _seq_before(self, session: Session) -> int:
        """The last that was stored before `since`, found by halving: a long session has hundreds of thousands."""
        if session.created_at >= self._since:
            return 0
        low, high = 0, 1
        while self._is_before(session, high):
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._is_before(session, middle) else (low, middle)
        return low

    def _is_before(self, session: Session, seq: int) -> bool:
        """False also where it does not exist yet."""
        try:
            found = next(self._storage.events(session.id, after=seq - 1), None)
        except ScopecraftError:  # met again by who reads it
            return False
        return found is not None and found.time < self._since


def _changed_since(folder: Path, since: datetime) -> bool:
    """True also where there is none: its storage keeps it elsewhere."""
    try:
        return folder.stat().st_mtime >= since.timestamp() - STORED_WITHIN
    except FileNotFoundError:
        return True
