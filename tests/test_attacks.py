"""An agent may have written anything into its worktree. None of it runs on the host.

Every trap is shown to be live: plain git springs it, and only then is it worth something that ours does not.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import console, errors, worktrees
from scopecraft_git.config import WorktreeSettings
from scopecraft_git.models import Worktree
from scopecraft_git.repository import Repository

TASK, SUFFIX = "implement-auth-05A", "auth-05A"


class Trap:
    """A program that tells when it has run."""

    def __init__(self, folder: Path) -> None:
        self.program = folder / "trap"
        self._told = folder / "told"
        self.program.write_text(f"#!/bin/sh\ntouch '{self._told}'\n")
        self.program.chmod(0o755)

    def sprung(self) -> bool:
        """Whether it has run since this was last asked."""
        try:
            self._told.unlink()
        except FileNotFoundError:
            return False
        return True


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return Trap(tmp_path)


@pytest.fixture
def repository(repo: Path, home: Path) -> Repository:
    return Repository(repo / ".git")


@pytest.fixture
def worktree(repository: Repository) -> Worktree:
    return worktrees.ensure(repository, worktrees.resolve(repository, TASK, SUFFIX, WorktreeSettings()))


def look_at(path: Path) -> str:
    """Everything we do with a worktree but removing it, as a command typed in it would. Returns the diff."""
    inside = path / "inside"
    inside.mkdir(exist_ok=True)
    repository = Repository.discover(inside)
    now = worktrees.at(repository, path)
    worktrees.listing(repository)
    worktrees.named(repository, SUFFIX)
    worktrees.losses(repository, now)
    worktrees.size(path)
    repository.commits("main", "feature/auth-05A")
    with contextlib.suppress(errors.ScopecraftError):
        worktrees.fate(repository, now)
    with contextlib.suppress(errors.RefusedError):
        worktrees.guard(repository, now)
    with contextlib.suppress(errors.RefusedError):
        worktrees.ensure(repository, worktrees.resolve(repository, TASK, SUFFIX, WorktreeSettings()))
    return worktrees.diff(repository, path, "main")


def plain_git(path: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=path, check=False, capture_output=True, stdin=subprocess.DEVNULL)


def assert_harmless(trap: Trap, repository: Repository, worktree: Worktree, *spring: str, at: Path) -> None:
    """Ours does not run it before plain git shows that it is live, nor after."""
    trap.sprung()
    look_at(worktree.path)
    assert not trap.sprung()
    plain_git(at, *spring)
    assert trap.sprung(), "not a trap"
    look_at(worktree.path)
    worktrees.remove(repository, worktree, force=True)
    assert not trap.sprung()
    assert not worktree.path.exists()


def plant(path: Path, trap: Trap, git: Any) -> Path:
    """A repository in which whatever can name a program names the trap. Returns its gitdir."""
    path.mkdir(exist_ok=True)
    git(path, "init", "-q", "-b", "planted")
    (path / "file").write_text("one\n")
    (path / ".gitattributes").write_text("file filter=evil diff=evil\nother filter=evil2\n")
    git(path, "add", ".")
    git(path, "commit", "-qm", "Planted")
    hooks = path / ".git" / "own-hooks"
    hooks.mkdir()
    for name in ("pre-commit", "post-checkout", "post-index-change", "reference-transaction"):
        (hooks / name).symlink_to(trap.program)
    (path / "file").write_text("two\n")
    return path / ".git"


CONFIGURED = {
    "core.fsmonitor": ("PROGRAM", ["status"]),
    "filter.evil.clean": ("PROGRAM", ["add", "."]),
    "filter.evil.process": ("PROGRAM", ["add", "."]),
    "diff.external": ("PROGRAM", ["diff"]),
    "diff.evil.command": ("PROGRAM", ["diff"]),
    "diff.evil.textconv": ("PROGRAM", ["diff"]),
    "core.hooksPath": (".git/own-hooks", ["commit", "--allow-empty", "-m", "x"]),
    "core.sshCommand": ("PROGRAM", ["fetch", "ssh://127.0.0.1/nowhere"]),
    "alias.worktrees": ("!PROGRAM", ["worktrees"]),
}


@pytest.mark.parametrize("key", CONFIGURED)
def test_a_replaced_git_folder_is_not_obeyed(
    trap: Trap, repository: Repository, worktree: Worktree, git: Any, key: str
) -> None:
    (worktree.path / ".git").unlink()
    plant(worktree.path, trap, git)
    value, spring = CONFIGURED[key]
    git(worktree.path, "config", key, value.replace("PROGRAM", str(trap.program)))
    assert_harmless(trap, repository, worktree, *spring, at=worktree.path)


@pytest.mark.parametrize("how", ["symlink", "file"])
def test_a_link_to_another_git_folder_is_not_followed(
    trap: Trap, repository: Repository, worktree: Worktree, git: Any, how: str
) -> None:
    planted = plant(worktree.path / "planted", trap, git)
    git(worktree.path / "planted", "config", "core.fsmonitor", str(trap.program))
    link = worktree.path / ".git"
    link.unlink()
    if how == "symlink":
        link.symlink_to(planted)
    else:
        link.write_text(f"gitdir: {planted}\n")
    assert_harmless(trap, repository, worktree, "status", at=worktree.path)


def test_a_planted_worktree_configuration_is_not_obeyed(
    trap: Trap, repository: Repository, worktree: Worktree, git: Any
) -> None:
    (worktree.path / ".git").unlink()
    planted = plant(worktree.path, trap, git)
    git(worktree.path, "config", "extensions.worktreeConfig", "true")
    (planted / "config.worktree").write_text(f'[core]\n\tfsmonitor = "{trap.program}"\n')
    assert_harmless(trap, repository, worktree, "status", at=worktree.path)


@pytest.mark.parametrize("key", ["core.fsmonitor", "filter.evil.clean", "diff.external", "diff.evil.textconv"])
def test_the_worktrees_own_configuration_runs_nothing(
    trap: Trap, repository: Repository, worktree: Worktree, repo: Path, git: Any, key: str
) -> None:
    git(repo, "config", "extensions.worktreeConfig", "true")
    git(worktree.path, "config", "--worktree", key, str(trap.program))
    (worktree.path / ".gitattributes").write_text("* filter=evil diff=evil\n")
    (worktree.path / "README.md").write_text("changed\n")
    assert_harmless(trap, repository, worktree, "diff", at=worktree.path)


@pytest.mark.parametrize("key", ["core.fsmonitor", "filter.evil.clean", "diff.external", "core.hooksPath"])
@pytest.mark.parametrize("ignored", [False, True])
def test_a_nested_repository_is_not_entered(
    trap: Trap, repository: Repository, worktree: Worktree, repo: Path, git: Any, key: str, ignored: bool
) -> None:
    if ignored:
        (repo / ".git" / "info" / "exclude").write_text("nested\n")
    nested = worktree.path / "nested"
    plant(nested, trap, git)
    value, spring = CONFIGURED[key]
    git(nested, "config", key, value.replace("PROGRAM", str(trap.program)))
    assert "nested repository: nested" in worktrees.losses(repository, worktree)
    assert_harmless(trap, repository, worktree, *spring, at=nested)


@pytest.mark.parametrize("key", ["core.fsmonitor", "filter.evil.clean"])
def test_a_planted_submodule_is_not_entered_whatever_gitmodules_says(
    trap: Trap, repository: Repository, worktree: Worktree, git: Any, key: str
) -> None:
    nested = worktree.path / "nested"
    plant(nested, trap, git)
    git(worktree.path, "add", "nested")
    (worktree.path / ".gitmodules").write_text('[submodule "n"]\n\tpath = nested\n\turl = ./n\n\tignore = none\n')
    git(nested, "config", key, str(trap.program))
    spring = ("-c", "diff.ignoreSubmodules=all", "status")
    assert_harmless(trap, repository, worktree, *spring, at=worktree.path)


@pytest.mark.parametrize("program", ["clean", "process"])
@pytest.mark.parametrize("required", ["true", "false"])
def test_planted_attributes_do_not_run_the_users_filters(
    trap: Trap, repository: Repository, worktree: Worktree, git: Any, program: str, required: str
) -> None:
    git(worktree.path, "config", "--global", f"filter.the user's.{program}", str(trap.program))
    git(worktree.path, "config", "--global", "filter.the user's.required", required)
    git(worktree.path, "config", "--global", f"filter.mine.{program}", str(trap.program))
    (worktree.path / ".gitattributes").write_text('* "filter=the user\'s"\n*.md filter=mine\n*.txt filter=mine\n')
    (worktree.path / "README.md").write_text("changed\n")
    (worktree.path / "new.txt").write_text("new\n")
    assert_harmless(trap, Repository(repository.common_dir), worktree, "add", ".", at=worktree.path)


def test_planted_attributes_do_not_run_the_users_diff_drivers(
    trap: Trap, repository: Repository, worktree: Worktree, git: Any
) -> None:
    git(worktree.path, "config", "--global", "diff.mine.textconv", str(trap.program))
    (worktree.path / ".gitattributes").write_text("* diff=mine\n")
    (worktree.path / "README.md").write_text("changed\n")
    assert_harmless(trap, repository, worktree, "diff", at=worktree.path)


def test_symlinks_out_of_the_worktree_are_not_followed(
    repository: Repository, worktree: Worktree, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("the secret\n")
    (outside / "folder").mkdir()
    (worktree.path / "link").symlink_to(outside)
    (worktree.path / "README.md").unlink()
    (worktree.path / "README.md").symlink_to(outside / "secret")
    shown = look_at(worktree.path)
    assert f"+{outside}" in shown
    assert "the secret" not in shown
    assert set(worktrees.losses(repository, worktree)) == {"changed: README.md", "untracked: link"}
    worktrees.remove(repository, worktree, force=True)
    assert sorted(path.name for path in outside.iterdir()) == ["folder", "secret"]
    assert (outside / "secret").read_text() == "the secret\n"


def test_a_pipe_in_the_place_of_git_stops_nobody(repository: Repository, worktree: Worktree) -> None:
    (worktree.path / ".git").unlink()
    os.mkfifo(worktree.path / ".git")
    look_at(worktree.path)
    worktrees.remove(repository, worktree, force=True)
    assert not worktree.path.exists()


def test_a_worktree_that_was_replaced_by_a_link_is_not_emptied(
    repository: Repository, worktree: Worktree, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").touch()
    shutil.rmtree(worktree.path)
    worktree.path.symlink_to(tmp_path / "outside")
    with pytest.raises(errors.CannotRemoveError):
        worktrees.remove(repository, worktree, force=True)
    assert (tmp_path / "outside" / "file").exists()


def test_nothing_that_a_terminal_would_obey_gets_through(
    repo: Path, repository: Repository, git: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    branch = "feature/\u009b31mred\u202e"
    plan = worktrees.resolve(repository, TASK, SUFFIX, WorktreeSettings(), branch=branch)
    made = worktrees.ensure(repository, plan)
    (made.path / "\x1b]0;title\x07file\x1b[2J").write_text("\x1b[31mred\x9b0m\n")
    console.answer("\n".join(worktrees.losses(repository, made)))
    console.answer(worktrees.diff(repository, made.path, "main"))
    console.answer_table(("WORKTREE", "BRANCH"), [(str(made.path), made.branch or "")])
    with pytest.raises(errors.WorkWouldBeLostError) as refusal:
        worktrees.remove(repository, made)
    console.error(refusal.value)
    for text in capsys.readouterr():
        assert text
        assert not set(text) & {"\x1b", "\x07", "\x9b", "\u202e"}
