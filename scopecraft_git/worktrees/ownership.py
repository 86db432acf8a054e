"""Which worktrees are ours: a file of ours lies in git's private directory for each, and dies with the worktree."""

from __future__ import annotations

from pathlib import Path

from scopecraft_git.models import Model

MARKER = "scopecraft.json"


class Marker(Model):
    """What we remember of a worktree we made."""

    branch: str
    base: str
    base_commit: str
    branch_made: bool
    """Whether the branch is ours too, and so dies with the worktree once it is merged."""


def marker(git_dir: Path | None) -> Marker | None:
    """None for a worktree that is not ours, or whose marker cannot be read."""
    try:
        return Marker.model_validate_json((git_dir / MARKER).read_bytes()) if git_dir else None
    except (OSError, ValueError):
        return None


def mark(git_dir: Path, ours: Marker) -> None:
    (git_dir / MARKER).write_text(ours.model_dump_json())
