"""Where the paths of a call lead: inside the worktree, outside of it, or to scratch paper."""

from __future__ import annotations

import fnmatch
import os
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from scopecraft_git import paths

SCRATCH = ("/tmp", "/var/tmp", "/private/tmp", "/private/var/tmp", "/private/var/folders", "/dev/shm")
DEVICES = tuple(
    f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr")
)
UNKNOWN_HOME = "/~"
"""The home directory inside of a container, which only its image knows."""
MOST_LINKS = 40
MOST_BRACES = 64
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_WILD = re.compile(r"[*?\[]")


class Place(StrEnum):
    INSIDE = "inside"
    OUTSIDE = "outside"
    SCRATCH = "scratch"
    """A temporary directory or a device such as /dev/null: nobody's."""


@dataclass(frozen=True)
class Scene:
    """Where the agent makes its calls. One for a session."""

    executor: str
    mode: str
    agent: str
    worktree: Path
    """As the agent sees it."""
    on_host: Path
    """Where it is."""

    @property
    def isolated(self) -> bool:
        """Whether the agent sees other files than its user does."""
        return self.worktree != self.on_host

    @cached_property
    def home(self) -> str:
        return UNKNOWN_HOME if self.isolated else str(Path.home())

    @cached_property
    def root(self) -> str:
        """The worktree once links are followed."""
        return _real(str(self.worktree), self)

    @cached_property
    def known(self) -> Mapping[str, str]:
        """Variables whose values are known."""
        ours = f"{UNKNOWN_HOME}scopecraft" if self.isolated else str(paths.home())
        return {"HOME": self.home, "PWD": str(self.worktree), "SCOPECRAFT_HOME": ours}

    @property
    def bases(self) -> tuple[str, ...]:
        return (str(self.worktree),)

    @cached_property
    def _globs(self) -> dict[str, str]:
        return {}

    def glob(self, location: str) -> str:
        """The absolute one that a rule means."""
        if location not in self._globs:
            expanded = expand(location, self)
            at_root = expanded[:1] in ("/", "*", "$")
            self._globs[location] = expanded if at_root else f"{self.worktree}/{expanded}"
        return self._globs[location]

    def host_path(self, path: str) -> str | None:
        """Where we find what the agent calls so; None where we cannot look."""
        if not self.isolated:
            return path
        root = str(self.worktree)
        return str(self.on_host) + path[len(root) :] if is_below(path, root) else None


class Spot(NamedTuple):
    """A path of a call, as it is written and as it is once links are followed. Both are absolute."""

    written: str
    real: str
    place: Place


def spots(word: str, scene: Scene, bases: Sequence[str] = ()) -> Iterator[Spot]:
    """What a path in a call may mean: several where it has braces, none where a variable hides it.

    Relative ones are in any of `bases`, which is the worktree unless it is given.
    """
    for text in _without_braces(word):
        expanded = expand(text, scene)
        if not expanded.startswith("$"):
            # Path would drop what .. is there for.
            for written in dict.fromkeys(os.path.join(base, expanded) for base in bases or scene.bases):  # noqa: PTH118
                real = _real(written, scene)
                yield Spot(os.path.normpath(written), real, _place(real, scene))


def expand(text: str, scene: Scene) -> str:
    """With the user's home and the few variables whose values are known."""
    if "$" in text:
        text = _VARIABLE.sub(lambda found: scene.known.get(found[1] or found[2], found[0]), text)
    if text == "~" or text.startswith("~/"):
        return scene.home + text[1:]
    if text.startswith("~"):
        return f"/{text}" if scene.isolated else os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111
    return text


def is_below(path: str, folder: str) -> bool:
    """Whether it is `folder` or something in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def is_at(spot: Spot, location: str, scene: Scene, *, surely: bool) -> bool:
    """Whether it is what the glob `location` names, or below that.

    Unless it must be so `surely`, one that only may be meant counts: by its name before links, or by wildcards.
    """
    if location == ".":
        return spot.place is Place.INSIDE
    glob = scene.glob(location)
    if surely:
        globs = {glob, glob if _WILD.search(glob) else _real(glob, scene)}
        return not _WILD.search(spot.real) and any(_below(each).match(spot.real) for each in globs)
    return any(_below(glob).match(path) or (_WILD.search(path) and _may_meet(glob, path)) for path in spot[:2])


@lru_cache(1024)
def _below(glob: str) -> re.Pattern[str]:
    body = fnmatch.translate(glob.rstrip("/") or "/").removesuffix(r"\Z")
    return re.compile(rf"{body}(?:/.*)?\Z", re.DOTALL) if glob.strip("/") else re.compile("/")


def _may_meet(glob: str, path: str) -> bool:
    """Whether a path with wildcards could name what `glob` does, folder by folder."""
    wanted, given = glob.split("/"), path.split("/")
    return len(given) >= len(wanted) and all(map(_may_be, wanted, given))


def _may_be(wanted: str, given: str) -> bool:
    """Of two names, either of which may have wildcards; those of a shell leave out hidden files."""
    if wanted == given or not _WILD.search(wanted + given):
        return wanted == given
    if wanted.startswith(".") and _WILD.match(given):
        return False
    return fnmatch.fnmatchcase(wanted, given) or fnmatch.fnmatchcase(given, wanted)


def _without_braces(word: str) -> list[str]:
    """`a{b,c}` as `ab` and `ac`."""
    done: list[str] = []
    todo = deque([word])
    while todo and len(done) + len(todo) <= MOST_BRACES:
        text = todo.popleft()
        if found := _BRACES.search(text):
            todo.extend(text[: found.start()] + part + text[found.end() :] for part in found[1].split(","))
        else:
            done.append(text)
    return done + list(todo)


def _place(real: str, scene: Scene) -> Place:
    if is_below(real, scene.root):
        return Place.INSIDE
    at_home = scene.home != "/" and is_below(real, scene.home)
    scratch = () if at_home else (*SCRATCH, *DEVICES, *([] if scene.isolated else _own_scratch()))
    return Place.SCRATCH if any(is_below(real, folder) for folder in scratch) else Place.OUTSIDE


def _own_scratch() -> Iterator[str]:
    if folder := os.environ.get("TMPDIR"):
        yield os.path.realpath(folder)


def _real(path: str, scene: Scene) -> str:
    """With every link followed that we can see. Raises nothing: what is not there is taken as it is written."""
    todo, at, links = deque(path.split("/")), "", 0
    while todo:
        part = todo.popleft()
        if part in ("", "."):
            continue
        if part == "..":
            at = at.rpartition("/")[0]
            continue
        target = _link(f"{at}/{part}", scene) if links < MOST_LINKS else None
        if target is None:
            at = f"{at}/{part}"
            continue
        links += 1
        todo.extendleft(reversed(target.split("/")))
        at = "" if target.startswith("/") else at
    return at or "/"


def _link(path: str, scene: Scene) -> str | None:
    host = scene.host_path(path)
    try:
        return os.readlink(host) if host else None  # noqa: PTH115 - no file needs a Path of its own
    except (OSError, ValueError):
        return None
