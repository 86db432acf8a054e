"""A worktree whose checkout was cut short: how it is told from a whole one, and from one that somebody worked in."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from scopecraft_git.errors import ScopecraftError
from scopecraft_git.repository import Repository
from scopecraft_git.worktrees.include import copy_included

INITIALIZING = "initializing"
"""The reason under which git locks a worktree while it makes it."""
_AT_ONCE = 1 << 20


def is_checked_out(repository: Repository, worktree: Path, git_dir: Path, commit: str) -> bool:
    """Whether git was done with it. It writes the index when all files are there, and then takes its lock away."""
    if not (git_dir / "index").exists():
        return False
    locked = git_dir / "locked"
    if not locked.exists() or locked.read_text().strip() != INITIALIZING:
        return True
    try:
        repository.git_in(worktree, "diff-index", "--cached", "--quiet", commit, "--", git_dir=git_dir)
    except ScopecraftError:
        return False
    return True


def is_only_what_git_made(repository: Repository, worktree: Path, git_dir: Path, commit: str) -> bool:
    """Whether it holds nothing but the beginnings of what a whole checkout holds. Checks it out beside to compare."""
    if not _files(worktree):
        return True
    beside = git_dir / "scopecraft-whole"
    shutil.rmtree(beside, ignore_errors=True)
    whole = beside / worktree.name
    try:
        whole.mkdir(parents=True)
        repository.fill(whole, beside / "index", git_dir, commit)
        copy_included(repository, whole)
        return all(_begins(worktree / name, whole / name) for name in _files(worktree))
    except (ScopecraftError, OSError):
        return False
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _files(root: Path) -> list[Path]:
    """All that is no folder, but for the `.git` of a worktree."""
    found = []
    for folder, folders, files in os.walk(root):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        found += [Path(folder, name).relative_to(root) for name in (*files, *links)]
    return [name for name in found if name != Path(".git")]


def _begins(part: Path, whole: Path) -> bool:
    """Whether `part` is `whole` as far as it goes: git writes a file from its beginning, and may be killed at that."""
    if not os.path.lexists(whole) or stat.S_IFMT(part.lstat().st_mode) != stat.S_IFMT(whole.lstat().st_mode):
        return False
    if part.is_symlink():
        return part.readlink() == whole.readlink()
    if not part.is_file():
        return False
    with part.open("rb") as mine, whole.open("rb") as theirs:
        while read := mine.read(_AT_ONCE):
            if theirs.read(len(read)) != read:
                return False
    return True
