"""Makes the worktree that was decided on, or leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from scopecraft_git import paths
from scopecraft_git.errors import CannotMakeWorktreeError, GitFailedError, HomeNotWritableError, PathInTheWayError
from scopecraft_git.models import Worktree
from scopecraft_git.repository import Repository
from scopecraft_git.worktrees.guards import guard
from scopecraft_git.worktrees.include import copy_included
from scopecraft_git.worktrees.inventory import MARKER, Marker, at
from scopecraft_git.worktrees.locks import hold, holders, unlock
from scopecraft_git.worktrees.resolution import Plan, decide


def ensure(repository: Repository, plan: Plan) -> Worktree:
    """The worktree of `plan`, made if need be. Idempotent, and safe when many commands do it at once."""
    with contextlib.ExitStack() as undo:
        worktree = _ensure(repository, plan, undo)
        undo.pop_all()
    return worktree


@contextlib.contextmanager
def made(repository: Repository, plan: Plan, session_id: str) -> Iterator[Worktree]:
    """`ensure`, locked for a session. If the body fails, all of it is undone, and only what this call made."""
    with contextlib.ExitStack() as undo:
        worktree = _ensure(repository, plan, undo, session_id)
        try:
            yield worktree
        except BaseException:
            unlock(repository, worktree.path, session_id)
            with repository.lock():
                if holders(repository.git_dir(worktree.path)):
                    undo.pop_all()  # another session has moved in meanwhile
                undo.close()
            raise
        undo.pop_all()


def _ensure(repository: Repository, plan: Plan, undo: contextlib.ExitStack, session_id: str | None = None) -> Worktree:
    with repository.lock():
        worktree = _made_or_found(repository, plan, undo)
        if session_id:
            hold(repository.git_dir(worktree.path), session_id)
    return worktree


def _made_or_found(repository: Repository, plan: Plan, undo: contextlib.ExitStack) -> Worktree:
    if plan.creates_worktree:
        try:
            return _make_or_nothing(repository, plan, undo)
        except (GitFailedError, PathInTheWayError):
            # Another command was faster, or the plan is stale: what is right is decided again.
            again = decide(repository, plan.request)
            if again == plan:
                raise
            plan = again
    if plan.creates_worktree:
        return _make_or_nothing(repository, plan, undo)
    worktree = at(repository, plan.path)
    guard(repository, worktree, plan.request.settings)
    _remember(repository, plan.path)
    return worktree


def _make_or_nothing(repository: Repository, plan: Plan, undo: contextlib.ExitStack) -> Worktree:
    """Undone at once if it fails; what undoes it later is left in `undo`."""
    with contextlib.ExitStack() as steps:
        _make_folder(plan.path, steps)
        if plan.creates_branch:
            _make_branch(repository, plan, steps)
        steps.callback(_discard, repository, plan.path)
        repository.add_worktree(plan.path, plan.branch)
        copy_included(repository, plan.path)
        ours = Marker(branch=plan.branch, base=plan.base, base_commit=plan.commit, branch_made=plan.creates_branch)
        (repository.git_dir(plan.path) / MARKER).write_text(ours.model_dump_json())
        _remember(repository, plan.path)
        undo.push(steps.pop_all())
    base_commit = plan.commit if plan.creates_branch else None
    return Worktree(path=plan.path, branch=plan.branch, head=plan.commit, ours=True, base_commit=base_commit)


def _make_folder(path: Path, undo: contextlib.ExitStack) -> None:
    """An empty folder that nobody else made, and so may be emptied again."""
    try:
        for folder in reversed(path.parents):
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                undo.callback(_remove_if_empty, folder)
        if path.is_dir():
            path.rmdir()
            undo.callback(path.mkdir)
        path.mkdir()
    except OSError as error:
        if os.path.lexists(path):
            raise PathInTheWayError(path) from None
        raise CannotMakeWorktreeError(path, error.strerror or str(error)) from None
    undo.callback(_remove_if_empty, path)


def _make_branch(repository: Repository, plan: Plan, undo: contextlib.ExitStack) -> None:
    """Fails when the branch exists: an empty old value means that there is none yet."""
    ref = f"refs/heads/{plan.branch}"
    try:
        reason = f"branch: Created from {plan.base}"
        repository.git("update-ref", "--create-reflog", "-m", reason, "--end-of-options", ref, plan.commit, "")
    except GitFailedError:
        raise
    except BaseException:  # interrupted: git may have done it all the same
        repository.try_git("update-ref", "-d", ref, plan.commit)
        raise
    undo.callback(repository.try_git, "update-ref", "-d", ref, plan.commit)


def _discard(repository: Repository, path: Path) -> None:
    """Take back a worktree that this process made."""
    git_dir = repository.linked().get(path)
    shutil.rmtree(path, ignore_errors=True)
    if git_dir:
        shutil.rmtree(git_dir, ignore_errors=True)
        _remove_if_empty(git_dir.parent)
    repository.forget(path)


def _remember(repository: Repository, path: Path) -> None:
    try:
        repository.remember(path)
    except OSError as error:
        raise HomeNotWritableError(paths.home(), error.strerror or str(error)) from error


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
