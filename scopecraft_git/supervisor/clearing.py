"""Sessions whose end is being recorded: until they are cleared away, a mark tells the next supervisor of them."""

from __future__ import annotations

from pathlib import Path

from scopecraft_git import paths
from scopecraft_git.storage import files


def begin(session_id: str) -> None:
    """Called before the end is on record. Idempotent."""
    with files.writing():
        _folder().mkdir(mode=0o700, exist_ok=True)
        (_folder() / session_id).touch()


def done(session_id: str) -> None:
    """Nothing is left of it. Idempotent."""
    (_folder() / session_id).unlink(missing_ok=True)


def left() -> list[str]:
    """Sessions of which something may be left."""
    return sorted(path.name for path in _folder().iterdir()) if _folder().is_dir() else []


def _folder() -> Path:
    return paths.supervisor() / "clearing"
