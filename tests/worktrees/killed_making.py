"""Ends the making of a worktree before each of its changes in turn, and has the next command make it whole.

`python -m tests.worktrees.killed_making REPOSITORY`, with a SCOPECRAFT_HOME beside it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from scopecraft_git import paths, worktrees
from scopecraft_git.config import WorktreeSettings
from scopecraft_git.repository import Repository
from scopecraft_git.worktrees import unfinished
from tests.fuses import KILLED, ChangeFuse, dies
from tests.worktrees.killed import CHANGES, git

READS = frozenset({"worktree list", "for-each-ref", "show-ref", "ls-files", "diff-index", "config", "rev-parse"})
"""Of git's commands, by words of theirs."""
OF_SESSIONS = ("scopecraft-sessions", "locked")
"""What a killed session's lock leaves in a worktree, which is for a removal to judge."""
PASSING = frozenset({"index", "objects", "logs", "scopecraft.lock", f"{unfinished.FILE}.new"})
State = dict[str, str]


def main() -> None:
    repo = Path(sys.argv[1])
    saved = (repo.parent, paths.home())
    for folder in saved:
        shutil.copytree(folder, f"{folder}.saved", symlinks=True)
    make(repo)
    whole = state(repo)
    ways = {making: 1, undoing: 2, settling: 5}
    kills = [kill_everywhere(repo, saved, way, whole, step) for way, step in ways.items()]
    print(*kills)


def kill_everywhere(
    repo: Path, saved: tuple[Path, ...], way: Callable[[Path], AbstractContextManager[object]], whole: State, step: int
) -> int:
    """How many kills it takes until one comes too late, with `step` changes between them."""
    kills = 0
    while True:
        for folder in saved:
            shutil.rmtree(folder)
            shutil.copytree(f"{folder}.saved", folder, symlinks=True)
        if not killed_at(kills * step, way(repo)):
            return kills
        make(repo)
        assert state(repo) == whole, (way, kills, differences(state(repo), whole))
        kills += 1


def make(repo: Path) -> None:
    repository = Repository(repo / ".git")
    worktrees.ensure(repository, plan(repository))


def plan(repository: Repository) -> worktrees.Plan:
    return worktrees.resolve(repository, "implement-auth-05A", "auth-05A", WorktreeSettings())


# Each prepares as it is entered, and does as it is left what a kill may cut.


@contextlib.contextmanager
def making(repo: Path) -> Any:
    yield
    make(repo)


@contextlib.contextmanager
def undoing(repo: Path) -> Any:
    """The making of a worktree whose session cannot be made."""
    repository = Repository(repo / ".git")
    with ExitStack() as stack:
        stack.enter_context(worktrees.made(repository, plan(repository), "auth-05A-0000000"))
        yield
        with contextlib.suppress(KeyboardInterrupt), stack.pop_all():
            raise KeyboardInterrupt


@contextlib.contextmanager
def settling(repo: Path) -> Any:
    """What a command does that finds half a worktree: git was killed in the middle of the checkout."""
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        os.environ["DEADLY"] = "1"
        make(repo)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -KILLED
    with Repository(repo / ".git").lock():  # once all of them are gone
        pass
    yield
    worktrees.listing(Repository(repo / ".git"))


def killed_at(change: int, way: AbstractContextManager[object]) -> bool:
    """Whether a child that dies before it makes this change got that far."""

    def end() -> None:
        with way:
            ChangeFuse(change, changes).begin()

    return dies(end)


def changes(event: str, given: tuple[Any, ...]) -> bool:
    if event == "subprocess.Popen":
        command = f"{' '.join(map(os.fsdecode, given[1]))} "
        return not any(f" {read} " in command for read in READS)
    return event in CHANGES or (event == "open" and bool(given[2] & (os.O_WRONLY | os.O_RDWR)))


def state(repo: Path) -> State:
    """Refs, worktrees, and every file with what it holds, but for those that are of one moment."""
    assert not (repo / ".git" / unfinished.FILE).exists()
    known = [
        line for line in git(repo, "worktree", "list", "--porcelain").splitlines() if not line.startswith("locked")
    ]
    worktree = repo.parent / "app.worktrees" / "auth-05A"
    found = {"worktrees": "\n".join(known), "status": git(worktree, "status", "--porcelain", "--ignored")}
    for root in (repo.parent, paths.home()):
        for file in root.rglob("*"):
            if PASSING.isdisjoint(file.parts) and not file.name.startswith(OF_SESSIONS):
                found[str(file)] = file.read_bytes().decode(errors="replace") if file.is_file() else ""
    return found


def differences(one: State, other: State) -> dict[str, tuple[str | None, str | None]]:
    return {name: (one.get(name), other.get(name)) for name in one | other if one.get(name) != other.get(name)}


if __name__ == "__main__":
    main()
