"""Reads and writes below a folder that an agent could have rearranged: no link is followed, nothing blocks."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PLAIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextlib.contextmanager
def folder(root: Path, inside: str | PurePosixPath = ".", *, make: bool = False) -> Iterator[int]:
    """A descriptor of a folder below `root`. An OSError when a link or anything else stands in its place."""
    with contextlib.ExitStack() as opened:
        descriptor = os.open(root, FOLDER)
        opened.callback(os.close, descriptor)
        for part in PurePosixPath(inside).parts:
            descriptor = _step(descriptor, part, make=make)
            opened.callback(os.close, descriptor)
        yield descriptor


def read(root: Path, name: str, limit: int) -> bytes:
    """The content of a regular file below `root`. An OSError when it is anything else, or above `limit` bytes."""
    path = PurePosixPath(name)
    with folder(root, path.parent) as parent, os.fdopen(os.open(path.name, PLAIN, dir_fd=parent), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            raise OSError(f"{name} is no plain file below {limit} bytes")
        return file.read(limit)


def write(root: Path, name: str, data: bytes) -> None:
    """Replace a file below `root`, for this user alone; missing folders are made."""
    path = PurePosixPath(name)
    with folder(root, path.parent, make=True) as parent:
        temporary = f".{path.name}.scopecraft"
        remove(parent, temporary)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=parent), "wb") as file:
            file.write(data)
        os.rename(temporary, path.name, src_dir_fd=parent, dst_dir_fd=parent)


def remove(parent: int, name: str) -> None:
    """Drop a file or link, if there is one."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=parent)


def exists(root: Path, name: str) -> bool:
    """Whether a regular file of that name is there."""
    path = PurePosixPath(name)
    try:
        with folder(root, path.parent) as parent:
            return stat.S_ISREG(os.stat(path.name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _step(parent: int, part: str, *, make: bool) -> int:
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(part, 0o700, dir_fd=parent)
    return os.open(part, FOLDER, dir_fd=parent)
