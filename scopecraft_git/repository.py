"""The one place that runs git.

Inherited `GIT_*` variables never reach it (a git hook sets them), nothing waits without a limit, nothing a
repository could have planted runs: no hooks, no fsmonitor, no external diff. In a worktree an agent has written to,
git is told where everything is instead of asking the worktree.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from scopecraft_git.errors import (
    BareRepositoryError,
    GitFailedError,
    LockTimeoutError,
    NoDefaultBranchError,
    NotARepositoryError,
    UnbornRepositoryError,
    UnknownRefError,
)

if TYPE_CHECKING:
    from git import Repo

TIMEOUT = 120.0
HARDENED = (
    "-c", "core.fsmonitor=false",
    "-c", "core.hooksPath=/dev/null",
    "-c", "diff.ignoreSubmodules=all",
    "-c", "submodule.recurse=false",
    "-c", "gc.auto=0",
    "-c", "protocol.allow=never",
)  # fmt: skip


def scrubbed_environment(**more: str) -> dict[str, str]:
    """This process's environment without anything that tells git where to work or what to run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_EDITOR": "true",
    } | more  # fmt: skip


def run_git(
    *arguments: str,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout: float = TIMEOUT,
) -> subprocess.CompletedProcess[bytes]:
    """Run git hardened; the caller looks at the exit code. Times out as a `GitFailedError`."""
    try:
        return subprocess.run(
            ["git", *HARDENED, *arguments],
            cwd=cwd,
            env=scrubbed_environment(**(environment or {})),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise GitFailedError(arguments[0], f"no answer within {timeout:.0f} s") from None


class Repository:
    """A repository by its common directory, whichever of its worktrees it was found from."""

    def __init__(self, common_dir: Path) -> None:
        self.common_dir = common_dir

    @classmethod
    def discover(cls, start: Path) -> Repository:
        """The repository that `start` lies in: a subdirectory, linked worktree or symlinked path will do."""
        if not start.is_dir():
            raise NotARepositoryError(start)
        found = run_git("rev-parse", "--path-format=absolute", "--git-common-dir", cwd=start)
        if found.returncode:
            raise NotARepositoryError(start)
        return cls(Path(os.fsdecode(found.stdout.removesuffix(b"\n"))))

    def git(self, *arguments: str, stdin: bytes | None = None, timeout: float = TIMEOUT) -> str:
        """What git prints, run on the repository itself and no worktree of it. Raises `GitFailedError`."""
        done = self.try_git(*arguments, stdin=stdin, timeout=timeout)
        if done.returncode:
            raise GitFailedError(arguments[0], _reason(done))
        return os.fsdecode(done.stdout)

    def try_git(
        self, *arguments: str, stdin: bytes | None = None, timeout: float = TIMEOUT
    ) -> subprocess.CompletedProcess[bytes]:
        """Like `git`, for callers to whom a failure is an answer."""
        return run_git(f"--git-dir={self.common_dir}", *arguments, stdin=stdin, timeout=timeout)

    def git_in(self, worktree: Path, *arguments: str, timeout: float = TIMEOUT) -> str:
        """What git prints, run on a worktree that an agent may have written anything into.

        Its `.git` is not read: where the repository is comes from our own side of the link.
        """
        environment = {
            "GIT_DIR": str(self.git_dir(worktree)),
            "GIT_COMMON_DIR": str(self.common_dir),
            "GIT_WORK_TREE": str(worktree),
            "GIT_ATTR_NOSYSTEM": "1",
        }
        done = run_git(*arguments, cwd=worktree, environment=environment, timeout=timeout)
        if done.returncode:
            raise GitFailedError(arguments[0], _reason(done))
        return os.fsdecode(done.stdout)

    def git_dir(self, worktree: Path) -> Path:
        """The private directory of a worktree (`.git/worktrees/<name>`), found from the repository's side."""
        if worktree == self.main_worktree:
            return self.common_dir
        for link in (self.common_dir / "worktrees").glob("*/gitdir"):
            if Path(os.fsdecode(link.read_bytes().strip())) == worktree / ".git":
                return link.parent
        raise GitFailedError("worktree", f"{worktree} is not registered")

    @cached_property
    def main_worktree(self) -> Path:
        """The checkout that the repository was made with. Raises `BareRepositoryError` when there is none."""
        first = self.git("worktree", "list", "--porcelain", "-z").split("\0\0", 1)[0].split("\0")
        if "bare" in first:
            raise BareRepositoryError(self.common_dir)
        return Path(first[0].removeprefix("worktree "))

    @cached_property
    def default_branch(self) -> str:
        """Short name of the branch no agent may work on.

        The remote's HEAD, else `init.defaultBranch` if it exists, else main, master, trunk, else the only branch.
        """
        refs = self.git("for-each-ref", "--format=%(refname)%00%(symref)", "refs/heads", "refs/remotes/*/HEAD")
        rows = [line.split("\0") for line in refs.splitlines()]
        heads = [name.removeprefix("refs/heads/") for name, _ in rows if name.startswith("refs/heads/")]
        remotes = {name: symref.split("/", 3)[3] for name, symref in rows if symref.startswith("refs/remotes/")}
        if not heads:
            raise UnbornRepositoryError(self.common_dir)
        configured = os.fsdecode(self.try_git("config", "--get", "init.defaultBranch").stdout).strip()
        for name in (*_origin_first(remotes), configured, "main", "master", "trunk"):
            if name in heads:
                return name
        if len(heads) > 1:
            raise NoDefaultBranchError(heads)
        return heads[0]

    def resolve(self, ref: str) -> str:
        """The commit that `ref` names, as a full SHA."""
        found = self.try_git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        if found.returncode:
            raise UnknownRefError(ref)
        return found.stdout.decode().strip()

    def configured(self, section: str) -> dict[str, str]:
        """`git config` entries of one section, keys as git prints them; the last one wins."""
        found = self.try_git("config", "-z", "--get-regexp", rf"^{section}\.")
        entries = os.fsdecode(found.stdout).split("\0")[:-1]
        return {key: value for key, _, value in (entry.partition("\n") for entry in entries)}

    @contextlib.contextmanager
    def lock(self, timeout: float = 60.0) -> Iterator[None]:
        """One command at a time makes or removes worktrees here: git itself fails when several do."""
        path = self.common_dir / "scopecraft.lock"
        with path.open("a") as file:
            deadline = time.monotonic() + timeout
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise LockTimeoutError(path, timeout) from None
                    time.sleep(0.005)
            yield

    def history(self) -> Repo:
        """GitPython's view of the objects, for reading commits; it never sees an agent's worktree or index."""
        from git import Repo

        repo = Repo(self.common_dir)
        repo.git.update_environment(GIT_NO_REPLACE_OBJECTS="1", GIT_OPTIONAL_LOCKS="0", LC_ALL="C")
        return repo


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    """Git's last words, without its own prefix."""
    lines = os.fsdecode(done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
    return lines[-1].removeprefix("fatal: ").removeprefix("error: ")


def _origin_first(remotes: Mapping[str, str]) -> list[str]:
    return [branch for name, branch in sorted(remotes.items(), key=lambda item: item[0] != "refs/remotes/origin/HEAD")]
