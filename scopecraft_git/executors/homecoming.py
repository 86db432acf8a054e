"""Brings an agent's commits into the repository without running git on anything the agent could have prepared.

What it left is read as text and as files named like objects; those are linked into a folder of our own, from which
git packs what is new, checks every object of it, and only then may a branch move, forwards and from where it is known.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scopecraft_git.errors import GitFailedError, ScopecraftError
from scopecraft_git.executors import agent_refs, documents, quarantine
from scopecraft_git.protocols import ExecRequest, Imported
from scopecraft_git.repository import Repository, run_git

COPY = "git"
"""The agent's own repository, in the session's folder."""
MARK = "imported.json"


class Mark(NamedTuple):
    """How far the import has come; kept with the session."""

    seen: dict[str, str]
    """What each of the agent's refs said when it was last dealt with."""
    accepted: list[str]
    """Where the branch may stand: the start and what we moved it to, or were about to."""
    reported: list[list[str]]
    """All that has come home, and why something could not, oldest first."""
    indexed: str
    """The commit that the worktree's index was last brought to."""
    intended: list[str] | None = None
    """What the branch is about to move to. Whether it did is found out later for one who was killed."""


class Home(NamedTuple):
    """Where the branch stands in the repository."""

    commit: str | None
    elsewhere: str
    """Another worktree that has it checked out."""


