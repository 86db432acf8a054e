"""`.worktreeinclude`: ignored files that a new worktree gets copies of, such as `.env`.

Its patterns are `.gitignore`'s. Of what they match in the main worktree, only what git ignores is copied.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from pathlib import Path

from scopecraft_git.errors import CannotIncludeError
from scopecraft_git.repository import Repository

FILE = ".worktreeinclude"
_PART = ".scopecraft-copy"
_FICLONE = 0x40049409
"""Linux's request to share a file's blocks, from linux/fs.h."""


def copy_included(repository: Repository, worktree: Path) -> None:
    """Copy them; what the branch has at the same place stays. Raises `CannotIncludeError`."""
    main = repository.main_worktree
    if not (main / FILE).is_file():
        return
    matched = repository.git_in(main, "ls-files", "--others", "--ignored", f"--exclude-from={FILE}", "-z")
    ignored = repository.git_in(main, "ls-files", "--others", "--ignored", "--exclude-standard", "-z")
    for name in sorted(set(matched.split("\0")) & set(ignored.split("\0"))):
        if name and not name.endswith("/"):
            try:
                _copy(main, worktree, Path(name))
            except OSError as error:
                raise CannotIncludeError(main / name, error.strerror or str(error)) from error


def _copy(main: Path, worktree: Path, name: Path) -> None:
    source, target = main / name, worktree / name
    if not _make_folders(main, worktree, name) or os.path.lexists(target):
        return
    if source.is_symlink():
        target.symlink_to(source.readlink())
    elif source.is_file():
        _copy_file(source, target)


def _make_folders(main: Path, worktree: Path, name: Path) -> bool:
    """Whether the folder for `name` is one of the worktree's own: a symlink in its path could lead anywhere."""
    for folder in reversed(name.parents[:-1]):
        target = worktree / folder
        if not os.path.lexists(target):
            target.mkdir()
            shutil.copymode(main / folder, target)
        elif not stat.S_ISDIR(target.lstat().st_mode):
            return False
    return True


def _copy_file(source: Path, target: Path) -> None:
    """Sharing blocks where the file system can, else byte by byte. All of it or nothing, whenever it is killed."""
    part = target.with_name(_PART)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with source.open("rb") as given, os.fdopen(descriptor, "wb") as made:
        try:
            fcntl.ioctl(made, _FICLONE, given.fileno())
        except OSError:
            shutil.copyfileobj(given, made, 1 << 20)
    shutil.copystat(source, part)
    part.rename(target)
