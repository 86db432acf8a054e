"""Takes a worktree apart, in steps that another command can take up where a killed one left them.

What is going to happen is written down first. Then the folder is set aside, where nobody finds it by its name any
more, so that what a late writer adds is either seen before the decision or kept. Nothing goes before the decision.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from scopecraft_git import paths
from scopecraft_git.errors import CannotRemoveError, GitFailedError, HomeNotWritableError, SetAsideError
from scopecraft_git.models import Model, Worktree
from scopecraft_git.repository import Repository
from scopecraft_git.worktrees.inventory import listing
from scopecraft_git.worktrees.ownership import MARKER

BACKUPS = "refs/scopecraft/backup"


class Removal(Model):
    """A removal that has begun, with all that it takes to finish it or to take it back."""

    worktree: Worktree
    repository: Path
    git_dir: Path
    aside: Path
    """Where the folder waits for the decision, and then for its end."""
    tips: dict[str, str] = Field(default_factory=dict)
    """Where the branch that goes, and a detached HEAD, stood at the decision."""
    lost: tuple[str, ...] = ()
    decided_at: int | None = None
    """Nanoseconds of the file system's clock: what was changed later stays. None before the decision."""


class Removed(NamedTuple):
    worktree: Worktree
    branch: str | None
    """The branch that went with it."""
    backup: str | None
    """Where commits that nothing else holds can still be found."""
    lost: list[str]
    left: list[str]
    """What could not go, a line each."""


def prepare(repository: Repository, worktree: Worktree) -> Removal:
    """Write down that it is going to be removed, then set its folder aside, if there is one."""
    path = worktree.path
    removal = Removal(
        worktree=worktree,
        repository=repository.common_dir,
        git_dir=repository.git_dir(path),
        aside=_free_name(path),
    )
    if not os.path.lexists(path):
        _write_down(removal)
        return removal
    if path.is_symlink() or not path.is_dir():
        raise CannotRemoveError(path, "it is not a folder")
    _write_down(removal)
    try:
        path.rename(removal.aside)
        os.utime(removal.aside)
    except OSError as error:
        take_back(repository, removal)
        raise CannotRemoveError(path, error.strerror or str(error)) from error
    return removal


def decide(removal: Removal, tips: dict[str, str], lost: list[str]) -> Removal:
    """From here on it can only be finished."""
    try:
        now = removal.aside.lstat().st_ctime_ns
    except FileNotFoundError:
        now = 0
    decided = removal.model_copy(update={"tips": tips, "lost": tuple(lost), "decided_at": now})
    _write_down(decided)
    return decided


def take_back(repository: Repository, removal: Removal) -> None:
    """Undo what was not decided. Idempotent."""
    path, aside = removal.worktree.path, removal.aside
    if os.path.lexists(aside):
        if os.path.lexists(path):
            raise SetAsideError(path, aside)
        aside.rename(path)
    repository.remember(path)


def finish(repository: Repository, removal: Removal) -> Removed:
    """What was decided: the folder, git's entry, the branch. Idempotent; the record stays until `close`."""
    assert removal.decided_at is not None
    kept = _keep_detached(repository, removal)
    late = _delete_folder(removal)
    _unregister(repository, removal)
    branch, backup = _delete_branch(repository, removal)
    return Removed(removal.worktree, branch, backup or kept, list(removal.lost), late)


def close(repository: Repository, removal: Removal) -> None:
    """All of it is done."""
    parent = removal.worktree.path.parent
    with contextlib.suppress(OSError):
        removal.git_dir.parent.rmdir()
    with contextlib.suppress(OSError):
        if parent.name.endswith(".worktrees"):
            parent.rmdir()
    repository.forget(removal.worktree.path)


def pending(repository: Repository) -> Iterator[Removal]:
    """Removals in this repository that began and did not end. Only who holds its lock can tell that they were cut."""
    for record in sorted(paths.worktree_records().glob("*.json")):
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            removal = Removal.model_validate(json.loads(record.read_bytes())["removal"])
            if removal.repository == repository.common_dir:
                yield removal


