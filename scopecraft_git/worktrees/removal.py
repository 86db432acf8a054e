"""Decides which worktrees may go: only ours, only when nothing is lost or the loss is asked for, one at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from scopecraft_git.errors import (
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
from scopecraft_git.worktrees import teardown
from scopecraft_git.worktrees.contents import losses, tips
from scopecraft_git.worktrees.halves import INITIALIZING
from scopecraft_git.worktrees.inventory import at
from scopecraft_git.worktrees.locks import holders
from scopecraft_git.worktrees.teardown import Removal, Removed

Last = Callable[[Worktree], list[str]]
"""What is done when a worktree is gone, before its removal counts as finished; returns what could not be done."""


class Fate(NamedTuple):
    """Whether a worktree has had its day."""

    goes: bool
    reason: str
    keep_branch: bool = False


def remove(
    repository: Repository,
    worktree: Worktree,
    *,
    force: bool = False,
    besides: Sequence[str] = (),
    keep_branch: bool = False,
    last: Last = lambda _: [],
) -> Removed:
    """Remove a worktree of ours, and its branch if we made it. `force` accepts the `losses`, and `besides` others.

    Raises `WorkWouldBeLostError` without it, and never removes one that is not ours, locked, or stood in. Killed on
    its way, `resume` finishes it, or puts everything back if nothing was decided yet.
    """
    with repository.lock():
        worktree = at(repository, worktree.path)
        refuse(repository, worktree)

        def weigh(folder: Path) -> list[str]:
            """What would be lost; raises unless that is asked for."""
            lost = [*besides, *_losses(repository, worktree, folder, force=force, keep_branch=keep_branch)]
            if lost and not force:
                raise WorkWouldBeLostError(worktree.path, worktree.branch or str(worktree.path), lost)
            return lost

        if not force:
            weigh(worktree.path)
        removal = teardown.prepare(repository, worktree)
        try:
            lost = weigh(removal.aside)
            removal = teardown.decide(
                removal, tips(repository, worktree, removal.git_dir, keep_branch=keep_branch), lost
            )
        except BaseException:
            teardown.take_back(repository, removal)
            raise
        return _complete(repository, removal, last)


def resume(
    repository: Repository, onerror: Callable[[ScopecraftError], None], last: Last = lambda _: []
) -> list[Removed]:
    """Finish what commands began that were killed; put back what they had only set aside."""
    if not any(teardown.pending(repository)):
        return []
    done = []
    with repository.lock():
        for removal in teardown.pending(repository):
            try:
                if removal.decided_at is None:
                    teardown.take_back(repository, removal)
                else:
                    done.append(_complete(repository, removal, last))
            except ScopecraftError as error:
                onerror(error)
    return done


def fate(repository: Repository, worktree: Worktree) -> Fate:
    """Whether nobody needs it any more: its branch is merged, and it holds nothing else. Raises why it may not go."""
    refuse(repository, worktree)
    if not worktree.path.is_dir():
        return _fate_of_a_missing_folder(repository, worktree)
    if left := losses(repository, worktree):
        return Fate(False, _kept_for(left))
    if worktree.head == worktree.base_commit:
        return Fate(False, "no commit of its own yet")
    into = _merged_into(repository, worktree)
    return Fate(True, f"merged into {into}") if into else Fate(False, "not merged yet")


def refuse(repository: Repository, worktree: Worktree) -> None:
    """Raise what forbids the removal of `worktree`, whatever it holds."""
    if worktree.main:
        raise MainWorktreeStaysError(worktree.path)
    if not worktree.ours:
        raise NotOurWorktreeError(worktree.path)
    if worktree.locked not in (None, INITIALIZING):
        sessions = holders(repository.git_dir(worktree.path))
        if worktree.locked == " ".join(sessions):
            raise WorktreeBusyError(worktree.path, sessions[-1])
        raise WorktreeLockedError(worktree.path, worktree.locked)
    with contextlib.suppress(OSError):
        if Path.cwd().is_relative_to(worktree.path):
            raise StandingInsideError(worktree.path, repository.main_worktree)


def _complete(repository: Repository, removal: Removal, last: Last) -> Removed:
    removed = teardown.finish(repository, removal)
    left = last(removal.worktree)
    teardown.close(repository, removal)
    return removed._replace(left=[*removed.left, *left])


def _fate_of_a_missing_folder(repository: Repository, worktree: Worktree) -> Fate:
    """Deleted by hand; or its disk is not there, and then it may come back."""
    if not worktree.path.parent.is_dir():
        return Fate(False, f"{worktree.path.parent} is not there either; its disk may be missing")
    if losses(repository, worktree, keep_branch=True):
        return Fate(False, "its folder is gone, and commits of it are on no branch")
    if alone := losses(repository, worktree):
        return Fate(True, f"its folder is gone; its branch stays, {_kept_for(alone)}", keep_branch=True)
    return Fate(True, "its folder is gone, and its branch has nothing of its own")


def _kept_for(left: Sequence[str]) -> str:
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


def _losses(repository: Repository, worktree: Worktree, folder: Path, *, force: bool, keep_branch: bool) -> list[str]:
    try:
        return losses(repository, worktree, folder=folder, keep_branch=keep_branch)
    except GitFailedError as error:
        if not force:
            raise
        return [f"whatever git could not tell: {error.message}"]