class Homecoming:
    def __init__(self, request: ExecRequest) -> None:
        self.request = request
        self.repository = Repository(request.repository)
        self.branch = f"refs/heads/{request.branch}"
        self.beside = f"refs/scopecraft/sessions/{request.session_id}/"
        self.own = request.directory / COPY
        self.mark = self._load()

    def outstanding(self, *, ended: bool) -> dict[str, str]:
        """The agent's refs that are not home yet, as text: the session's branch, and once it has `ended` all others."""
        refs = agent_refs.everything(self.own, self.request) if ended else agent_refs.named(self.own, self.branch)
        return {name: text for name, text in refs.items() if self.mark.seen.get(name) != text}

    def bring(self, *, ended: bool) -> list[Imported]:
        """Import the session's branch, and once the agent has `ended` whatever else it committed.

        Returns what this and all earlier calls brought, also those that were killed, oldest first. One at a time.
        """
        with self._alone():
            self.mark = self._load()
            self._settle()
            if moved := self.outstanding(ended=ended):
                with tempfile.TemporaryDirectory(dir=self.request.directory, prefix="incoming-") as folder:
                    self._bring_all(moved, Path(folder))
            self._refresh_index()
            return [Imported(*told) for told in self.mark.reported]

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        folder = os.open(self.request.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _bring_all(self, moved: dict[str, str], folder: Path) -> None:
        try:
            quarantine.collect(self.own, folder)
        except OSError as error:
            commit = moved.get(self.branch, "")
            self._report(self._failed(self.branch, commit, f"its objects cannot be read: {error.strerror}"))
            return
        for name, text in moved.items():
            try:
                imported = self._bring_one(name, text, folder)
            except ScopecraftError as error:
                self._report(self._failed(name, text, error.message))
            else:
                self._report(imported, seen={**self.mark.seen, name: text})

    def _bring_one(self, name: str, text: str, folder: Path) -> Imported | None:
        if not agent_refs.is_object_id(text):
            return self._failed(name, "", f"{text[:80]!r} is no commit")
        if name != self.branch:
            return self._stray(name, text, folder)
        home = self._home()
        if text == home.commit:
            self._remember(accepted=[text], indexed=text)
            return None
        self._take_objects(text, folder)
        if reason := self._objection(home, text):
            return self._put_beside(name, text, reason)
        assert home.commit
        note = "" if self._descends(text, home.commit) else self._keep_replaced(home.commit)
        moves = Imported(name, text, note)
        self._remember(accepted=[home.commit, text], intended=list(moves))
        self.repository.git("update-ref", "-m", self._message(), "--end-of-options", name, text, home.commit)
        return moves

    def _settle(self) -> None:
        """Find out whether the branch moved, where whoever was about to move it was killed."""
        if self.mark.intended is None:
            return
        moves = Imported(*self.mark.intended)
        home = self._home()
        if home.commit and self._descends(home.commit, moves.commit):
            self._report(moves, seen={**self.mark.seen, moves.ref: moves.commit})
        else:
            self._report(None)

    def _stray(self, name: str, text: str, folder: Path) -> Imported | None:
        self._take_objects(text, folder)
        known = ("--branches", "--remotes", "--tags", f"--glob={self.beside}")
        alone = self.repository.git("rev-list", "--max-count=1", text, "--not", *known)
        return self._put_beside(name, text, "the agent committed outside the session's branch") if alone else None

    def _objection(self, home: Home, commit: str) -> str:
        """Why the branch must not move to `commit`; empty when it may."""
        if home.commit is None:
            return "the branch is gone from the repository"
        if home.elsewhere:
            return f"the branch is checked out in {home.elsewhere}"
        if home.commit not in self.mark.accepted:
            return "the branch has moved in the repository meanwhile"
        # What the session itself committed it may amend, also after it came home; what was there before it may not.
        if self._descends(commit, home.commit) or self._descends(commit, self.request.commit):
            return ""
        return "the agent rewrote commits that were there before it began"

    def _descends(self, commit: str, ancestor: str) -> bool:
        return self.repository.try_git("merge-base", "--is-ancestor", ancestor, commit).returncode == 0

    def _keep_replaced(self, commit: str) -> str:
        """Nothing that came home is lost when the agent amends it: it stays under a ref of the session's."""
        kept = f"{self.beside}replaced-{commit[:12]}"
        self.repository.git("update-ref", "-m", self._message(), "--end-of-options", kept, commit)
        return f"it replaces {commit[:10]}, kept as {kept}"

    def _failed(self, name: str, commit: str, reason: str) -> Imported:
        return Imported(self._beside(name), commit, f"not imported: {reason}")

    def _put_beside(self, name: str, commit: str, reason: str) -> Imported:
        kept = self._beside(name)
        self.repository.git("update-ref", "-m", self._message(), "--end-of-options", kept, commit)
        return Imported(kept, commit, reason)

    def _beside(self, name: str) -> str:
        return self.beside + name.removeprefix("refs/heads/")

    def _home(self) -> Home:
        form = "--format=%(objectname) %(worktreepath)"
        listed = self.repository.git("for-each-ref", form, self.branch).splitlines()
        if not listed:
            return Home(None, "")
        commit, _, path = listed[0].partition(" ")
        ours = not path or Path(path).resolve() == self.request.worktree.resolve()
        return Home(commit, "" if ours else path)

    def _take_objects(self, commit: str, folder: Path) -> None:
        """Copy what `commit` needs and the repository lacks, every object checked. Raises `GitFailedError`."""
        known = self.repository.git("for-each-ref", "--format=^%(objectname)", "refs/heads", "refs/remotes")
        wanted = f"{commit}\n{known}".encode()
        git_dir = f"--git-dir={self.repository.common_dir}"
        borrowed = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": quarantine.quoted(folder / "objects")}
        packed = run_git(
            git_dir, "pack-objects", "-q", "--revs", str(folder / "new"), stdin=wanted, environment=borrowed
        )
        if packed.returncode:
            raise GitFailedError("pack-objects", quarantine.last_line(packed.stderr))
        for pack in sorted(folder.glob("new-*.pack")):
            with pack.open("rb") as file:
                taken = run_git(git_dir, "index-pack", "--strict", "--stdin", stdin=file)
            pack.unlink()
            if taken.returncode:
                raise GitFailedError("index-pack", quarantine.last_line(taken.stderr))
        # What was packed could have changed under its name; only what the repository now has counts.
        self.repository.git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
        self.repository.git("rev-list", "--objects", "--quiet", commit, "--not", "--all")

    def _refresh_index(self) -> None:
        """Let the worktree's index say what is committed now. Its files are there already; none is touched."""
        commit = self.mark.accepted[-1]
        if commit == self.mark.indexed:
            return
        worktree = self.request.worktree
        with contextlib.suppress(ScopecraftError):  # tried again at the next import
            if self._home().commit != commit:
                return
            if self.repository.git_in(worktree, "symbolic-ref", "-q", "HEAD").strip() != self.branch:
                return
            self.repository.git_in(worktree, "read-tree", "--reset", commit)
            self._remember(indexed=commit)
            self.repository.git_in(worktree, "update-index", "-q", "--refresh")

    def _report(self, imported: Imported | None, **changes: object) -> None:
        """Remember what came of it, and that nothing is intended. A failure that was met before is told of once."""
        reported = self.mark.reported
        if imported and list(imported) not in reported:
            reported = [*reported, list(imported)]
        self._remember(reported=reported, intended=None, **changes)

    def _message(self) -> str:
        return f"scopecraft: import from session {self.request.session_id}"

    def _load(self) -> Mark:
        try:
            return Mark(**json.loads((self.request.directory / MARK).read_bytes()))
        except (FileNotFoundError, ValueError):
            given = agent_refs.given(self.request.directory / "given-refs")
            return Mark(given, [self.request.commit], [], self.request.commit)

    def _remember(self, **changes: object) -> None:
        self.mark = self.mark._replace(**changes)  # type: ignore[arg-type]
        documents.write(self.request.directory / MARK, self.mark._asdict())


def has_copy(folder: Path) -> bool:
    """Whether the agent of this session worked in a repository of its own."""
    return (folder / COPY).is_dir()


def forget(folder: Path) -> None:
    """Remove what an import that was killed left behind."""
    for left in folder.glob("incoming-*"):
        shutil.rmtree(left, ignore_errors=True)
