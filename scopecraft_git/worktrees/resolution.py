"""Which branch and which worktree a task gets. Decides, and creates nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from scopecraft_git.config import WorktreeSettings
from scopecraft_git.errors import (
    AmbiguousWorktreeError,
    BranchElsewhereError,
    BranchInTheWayError,
    InvalidBranchError,
    InvalidSettingError,
    MainBranchError,
    NestedWorktreeError,
    PathInTheWayError,
    RefusedError,
    UnknownRefError,
    WrongBranchError,
)
from scopecraft_git.models import Worktree
from scopecraft_git.repository import Refs, Repository
from scopecraft_git.worktrees.guards import held_branch, refuse_unfit, valid_branch
from scopecraft_git.worktrees.inventory import exact_names, listing, longest_names

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Request(NamedTuple):
    """What was asked for, kept so that it can be decided again under the lock."""

    task: str
    suffix: str
    settings: WorktreeSettings
    branch: str | None
    base: str | None
    place: Path | None = None


class Plan(NamedTuple):
    """Where a task will be worked on."""

    path: Path
    branch: str
    base: str
    """What the branch starts from, by name; the branch itself when it exists."""
    commit: str
    """Where the branch stands, or will start."""
    creates_worktree: bool
    creates_branch: bool
    request: Request


class _Scene(NamedTuple):
    """What there is to decide on, at one moment."""

    repository: Repository
    request: Request
    refs: Refs
    worktrees: list[Worktree]
    held: Mapping[str, Worktree]
    """Worktree by the branch it holds, the main one before others."""
    protected: Collection[str]

    @property
    def own_branch(self) -> str:
        """What the task's branch is called where nothing else is known of it."""
        return self.request.settings.prefix + self.request.suffix


def resolve(
    repository: Repository,
    task: str,
    suffix: str,
    settings: WorktreeSettings,
    *,
    branch: str | None = None,
    base: str | None = None,
    place: Path | None = None,
) -> Plan:
    """Decide where `task` is worked on; raises every refusal there is before anything changes.

    `suffix` is what a new branch is called behind the prefix. `branch` may be a remote's, such as `origin/feature/x`.
    With `place` it is that path and a branch that exists, or nothing.
    """
    request = Request(task, suffix, settings, branch, base, place)
    try:
        return decide(repository, request)
    except RefusedError:
        # Another command may have been in the middle of making it.
        with repository.lock():
            return decide(repository, request)


def decide(repository: Repository, request: Request) -> Plan:
    """`resolve` for one that holds the lock."""
    main = repository.main_worktree
    worktrees, refs = listing(repository), repository.refs()
    git_dirs = {**repository.linked(), main: repository.common_dir}
    held: dict[str, Worktree] = {}
    for worktree in worktrees:
        holds = held_branch(git_dirs.get(worktree.path, main), worktree)
        if holds:
            held.setdefault(holds, worktree)
    protected = repository.protected(refs, request.settings.base)
    scene = _Scene(repository, request, refs, worktrees, held, protected)
    base, base_commit = _base(scene)
    branch = _branch(scene)
    if not valid_branch(branch):
        raise InvalidBranchError(branch)
    return _plan(scene, branch, base, base_commit)


def _base(scene: _Scene) -> tuple[str, str]:
    """What a new branch starts from, by name and commit."""
    refs, request = scene.refs, scene.request
    name = request.base or scene.repository.default_among(refs, request.settings.base)
    for known in (name, *refs.on_remotes(name)):
        if commit := refs.heads.get(known) or refs.remotes.get(known):
            return known, commit
    return name, scene.repository.resolve(name)


def _branch(scene: _Scene) -> str:
    request, refs = scene.request, scene.refs
    if request.branch is not None:
        return _local_name(request.branch, refs)
    prefix = request.settings.prefix
    for known in (scene.held, refs.known()):
        exact = [name for name in exact_names(request.task, prefix) if name in known]
        hits = exact or longest_names(request.task, prefix, known)
        if len(hits) > 1:
            raise AmbiguousWorktreeError(request.task, hits)
        if hits:
            return hits[0]
    return scene.own_branch


def _local_name(branch: str, refs: Refs) -> str:
    """`origin/feature/x` is asked for by who saw it in a list of branches; here it is called `feature/x`."""
    return branch.partition("/")[2] if branch in refs.remotes and branch not in refs.heads else branch


def _plan(scene: _Scene, branch: str, base: str, base_commit: str) -> Plan:
    place = scene.request.place
    if branch in scene.held:
        worktree = scene.held[branch]
        if place and worktree.path != place:
            raise BranchElsewhereError(branch, worktree.path, place, scene.repository.main_worktree)
        refuse_unfit(scene.repository, worktree, scene.protected, scene.own_branch)
        return Plan(worktree.path, branch, branch, worktree.head, False, False, scene.request)
    path = place or _path(scene, branch)
    if branch in scene.protected:
        raise MainBranchError(branch, path, scene.own_branch)
    _refuse_place(scene, path, branch)
    if branch in scene.refs.heads:
        return Plan(path, branch, branch, scene.refs.heads[branch], True, False, scene.request)
    if place:
        raise UnknownRefError(branch)
    if remote := _remote(scene, branch):
        base, base_commit = remote, scene.refs.remotes[remote]
    _refuse_blocked(branch, scene.refs.heads)
    return Plan(path, branch, base, base_commit, True, True, scene.request)


def _remote(scene: _Scene, branch: str) -> str | None:
    """The remote branch of which `branch` will be the local one."""
    asked, refs = scene.request.branch, scene.refs
    if asked in refs.remotes:
        return asked
    remotes = refs.on_remotes(branch)
    if len({refs.remotes[name] for name in remotes}) > 1:
        raise AmbiguousWorktreeError(scene.request.task, remotes)
    return remotes[0] if remotes else None


def _path(scene: _Scene, branch: str) -> Path:
    """Where the template puts it, seen from the main worktree."""
    main, settings = scene.repository.main_worktree, scene.request.settings
    suffix = branch.removeprefix(settings.prefix) or branch
    values = {"repo": main.name, "suffix": suffix, "branch": branch}
    unknown = [name for name in _PLACEHOLDER.findall(settings.path) if name not in values]
    if unknown:
        reason = f"{{{unknown[0]}}} stands for nothing; known are {{repo}}, {{suffix}} and {{branch}}"
        raise InvalidSettingError("worktree.path", repr(settings.path), reason)
    filled = _PLACEHOLDER.sub(lambda match: values[match[1]].replace("/", "-"), settings.path)
    return (main / Path(filled).expanduser()).resolve()


def _refuse_place(scene: _Scene, path: Path, branch: str) -> None:
    for worktree in scene.worktrees:
        if worktree.path == path:
            refuse_unfit(scene.repository, worktree, scene.protected, scene.own_branch)
            raise WrongBranchError(path, worktree.branch or "no branch", branch)
        if path.is_relative_to(worktree.path):
            raise NestedWorktreeError(path, worktree.path)
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise PathInTheWayError(path)


def _refuse_blocked(branch: str, heads: Collection[str]) -> None:
    """Git keeps branches as files and folders: `feature` and `feature/x` cannot both be."""
    for head in heads:
        if branch.startswith(f"{head}/") or head.startswith(f"{branch}/"):
            raise BranchInTheWayError(branch, head)
