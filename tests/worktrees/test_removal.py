from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import errors, worktrees
from scopecraft_git.models import Worktree
from scopecraft_git.repository import Repository
from scopecraft_git.worktrees.removal import _delete_tree
from tests.worktrees.conftest import Make, Traces

NOBODY = 65534


def work(git: Any, made: Worktree) -> str:
    (made.path / "work").write_text(f"{made.branch}\n")
    git(made.path, "add", "work")
    git(made.path, "commit", "-qm", "Work")
    return str(git(made.path, "rev-parse", "HEAD"))


def test_what_was_made_is_gone_without_a_trace(repository: Repository, make: Make, traces: Traces) -> None:
    before = traces()
    removed = worktrees.remove(repository, make())
    assert (removed.branch, removed.backup, removed.lost) == ("feature/auth-05A", None, [])
    assert traces() == before


def test_work_is_not_lost_unless_that_is_asked_for(repository: Repository, git: Any, repo: Path, make: Make) -> None:
    made = make()
    tip = work(git, made)
    (made.path / "new").touch()
    with pytest.raises(errors.WorkWouldBeLostError, match=r"untracked: new\n.*commit: .* Work"):
        worktrees.remove(repository, made)
    assert made.path.exists()
    removed = worktrees.remove(repository, made, force=True)
    assert not made.path.exists()
    assert removed.backup == f"refs/scopecraft/backup/feature/auth-05A-{tip[:7]}"
    assert git(repo, "rev-parse", removed.backup) == tip
    assert "feature" not in git(repo, "branch")


def test_a_merged_branch_goes_and_leaves_no_backup(repository: Repository, git: Any, repo: Path, make: Make) -> None:
    made = make()
    work(git, made)
    git(made.path, "config", "branch.feature/auth-05A.description", "what it was for")
    git(repo, "merge", "-q", "--no-ff", "-m", "Merge", "feature/auth-05A")
    assert worktrees.remove(repository, made).backup is None
    assert "feature" not in git(repo, "for-each-ref") + git(repo, "config", "--list")


def test_a_branch_that_was_there_stays(repository: Repository, git: Any, repo: Path, make: Make) -> None:
    git(repo, "branch", "feature/auth-05A")
    assert worktrees.remove(repository, make()).branch is None
    assert "feature/auth-05A" in git(repo, "branch")


def test_a_branch_that_another_worktree_stands_on_stays(
    repository: Repository, git: Any, repo: Path, make: Make
) -> None:
    made = make()
    git(made.path, "switch", "-q", "-c", "elsewhere")
    git(repo, "switch", "-q", "feature/auth-05A")
    assert worktrees.remove(repository, made).branch is None
    assert git(repo, "branch", "--show-current") == "feature/auth-05A"


def test_only_ours_are_removed(repository: Repository, git: Any, repo: Path, make: Make) -> None:
    git(repo, "worktree", "add", "-q", "-b", "feature/auth-05A", str(repo.parent / "by-hand"))
    for path, refusal in ((make().path, errors.NotOurWorktreeError), (repo, errors.MainWorktreeStaysError)):
        with pytest.raises(refusal):
            worktrees.remove(repository, worktrees.at(repository, path), force=True)
        assert path.exists()


def test_one_that_was_made_again_by_hand_is_not_ours(repository: Repository, git: Any, repo: Path, make: Make) -> None:
    made = make()
    git(repo, "worktree", "remove", str(made.path))
    git(repo, "worktree", "add", "-q", str(made.path), "feature/auth-05A")
    with pytest.raises(errors.NotOurWorktreeError):
        worktrees.remove(repository, made, force=True)


def test_not_from_inside(repository: Repository, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make()
    monkeypatch.chdir(made.path)
    with pytest.raises(errors.StandingInsideError):
        worktrees.remove(repository, made, force=True)
    assert made.path.exists()


def test_a_folder_that_is_gone_already_is_no_hindrance(
    repository: Repository, make: Make, repo: Path, git: Any, traces: Traces
) -> None:
    before = traces()
    made = make()
    other = make("fix-login-05B", "login-05B")
    shutil.rmtree(made.path)
    shutil.rmtree(other.path)
    worktrees.remove(repository, made)
    assert str(other.path) in git(repo, "worktree", "list"), "one entry at a time"
    worktrees.remove(repository, other)
    assert traces() == before


def test_folders_that_forbid_writing_and_links_out_are_no_hindrance(
    repository: Repository, repo: Path, make: Make, tmp_path: Path
) -> None:
    (repo / ".git" / "info" / "exclude").write_text("cache\nlink\n")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").touch()
    made = make()
    (made.path / "cache").mkdir()
    (made.path / "cache" / "module").touch()
    (made.path / "cache").chmod(0o500)
    (made.path / "link").symlink_to(tmp_path / "outside")
    worktrees.remove(repository, made)
    assert not made.path.exists()
    assert (tmp_path / "outside" / "file").exists()


def test_folders_that_forbid_writing_are_deleted_by_an_ordinary_user() -> None:
    root = Path(tempfile.mkdtemp())
    tree = root / "tree"
    (tree / "module").mkdir(parents=True)
    (tree / "module" / "file").touch()
    for path in (tree / "module" / "file", tree / "module", tree, root):
        os.chown(path, NOBODY if os.geteuid() == 0 else -1, -1)
    (tree / "module").chmod(0o500)
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            if os.geteuid() == 0:
                os.setuid(NOBODY)
            _delete_tree(tree)
        os._exit(0)
    os.waitpid(child, 0)
    try:
        assert not tree.exists()
    finally:
        shutil.rmtree(root)


def test_clean_says_of_each_why_it_goes_or_stays(repository: Repository, git: Any, repo: Path, make: Make) -> None:
    tasks = {task: make(task, task) for task in ("merged-05A", "changed-05A", "ahead-05A", "held-05A", "pushed-05A")}
    for task in ("merged-05A", "ahead-05A", "pushed-05A"):
        work(git, tasks[task])
    git(repo, "merge", "-q", "--no-ff", "-m", "Merge", "feature/merged-05A")
    git(repo, "update-ref", "refs/remotes/origin/feature/pushed-05A", "feature/pushed-05A")
    (tasks["changed-05A"].path / "new").touch()
    worktrees.lock(repository, tasks["held-05A"].path, "held-05A-1")
    git(repo, "worktree", "add", "-q", "-b", "theirs", str(repo.parent / "theirs"))
    planned = worktrees.clean(repository, dry_run=True)
    assert all(made.path.exists() for made in tasks.values())
    done = worktrees.clean(repository)
    assert done == planned
    told = {row.worktree.path.name: (row.goes, row.reason) for row in done}
    assert told.pop("merged-05A") == (True, "merged into main")
    assert told.pop("changed-05A") == (False, "untracked: new")
    assert told.pop("pushed-05A") == (False, "not merged yet")
    assert told.pop("held-05A") == (False, f"The session held-05A-1 lives in {tasks['held-05A'].path}")
    assert told.pop("ahead-05A") == (False, "not merged yet (1 commit)")
    assert not told
    assert [task for task, made in tasks.items() if not made.path.exists()] == ["merged-05A"]
