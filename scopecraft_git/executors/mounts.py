"""What a container gets to see of this machine: what the user's own settings name, never the keys to the rest."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath, PurePosixPath
from typing import NamedTuple

from scopecraft_git import paths
from scopecraft_git.errors import ForbiddenMountError, InvalidSettingError, MountMissingError
from scopecraft_git.executors import beneath

WORKSPACE = "/workspace"
HOME = "/scopecraft/home"
OURS = (WORKSPACE, "/scopecraft", "/run/scopecraft", "/etc/passwd", "/proc", "/sys", "/dev")
"""Where a mount of the user's would break the container or its isolation."""
ENGINES = ("docker", "podman", "containerd", "crio", "buildkit", "buildkitd")
SOCKETS = (
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/buildkit/buildkitd.sock",
)
KERNEL = ("/proc", "/sys", "/dev")


class Mount(NamedTuple):
    source: Path
    target: str
    read_only: bool = True

    def __str__(self) -> str:
        return f"{self.source}:{self.target}{'' if self.read_only else ':rw'}"

    def as_docker(self) -> dict[str, object]:
        return {"Type": "bind", "Source": str(self.source), "Target": self.target, "ReadOnly": self.read_only}


def wanted(specs: Iterable[str], *, engine: str, repository: Path | None = None) -> list[Mount]:
    """The mounts of `docker.mounts`. Raises an error for one that is malformed, missing or forbidden.

    `engine` is the address of the engine in use. Without a `repository`, only the rest is checked.
    """
    return [_allowed(_parse(spec), engine, repository) for spec in specs]


def make_targets(mounts: Iterable[Mount], home: Path) -> None:
    """Make what mounts below the agent's home need in it, as this user: the engine would make it as root."""
    for mount in mounts:
        target = PurePosixPath(mount.target)
        if not target.is_relative_to(HOME):
            continue
        inside = target.relative_to(HOME)
        if mount.source.is_dir():
            with beneath.folder(home, inside, make=True):
                continue
        if not beneath.exists(home, str(inside)):
            beneath.write(home, str(inside), b"")


def _parse(spec: str) -> Mount:
    text, writable = (spec[:-3], True) if spec.endswith(":rw") else (spec.removesuffix(":ro"), False)
    source, colon, target = text.rpartition(":")
    if target == "~" or target.startswith("~/"):
        target = HOME + target[1:]
    target = os.path.normpath(target)
    if not colon or not source or not target.startswith("/"):
        raise InvalidSettingError("docker.mounts", "the settings", f"{spec!r} is not source:target or source:target:rw")
    path = Path(source).expanduser()
    if not path.is_absolute():
        raise InvalidSettingError("docker.mounts", "the settings", f"the source of {spec!r} is no absolute path")
    return Mount(path, target, read_only=not writable)


def _allowed(mount: Mount, engine: str, repository: Path | None) -> Mount:
    if _is_ours(PurePosixPath(mount.target)):
        raise ForbiddenMountError(str(mount.source), f"{mount.target} belongs to the session itself")
    try:
        source = mount.source.resolve(strict=True)
    except OSError:
        raise MountMissingError(mount.source) from None
    for reason in _objections(source, engine, repository):
        raise ForbiddenMountError(str(mount.source), reason)
    return mount._replace(source=source)


def _is_ours(target: PurePosixPath) -> bool:
    if target != PurePosixPath(HOME) and target.is_relative_to(HOME):
        return False
    return any(_holds(target, PurePosixPath(ours)) or _holds(PurePosixPath(ours), target) for ours in OURS)


def _objections(source: Path, engine: str, repository: Path | None) -> Iterator[str]:
    if source == Path("/"):
        yield "it is the whole machine"
    if any(_holds(Path(part), source) for part in KERNEL):
        yield "it belongs to the kernel"
    if any(_holds(source, socket) for socket in _sockets(engine)) or _is_engine_socket(source):
        yield "it reaches a container engine, which can do anything on this machine"
    if _holds(source, Path.home().resolve()):
        yield "it holds the home directory"
    if _holds(source, paths.home().resolve()) or _holds(paths.home().resolve(), source):
        yield "the sessions are kept there"
    if repository and (_holds(source, repository.resolve()) or _holds(repository.resolve(), source)):
        yield "the repository is there, and the agent works in a copy of its own"


def _holds(outer: PurePath, inner: PurePath) -> bool:
    return inner.is_relative_to(outer)


def _sockets(engine: str) -> Iterator[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    named = [*SOCKETS, *([f"{runtime}/docker.sock", f"{runtime}/podman/podman.sock"] if runtime else [])]
    if engine.startswith("unix://"):
        named.append(engine.removeprefix("unix://"))
    yield from (Path(name).resolve() for name in named)


def _is_engine_socket(source: Path) -> bool:
    name = source.name.split(".")[0]
    return stat.S_ISSOCK(source.stat().st_mode) and name in ENGINES
