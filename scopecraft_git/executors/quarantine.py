"""A clean object folder with what an agent wrote: only plain files that are named like objects and packs."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from scopecraft_git.executors import beneath

_FAN = re.compile(r"[0-9a-f]{2}")
_LOOSE = re.compile(r"[0-9a-f]{38}(?:[0-9a-f]{24})?")
_PACK = re.compile(r"pack-[0-9a-f]{40}(?:[0-9a-f]{24})?\.(?:pack|idx)")
TRIES = 3


def collect(own: Path, folder: Path) -> None:
    """Fill `folder`/objects from the gitdir `own`. Objects that git moves meanwhile are found where they went."""
    for _ in range(TRIES):
        vanished = False
        # Loose objects first: git writes the pack before it drops what it packed.
        for inside, pattern in [*((fan, _LOOSE) for fan in _fans(own)), ("pack", _PACK)]:
            vanished |= _take(own, inside, pattern, folder / "objects" / inside)
        if not vanished:
            return


def quoted(path: Path) -> str:
    """A path as GIT_ALTERNATE_OBJECT_DIRECTORIES takes it, colons and all."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def last_line(stderr: bytes) -> str:
    lines = os.fsdecode(stderr).strip().splitlines() or ["no reason given"]
    return lines[-1].removeprefix("fatal: ").removeprefix("error: ")


def _fans(own: Path) -> Iterator[str]:
    with beneath.folder(own, "objects") as objects:
        yield from (name for name in _names(objects) if _FAN.fullmatch(name))


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _take(own: Path, inside: str, pattern: re.Pattern[str], target: Path) -> bool:
    """Link what fits out of one folder; whether something was gone before it could be taken."""
    target.mkdir(parents=True, exist_ok=True)
    vanished = False
    try:
        with beneath.folder(own, f"objects/{inside}") as source:
            for name in _names(source):
                if pattern.fullmatch(name) and not (target / name).exists():
                    vanished |= not _take_one(source, name, target)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return vanished


def _take_one(source: int, name: str, target: Path) -> bool:
    try:
        os.link(name, target / name, src_dir_fd=source, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError:
        return _copy(source, name, target)
    if not stat.S_ISREG((target / name).lstat().st_mode):
        (target / name).unlink()
    return True


def _copy(source: int, name: str, target: Path) -> bool:
    """For file systems without hard links, and where the kernel forbids them."""
    with contextlib.suppress(OSError), os.fdopen(os.open(name, beneath.PLAIN, dir_fd=source), "rb") as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            with (target / name).open("xb") as copy:
                shutil.copyfileobj(file, copy)
    return True
