"""A worktree is locked while sessions live in it, so that nobody removes it under an agent.

git keeps the reason of a lock in a file; ours is the ids of the sessions. A user's own lock is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scopecraft_git.repository import Repository

_SESSIONS = "scopecraft-sessions"
"""Whose lock it is: the ids we put into the lock's reason."""


def lock(repository: Repository, worktree: Path, session_id: str) -> None:
    """Idempotent; several sessions may hold one worktree."""
    with repository.lock():
        hold(repository.git_dir(worktree), session_id)


def hold(git_dir: Path, session_id: str) -> None:
    """`lock` for one that holds the repository's lock."""
    before = holders(git_dir)
    _write(git_dir, before, [*(name for name in before if name != session_id), session_id])


def unlock(repository: Repository, worktree: Path, session_id: str) -> None:
    """Idempotent, and no error when the worktree is gone."""
    with repository.lock():
        if git_dir := repository.linked().get(worktree):
            before = holders(git_dir)
            _write(git_dir, before, [name for name in before if name != session_id])


def held_by(repository: Repository, worktree: Path) -> list[str]:
    """The sessions that hold it, as far as locks tell; none when the worktree is gone."""
    git_dir = repository.linked().get(worktree)
    return holders(git_dir) if git_dir else []


def holders(git_dir: Path) -> list[str]:
    """The sessions that hold a worktree, by its private directory."""
    try:
        return (git_dir / _SESSIONS).read_text().split()
    except FileNotFoundError:
        return []


def _write(git_dir: Path, before: Sequence[str], after: Sequence[str]) -> None:
    reason = git_dir / "locked"
    ours = not reason.exists() or (bool(before) and reason.read_text().strip() == " ".join(before))
    for path in (git_dir / _SESSIONS, *([reason] if ours else [])):
        if after:
            _replace(path, " ".join(after))
        else:
            path.unlink(missing_ok=True)


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.new")
    part.write_text(text)
    part.replace(path)
