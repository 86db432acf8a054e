"""What most commands begin with."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from scopecraft_git import config, console, plugins, sessions
from scopecraft_git.config import Settings
from scopecraft_git.errors import (
    InvalidTaskNameError,
    NotARepositoryError,
    ScopecraftError,
    TaskNotFoundError,
    UnreadableTaskError,
    WorktreeNotFoundError,
)
from scopecraft_git.models import Session, SessionStatus, Task, Worktree
from scopecraft_git.protocols import Storage

if TYPE_CHECKING:
    from scopecraft_git.repository import Repository


def git_config() -> dict[str, str]:
    """Our entries where the command was typed; outside a repository there are none to speak of."""
    from scopecraft_git.repository import Repository

    try:
        return Repository.discover(Path.cwd()).configured("scopecraft")
    except NotARepositoryError:
        return {}


def settings() -> Settings:
    """In force where the command was typed."""
    return config.load(git_config())


def settings_of(repository: Repository) -> Settings:
    return config.load(repository.configured("scopecraft"))


def storage() -> Storage:
    """The same from everywhere: sessions belong to a user, not to a repository."""
    return plugins.storage(config.load().storage)


def session(selector: str) -> Session:
    return sessions.resolve(storage(), selector)


def sessions_called(selectors: Iterable[str]) -> list[Session]:
    """Each once. Where one is not found nothing is done to any, since they are looked up first."""
    store = storage()
    found = [sessions.resolve(store, selector) for selector in selectors]
    return list({session.id: session for session in found}.values())


def with_each(selectors: Iterable[str], act: Callable[[Session], None]) -> None:
    """Of one with which it cannot be done the others do not suffer; the command fails all the same."""
    failed: ScopecraftError | None = None
    for session in sessions_called(selectors):
        try:
            act(session)
        except ScopecraftError as error:
            if failed:
                console.error(failed)
            failed = error
    if failed:
        raise failed


def living(repository: Repository) -> list[Session]:
    """Sessions of this repository that have not ended: those that wait for their turn, then those at work.

    Each part oldest first, so that in a mapping the one that says most comes out on top.
    """
    active = reversed(list(storage().sessions(active=True)))
    found = [session for session in active if session.repository == repository.common_dir]
    return sorted(found, key=lambda session: session.status is not SessionStatus.QUEUED)


def worktree_called(repository: Repository, name: str) -> Worktree:
    """The worktree that a task, a suffix, a branch, a folder or a path names. Raises `WorktreeNotFoundError`."""
    from scopecraft_git import tasks, worktrees

    with contextlib.suppress(TaskNotFoundError, UnreadableTaskError):
        if found := worktree_of(repository, tasks.find(name, repository.main_worktree)):
            return found
    try:
        return worktrees.named(repository, name, settings_of(repository).worktree.prefix)
    except WorktreeNotFoundError:
        with contextlib.suppress(InvalidTaskNameError):
            if found := worktree_of(repository, tasks.bare(name)):
                return found
        raise


def worktree_of(repository: Repository, task: Task) -> Worktree | None:
    """Where the task is worked on, if it has a worktree, fit for a session or not."""
    from scopecraft_git import tasks, worktrees

    prefix = settings_of(repository).worktree.prefix
    for name in (tasks.environment_id(task), tasks.suffix(task)):
        try:
            found = worktrees.named(repository, name, prefix)
        except WorktreeNotFoundError:
            continue
        if not found.main:
            return found
    return None
