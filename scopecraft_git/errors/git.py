"""What git says no to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scopecraft_git.errors.base import NotFoundError, RefusedError, ScopecraftError


class GitFailedError(ScopecraftError):
    """Git itself said no where no clearer error of ours applies."""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(
            f"git {command} failed: {reason}", "To check git and this repository, run git scopecraft doctor"
        )


class NotARepositoryError(NotFoundError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is not inside a git repository",
            "Change into a repository, or start one here: git init",
        )


class BareRepositoryError(RefusedError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is a bare repository; a session needs a checkout to work beside",
            f"Clone it and work there: git clone {path}",
        )


class UnbornRepositoryError(RefusedError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} has no commit yet, so there is nothing to base a branch on",
            "Make the first commit: git commit --allow-empty -m 'Start'",
        )


class NoDefaultBranchError(RefusedError):
    def __init__(self, branches: Sequence[str]) -> None:
        super().__init__(
            f"The default branch is not known; it could be any of {', '.join(branches)}",
            f"Name it once: git config scopecraft.worktree.base {branches[0]}",
        )


class UnknownRefError(NotFoundError):
    def __init__(self, ref: str) -> None:
        super().__init__(f"{ref} names no commit in this repository", "To see the branches, run git branch --all")
