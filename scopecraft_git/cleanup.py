"""Clears worktrees away with what belongs to them, and loses no work of the sessions that were there.

First come the commits that an agent has only in a copy of its own, then the checks, then the worktree with its
branch, and at last the containers of its sessions and the home of its agents. What sessions said and did stays.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from signal import Signals
from typing import NamedTuple

from scopecraft_git import paths, plugins, sessions, worktrees
from scopecraft_git.errors import ScopecraftError, SessionNotFoundError, UnreadableSessionError, WorktreeBusyError
from scopecraft_git.executors import agent_home, homecoming
from scopecraft_git.executors.homecoming import Homecoming
from scopecraft_git.models import Session, Worktree
from scopecraft_git.protocols import ExecRequest, Execution, Executor, Imported, Storage
from scopecraft_git.repository import Repository
from scopecraft_git.worktrees import Fate, Removed

DIES_WITHIN = 10.0


class Cleaned(NamedTuple):
    """What `clean` does with one worktree."""

    worktree: Worktree
    goes: bool
    reason: str
    size: int
    """Bytes on disk before, the home of its agents included."""
    sessions: tuple[str, ...]
    """Those that worked there, newest first."""
    left: tuple[str, ...] = ()
    """What could not go with it."""


class Cleanup:
    """One repository's worktrees, and the sessions that are or have been in them."""

    def __init__(self, repository: Repository, storage: Storage) -> None:
        self.repository = repository
        self.storage = storage
        self.problems: list[ScopecraftError] = []
        """What was in the way of finishing removals that a killed command began."""
        self._sessions: dict[str, Session] = {}
        self._in_worktree: defaultdict[str, set[str]] = defaultdict(set)
        self._on_branch: defaultdict[str | None, set[str]] = defaultdict(set)
        self._unreadable: dict[str, UnreadableSessionError] = {}
        self._failures: dict[str, str] = {}
        """Why the commits of a session could not be imported."""
        self._notes: dict[str, str] = {}
        """What the import said of a commit."""

    def resume(self) -> list[Removed]:
        """Finish what a killed command began."""
        self._read_all()
        return worktrees.resume(self.repository, self.problems.append, self._clear_behind)

    def remove(self, worktree: Worktree, *, force: bool = False) -> Removed:
        """Remove one. Raises `RefusedError` where sessions live or, without `force`, where anything would be lost."""
        self._read_all()
        self._refuse_living(worktree)
        self._bring_home(worktree)
        return self._remove(worktree, force=force, keep_branch=False)

    def clean(self, *, dry_run: bool = False) -> Iterator[Cleaned]:
        """Remove the worktrees that have had their day, one at a time; one that cannot go does not keep the others."""
        self._read_all()
        for worktree in worktrees.listing(self.repository):
            if worktree.ours:
                size = worktrees.size(worktree.path) + worktrees.size(agent_home.of(worktree.path))
                known = tuple(session.id for session in self._of(worktree))
                try:
                    fate, left = self._clean(worktree, dry_run=dry_run)
                except ScopecraftError as error:
                    fate, left = Fate(False, error.message), []
                yield Cleaned(worktree, fate.goes, fate.reason, size, known, tuple(left))

    def _clean(self, worktree: Worktree, *, dry_run: bool) -> tuple[Fate, list[str]]:
        self._refuse_living(worktree)
        if not dry_run:
            self._bring_home(worktree)
            worktree = worktrees.at(self.repository, worktree.path)
        if abroad := self._abroad(worktree):
            return Fate(False, abroad[0]), []
        fate = worktrees.fate(self.repository, self._as_unlocked(worktree))
        if dry_run or not fate.goes:
            return fate, []
        return fate, self._remove(worktree, force=False, keep_branch=fate.keep_branch).left

    def _remove(self, worktree: Worktree, *, force: bool, keep_branch: bool) -> Removed:
        with self.repository.lock():
            self._read_all()
            self._refuse_living(worktree)
            for session_id in worktrees.held_by(self.repository, worktree.path):
                worktrees.unlock(self.repository, worktree.path, session_id)  # of a session that lives no more
            worktrees.refuse(self.repository, worktrees.at(self.repository, worktree.path))
            if force:
                self._end_agents(worktree)
            return worktrees.remove(
                self.repository,
                worktree,
                force=force,
                besides=self._abroad(worktree),
                keep_branch=keep_branch,
                last=self._clear_behind,
            )

    # Whose it is

    def _read_all(self) -> None:
        """Read the records that are new, and those of sessions that had not ended when they were read."""
        for session_id in self.storage.ids():
            known = self._sessions.get(session_id)
            if known is None or not known.status.ended:
                self._read(session_id)

    def _read(self, session_id: str) -> Session | None:
        try:
            session = self.storage.load(session_id)
        except SessionNotFoundError:
            self._sessions.pop(session_id, None)
            return None
        except UnreadableSessionError as error:
            self._unreadable[session_id] = error
            return None
        self._unreadable.pop(session_id, None)
        self._sessions[session_id] = session
        if session.repository == self.repository.common_dir:
            self._in_worktree[str(session.worktree)].add(session_id)
            self._on_branch[session.branch].add(session_id)
        return session

    def _of(self, worktree: Worktree) -> list[Session]:
        """Its sessions, newest first; also those on its branch from before it was moved."""
        ids = self._in_worktree[str(worktree.path)] | self._on_branch[worktree.branch]
        found = [session for session_id in ids if (session := self._sessions.get(session_id))]
        return sorted(found, key=lambda session: (session.created_at, session.id), reverse=True)

    def _refuse_living(self, worktree: Worktree) -> None:
        """Raise while any session may work there: queued, in the making, and one whose record cannot be read."""
        holders = worktrees.held_by(self.repository, worktree.path)
        for session_id in [session.id for session in self._of(worktree) if not session.status.ended] + holders:
            if self._lives(session_id):
                raise WorktreeBusyError(worktree.path, session_id)
        for session_id, error in self._unreadable.items():
            if session_id in holders or _last_worktree(session_id) == worktree.path:
                raise error

    def _lives(self, session_id: str) -> bool:
        # Before its record is read: one that was made meanwhile has its record by then.
        if sessions.is_being_made(session_id):
            return True
        session = self._read(session_id)
        return session is not None and not session.status.ended

    def _as_unlocked(self, worktree: Worktree) -> Worktree:
        """As it will be without the locks of sessions that have ended."""
        if worktree.locked and worktree.locked == " ".join(worktrees.held_by(self.repository, worktree.path)):
            return worktree.model_copy(update={"locked": None})
        return worktree

    # What its agents have

    @cached_property
    def _remains(self) -> dict[str, Executor]:
        """Sessions of which something still exists where they ran. An engine that does not answer names none."""
        executors = [plugins.executor(name) for name in plugins.names("executor")]
        return {session_id: executor for executor in executors for session_id in executor.remains()}

    def _execution(self, session: Session) -> Execution | None:
        """What is left of a session that has ended, where it ran."""
        executor = self._remains.get(session.id)
        return executor.find(sessions.request(session)) if executor and not self._lives(session.id) else None

    def _bring_home(self, worktree: Worktree) -> None:
        """Import what its agents committed in copies of their own. `_abroad` tells what could not come."""
        for session in self._of(worktree):
            try:
                arrived = list(self._import(session))
                self._notes |= {imported.commit: imported.note for imported in arrived}
                tips = [imported.commit for imported in arrived if imported.ref == f"refs/heads/{session.branch}"]
                if tips and tips[-1] != session.imported_commit:
                    sessions.record(self.storage, session, imported_commit=tips[-1])
            except (ScopecraftError, OSError) as error:
                self._failures[session.id] = str(error)

    def _import(self, session: Session) -> Iterable[Imported]:
        """From the session's folder alone where the copy is there, whether an engine answers or not."""
        if homecoming.has_copy(session.path):
            return Homecoming(sessions.request(session)).bring(ended=True)
        executor = self._remains.get(session.id)
        execution = executor.find(sessions.request(session)) if executor else None
        return execution.import_commits() if execution else ()

    def _abroad(self, worktree: Worktree) -> list[str]:
        """What would be lost beside what the worktree holds, a line each: commits that are not home, agents at work."""
        lost: list[str] = []
        for session in self._of(worktree):
            try:
                lost += self._not_home(session)
            except ScopecraftError as error:
                lost.append(f"whatever {session.id} left: {error.message}")
        return lost

    def _not_home(self, session: Session) -> Iterator[str]:
        if homecoming.has_copy(session.path):
            for name, text in Homecoming(sessions.request(session)).outstanding(ended=True).items():
                why = self._failures.get(session.id) or self._notes.get(text) or "not imported yet"
                yield f"commits of {session.id}: {name.removeprefix('refs/heads/')} at {text[:10]}: {why}"
        elif session.id in self._failures:
            yield f"commits of {session.id} that cannot be imported: {self._failures[session.id]}"
        execution = self._execution(session)
        if execution and execution.poll() is None:
            yield f"the agent of {session.id}, which is still at work though its session has ended"

    def _end_agents(self, worktree: Worktree) -> None:
        """Those of sessions that have ended, and then import what they did."""
        for session in self._of(worktree):
            with contextlib.suppress(ScopecraftError):
                execution = self._execution(session)
                if execution and execution.poll() is None:
                    execution.terminate(Signals.SIGKILL)
                    execution.wait(DIES_WITHIN)
                    self._bring_home(worktree)

    def _clear_behind(self, worktree: Worktree) -> list[str]:
        """What is left of its sessions where they ran, and the home of its agents. Returns what could not go."""
        left = []
        for session in self._of(worktree):
            try:
                if execution := self._execution(session):
                    execution.release()
            except ScopecraftError as error:
                left.append(f"what {session.id} ran in: {error.message}")
        try:
            if worktree.path not in self.repository.linked():
                agent_home.drop(worktree.path)
        except ScopecraftError as error:
            left.append(error.message)
        return left


def _last_worktree(session_id: str) -> Path | None:
    """Of a session whose record cannot be read."""
    try:
        return ExecRequest.model_validate_json((paths.session(session_id) / "request.json").read_bytes()).worktree
    except (OSError, ValueError):
        return None
