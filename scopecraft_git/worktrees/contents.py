"""What is in a worktree that an agent has written to, without running anything of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from scopecraft_git.models import Worktree
from scopecraft_git.repository import Repository
from scopecraft_git.worktrees.ownership import marker

_GITLINK = "160000"
_BARE = {"HEAD", "objects", "refs"}
_DIFF = (
    "diff", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all",
    "--no-color", "--src-prefix=a/", "--dst-prefix=b/", "--no-relative",
)  # fmt: skip


def losses(
    repository: Repository, worktree: Worktree, *, folder: Path | None = None, keep_branch: bool = False
) -> list[str]:
    """What exists only there, a line each: changed and untracked files, nested repositories, commits.

    Ignored files are not counted. Empty when removing the worktree, and the branch if we made it, loses nothing.
    `folder` is where its files are while they are not where they belong.
    """
    found: list[str] = []
    folder = folder or worktree.path
    git_dir = repository.git_dir(worktree.path)
    if folder.is_dir():
        found += changes(repository, folder, git_dir)
        found += _hidden(repository, folder, git_dir)
        found += [f"nested repository: {name}" for name in _nested(folder) if f"submodule: {name}" not in found]
    return found + _commits(repository, tips(repository, worktree, git_dir, keep_branch=keep_branch))


def tips(repository: Repository, worktree: Worktree, git_dir: Path, *, keep_branch: bool = False) -> dict[str, str]:
    """The commits at the end of what goes with the worktree: its branch if we made it, and a detached HEAD."""
    found = {"HEAD": worktree.head} if worktree.branch is None and worktree.head else {}
    ours = marker(git_dir)
    if ours and ours.branch_made and not keep_branch and (commit := repository.refs().heads.get(ours.branch)):
        found[ours.branch] = commit
    return found


def size(folder: Path) -> int:
    """Bytes on disk: a file with several names counts once, a link for itself. What cannot be read counts nothing."""
    blocks: dict[tuple[int, int], int] = {}
    with contextlib.suppress(OSError):
        for _, folders, files, place in os.fwalk(folder):
            for name in (".", *files, *folders):
                with contextlib.suppress(FileNotFoundError):
                    about = os.lstat(name, dir_fd=place)
                    blocks[about.st_dev, about.st_ino] = about.st_blocks
    return sum(blocks.values()) * 512


def diff(repository: Repository, worktree: Path, base: str) -> str:
    """What the worktree has that `base` has not, in git's format: commits, changes and untracked files."""
    commit = repository.resolve(base)
    git_dir = repository.git_dir(worktree)
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder, "index")
        if (git_dir / "index").exists():
            shutil.copyfile(git_dir / "index", index)
        beside = {"GIT_INDEX_FILE": str(index)}
        untracked = repository.git_in(worktree, "ls-files", "--others", "--exclude-standard", "-z").split("\0")
        # Untracked files enter a copy of the index under a made-up blob, for git diff reads the files themselves.
        # git add would ask the repositories in planted submodules for changes, and so run what they configure.
        entries = [f"100644 {'1' * len(commit)}\t{name}\0" for name in untracked if name and not name.endswith("/")]
        made_known = os.fsencode("".join(entries))
        repository.git_in(worktree, "update-index", "-z", "--index-info", environment=beside, stdin=made_known)
        return repository.git_in(worktree, *_DIFF, commit, "--", environment=beside)


def branch_diff(repository: Repository, branch: str, base: str) -> str:
    """What `branch` has that `base` has not, for a worktree that is gone."""
    return repository.git(*_DIFF, repository.resolve(base), repository.resolve(f"refs/heads/{branch}"), "--")


def changes(repository: Repository, path: Path, git_dir: Path | None = None) -> list[str]:
    """Changed and untracked files of the worktree at `path`, a line each, as far as git was not told to look away."""
    # Submodules are left out by an option, which a planted `.gitmodules` cannot overrule as it can a setting.
    printed = repository.git_in(
        path,
        *("status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal", "--ignore-submodules=all"),
        git_dir=git_dir,
    )
    rows = [(row[:2], row[3:]) for row in printed.split("\0") if row]
    return [f"{'untracked' if code == '??' else 'changed'}: {name}" for code, name in rows]


def _hidden(repository: Repository, path: Path, git_dir: Path) -> Iterator[str]:
    """Files that git was told to look away from, and submodules that are checked out."""
    for row in repository.git_in(path, "ls-files", "-v", "--stage", "-z", git_dir=git_dir).split("\0"):
        about, _, name = row.partition("\t")
        tag, _, stage = about.partition(" ")
        if stage.startswith(_GITLINK):
            if (path / name).is_dir() and any((path / name).iterdir()):
                yield f"submodule: {name}"
        elif (tag.islower() or tag == "S") and os.path.lexists(path / name):
            yield f"hidden from git status: {name}"


def _nested(path: Path) -> Iterator[str]:
    """Repositories inside the worktree, in ignored folders too, and one that took the place of its `.git`."""
    if (path / ".git").is_dir():
        yield ".git"
    for folder, folders, files in os.walk(path):
        if Path(folder) == path:
            folders[:] = [name for name in folders if name != ".git"]
        elif ".git" in folders or ".git" in files or _BARE.issubset([*folders, *files]):
            yield str(Path(folder).relative_to(path))
            folders.clear()


def _commits(repository: Repository, ends: Mapping[str, str]) -> list[str]:
    """Commits that no other branch, tag or remote holds, up to the `tips`."""
    if not ends:
        return []
    others = ["--not", *(f"--exclude={name}" for name in ends), "--branches", "--remotes", "--tags"]
    command = ("log", "--no-show-signature", "--format=%h %s", "--max-count=100")
    return [f"commit: {line}" for line in repository.git(*command, *ends.values(), *others).split("\n")[:-1]]
