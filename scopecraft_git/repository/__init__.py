"""The one place that runs git.

Inherited `GIT_*` variables never reach it (a git hook sets them), nothing waits without a limit, nothing a
repository could have planted runs: no hooks, no fsmonitor, no external diff. In a worktree an agent has written to,
git is told where everything is instead of asking the worktree.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from scopecraft_git import paths
from scopecraft_git.errors import (
    BareRepositoryError,
    GitFailedError,
    NoDefaultBranchError,
    NotARepositoryError,
    UnbornRepositoryError,
    UnknownRefError,
)
from scopecraft_git.repository.locking import TIMEOUT as LOCK_TIMEOUT
from scopecraft_git.repository.locking import Lock
from scopecraft_git.repository.process import (
    CHECKOUT_TIMEOUT,
    HARDENED,
    TIMEOUT,
    answer,
    read_config,
    reason,
    run_git,
    scrubbed_environment,
)
from scopecraft_git.repository.refs import Refs

if TYPE_CHECKING:
    from git import Git

    from scopecraft_git.models import Commit

__all__ = ["HARDENED", "Refs", "Repository", "run_git", "scrubbed_environment"]


class Repository:
    """A repository by its common directory, whichever of its worktrees it was found from."""

    def __init__(self, common_dir: Path) -> None:
        self.common_dir = common_dir
        self._lock = Lock(common_dir / "scopecraft.lock")

    @classmethod
    def discover(cls, start: Path) -> Repository:
        """The repository that `start` lies in: a subdirectory, linked worktree or symlinked path will do.

        A worktree that sessions have used is known by its path, without reading anything an agent may have put there.
        """
        if not start.is_dir():
            raise NotARepositoryError(start)
        here = start.resolve()
        for folder in (here, *here.parents):
            if known := cls._remembered(folder):
                return known
        found = run_git("rev-parse", "--path-format=absolute", "--git-common-dir", cwd=here)
        if b"not a git repository" in found.stderr:
            raise NotARepositoryError(start)
        if found.returncode:
            raise GitFailedError("rev-parse", reason(found))
        return cls(Path(os.fsdecode(found.stdout.removesuffix(b"\n"))))

    @classmethod
    def _remembered(cls, worktree: Path) -> Repository | None:
        """The repository of a worktree that `remember` was told, if it still is one."""
        try:
            record = json.loads(paths.worktree_record(worktree).read_bytes())
            known = cls(Path(record["repository"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return known if worktree in known.linked() else None

    def remember(self, worktree: Path) -> None:
        """Let `discover` find this repository from the worktree's path alone. Idempotent."""
        record = paths.worktree_record(worktree)
        record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = record.with_name(f"{record.name}.new")
        part.write_text(json.dumps({"path": str(worktree), "repository": str(self.common_dir)}))
        part.replace(record)

    def forget(self, worktree: Path) -> None:
        """Undo `remember`. A record that stays behind does no harm: it is checked when it is read."""
        with contextlib.suppress(OSError):
            paths.worktree_record(worktree).unlink()

    def git(self, *arguments: str, stdin: bytes | None = None, timeout: float = TIMEOUT) -> str:
        """What git prints, run on the repository itself and no worktree of it. Raises `GitFailedError`."""
        return answer(arguments, self.try_git(*arguments, stdin=stdin, timeout=timeout))

    def try_git(
        self, *arguments: str, stdin: bytes | None = None, timeout: float = TIMEOUT
    ) -> subprocess.CompletedProcess[bytes]:
        """Like `git`, for callers to whom a failure is an answer."""
        return run_git(
            f"--git-dir={self.common_dir}",
            *arguments,
            cwd=self.common_dir,
            stdin=stdin,
            timeout=timeout,
            descriptors=self._lock.descriptors,
        )

    def git_in(
        self,
        worktree: Path,
        *arguments: str,
        git_dir: Path | None = None,
        environment: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        timeout: float = TIMEOUT,
    ) -> str:
        """What git prints, run on a worktree that an agent may have written anything into.

        Its `.git` is not read: where the repository is comes from our own side of the link. Filters do not run,
        whoever configured them, since a planted `.gitattributes` says what they would run on. In the main worktree,
        which is the user's, they do. `git_dir` is the private directory of a worktree that is not where it belongs.
        """
        git_dir = git_dir or self.git_dir(worktree)
        located = {
            "GIT_DIR": str(git_dir),
            "GIT_COMMON_DIR": str(self.common_dir),
            "GIT_WORK_TREE": str(worktree),
            "GIT_ATTR_NOSYSTEM": "1",
        }
        filters = {} if git_dir == self.common_dir else self._without_filters(git_dir)
        surroundings = located | filters | dict(environment or {})
        done = run_git(*arguments, cwd=worktree, environment=surroundings, stdin=stdin, timeout=timeout)
        return answer(arguments, done)

    def add_worktree(self, path: Path, branch: str) -> None:
        """Check `branch` out at `path`. What the user configured may run: filters, lazy fetches.

        `path` is absent or an empty folder. Tracks nothing. May leave a half-made worktree behind when it fails.
        """
        self._check_out("worktree", "add", "--quiet", "--", str(path), branch)

    def fill(self, folder: Path, index: Path, git_dir: Path, commit: str) -> None:
        """Put the files of `commit` into an empty folder, as `add_worktree` would into the worktree of `git_dir`."""
        located = {"GIT_COMMON_DIR": self.common_dir, "GIT_WORK_TREE": folder, "GIT_INDEX_FILE": index}
        environment = {name: str(path) for name, path in located.items()}
        self._check_out("read-tree", "-m", "-u", commit, git_dir=git_dir, cwd=folder, environment=environment)

    def _check_out(
        self,
        *arguments: str,
        git_dir: Path | None = None,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        done = run_git(
            f"--git-dir={git_dir or self.common_dir}",
            *arguments,
            cwd=cwd or self.common_dir,
            environment=environment,
            timeout=CHECKOUT_TIMEOUT,
            options=HARDENED,
            descriptors=self._lock.descriptors,
        )
        answer(arguments, done)

    def linked(self) -> dict[Path, Path]:
        """The private directory (`.git/worktrees/<name>`) of each linked worktree, by the worktree's path."""
        found: dict[Path, Path] = {}
        with contextlib.suppress(FileNotFoundError), os.scandir(self.common_dir / "worktrees") as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    link = os.fsdecode(Path(entry.path, "gitdir").read_bytes()).rstrip()
                    found[Path(os.path.normpath(Path(entry.path, link))).parent] = Path(entry.path)
        return found

    def git_dir(self, worktree: Path) -> Path:
        """The private directory of a worktree, found from the repository's side; the main worktree's is `.git`."""
        if linked := self.linked().get(worktree):
            return linked
        if worktree == self.main_worktree:
            return self.common_dir
        raise GitFailedError("worktree", f"{worktree} is not registered")

    @cached_property
    def main_worktree(self) -> Path:
        """The checkout that the repository was made with. Raises `BareRepositoryError` when there is none."""
        if self.config.get("core.bare", "").lower() in ("true", "yes", "on", "1"):
            raise BareRepositoryError(self.common_dir)
        if elsewhere := self.config.get("core.worktree"):
            return Path(os.path.normpath(self.common_dir / elsewhere))
        return self.common_dir.parent if self.common_dir.name == ".git" else self.common_dir

    @cached_property
    def config(self) -> Mapping[str, str]:
        """Every entry of git's configuration, keys as git prints them; the last one wins. Read once."""
        return read_config(self.common_dir)

    def configured(self, section: str) -> dict[str, str]:
        """`git config` entries of one section."""
        return {key: value for key, value in self.config.items() if key.startswith(f"{section}.")}

    def _without_filters(self, git_dir: Path) -> dict[str, str]:
        """Environment in which every filter that is configured does nothing."""
        entries = dict(self.config)
        if (git_dir / "config.worktree").exists():
            entries |= read_config(git_dir)
        drivers = {key.removeprefix("filter.").rpartition(".")[0] for key in entries if key.startswith("filter.")}
        nothing = {"clean": "", "smudge": "", "process": "", "required": "false"}
        pairs = [(f"filter.{driver}.{key}", value) for driver in sorted(drivers) for key, value in nothing.items()]
        keys = {f"GIT_CONFIG_KEY_{number}": key for number, (key, _) in enumerate(pairs)}
        values = {f"GIT_CONFIG_VALUE_{number}": value for number, (_, value) in enumerate(pairs)}
        return {"GIT_CONFIG_COUNT": str(len(pairs))} | keys | values

    def refs(self) -> Refs:
        """Branches here and on remotes, as they are now."""
        form = "--format=%(refname)%00%(objectname)%00%(symref)"
        found = Refs({}, {}, [])
        for line in self.git("for-each-ref", form, "refs/heads", "refs/remotes").split("\n")[:-1]:
            name, commit, symref = line.split("\0")
            if name.startswith("refs/heads/"):
                found.heads[name.removeprefix("refs/heads/")] = commit
            elif not symref:
                found.remotes[name.removeprefix("refs/remotes/")] = commit
            elif name.endswith("/HEAD"):
                first = 0 if name == "refs/remotes/origin/HEAD" else len(found.remote_heads)
                found.remote_heads.insert(first, symref.split("/", 3)[3])
        return found

    @cached_property
    def default_branch(self) -> str:
        """Short name of the branch no agent may work on, from git's configuration alone."""
        return self.default_among(self.refs(), self.config.get("scopecraft.worktree.base"))

    def default_among(self, refs: Refs, configured: str | None) -> str:
        """The branch that stands for the project, on a remote alone if need be.

        `configured`, else the remote's HEAD, else `init.defaultBranch`, main, master or trunk, else the only branch.
        """
        known = refs.known()
        if not known:
            raise UnbornRepositoryError(self.main_worktree)
        if configured and configured not in known:
            raise UnknownRefError(configured)
        usual = [self.config.get("init.defaultbranch", ""), "main", "master", "trunk"]
        said = [name for name in (configured, *refs.remote_heads) if name in known]
        found = [*said, *(name for name in usual if name in refs.heads), *(name for name in usual if name in known)]
        if not found and len(refs.heads) != 1:
            raise NoDefaultBranchError(sorted(refs.heads or known))
        return next(iter((*found, *refs.heads)))

    def protected(self, refs: Refs, configured: str | None) -> set[str]:
        """Branches no agent works on, as far as they can be told: the configured, the remotes' and the usual one."""
        names = {configured, *refs.remote_heads} - {None}
        with contextlib.suppress(NoDefaultBranchError, UnbornRepositoryError):
            names.add(self.default_among(refs, None))
        return {name for name in names if name}

    def resolve(self, ref: str) -> str:
        """The commit that `ref` names, as a full SHA."""
        found = self.try_git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        if found.returncode:
            raise UnknownRefError(ref)
        return found.stdout.decode().strip()

    def lock(self, timeout: float = LOCK_TIMEOUT) -> AbstractContextManager[None]:
        """Held while worktrees are made or removed. A thread that holds it by this object may take it again."""
        return self._lock.held(timeout)

    def commits(self, base: str, tip: str) -> list[Commit]:
        """What `tip` has beyond `base`, newest first."""
        known = f"{self.resolve(base)}..{self.resolve(tip)}"
        form = "--format=%x00%H%x00%an%x00%s%x00"
        shown = self.history().log(form, "--shortstat", "--no-ext-diff", "--no-textconv", "--no-color", known)
        fields = str(shown).split("\0")[1:]
        return [_commit(*fields[first : first + 4]) for first in range(0, len(fields), 4)]

    def history(self) -> Git:
        """GitPython's command runner on this repository, for reading commits: it parses no object by itself.

        Where everything is, is said in full, since GitPython hands on what it inherited.
        """
        from git import Git

        runner = Git(self.common_dir)
        runner.set_persistent_git_options(c=list(HARDENED[1::2]))
        inherited = {name: "" for name in os.environ if name.startswith(("GIT_CONFIG_", "GIT_TRACE"))}
        kept = {name: value for name, value in scrubbed_environment().items() if name.startswith(("GIT_", "LC_"))}
        located = {
            "GIT_DIR": str(self.common_dir),
            "GIT_COMMON_DIR": str(self.common_dir),
            "GIT_OBJECT_DIRECTORY": str(self.common_dir / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
        }
        runner.update_environment(**inherited, **kept, **located)
        return runner


def _commit(sha: str, author: str, subject: str, stat: str) -> Commit:
    from scopecraft_git.models import Commit

    counted = {word: int(number) for number, word in re.findall(r"(\d+) (file|insertion|deletion)", stat)}
    return Commit(
        sha=sha,
        subject=subject,
        author=author,
        files=counted.get("file", 0),
        insertions=counted.get("insertion", 0),
        deletions=counted.get("deletion", 0),
    )
