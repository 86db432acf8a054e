"""A making is written down before it begins, so that what a killed command left of it is taken back or finished.

One command at a time makes worktrees, under the repository's lock, which git holds on where only the command is killed.
So whoever has the lock and finds a making written down knows that nobody is at it any more.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from scopecraft_git import paths
from scopecraft_git.errors import (
    CannotRemoveError,
    GitFailedError,
    HomeNotWritableError,
    LockTimeoutError,
)
from scopecraft_git.models import Model
from scopecraft_git.repository import Repository
from scopecraft_git.repository.locking import TIMEOUT
from scopecraft_git.worktrees.halves import INITIALIZING, is_checked_out, is_only_what_git_made
from scopecraft_git.worktrees.include import copy_included
from scopecraft_git.worktrees.locks import holders
from scopecraft_git.worktrees.ownership import MARKER, Marker, mark, marker

FILE = "scopecraft.making"
_BEGUN = ("gitdir", "locked")
"""What git puts first into the private directory of a worktree."""


class Making(Model):
    """A worktree that is being made, and what was there before."""

    path: Path
    ours: Marker
    was_there: bool
    """Whether there was an empty folder at `path`."""
    parents: tuple[Path, ...]
    """Folders above that were not there, the innermost first."""
    entries: tuple[str, ...]
    """Names of git's private directories of worktrees that were there."""


def begin(repository: Repository, path: Path, ours: Marker) -> Making:
    """Write it down. For one that holds the lock, as all of this is but `settle`."""
    making = Making(
        path=path,
        ours=ours,
        was_there=path.is_dir(),
        parents=tuple(folder for folder in path.parents if not os.path.lexists(folder)),
        entries=tuple(entry.name for entry in _entries(repository)),
    )
    try:
        _write_down(repository, making)
    except OSError as error:
        raise GitFailedError("worktree", f"{repository.common_dir / FILE}: {error.strerror}") from error
    return making


def complete(repository: Repository, making: Making, git_dir: Path) -> None:
    """What is left to do once it is checked out. Idempotent."""
    if marker(git_dir) is None:
        copy_included(repository, making.path)
        mark(git_dir, making.ours)
    remember(repository, making.path)
    _end(repository)


def take_back(repository: Repository, making: Making) -> None:
    """Undo all of it, whatever was put there since. Idempotent.

    Killed on its way it leaves what cannot be taken for a whole worktree.
    """
    with contextlib.suppress(OSError):  # on a disk that takes nothing it is undone all the same
        _write_down(repository, making)
    if git_dir := _entry(repository, making):
        with contextlib.suppress(OSError):
            (git_dir / "locked").write_text(INITIALIZING)
        for name in (MARKER, "index"):
            (git_dir / name).unlink(missing_ok=True)
        shutil.rmtree(making.path, ignore_errors=True)
        _drop(git_dir)
    repository.forget(making.path)
    _remove_if_empty(making.path)
    if making.was_there:
        making.path.mkdir(exist_ok=True)
    for folder in making.parents:
        _remove_if_empty(folder)
    if making.ours.branch_made and not _is_held(repository, making.ours.branch):
        repository.try_git("update-ref", "-d", f"refs/heads/{making.ours.branch}", making.ours.base_commit)
    _end(repository)


def settle(repository: Repository, timeout: float = TIMEOUT) -> bool:
    """Take back or finish what a killed command was making. Returns whether there was anything; once is enough.

    Nothing goes that anybody may have worked on: such a half worktree stays, is ours, and refuses sessions. Does
    nothing when another command is at it for longer than `timeout`.
    """
    if not (repository.common_dir / FILE).exists():
        return False
    try:
        with repository.lock(timeout):
            making = _written_down(repository)
            if making:
                _settle(repository, making)
            return making is not None
    except LockTimeoutError:
        if timeout:
            raise
        return False
    except OSError as error:
        raise CannotRemoveError(Path(error.filename or repository.common_dir), error.strerror or str(error)) from error


def remember(repository: Repository, path: Path) -> None:
    try:
        repository.remember(path)
    except OSError as error:
        raise HomeNotWritableError(paths.home(), error.strerror or str(error)) from error


def _settle(repository: Repository, making: Making) -> None:
    git_dir = _entry(repository, making)
    commit = making.ours.base_commit
    if git_dir is None:
        take_back(repository, making)
    elif is_checked_out(repository, making.path, git_dir, commit):
        _unlock(git_dir)
        complete(repository, making, git_dir)
    elif _is_untouched(repository, making, git_dir):
        take_back(repository, making)
    else:
        mark(git_dir, making.ours)
        remember(repository, making.path)
        _end(repository)


def _is_untouched(repository: Repository, making: Making, git_dir: Path) -> bool:
    ours = making.ours
    if holders(git_dir) or repository.refs().heads.get(ours.branch, ours.base_commit) != ours.base_commit:
        return False
    head = _read(git_dir / "HEAD")
    return (not head.strip("0") or head.startswith("ref: ")) and is_only_what_git_made(
        repository, making.path, git_dir, ours.base_commit
    )


def _entry(repository: Repository, making: Making) -> Path | None:
    """Git's private directory of the worktree, also of one that git has hardly begun and knows no place of yet."""
    for entry in _entries(repository):
        if entry.name not in making.entries:
            place = _read(entry / "gitdir")
            begun = not place and {file.name for file in entry.iterdir()} <= set(_BEGUN)
            if begun or Path(os.path.normpath(entry / place)) == making.path / ".git":
                return entry
    return None


def _drop(git_dir: Path) -> None:
    """In an order in which it is known as the worktree's until it is gone."""
    for file in git_dir.iterdir():
        if file.name not in _BEGUN:
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    for name in _BEGUN:
        (git_dir / name).unlink(missing_ok=True)
    git_dir.rmdir()
    _remove_if_empty(git_dir.parent)


def _entries(repository: Repository) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError):
        yield from (repository.common_dir / "worktrees").iterdir()


def _is_held(repository: Repository, branch: str) -> bool:
    """Whether a worktree stands on it, the main one included."""
    heads = [repository.common_dir, *_entries(repository)]
    return any(_read(git_dir / "HEAD") == f"ref: refs/heads/{branch}" for git_dir in heads)


def _unlock(git_dir: Path) -> None:
    if _read(git_dir / "locked") == INITIALIZING:
        (git_dir / "locked").unlink()


def _write_down(repository: Repository, making: Making) -> None:
    part = repository.common_dir / f"{FILE}.new"
    with part.open("w") as file:
        json.dump(making.model_dump(mode="json"), file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(repository.common_dir / FILE)


def _written_down(repository: Repository) -> Making | None:
    """None when it was settled meanwhile. One that cannot be read is not ours to judge, and the next replaces it."""
    try:
        return Making.model_validate(json.loads((repository.common_dir / FILE).read_bytes()))
    except (FileNotFoundError, ValueError):
        return None


def _end(repository: Repository) -> None:
    (repository.common_dir / FILE).unlink(missing_ok=True)


def _read(file: Path) -> str:
    try:
        return os.fsdecode(file.read_bytes()).rstrip("\n")
    except OSError:
        return ""


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
