"""What a session changed."""

from __future__ import annotations

from pathlib import Path

from scopecraft_git.errors import WorkGoneError
from scopecraft_git.models import Session


def diff(session: Session) -> str:
    """In git's format, since the session began: of its worktree, or of its branch where the worktree is gone.

    Raises `WorkGoneError` where both are.
    """
    from scopecraft_git import worktrees
    from scopecraft_git.repository import Repository

    repository = Repository(session.repository)
    if session.worktree.is_dir() and session.worktree in repository.linked():
        return worktrees.diff(repository, session.worktree, session.base_commit)
    if session.branch in repository.refs().heads:
        return worktrees.branch_diff(repository, session.branch, session.base_commit)
    raise WorkGoneError(session.id, session.worktree, session.branch)


def worktree_diff(common_dir: Path, path: Path) -> str:
    """Of a worktree in which no session is: since the base of the branch made for it, else what is not committed."""
    from scopecraft_git import worktrees
    from scopecraft_git.repository import Repository

    repository = Repository(common_dir)
    return worktrees.diff(repository, path, worktrees.at(repository, path).base_commit or "HEAD")
