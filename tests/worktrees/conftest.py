from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import pytest

from scopecraft_git import worktrees
from scopecraft_git.config import WorktreeSettings
from scopecraft_git.models import Worktree
from scopecraft_git.repository import Repository
from scopecraft_git.worktrees import Plan

AUTH = "implement-auth-05A"
DEFAULTS = WorktreeSettings()


class Resolve(Protocol):
    def __call__(
        self, task: str = ..., suffix: str = ..., settings: WorktreeSettings = ..., **options: Any
    ) -> Plan: ...


class Make(Protocol):
    def __call__(self, task: str = ..., suffix: str = ..., **options: Any) -> Worktree: ...


class Traces(Protocol):
    def __call__(self) -> tuple[str, ...]: ...


@pytest.fixture
def repository(repo: Path, home: Path) -> Repository:
    return Repository(repo / ".git")


@pytest.fixture
def resolve(repository: Repository) -> Resolve:
    """`resolve(task, suffix)` as a new command would, with nothing read before."""

    def decide(
        task: str = AUTH, suffix: str = "auth-05A", settings: WorktreeSettings = DEFAULTS, **options: Any
    ) -> Plan:
        return worktrees.resolve(Repository(repository.common_dir), task, suffix, settings, **options)

    return decide


@pytest.fixture
def make(repository: Repository, resolve: Resolve) -> Make:
    """`make(task, suffix)`: the worktree, made."""

    def ensure(task: str = AUTH, suffix: str = "auth-05A", **options: Any) -> Worktree:
        return worktrees.ensure(repository, resolve(task, suffix, **options))

    return ensure


@pytest.fixture
def traces(repo: Path, home: Path, git: Any) -> Traces:
    """What making a worktree changes: refs, worktrees, folders, records."""

    def look() -> tuple[str, ...]:
        private = sorted(str(path) for path in (repo / ".git" / "worktrees").glob("*"))
        beside = sorted(str(path) for path in repo.parent.rglob("*") if not path.is_relative_to(repo / ".git"))
        records = sorted(str(path) for path in (home / "worktrees").glob("*"))
        return (git(repo, "for-each-ref"), git(repo, "worktree", "list"), *private, *beside, *records)

    return look