def _write_down(removal: Removal) -> None:
    """In the worktree's own record, which a worktree that is made anew at this place replaces."""
    record = paths.worktree_record(removal.worktree.path)
    about = {"path": str(removal.worktree.path), "repository": str(removal.repository)}
    part = record.with_name(f"{record.name}.new")
    try:
        record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with part.open("w") as file:
            json.dump({**about, "removal": removal.model_dump(mode="json")}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(record)
    except OSError as error:
        raise HomeNotWritableError(paths.home(), error.strerror or str(error)) from error


def _free_name(path: Path) -> Path:
    names = (f"{path.name}.removing{number or ''}" for number in itertools.count())
    return next(place for name in names if not os.path.lexists(place := path.with_name(name)))


def _delete_folder(removal: Removal) -> list[str]:
    """What is left of it because it was written later than the decision."""
    if os.path.lexists(removal.aside):
        try:
            delete_tree(removal.aside, removal.decided_at or 0)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise CannotRemoveError(removal.aside, f"{where}{error.strerror}") from error
    if os.path.lexists(removal.aside):
        return [f"{removal.aside}: something was written there in the meantime"]
    return []


def delete_tree(root: Path, before: int) -> None:
    """Delete what was last changed before that time, and the folders that are empty then. Follows no link.

    Folders that forbid writing, as module caches make them, are opened first.
    """
    known: set[tuple[int, int]] = set()
    try:
        _delete_old(root, before, known)
    except PermissionError:
        _open_folders(root)
        _delete_old(root, before, known)


def _delete_old(root: Path, before: int, known: set[tuple[int, int]]) -> None:
    for _, folders, files, place in os.fwalk(root, topdown=False, onerror=_raise):
        for name in (*files, *folders):
            about = os.lstat(name, dir_fd=place)
            if stat.S_ISDIR(about.st_mode):
                _remove_empty(name, place)
            elif about.st_ctime_ns < before or (about.st_dev, about.st_ino) in known:
                known.add((about.st_dev, about.st_ino))  # its other names change as this one goes
                os.unlink(name, dir_fd=place)
    _remove_empty(root)


def _remove_empty(folder: Path | str, place: int | None = None) -> None:
    try:
        os.rmdir(folder, dir_fd=place)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _open_folders(root: Path) -> None:
    root.chmod(0o700)
    for folder, folders, _ in os.walk(root):
        for name in folders:
            if not Path(folder, name).is_symlink():
                Path(folder, name).chmod(0o700)


def _raise(error: OSError) -> None:
    raise error


def _unregister(repository: Repository, removal: Removal) -> None:
    """By hand, as git does it: git itself would ask the worktree's own `.git` first.

    Without the file `gitdir` it is no worktree to git any more. An entry that another worktree has taken over stays.
    """
    git_dir = removal.git_dir
    registered = repository.linked()
    try:
        if (git_dir / "gitdir").exists():
            if registered.get(removal.worktree.path) != git_dir or not (git_dir / MARKER).exists():
                return
            (git_dir / "gitdir").unlink()
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(git_dir)
    except OSError as error:
        raise CannotRemoveError(git_dir, f"{error.filename}: {error.strerror}") from error


def _keep_detached(repository: Repository, removal: Removal) -> str | None:
    """A ref for commits that stand on no branch, where nothing else holds them."""
    commit = removal.tips.get("HEAD")
    return _keep(repository, f"detached-{commit[:7]}", commit) if commit and _is_alone(repository, commit) else None


def _delete_branch(repository: Repository, removal: Removal) -> tuple[str | None, str | None]:
    """The branch we made, unless another worktree holds it by now, with the ref that keeps what only it held.

    One that has moved since the decision is kept so in any case; one that moves right now stays.
    """
    branch = next((name for name in removal.tips if name != "HEAD"), None)
    now = repository.refs().heads.get(branch) if branch else None
    if branch is None or now is None or any(worktree.branch == branch for worktree in listing(repository)):
        return None, None
    seen = removal.tips[branch]
    kept = [
        _keep(repository, f"{branch}-{commit[:7]}", commit)
        for commit in dict.fromkeys((now, seen))
        if (commit == now != seen) or _is_alone(repository, commit, branch)
    ]
    backup = kept[0] if kept else None
    if repository.try_git("update-ref", "-d", f"refs/heads/{branch}", now).returncode:
        return None, backup
    repository.try_git("config", "--remove-section", f"branch.{branch}")
    return branch, backup


def _is_alone(repository: Repository, commit: str, *without: str) -> bool:
    """Whether no branch, tag or remote has the commit, those `without` aside."""
    others = ("--not", *(f"--exclude={branch}" for branch in without), "--branches", "--remotes", "--tags")
    try:
        return bool(repository.git("rev-list", "--max-count=1", commit, *others))
    except GitFailedError:  # git has dropped it by now, or never had it
        return False


def _keep(repository: Repository, name: str, commit: str) -> str:
    repository.git("update-ref", f"{BACKUPS}/{name}", commit)
    return f"{BACKUPS}/{name}"
