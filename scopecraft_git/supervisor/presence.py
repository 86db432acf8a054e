"""Who supervises, and who keeps the supervisor: what the lock files say."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import NamedTuple

from scopecraft_git import paths
from scopecraft_git.storage import files
from scopecraft_git.supervisor import keeper

KEEPER_LOCK = "keeper.lock"


class Holder(NamedTuple):
    """Whoever has a lock."""

    pid: int
    """0 when it has not said yet, or says no more because it leaves."""
    version: str

    @property
    def leaves(self) -> bool:
        return not self.pid and not self.version


class Status(NamedTuple):
    running: bool
    pid: int | None = None
    keeper_pid: int | None = None
    following: list[str] | None = None
    version: str | None = None

    def as_json(self) -> dict[str, object]:
        return self._asdict() | {"following": self.following or []}


def supervising(home: Path | None = None) -> Holder | None:
    return _holder(lock_file(home))


def keeping(home: Path | None = None) -> Holder | None:
    return _holder(_folder(home) / KEEPER_LOCK)


def process_id(home: Path | None = None) -> int | None:
    """The process that supervises this SCOPECRAFT_HOME or another, if there is one. Starts nothing."""
    found = supervising(home)
    return found.pid or None if found else None


def status() -> Status:
    keeps = keeping()
    supervises = supervising()
    if not (supervises and supervises.pid):
        return Status(running=False, keeper_pid=keeps.pid or None if keeps else None)
    return Status(
        running=True,
        pid=supervises.pid,
        keeper_pid=keeps.pid or None if keeps else None,
        following=_following(supervises.pid),
        version=supervises.version,
    )


def publish(following: list[str]) -> None:
    """What this process, the supervisor, follows. For whoever asks; nothing depends on it."""
    document = {"pid": os.getpid(), "following": sorted(following)}
    files.replace(_folder() / "following", json.dumps(document).encode(), durable=False)


def numbers(version: str) -> tuple[int, ...]:
    """A version as it compares: 0.10.0 is newer than 0.9.1."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


def lock_file(home: Path | None = None) -> Path:
    return _folder(home) / keeper.LOCK


def _folder(home: Path | None = None) -> Path:
    return home / "supervisor" if home else paths.supervisor()


def _holder(path: Path) -> Holder | None:
    if not files.is_locked(path):
        return None
    said = None
    with contextlib.suppress(OSError):
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            said = keeper.marked(lock)
        finally:
            os.close(lock)
    return Holder(*said) if said else Holder(0, "")


def _following(pid: int) -> list[str]:
    try:
        document = json.loads((_folder() / "following").read_bytes())
        return list(document["following"]) if document["pid"] == pid else []
    except (OSError, ValueError, LookupError, TypeError):
        return []
