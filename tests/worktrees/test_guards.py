from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import errors, worktrees
from scopecraft_git.config import WorktreeSettings
from scopecraft_git.repository import Repository
from tests.worktrees.conftest import Make, Resolve


@pytest.fixture
def path(repo: Path, git: Any, make: Make) -> Path:
    """A worktree of ours, one commit beyond main, which has another one in its way."""
    path = make().path
    for where, text in ((path, "theirs\n"), (repo, "ours\n")):
        (where / "README.md").write_text(text)
        git(where, "commit", "-qam", text.strip())
    return path


def guard(repository: Repository, path: Path, **options: Any) -> None:
    worktrees.guard(repository, worktrees.at(repository, path), **options)


def test_a_worktree_in_order_passes(repository: Repository, path: Path) -> None:
    guard(repository, path)


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("merge", ["merge", "main"]),
        ("rebase", ["rebase", "main"]),
        ("rebase", ["rebase", "--apply", "main"]),
        ("cherry-pick", ["cherry-pick", "main"]),
        ("revert", ["revert", "HEAD~1", "--no-edit"]),
        ("bisect", ["bisect", "start"]),
    ],
)
def test_what_is_half_done_is_refused_until_it_is_undone(
    repository: Repository, path: Path, git: Any, resolve: Resolve, operation: str, arguments: list[str]
) -> None:
    if operation == "revert":
        (path / "README.md").write_text("again\n")
        git(path, "commit", "-qam", "Again")
    subprocess.run(["git", *arguments], cwd=path, check=False, capture_output=True)
    with pytest.raises(errors.HalfDoneError, match=f"A {operation} is half done") as refusal:
        guard(repository, path)
    with pytest.raises(errors.HalfDoneError):
        resolve()
    subprocess.run(refusal.value.hint.partition(": ")[2], shell=True, check=True, capture_output=True)
    guard(repository, path)


def test_a_branch_that_is_being_rebased_somewhere_else_is_found_there(
    repo: Path, git: Any, resolve: Resolve, repository: Repository
) -> None:
    path = repo.parent / "by-hand"
    git(repo, "worktree", "add", "-q", "-b", "feature/auth-05A", str(path))
    for where in (path, repo):
        (where / "README.md").write_text(f"{where}\n")
        git(where, "commit", "-qam", "Change")
    subprocess.run(["git", "rebase", "main"], cwd=path, check=False, capture_output=True)
    with pytest.raises(errors.HalfDoneError, match=str(path)):
        resolve()


def test_a_detached_head_is_refused(repository: Repository, path: Path, git: Any) -> None:
    git(path, "switch", "-q", "--detach")
    with pytest.raises(errors.DetachedHeadError):
        guard(repository, path)


def test_the_default_branch_is_refused_wherever_it_is_checked_out(
    repository: Repository, repo: Path, path: Path, git: Any
) -> None:
    git(repo, "switch", "-q", "-c", "elsewhere")
    git(path, "switch", "-q", "main")
    with pytest.raises(errors.MainBranchError):
        guard(repository, path)


def test_a_head_that_was_written_to_stand_on_the_default_branch_is_refused(
    repository: Repository, repo: Path, path: Path
) -> None:
    (repo / ".git" / "worktrees" / path.name / "HEAD").write_text("ref: refs/heads/main\n")
    with pytest.raises(errors.MainBranchError):
        guard(repository, path)


def test_the_default_branch_goes_by_settings_too(repository: Repository, path: Path) -> None:
    with pytest.raises(errors.MainBranchError):
        guard(repository, path, settings=WorktreeSettings(base="feature/auth-05A"))


def test_the_main_worktree_is_refused(repository: Repository, repo: Path, git: Any) -> None:
    git(repo, "switch", "-q", "-c", "feature/x")
    with pytest.raises(errors.MainWorktreeError):
        guard(repository, repo)


def test_a_folder_that_is_gone_is_refused_and_the_hint_mends_it(
    repository: Repository, path: Path, resolve: Resolve
) -> None:
    shutil.rmtree(path)
    with pytest.raises(errors.MissingWorktreeError):
        guard(repository, path)
    with pytest.raises(errors.MissingWorktreeError) as refusal:
        resolve()
    command = refusal.value.hint.rpartition(": ")[2]
    subprocess.run(command, shell=True, check=True, cwd=repository.main_worktree)
    assert not resolve().creates_branch


def test_a_worktree_whose_making_was_killed_is_refused(repository: Repository, path: Path, repo: Path) -> None:
    (repo / ".git" / "worktrees" / path.name / "locked").write_text("initializing")
    with pytest.raises(errors.HalfMadeWorktreeError):
        guard(repository, path)


@pytest.mark.parametrize("replacement", ["directory", "other", "symlink", "nothing"])
def test_a_replaced_link_is_refused(
    repository: Repository, repo: Path, path: Path, git: Any, tmp_path: Path, replacement: str
) -> None:
    link = path / ".git"
    text = link.read_text()
    link.unlink()
    if replacement == "directory":
        git(path, "init", "-q", "-b", "main")
    elif replacement == "other":
        link.write_text(f"gitdir: {tmp_path}/other\n")
    elif replacement == "symlink":
        (path / "copy").write_text(text)
        link.symlink_to("copy")
    with pytest.raises(errors.ReplacedGitLinkError) as refusal:
        guard(repository, path)
    for command in refusal.value.hint.partition(": ")[2].split("; "):
        subprocess.run(command, shell=True, check=replacement != "nothing")
    guard(repository, path)


def test_branch_names_are_judged_as_git_judges_them() -> None:
    names = ["a", "feature/x", "a b", "a..b", "-a", ".a", "a/.b", "a.lock", "a.lock/b", "a.", "a/", "/a", "a//b", "ä/☃"]
    names += [
        "a@",
        "@{",
        "a@{b",
        "a~",
        "a^",
        "a:",
        "a?",
        "a*",
        "a[",
        "a]",
        "a\\",
        "a\x7f",
        "a\tb",
        "a.b",
        "\u009b31m",
        "",
    ]
    for name in names:
        done = subprocess.run(["git", "check-ref-format", "--branch", name], check=False, capture_output=True)
        assert worktrees.valid_branch(name) == (done.returncode == 0), name
