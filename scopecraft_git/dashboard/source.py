"""Where the rows come from: records that are read again when they have changed, and git's worktrees."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from scopecraft_git import paths
from scopecraft_git.dashboard import rows
from scopecraft_git.dashboard.rows import Document, Row
from scopecraft_git.errors import ScopecraftError, SessionNotFoundError
from scopecraft_git.storage import records
from scopecraft_git.storage.registry import Registry

if TYPE_CHECKING:
    from scopecraft_git.protocols import Storage

ENDED = 200
"""How many sessions that have ended are shown, the newest."""
LOOKS_AGAIN = 0.2
"""Seconds. What has not changed is not read: a look at 200 sessions takes a millisecond."""
STORAGE_LOOKS_AGAIN = 1.0
"""Seconds, where a plugin's storage has to be asked for every session that lives."""
SURVEYS_AGAIN = 10.0
"""Seconds between looks for sessions that came and ended without being seen."""
WORKTREES_AGAIN = 5.0
Stamp = tuple[int, int]
_NO_RECORD = (LookupError, TypeError, ValueError, AttributeError)


class Records:
    """Sessions by id, as rows. `look` is called over and over, by one thread."""

    def __init__(self, repository: str | None, storage: Storage | None = None) -> None:
        """Of one repository's common directory, or of all; from disk without a `storage`."""
        self.rows: dict[str, Row] = {}
        self.problems: list[ScopecraftError] = []
        """Records that could not be read, each told once; whoever tells of them takes them out."""
        self._repository = repository
        self._storage = storage
        self._stamps: dict[str, Stamp | None] = {}
        self._surveyed_at: float | None = None
        self._told: set[str] = set()
        self.pause = STORAGE_LOOKS_AGAIN if storage else LOOKS_AGAIN

    def look(self) -> bool:
        """Whether anything is otherwise than before."""
        return self._look_at_storage() if self._storage else self._look_at_disk()

    def _look_at_disk(self) -> bool:
        living = Registry(paths.sessions(), records.folders).ids()
        wanted = living | {session_id for session_id, row in self.rows.items() if not row.ended}
        changed = False
        for session_id in wanted.union(self._newest(living)) if self._is_survey() else wanted:
            stamp = _stamp(session_id)
            if self._stamps.get(session_id) != stamp:
                self._stamps[session_id] = stamp
                changed |= self._take(session_id, self._read(session_id))
        return changed

    def _is_survey(self) -> bool:
        now = time.monotonic()
        due = self._surveyed_at is None or now - self._surveyed_at > SURVEYS_AGAIN
        if due:
            self._surveyed_at = now
        return due

    def _newest(self, living: set[str]) -> Iterator[str]:
        """Of those that have ended, as many as are shown."""
        left = ENDED
        for session_id in records.newest_first():
            if not left:
                return
            if session_id not in living:
                left -= 1
                yield session_id

    def _look_at_storage(self) -> bool:
        assert self._storage
        survey = self._is_survey()
        documents = self._storage.sessions(active=not survey, newest=ENDED if survey else None, onerror=self._note)
        found = {session.id: session.model_dump(mode="json") for session in documents}
        for session_id in [key for key, row in self.rows.items() if not row.ended and key not in found]:
            with contextlib.suppress(ScopecraftError):
                found[session_id] = self._storage.load(session_id).model_dump(mode="json")
        changed = False
        for session_id, document in found.items():
            changed |= self._take(session_id, document)
        return changed

    def _take(self, session_id: str, document: Document | None) -> bool:
        row = self._row(session_id, document) if document else None
        if row is None or (self._repository and row.repository != self._repository):
            return self.rows.pop(session_id, None) is not None
        if self.rows.get(session_id) == row:
            return False
        self.rows[session_id] = row
        return True

    def _row(self, session_id: str, document: Document) -> Row | None:
        from scopecraft_git.errors import UnreadableSessionError

        try:
            return rows.of_session(document)
        except _NO_RECORD as error:
            self._note(UnreadableSessionError(records.path_of(session_id), repr(error)))
            return None

    def _read(self, session_id: str) -> Document | None:
        try:
            return records.read(session_id)
        except SessionNotFoundError:
            return None
        except ScopecraftError as problem:
            self._note(problem)
            return None

    def _note(self, problem: ScopecraftError) -> None:
        if problem.message not in self._told:
            self._told.add(problem.message)
            self.problems.append(problem)


class Worktrees:
    """Those of the repositories that are shown, asked for every few seconds. For one thread."""

    def __init__(self, repository: str | None) -> None:
        self.rows: dict[str, Row] = {}
        self._repository = repository
        self._looked_at = -WORKTREES_AGAIN

    def look(self, sessions: dict[str, Row], *, now: Callable[[], float] = time.monotonic) -> bool:
        """Whether anything is otherwise than before. A repository that is gone has none."""
        if now() - self._looked_at < WORKTREES_AGAIN:
            return False
        found: dict[str, Row] = {}
        for common_dir in {self._repository} if self._repository else {row.repository for row in sessions.values()}:
            with contextlib.suppress(ScopecraftError):
                found |= {row.id: row for row in _worktrees(common_dir)}
        self._looked_at = now()
        changed = found != self.rows
        self.rows = found
        return changed


def joined(sessions: dict[str, Row], worktrees: dict[str, Row]) -> dict[str, Row]:
    """Every session, and every worktree in which none is."""
    taken = {row.worktree for row in sessions.values()}
    return sessions | {key: row for key, row in worktrees.items() if row.worktree not in taken}


def _worktrees(common_dir: str) -> Iterator[Row]:
    from scopecraft_git import worktrees
    from scopecraft_git.repository import Repository

    for worktree in worktrees.listing(Repository(Path(common_dir))):
        yield rows.of_worktree(worktree, common_dir)


def _stamp(session_id: str) -> Stamp | None:
    """Another for another record, also of the same moment; None where there is none."""
    try:
        about = records.path_of(session_id).stat()
    except (OSError, ScopecraftError):
        return None
    return about.st_mtime_ns, about.st_ino
