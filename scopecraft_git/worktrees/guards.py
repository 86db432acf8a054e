"""What makes a worktree or a branch unfit for a session. Looks at our own side of the link, runs nothing."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection
from pathlib import Path

from scopecraft_git.config import WorktreeSettings
from scopecraft_git.errors import (
    DetachedHeadError,
    HalfDoneError,
    HalfMadeWorktreeError,
    MainBranchError,
    MainWorktreeError,
    MissingWorktreeError,
    ReplacedGitLinkError,
)
from scopecraft_git.models import Worktree
from scopecraft_git.repository import Repository
from scopecraft_git.worktrees.halves import INITIALIZING

_HALF_DONE = {
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}
_FORBIDDEN_IN_BRANCH = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|/\.|[/.]$|\.lock(/|$)|^@$|^HEAD$",
)


def guard(repository: Repository, worktree: Worktree, settings: WorktreeSettings | None = None) -> None:
    """Raise what forbids a session in `worktree`, as `at` has just read it; asked again right before one starts."""
    base = settings.base if settings else repository.config.get("scopecraft.worktree.base")
    own = (settings or WorktreeSettings()).prefix + worktree.path.name
    refuse_unfit(repository, worktree, repository.protected(repository.refs(), base), own)


def refuse_unfit(repository: Repository, worktree: Worktree, protected: Collection[str], own: str) -> None:
    """Raise the `RefusedError` that says why no session may work in `worktree`, if there is one.

    `own` is the branch to suggest in place of a protected one.
    """
    if worktree.branch and worktree.branch in protected:
        raise MainBranchError(worktree.branch, worktree.path, own)
    if worktree.main:
        raise MainWorktreeError(worktree.path, worktree.branch or "a commit")
    if worktree.locked == INITIALIZING:
        raise HalfMadeWorktreeError(worktree.path, ours=worktree.ours)
    if not worktree.path.is_dir():
        raise MissingWorktreeError(worktree.path)
    git_dir = repository.git_dir(worktree.path)
    if operation := _half_done(git_dir):
        raise HalfDoneError(operation, worktree.path)
    if worktree.branch is None:
        raise DetachedHeadError(worktree.path)
    if not leads_to(worktree.path / ".git", git_dir):
        raise ReplacedGitLinkError(worktree.path, repository.main_worktree)


def held_branch(git_dir: Path, worktree: Worktree) -> str | None:
    """The branch a worktree holds, also while a rebase has taken its HEAD off it."""
    if worktree.branch:
        return worktree.branch
    for folder in ("rebase-merge", "rebase-apply"):
        try:
            return (git_dir / folder / "head-name").read_text().strip().removeprefix("refs/heads/")
        except OSError:
            continue
    return None


def leads_to(link: Path, git_dir: Path) -> bool:
    """Whether the file `link` is a worktree's `.git` that names `git_dir`."""
    try:
        if not stat.S_ISREG(link.lstat().st_mode):
            return False
        words = os.fsdecode(link.read_bytes())
    except OSError:
        return False
    named = Path(link.parent, words.removeprefix("gitdir: ").rstrip("\r\n"))
    return words.startswith("gitdir: ") and os.path.realpath(named) == os.path.realpath(git_dir)


def valid_branch(name: str) -> bool:
    """What `git check-ref-format --branch` says, without a process."""
    return bool(name) and not _FORBIDDEN_IN_BRANCH.search(name)


def _half_done(git_dir: Path) -> str | None:
    for name, operation in _HALF_DONE.items():
        if (git_dir / name).exists():
            return "am" if (git_dir / name / "applying").exists() else operation
    return None
