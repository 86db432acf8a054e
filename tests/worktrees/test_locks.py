from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import errors, worktrees
from scopecraft_git.repository import Repository
from tests.worktrees.conftest import Make


def reason(repository: Repository, path: Path) -> str | None:
    return worktrees.at(repository, path).locked


def test_a_lock_names_its_session_and_ends_with_it(repository: Repository, repo: Path, make: Make) -> None:
    path = make().path
    worktrees.lock(repository, path, "auth-05A-1")
    worktrees.lock(repository, path, "auth-05A-1")
    assert reason(repository, path) == "auth-05A-1"
    assert subprocess.run(["git", "worktree", "remove", path], cwd=repo, check=False, capture_output=True).returncode
    with pytest.raises(errors.WorktreeBusyError, match="auth-05A-1"):
        worktrees.remove(repository, worktrees.at(repository, path), force=True)
    worktrees.unlock(repository, path, "auth-05A-1")
    worktrees.unlock(repository, path, "auth-05A-1")
    assert reason(repository, path) is None


def test_the_last_session_unlocks(repository: Repository, make: Make) -> None:
    path = make().path
    for session in ("one", "two"):
        worktrees.lock(repository, path, session)
    worktrees.unlock(repository, path, "one")
    assert reason(repository, path) == "two"
    worktrees.unlock(repository, path, "two")
    assert reason(repository, path) is None


def test_a_users_lock_is_left_alone(repository: Repository, repo: Path, git: Any, make: Make) -> None:
    path = make().path
    git(repo, "worktree", "lock", "--reason", "mine", str(path))
    worktrees.lock(repository, path, "one")
    assert reason(repository, path) == "mine"
    worktrees.unlock(repository, path, "one")
    assert reason(repository, path) == "mine"
    with pytest.raises(errors.WorktreeLockedError, match="mine"):
        worktrees.remove(repository, worktrees.at(repository, path), force=True)


def test_a_lock_that_the_user_took_over_is_left_alone(repository: Repository, repo: Path, git: Any, make: Make) -> None:
    path = make().path
    worktrees.lock(repository, path, "one")
    git(repo, "worktree", "unlock", str(path))
    git(repo, "worktree", "lock", str(path))
    worktrees.unlock(repository, path, "one")
    assert reason(repository, path) == ""


def test_unlocking_what_is_gone_is_no_error(repository: Repository, tmp_path: Path) -> None:
    worktrees.unlock(repository, tmp_path / "nowhere", "one")
