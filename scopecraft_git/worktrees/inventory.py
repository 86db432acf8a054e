"""Which worktrees there are, and which of them are ours."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from scopecraft_git.errors import AmbiguousWorktreeError, GitFailedError, ScopecraftError, WorktreeNotFoundError
from scopecraft_git.models import Worktree
from scopecraft_git.repository import Repository
from scopecraft_git.worktrees import unfinished
from scopecraft_git.worktrees.ownership import marker

_WORD_AND_CODE = re.compile(r".*[^\W\d_].*-\d{2}[A-Z]+")


def listing(repository: Repository) -> list[Worktree]:
    """Every worktree as git counts them, the main one first. What a killed command left half made is settled before."""
    with contextlib.suppress(ScopecraftError):  # said to who makes one
        unfinished.settle(repository, timeout=0)
    command = ("worktree", "list", "--porcelain", "-z")
    try:
        printed = repository.git(*command)
    except GitFailedError:
        # git stumbles over a worktree that another command is just making.
        with repository.lock():
            printed = repository.git(*command)
    git_dirs = repository.linked()
    main, *others = (dict(_fields(block)) for block in printed.split("\0\0") if block)
    return [
        _worktree(main | {"worktree": str(repository.main_worktree)}, None),
        *(_worktree(fields, git_dirs.get(Path(fields["worktree"]))) for fields in others),
    ]


def at(repository: Repository, path: Path) -> Worktree:
    """The worktree whose root is `path`. Raises `WorktreeNotFoundError`."""
    for worktree in listing(repository):
        if worktree.path == path:
            return worktree
    raise WorktreeNotFoundError(str(path))


def named(repository: Repository, name: str, prefix: str = "feature/") -> Worktree:
    """The worktree that `name` means: its path, its branch with or without prefix, its folder, or a task's id."""
    worktrees = listing(repository)
    by_branch = {worktree.branch: worktree for worktree in worktrees if worktree.branch}
    by_path = [worktree for worktree in worktrees if worktree.path == Path(name).resolve()]
    by_folder = [worktree for worktree in worktrees if worktree.path.name == name]
    candidates = [[branch] for branch in (name, prefix + name)]
    candidates += [exact_names(name, prefix), longest_names(name, prefix, by_branch)]
    found = [[by_branch[branch] for branch in branches if branch in by_branch] for branches in candidates]
    hits = next((group for group in (by_path, found[0], by_folder, *found[1:]) if group), [])
    if len(hits) > 1:
        raise AmbiguousWorktreeError(name, [worktree.branch or str(worktree.path) for worktree in hits])
    if not hits:
        known = [*by_branch, *(branch.removeprefix(prefix) for branch in by_branch)]
        raise WorktreeNotFoundError(name, difflib.get_close_matches(name, known, n=2))
    return hits[0]


def exact_names(task: str, prefix: str) -> list[str]:
    """Branches that are called after a task's id itself."""
    return list(dict.fromkeys((f"{prefix}{task}", f"feature/{task}", f"task/{task}", task, f"fix/{task}")))


def longest_names(task: str, prefix: str, known: Collection[str]) -> list[str]:
    """Of the `known` branches, the one called after the longest end of a task's id that has a word and a code."""
    ends = [task[match.end() :] for match in re.finditer("-", task)]
    for end in ends:
        if _WORD_AND_CODE.fullmatch(end) and f"{prefix}{end}" in known:
            return [f"{prefix}{end}"]
    return []


def _fields(block: str) -> Iterator[tuple[str, str]]:
    for line in block.split("\0"):
        key, _, value = line.partition(" ")
        yield key, value


def _worktree(fields: dict[str, str], git_dir: Path | None) -> Worktree:
    ours = marker(git_dir)
    branch = fields.get("branch")
    return Worktree(
        path=Path(os.path.normpath(fields["worktree"])),
        branch=branch.removeprefix("refs/heads/") if branch else None,
        head=fields.get("HEAD", ""),
        main=git_dir is None,
        ours=ours is not None,
        base_commit=ours.base_commit if ours and ours.branch_made else None,
        locked=fields.get("locked"),
    )
