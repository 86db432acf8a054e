"""Makes the worktree that was decided on, or leaves nothing behind.

What is going to be made is written down first, so that `unfinished` can settle it for a command that is killed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from scopecraft_git.errors import CannotMakeWorktreeError, GitFailedError, PathInTheWayError
from scopecraft_git.models import Worktree
from scopecraft_git.repository import Repository
from scopecraft_git.worktrees import unfinished
from scopecraft_git.worktrees.guards import guard
from scopecraft_git.worktrees.inventory import at
from scopecraft_git.worktrees.locks import hold, holders, unlock
from scopecraft_git.worktrees.ownership import Marker
from scopecraft_git.worktrees.resolution import Plan, decide
from scopecraft_git.worktrees.unfinished import Making


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
        if unfinished.settle(repository):
            plan = decide(repository, plan.request)
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
    unfinished.remember(repository, plan.path)
    return worktree


def _make_or_nothing(repository: Repository, plan: Plan, undo: contextlib.ExitStack) -> Worktree:
    """Undone at once if it fails; what undoes it later is left in `undo`."""
    _refuse_taken(repository, plan)
    ours = Marker(branch=plan.branch, base=plan.base, base_commit=plan.commit, branch_made=plan.creates_branch)
    with contextlib.ExitStack() as steps:
        making = unfinished.begin(repository, plan.path, ours)
        steps.callback(unfinished.take_back, repository, making)
        _make_folder(making)
        if plan.creates_branch:
            _make_branch(repository, plan)
        repository.add_worktree(plan.path, plan.branch)
        unfinished.complete(repository, making, repository.git_dir(plan.path))
        undo.push(steps.pop_all())
    base_commit = plan.commit if plan.creates_branch else None
    return Worktree(path=plan.path, branch=plan.branch, head=plan.commit, ours=True, base_commit=base_commit)


def _refuse_taken(repository: Repository, plan: Plan) -> None:
    """What is taken back is what was made: nothing that was there before may look like it."""
    if os.path.lexists(plan.path) and (plan.path.is_symlink() or not plan.path.is_dir() or any(plan.path.iterdir())):
        raise PathInTheWayError(plan.path)
    ref = f"refs/heads/{plan.branch}"
    if plan.creates_branch and not repository.try_git("show-ref", "--verify", "--quiet", ref).returncode:
        raise GitFailedError("update-ref", f"a branch named {plan.branch} already exists")


def _make_folder(making: Making) -> None:
    """An empty folder that nobody else made, and so may be emptied again."""
    path = making.path
    try:
        for folder in reversed(making.parents):
            folder.mkdir(exist_ok=True)
        if path.is_dir():
            path.rmdir()
        path.mkdir()
    except OSError as error:
        if os.path.lexists(path):
            raise PathInTheWayError(path) from None
        raise CannotMakeWorktreeError(path, error.strerror or str(error)) from None


def _make_branch(repository: Repository, plan: Plan) -> None:
    """Fails when the branch exists: an empty old value means that there is none yet."""
    reason = f"branch: Created from {plan.base}"
    command = ("update-ref", "--create-reflog", "-m", reason, "--end-of-options")
    repository.git(*command, f"refs/heads/{plan.branch}", plan.commit, "")
