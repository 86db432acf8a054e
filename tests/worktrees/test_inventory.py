from __future__ import annotations

import json
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import errors, worktrees
from scopecraft_git.repository import Repository
from tests.worktrees.conftest import AUTH, Make


def test_the_main_worktree_comes_first_and_ours_are_known(
    repository: Repository, repo: Path, git: Any, make: Make
) -> None:
    made = make()
    git(repo, "worktree", "add", "-q", "--detach", str(repo.parent / "by-hand"))
    git(repo, "worktree", "lock", "--reason", "on a stick", str(repo.parent / "by-hand"))
    main, first, second = sorted(worktrees.listing(repository), key=lambda worktree: not worktree.main)
    assert (main.path, main.branch, main.ours) == (repo, "main", False)
    by_hand, ours = sorted((first, second), key=lambda worktree: worktree.ours)
    assert ours == made
    assert (by_hand.branch, by_hand.locked, by_hand.ours) == (None, "on a stick", False)


@pytest.mark.parametrize("name", [AUTH, "auth-05A", "feature/auth-05A", "test-auth-05A"])
def test_a_worktree_is_named_by_task_suffix_or_branch(repository: Repository, make: Make, name: str) -> None:
    made = make()
    assert worktrees.named(repository, name) == made


def test_a_worktree_is_named_by_path(
    repository: Repository, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = make()
    (tmp_path / "link").symlink_to(made.path.parent)
    assert worktrees.named(repository, str(made.path)) == made
    assert worktrees.named(repository, str(tmp_path / "link" / "auth-05A")) == made
    monkeypatch.chdir(made.path)
    assert worktrees.named(repository, ".") == made


def test_an_unknown_name_gets_near_ones(repository: Repository, make: Make) -> None:
    make()
    with pytest.raises(errors.WorktreeNotFoundError, match="did you mean auth-05A"):
        worktrees.named(repository, "auth-05B")


def test_a_name_that_fits_two_is_refused(repository: Repository, repo: Path, git: Any) -> None:
    for branch in (f"feature/{AUTH}", f"fix/{AUTH}"):
        git(repo, "worktree", "add", "-q", "-b", branch, str(repo.parent / branch.replace("/", "-")))
    git(repo, "worktree", "remove", str(repo.parent / f"feature-{AUTH}"))
    assert worktrees.named(repository, AUTH).branch == f"fix/{AUTH}"
    git(repo, "worktree", "add", "-q", "-b", f"task/{AUTH}", str(repo.parent / "task"))
    with pytest.raises(errors.AmbiguousWorktreeError):
        worktrees.named(repository, AUTH)


def test_a_marker_that_cannot_be_read_makes_it_not_ours(repository: Repository, repo: Path, make: Make) -> None:
    made = make()
    marker = repo / ".git" / "worktrees" / "auth-05A" / "scopecraft.json"
    assert json.loads(marker.read_bytes())["branch_made"] is True
    marker.write_text("{")
    assert not worktrees.at(repository, made.path).ours


def test_worktrees_are_read_while_another_is_made(repository: Repository, repo: Path) -> None:
    class Reader(Repository):
        waits = threading.Event()

        def lock(self, timeout: float = 60) -> AbstractContextManager[None]:
            self.waits.set()
            return super().lock(timeout)

    half_made = repo / ".git" / "worktrees" / "half"
    with ThreadPoolExecutor(1) as thread:
        with repository.lock():
            half_made.mkdir(parents=True)
            (half_made / "gitdir").write_text(f"{repo.parent}/half/.git\n")
            os.mkfifo(half_made / "commondir")
            reading = thread.submit(worktrees.listing, Reader(repository.common_dir))
            (half_made / "commondir").write_text("")  # passes once git has come to read it, and fails it
            assert Reader.waits.wait(60)
            shutil.rmtree(half_made.parent)
        assert [worktree.path for worktree in reading.result(60)] == [repo]


def test_ours_are_still_ours_after_a_move(repository: Repository, repo: Path, git: Any, make: Make) -> None:
    git(repo, "worktree", "move", str(make().path), str(repo.parent / "moved"))
    moved = worktrees.at(repository, repo.parent / "moved")
    assert moved.ours
    worktrees.remove(repository, moved)
    assert not moved.path.exists()
