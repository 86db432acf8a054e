"""Ends a removal before each of its changes in turn, and looks at what the next command makes of it.

`python -m tests.worktrees.killed REPOSITORY`, with a SCOPECRAFT_HOME beside it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from scopecraft_git import paths, plugins, worktrees
from scopecraft_git.cleanup import Cleanup
from scopecraft_git.config import WorktreeSettings
from scopecraft_git.executors import agent_home
from scopecraft_git.models import SessionStatus, Worktree
from scopecraft_git.repository import Repository
from scopecraft_git.storage.local import LocalStorage
from scopecraft_git.worktrees import teardown
from scopecraft_git.worktrees.teardown import BACKUPS
from tests.fuses import ChangeFuse, dies
from tests.samples import exec_request, session

CHANGES = frozenset({"os.rename", "os.remove", "os.rmdir", "os.utime", "os.mkdir", "os.chmod"})
READS = frozenset({"worktree", "for-each-ref", "status", "ls-files", "log", "rev-list", "merge-base", "--list"})
"""Of git's commands, by a word of theirs."""


def main() -> None:
    repo = Path(sys.argv[1])
    made = prepare(repo)
    for name in plugins.names("executor"):
        list(plugins.executor(name).remains())  # once here, lest every child imports what that takes
    for folder in (repo.parent, paths.home()):
        shutil.copytree(folder, f"{folder}.saved", symlinks=True)
    kills = undone = 0
    while killed_at(kills, repo, made):
        undone += check(repo, made)
        for folder in (repo.parent, paths.home()):
            shutil.rmtree(folder)
            shutil.copytree(f"{folder}.saved", folder, symlinks=True)
        kills += 1
    check(repo, made)
    print(kills, undone)


def git(path: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=path, capture_output=True, text=True, check=True).stdout.strip()


def prepare(repo: Path) -> Worktree:
    """A worktree with work that is committed and work that is not, a session of the past, and its agents' home."""
    repository = Repository(repo / ".git")
    plan = worktrees.resolve(repository, "implement-auth-05A", "auth-05A", WorktreeSettings())
    made = worktrees.ensure(repository, plan)
    (made.path / "work").write_text("x")
    git(made.path, "add", ".")
    git(made.path, "commit", "-qm", "Work")
    (made.path / "new").write_text("x")
    past = session(
        worktree=made.path, repository=repository.common_dir, base_commit=plan.commit, status=SessionStatus.COMPLETED
    )
    past.path.mkdir()
    (past.path / "request.json").write_text(exec_request(past).model_dump_json())
    LocalStorage().create(past)
    (agent_home.ensure(made.path) / "transcript").write_text("x")
    return worktrees.at(repository, made.path)


def killed_at(change: int, repo: Path, made: Worktree) -> bool:
    """Whether a child that dies before it makes this change got that far."""
    cleanup = Cleanup(Repository(repo / ".git"), LocalStorage())
    return dies(lambda: cleanup.remove(made, force=True), ChangeFuse(change, changes))


def changes(event: str, given: tuple[Any, ...]) -> bool:
    if event == "subprocess.Popen":
        return READS.isdisjoint(given[1])
    return event in CHANGES or (event == "open" and bool(given[2] & (os.O_WRONLY | os.O_RDWR)))


def check(repo: Path, made: Worktree) -> bool:
    """Afterwards it is all there, or all gone with the commit kept. Returns whether it is there."""
    repository = Repository(repo / ".git")
    unfinished = Cleanup(repository, LocalStorage())
    unfinished.resume()
    assert not unfinished.problems
    assert not list(teardown.pending(repository))
    assert LocalStorage().load(session().id).status is SessionStatus.COMPLETED
    assert not list(made.path.parent.glob("*.removing*"))
    if made.path.exists():
        assert worktrees.at(repository, made.path) == made
        assert [line.split()[0] for line in worktrees.losses(repository, made)] == ["untracked:", "commit:"]
        assert agent_home.of(made.path).is_dir()
        assert git(repo, "for-each-ref", BACKUPS) == ""
        return True
    assert git(repo, "for-each-ref", "--format=%(objectname)", BACKUPS) == made.head
    assert git(repo, "branch", "--list", "feature/*") == ""
    assert not (repo / ".git" / "worktrees").exists()
    assert not made.path.parent.exists()
    assert not agent_home.of(made.path).exists()
    assert not paths.worktree_record(made.path).exists()
    return False


if __name__ == "__main__":
    main()
