"""Where things are kept: below `$SCOPECRAFT_HOME`, never inside git."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

from scopecraft_git.errors import HomeNotWritableError


def home() -> Path:
    """`$SCOPECRAFT_HOME`, or `~/.scopecraft`. Not created by asking."""
    return Path(os.environ.get("SCOPECRAFT_HOME") or Path.home() / ".scopecraft").absolute()


def ensure_home() -> Path:
    """The home with its folders, made for this user alone. Called before anything is written."""
    root = home()
    try:
        for folder in (root, root / "config", sessions(), supervisor(), agent_homes()):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if root.stat().st_mode & 0o077:
            root.chmod(0o700)
        if not os.access(root, os.W_OK | os.X_OK):
            raise HomeNotWritableError(root, "permission denied")
    except OSError as error:
        raise HomeNotWritableError(root, error.strerror or str(error)) from error
    return root


def config_file() -> Path:
    return home() / "config" / "orchestration.json"


def policy_file() -> Path:
    return home() / "config" / "policy.toml"


def sessions() -> Path:
    return home() / "sessions"


def session(session_id: str) -> Path:
    return sessions() / session_id


def last_id() -> Path:
    """A file whose time is that in the last session's id, which no later one may come before."""
    return home() / "last-id"


def supervisor() -> Path:
    """The supervisor's lock, doorbell and log."""
    return home() / "supervisor"


def worktree_records() -> Path:
    return home() / "worktrees"


def worktree_record(worktree: Path) -> Path:
    """What is known of a worktree by its path alone, without reading anything in it."""
    plain = re.sub(r"[^A-Za-z0-9.-]", "_", worktree.name)[:60]
    return worktree_records() / f"{plain}-{zlib.crc32(os.fsencode(worktree)):08x}.json"


def queue_file() -> Path:
    return home() / "queue.json"


def agent_homes() -> Path:
    """One home per worktree for the agents in containers, so that a later session finds its transcripts."""
    return home() / "homes"


def crash_logs() -> Path:
    return home() / "crashes"
