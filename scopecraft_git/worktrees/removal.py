"""Takes worktrees away: only ours, only when nothing is lost or the loss is asked for, one at a time."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from scopecraft_git.errors import (
    CannotRemoveError,
    GitFailedError,
    MainWorktreeStaysError,
    NotOurWorktreeError,
    ScopecraftError,
    StandingInsideError,
    WorktreeBusyError,
    WorktreeLockedError,
    WorkWouldBeLostError,
)
from scopecraft_git.models import Worktree
from scopecraft_git.repository import Repository
from scopecraft_git.worktrees.contents import losses
from scopecraft_git.worktrees.inventory import Marker, at, listing, marker
from scopecraft_git.worktrees.locks import holders

BACKUPS = "refs/scopecraft/backup"


class Removed(NamedTuple):
    worktree: Worktree
    branch: str | None
    """The branch that went with it."""
    backup: str | None
    """Where a branch that was not merged can still be found."""
    lost: list[str]


class Cleaned(NamedTuple):
    worktree: Worktree
    goes: bool
    reason: str


def remove(repository: Repository, worktree: Worktree, *, force: bool = False) -> Removed:
    """Remove a worktree of ours, and its branch if we made it. `force` accepts the `losses`.

    Raises `WorkWouldBeLostError` without it, and never removes one that is not ours, locked, or stood in.
    """
    with repository.lock():
        worktree = at(repository, worktree.path)
        _refuse(repository, worktree)
        lost = _losses(repository, worktree, force=force)
        if lost and not force:
            raise WorkWouldBeLostError(worktree.path, worktree.branch or str(worktree.path), lost)
        ours = marker(repository.git_dir(worktree.path))
        _delete(repository, worktree.path)
        branch, backup = _delete_branch(repository, ours)
    return Removed(worktree, branch, backup, lost)


def clean(repository: Repository, *, dry_run: bool = False) -> list[Cleaned]:
    """Remove every worktree of ours whose branch is merged and that holds nothing else; says of each why it stays."""
    return [_clean(repository, worktree, dry_run=dry_run) for worktree in listing(repository) if worktree.ours]


def _clean(repository: Repository, worktree: Worktree, *, dry_run: bool) -> Cleaned:
    try:
        _refuse(repository, worktree)
        if left := losses(repository, worktree):
            return Cleaned(worktree, False, _kept_for(left))
        if worktree.head == worktree.base_commit:
            return Cleaned(worktree, False, "no commit of its own yet")
        into = _merged_into(repository, worktree)
        if into is None:
            return Cleaned(worktree, False, "not merged yet")
        if not dry_run:
            remove(repository, worktree)
    except ScopecraftError as error:
        return Cleaned(worktree, False, error.message)
    return Cleaned(worktree, True, f"merged into {into}")


def _kept_for(left: list[str]) -> str:
    """Why a worktree stays that holds the losses `left`."""
    more = len(left) - 1
    if all(loss.startswith("commit: ") for loss in left):
        return f"not merged yet ({len(left)} {'commits' if more else 'commit'})"
    return left[0] + (f" and {more} more" if more else "")


def _merged_into(repository: Repository, worktree: Worktree) -> str | None:
    """The default branch, here or on a remote, if it has all that the worktree's HEAD has."""
    refs = repository.refs()
    default = repository.default_branch
    for name in (default, *refs.on_remotes(default)):
        commit = refs.heads.get(name) or refs.remotes.get(name)
        if commit and not repository.try_git("merge-base", "--is-ancestor", worktree.head, commit).returncode:
            return name
    return None


def _refuse(repository: Repository, worktree: Worktree) -> None:
    if worktree.main:
        raise MainWorktreeStaysError(worktree.path)
    if not worktree.ours:
        raise NotOurWorktreeError(worktree.path)
    if worktree.locked is not None:
        sessions = holders(repository.git_dir(worktree.path))
        if worktree.locked == " ".join(sessions):
            raise WorktreeBusyError(worktree.path, sessions[-1])
        raise WorktreeLockedError(worktree.path, worktree.locked)
    with contextlib.suppress(OSError):
        if Path.cwd().is_relative_to(worktree.path):
            raise StandingInsideError(worktree.path, repository.main_worktree)


def _losses(repository: Repository, worktree: Worktree, *, force: bool) -> list[str]:
    try:
        return losses(repository, worktree)
    except GitFailedError as error:
        if not force:
            raise
        return [f"whatever git could not tell: {error.message}"]


def _delete(repository: Repository, path: Path) -> None:
    """By hand, as git does it: git itself would ask the worktree's own `.git` first."""
    git_dir = repository.git_dir(path)
    try:
        if os.path.lexists(path):
            _delete_tree(path)
        shutil.rmtree(git_dir)
    except OSError as error:
        raise CannotRemoveError(path, f"{error.filename}: {error.strerror}") from error
    repository.forget(path)
    with contextlib.suppress(OSError):
        git_dir.parent.rmdir()
        if path.parent.name.endswith(".worktrees"):
            path.parent.rmdir()


def _delete_tree(path: Path) -> None:
    """Folders that forbid writing, as module caches make them, are opened first. Symlinks are not followed."""
    try:
        shutil.rmtree(path)
    except PermissionError:
        for folder, _, _ in os.walk(path):
            Path(folder).chmod(0o700)
        shutil.rmtree(path)


def _delete_branch(repository: Repository, ours: Marker | None) -> tuple[str | None, str | None]:
    """The branch we made, unless another worktree holds it by now. What only it held is kept as a backup ref."""
    if ours is None or not ours.branch_made:
        return None, None
    branch, refs = ours.branch, repository.refs()
    commit = refs.heads.get(branch)
    if commit is None or any(worktree.branch == branch for worktree in listing(repository)):
        return None, None
    others = ("--not", f"--exclude={branch}", "--branches", "--remotes", "--tags")
    backup = (
        f"{BACKUPS}/{branch}-{commit[:7]}" if repository.git("rev-list", "--max-count=1", commit, *others) else None
    )
    kept = f"update {backup} {commit}\n" if backup else ""
    repository.git("update-ref", "--stdin", stdin=os.fsencode(f"{kept}delete refs/heads/{branch} {commit}\n"))
    repository.try_git("config", "--remove-section", f"branch.{branch}")
    return branch, backup
