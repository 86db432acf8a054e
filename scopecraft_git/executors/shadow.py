"""The gitdir an agent in a container works with: the repository's history, read-only, under refs of its own.

The repository's `.git` never enters the container: whoever can write there runs programs on this machine. The
session's `git/` takes its place, borrows the repository's objects as an alternate, and is never opened by our git.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from scopecraft_git.errors import ReplacedGitLinkError
from scopecraft_git.executors.mounts import WORKSPACE, Mount
from scopecraft_git.protocols import ExecRequest
from scopecraft_git.repository import Repository

GIT = "/scopecraft/git"
OBJECTS = "/scopecraft/objects"
KEPT = frozenset({
    "user.name", "user.email", "author.name", "author.email", "committer.name", "committer.email",
    "core.autocrlf", "core.eol", "core.safecrlf", "core.filemode", "core.ignorecase", "core.precomposeunicode",
    "core.symlinks",
})  # fmt: skip
"""Settings that can name no program, and without which the agent's files or commits would come out different."""
MASK = "no-alternates"
LINK = "git-link"


def mounts(request: ExecRequest) -> list[Mount]:
    """What the container needs of it, in the order in which one covers the other."""
    own = request.directory / "git"
    return [
        Mount(request.worktree, WORKSPACE, read_only=False),
        Mount(request.directory / LINK, f"{WORKSPACE}/.git"),
        Mount(own, GIT, read_only=False),
        Mount(own / "config", f"{GIT}/config"),
        *_object_mounts(request),
    ]


def prepare(request: ExecRequest) -> None:
    """Make the gitdir anew. An earlier one of this session, whose start failed, is replaced."""
    _check_link(request)
    repository = Repository(request.repository)
    own = request.directory / "git"
    shutil.rmtree(own, ignore_errors=True)
    for folder in ("objects/info", "refs/heads", "refs/tags", "info"):
        (own / folder).mkdir(parents=True)
    stores = object_stores(request.repository)
    (own / "objects/info/alternates").write_text("".join(f"{OBJECTS}/{n}\n" for n in range(len(stores))))
    refs = _packed_refs(repository, request)
    (own / "packed-refs").write_bytes(refs)
    (request.directory / "given-refs").write_bytes(refs)
    (own / "HEAD").write_text(f"ref: refs/heads/{request.branch}\n")
    settings = repository.config
    (own / "config").write_text(_config(settings))
    (own / "info/exclude").write_bytes(_excludes(repository, settings))
    _copy(repository.git_dir(request.worktree), "index", own)
    for shared in repository.git_dir(request.worktree).glob("sharedindex.*"):
        _copy(shared.parent, shared.name, own)
    _copy(request.repository, "shallow", own)
    (request.directory / MASK).touch()
    (request.directory / LINK).write_text(f"gitdir: {GIT}\n")


def object_stores(repository: Path) -> list[Path]:
    """The repository's object folder, and those it borrows from in turn."""
    found = [repository / "objects"]
    for store in found:
        for line in _alternates(store):
            path = Path(os.path.normpath(store / line))
            if path.is_dir() and path not in found:
                found.append(path)
    return found


def _alternates(store: Path) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError):
        lines = os.fsdecode((store / "info/alternates").read_bytes()).splitlines()
        yield from (line for line in lines if line and not line.startswith("#"))


def _object_mounts(request: ExecRequest) -> Iterator[Mount]:
    for number, store in enumerate(object_stores(request.repository)):
        yield Mount(store.resolve(), f"{OBJECTS}/{number}")
        if (store / "info/alternates").exists():
            # Its paths are this machine's; in the container the session's own list names them all.
            yield Mount(request.directory / MASK, f"{OBJECTS}/{number}/info/alternates")


def _check_link(request: ExecRequest) -> None:
    """The container gets another file in its place, and only a file can be covered by a file."""
    try:
        is_file = stat.S_ISREG((request.worktree / ".git").lstat().st_mode)
    except OSError:
        is_file = False
    if not is_file:
        raise ReplacedGitLinkError(request.worktree, Repository(request.repository).main_worktree)


def _packed_refs(repository: Repository, request: ExecRequest) -> bytes:
    """Every branch and tag as git packs them, the session's own branch where the session starts."""
    form = "%(objectname) %(refname) %(*objectname)%00%(symref)"
    listed = repository.git("for-each-ref", f"--format={form}", "refs/heads", "refs/tags", "refs/remotes")
    own = f"refs/heads/{request.branch}"
    refs = {own: (request.commit, "")}
    for line in listed.splitlines():
        entry, _, symref = line.partition("\0")
        commit, name, peeled = entry.split(" ")
        if not symref and name != own:
            refs[name] = (commit, peeled)
    rows = [
        f"{commit} {name}\n" + (f"^{peeled}\n" if peeled else "") for name, (commit, peeled) in sorted(refs.items())
    ]
    return os.fsencode("# pack-refs with: peeled fully-peeled sorted \n" + "".join(rows))


def _config(settings: Mapping[str, str]) -> str:
    lines = ["[core]", "\trepositoryformatversion = 1", "\tbare = false", "\tlogallrefupdates = true"]
    if form := settings.get("extensions.objectformat"):
        lines += ["[extensions]", f"\tobjectFormat = {form}"]
    for key in sorted(KEPT & settings.keys()):
        section, name = key.split(".")
        lines += [f"[{section}]", f"\t{name} = {_quoted(settings[key])}"]
    # A submodule's own gitdir stays outside as well, and status would fail on looking into it.
    lines += ["[diff]", "\tignoreSubmodules = dirty", "[gc]", "\tauto = 0"]
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _excludes(repository: Repository, settings: Mapping[str, str]) -> bytes:
    """What the user's git ignores, so that the agent's `git add --all` ignores it too."""
    configured = settings.get("core.excludesfile")
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    everywhere = Path(configured).expanduser() if configured else base / "git" / "ignore"
    return b"\n".join(_content(path) for path in (everywhere, repository.common_dir / "info" / "exclude"))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _copy(folder: Path, name: str, own: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.copyfile(folder / name, own / name)
