"""Worktrees: what is refused, and what would be lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scopecraft_git.errors.base import NotFoundError, RefusedError, ScopecraftError, UsageError, did_you_mean


class AmbiguousWorktreeError(RefusedError):
    def __init__(self, task: str, candidates: Sequence[str]) -> None:
        super().__init__(
            f"The task {task} fits more than one branch: {', '.join(candidates)}",
            f"Name the one that is meant: git scopecraft run {task} --branch {candidates[0]}",
        )


class MainBranchError(RefusedError):
    """`own` is the branch that the task would have without being told another."""

    def __init__(self, branch: str, path: Path, own: str) -> None:
        super().__init__(
            f"{branch} is the default branch, and an agent never works there ({path})",
            f"Give the agent a branch of its own: --branch {own}",
        )


class MainWorktreeError(RefusedError):
    def __init__(self, path: Path, branch: str) -> None:
        super().__init__(
            f"{branch} is checked out in the main worktree {path}; an agent never works there",
            f"Go back to the default branch there, then try again: git -C '{path}' switch -",
        )


class BranchInTheWayError(RefusedError):
    def __init__(self, branch: str, blocker: str) -> None:
        super().__init__(
            f"The branch {branch} cannot be made while a branch {blocker} exists",
            f"Rename it: git branch -m {blocker} {blocker}-old",
        )


class InvalidBranchError(UsageError):
    def __init__(self, branch: str) -> None:
        super().__init__(f"{branch!r} cannot be a branch name", "Choose one like --branch feature/auth-05A")


class HalfDoneError(RefusedError):
    def __init__(self, operation: str, path: Path) -> None:
        way_out = "bisect reset" if operation == "bisect" else f"{operation} --abort"
        super().__init__(
            f"A {operation} is half done in {path}",
            f"Finish or abort it: git -C '{path}' {way_out}",
        )


class DetachedHeadError(RefusedError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} stands on no branch (detached HEAD), so what an agent commits there would belong to none",
            f"Give it one: git -C '{path}' switch -c feature/{path.name}",
        )


class WrongBranchError(RefusedError):
    def __init__(self, path: Path, branch: str, wanted: str) -> None:
        super().__init__(
            f"The worktree {path} stands on {branch}, and {wanted} is meant to be there",
            f"Work on that one with --branch {branch}, or make room: git worktree move '{path}' '{path}.old'",
        )


class MissingWorktreeError(RefusedError):
    """The hint is git's own command: ours takes the branch and the agents' home along, which `continue` needs."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The folder of the worktree {path} is gone, and git still counts on it",
            f"Bring it back, or let git forget this one worktree: git worktree remove '{path}'",
        )


class HalfMadeWorktreeError(RefusedError):
    """One of `ours` that could not be taken back, since somebody has been there."""

    def __init__(self, path: Path, *, ours: bool) -> None:
        command = f"git scopecraft worktree remove --force '{path}'" if ours else f"git worktree remove -f -f '{path}'"
        super().__init__(
            f"The worktree {path} was never finished: the command that made it was killed",
            f"Start over without it{', and without what was written there since' if ours else ''}: {command}",
        )


class ReplacedGitLinkError(RefusedError):
    """An agent may have put anything in its place; git run there by hand would obey it."""

    def __init__(self, path: Path, main: Path) -> None:
        super().__init__(
            f"{path}/.git does not lead to this repository any more",
            f"Set it aside and make it anew: mv '{path}/.git' '{path}.git-replaced'; git -C '{main}' worktree repair",
        )


class CannotIncludeError(ScopecraftError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path}, which .worktreeinclude names, cannot be copied: {reason}",
            f"See who may read it: ls -ld '{path}'",
        )


class CannotMakeWorktreeError(ScopecraftError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The worktree {path} cannot be made: {reason}",
            "Choose another place: git config scopecraft.worktree.path '~/worktrees/{repo}/{suffix}'",
        )


class CannotRemoveError(ScopecraftError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The worktree {path} cannot be removed: {reason}",
            f"See whom it belongs to, then try again: ls -la '{path}'",
        )


class SetAsideError(ScopecraftError):
    """Someone made the folder anew between its setting aside and the decision against its removal."""

    def __init__(self, path: Path, aside: Path) -> None:
        super().__init__(
            f"{path} was made anew while its removal was weighed; what was there before is in {aside}",
            f"Put it back: mv '{path}' '{path}.late'; mv '{aside}' '{path}'",
        )


class StandingInsideError(RefusedError):
    def __init__(self, path: Path, main: Path) -> None:
        super().__init__(
            f"{path} cannot be removed from inside",
            f"Leave it first: cd '{main}'",
        )


class PathInTheWayError(RefusedError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} exists and is not a worktree of this repository",
            f"Move it away: mv '{path}' '{path}.old'",
        )


class NestedWorktreeError(RefusedError):
    def __init__(self, path: Path, outer: Path) -> None:
        super().__init__(
            f"The worktree {path} would lie inside the worktree {outer}",
            "Choose a place beside the repository: git config scopecraft.worktree.path '../{repo}.worktrees/{suffix}'",
        )


class WorktreeNotFoundError(NotFoundError):
    def __init__(self, name: str, near: Sequence[str] = ()) -> None:
        super().__init__(
            f"No worktree belongs to {name}{did_you_mean(near)}",
            "To see the worktrees, run git scopecraft worktree list",
        )


class WorkGoneError(NotFoundError):
    def __init__(self, session: str, path: Path, branch: str) -> None:
        super().__init__(
            f"The worktree {path} is gone, and so is the branch {branch}",
            f"To see what the agent did there, run git scopecraft logs {session}",
        )


class NotOurWorktreeError(RefusedError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} was not made by git scopecraft, which removes only what it made",
            f"Remove it with git: git worktree remove '{path}'",
        )


class MainWorktreeStaysError(RefusedError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is the main worktree, which holds the repository itself and stays",
            "To see which worktrees can be removed, run git scopecraft worktree list",
        )


class WorktreeBusyError(RefusedError):
    def __init__(self, path: Path, session: str) -> None:
        super().__init__(
            f"The session {session} lives in {path}",
            f"Stop it first: git scopecraft stop {session}",
        )


class WorktreeLockedError(RefusedError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is locked{f' ({reason})' if reason else ''}",
            f"Unlock it first: git worktree unlock '{path}'",
        )


class WorkWouldBeLostError(RefusedError):
    """`losses` lists what only exists there: changed and untracked files, commits on no other branch."""

    def __init__(self, path: Path, name: str, losses: Sequence[str]) -> None:
        shown = [*losses[:10], *([f"and {len(losses) - 10} more"] if len(losses) > 10 else [])]
        super().__init__(
            f"Removing {path} would lose:\n" + "\n".join(f"    {loss}" for loss in shown),
            f"Merge or commit it, or remove it all the same: git scopecraft worktree remove {name} --force",
        )


class LockTimeoutError(ScopecraftError):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__(
            f"Another command has held {path} for {seconds:.0f} s",
            f"See who holds it, then try again: fuser {path}",
        )
