from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import errors, worktrees
from scopecraft_git.models import Worktree
from scopecraft_git.repository import Repository
from scopecraft_git.worktrees import teardown
from scopecraft_git.worktrees.teardown import delete_tree
from tests.executors.contract import until
from tests.worktrees.conftest import Make, Traces

NOBODY = 65534
HOUR = 3600 * 10**9


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
            delete_tree(tree, time.time_ns() + HOUR)
        os._exit(0)
    os.waitpid(child, 0)
    try:
        assert not tree.exists()
    finally:
        shutil.rmtree(root)


def test_fate_says_of_each_why_it_goes_or_stays(repository: Repository, git: Any, repo: Path, make: Make) -> None:
    tasks = {task: make(task, task) for task in ("merged-05A", "changed-05A", "ahead-05A", "new-05A", "pushed-05A")}
    for task in ("merged-05A", "ahead-05A", "pushed-05A"):
        work(git, tasks[task])
    git(repo, "merge", "-q", "--no-ff", "-m", "Merge", "feature/merged-05A")
    git(repo, "update-ref", "refs/remotes/origin/feature/pushed-05A", "feature/pushed-05A")
    (tasks["changed-05A"].path / "new").touch()
    told = {name: worktrees.fate(repository, worktrees.at(repository, made.path)) for name, made in tasks.items()}
    assert told == {
        "merged-05A": (True, "merged into main", False),
        "changed-05A": (False, "untracked: new", False),
        "ahead-05A": (False, "not merged yet (1 commit)", False),
        "new-05A": (False, "no commit of its own yet", False),
        "pushed-05A": (False, "not merged yet", False),
    }


def test_fate_of_those_whose_folder_was_deleted(repository: Repository, git: Any, repo: Path, make: Make) -> None:
    tasks = {task: make(task, task) for task in ("merged-05A", "ahead-05A", "detached-05A", "new-05A")}
    for task in ("merged-05A", "ahead-05A"):
        work(git, tasks[task])
    git(tasks["detached-05A"].path, "switch", "-q", "--detach")
    work(git, tasks["detached-05A"])
    git(repo, "merge", "-q", "--no-ff", "-m", "Merge", "feature/merged-05A")
    for made in tasks.values():
        shutil.rmtree(made.path)
    told = {name: worktrees.fate(repository, worktrees.at(repository, made.path)) for name, made in tasks.items()}
    assert told == {
        "merged-05A": (True, "its folder is gone, and its branch has nothing of its own", False),
        "ahead-05A": (True, "its folder is gone; its branch stays, not merged yet (1 commit)", True),
        "detached-05A": (False, "its folder is gone, and commits of it are on no branch", False),
        "new-05A": (True, "its folder is gone, and its branch has nothing of its own", False),
    }
    parent = tasks["new-05A"].path.parent
    parent.rmdir()
    told["new-05A"] = worktrees.fate(repository, worktrees.at(repository, tasks["new-05A"].path))
    assert told["new-05A"] == (False, f"{parent} is not there either; its disk may be missing", False)


# What happens meanwhile


def test_a_branch_that_moves_after_the_decision_is_kept(
    repository: Repository, git: Any, repo: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make()
    other = git(repo, "commit-tree", "-m", "Meanwhile", "-p", "main", "main^{tree}")
    git(repo, "tag", "holds-it-as-well", other)
    unregister = teardown._unregister
    monkeypatch.setattr(
        teardown,
        "_unregister",
        lambda *given: (unregister(*given), git(repo, "update-ref", "refs/heads/feature/auth-05A", other)),
    )
    removed = worktrees.remove(repository, made)
    assert removed.backup == f"refs/scopecraft/backup/feature/auth-05A-{other[:7]}"
    assert git(repo, "rev-parse", removed.backup) == other
    assert removed.branch == "feature/auth-05A"


def test_a_branch_that_moves_as_it_is_deleted_stays(
    repository: Repository, git: Any, repo: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make()
    other = git(repo, "commit-tree", "-m", "Meanwhile", "-p", "main", "main^{tree}")
    alone = teardown._is_alone

    def move(repository: Repository, commit: str, *without: str) -> bool:
        git(repo, "update-ref", "refs/heads/feature/auth-05A", other)
        return alone(repository, commit, *without)

    monkeypatch.setattr(teardown, "_is_alone", move)
    removed = worktrees.remove(repository, made)
    assert removed.branch is None
    assert git(repo, "rev-parse", "feature/auth-05A") == other


def test_commits_on_no_branch_are_kept(repository: Repository, git: Any, repo: Path, make: Make) -> None:
    made = make()
    git(made.path, "switch", "-q", "--detach")
    tip = work(git, made)
    removed = worktrees.remove(repository, made, force=True)
    assert removed.backup == f"refs/scopecraft/backup/detached-{tip[:7]}"
    assert git(repo, "rev-parse", removed.backup) == tip


def test_what_is_written_between_two_looks_is_seen(
    repository: Repository, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one who is in the folder already, and so is not held up by its other name."""
    made = make()
    inside = os.open(made.path, os.O_RDONLY)
    prepare = teardown.prepare

    def late(repository: Repository, worktree: Worktree) -> teardown.Removal:
        removal = prepare(repository, worktree)
        os.close(os.open("late", os.O_CREAT | os.O_WRONLY, dir_fd=inside))
        return removal

    monkeypatch.setattr(teardown, "prepare", late)
    with pytest.raises(errors.WorkWouldBeLostError, match="untracked: late"):
        worktrees.remove(repository, made)
    os.close(inside)
    assert worktrees.losses(repository, worktrees.at(repository, made.path)) == ["untracked: late"]
    assert not list(teardown.pending(repository))


def numbers(folder: Path) -> set[int]:
    return {int(path.name) for path in folder.iterdir()}


def test_what_a_writer_writes_after_the_decision_is_kept(
    repository: Repository, make: Make, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes into an ignored folder, which nobody counts, as fast as it can, whatever becomes of the worktree."""
    (repo / ".git" / "info" / "exclude").write_text("cache\n")
    made = make()
    (made.path / "cache").mkdir()
    script = "import itertools\nfor number in itertools.count():\n open(f'cache/{number}', 'w').write('x')"
    writer = subprocess.Popen([sys.executable, "-c", script], cwd=made.path)
    until((made.path / "cache" / "20").exists)
    decide = teardown.decide
    later: list[int] = []

    def and_wait(removal: teardown.Removal, *given: Any) -> teardown.Removal:
        decided = decide(removal, *given)
        later.append(max(numbers(removal.aside / "cache")) + 1)
        until((removal.aside / "cache" / str(later[0] + 20)).exists)
        return decided

    monkeypatch.setattr(teardown, "decide", and_wait)
    removed = worktrees.remove(repository, made)
    writer.kill()
    writer.wait()
    aside = made.path.with_name("auth-05A.removing")
    assert removed.left == [f"{aside}: something was written there in the meantime"]
    kept = numbers(aside / "cache")
    assert 0 not in kept
    assert set(range(later[0], max(kept) + 1)) <= kept
    assert not made.path.exists()


def test_a_folder_that_was_made_anew_is_not_taken_for_the_old_one(
    repository: Repository, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make()
    prepare = teardown.prepare

    def anew(repository: Repository, worktree: Worktree) -> teardown.Removal:
        removal = prepare(repository, worktree)
        (removal.aside / "late").touch()
        made.path.mkdir()
        return removal

    monkeypatch.setattr(teardown, "prepare", anew)
    with pytest.raises(errors.SetAsideError) as raised:
        worktrees.remove(repository, made)
    subprocess.run(["sh", "-c", raised.value.hint.partition(": ")[2]], check=True)
    problems: list[errors.ScopecraftError] = []
    assert worktrees.resume(repository, problems.append) == []
    assert not problems
    assert worktrees.losses(repository, worktrees.at(repository, made.path)) == ["untracked: late"]


def test_several_names_of_a_file_go_as_one(repository: Repository, make: Make, repo: Path) -> None:
    (repo / ".git" / "info" / "exclude").write_text("cache\n")
    made = make()
    (made.path / "cache").mkdir()
    (made.path / "cache" / "0").write_text("x")
    for number in range(1, 5):
        os.link(made.path / "cache" / "0", made.path / "cache" / str(number))
    assert worktrees.remove(repository, made).left == []


def test_what_is_no_folder_is_left_alone(repository: Repository, make: Make, tmp_path: Path) -> None:
    made = make()
    made.path.rename(tmp_path / "moved")
    made.path.symlink_to(tmp_path / "moved")
    with pytest.raises(errors.CannotRemoveError, match="not a folder"):
        worktrees.remove(repository, made)
    assert (tmp_path / "moved" / "README.md").exists()


def test_size_counts_a_file_once_and_follows_no_link(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    empty = worktrees.size(folder)
    (folder / "file").write_bytes(b"x" * 100_000)
    once = worktrees.size(folder)
    assert 100_000 <= once - empty < 120_000
    os.link(folder / "file", folder / "again")
    (tmp_path / "outside").write_bytes(b"x" * 100_000)
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "up").symlink_to(tmp_path)
    assert worktrees.size(folder) - once < 20_000
    assert worktrees.size(tmp_path / "nowhere") == 0
