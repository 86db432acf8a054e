"""A diff in git's format, by file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

_BEGINS = "diff --git "
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_TOLD = ("new file", "deleted file", "rename ", "copy ", "old mode", "new mode", "Binary files")
"""Of what stands above a file's hunks, what a person wants to know."""


class Kind(Enum):
    FILE = auto()
    NOTE = auto()
    HUNK = auto()
    ADDED = auto()
    REMOVED = auto()
    CONTEXT = auto()


_SIGNS = {"+": Kind.ADDED, "-": Kind.REMOVED}


class Line(NamedTuple):
    kind: Kind
    text: str
    """Without the sign before it."""
    number: int | None = None
    """Where it stands in the new file, or stood in the old one when it is removed."""


class FileChange(NamedTuple):
    name: str
    """As git writes it: odd names in quotes."""
    lines: tuple[Line, ...]
    """The first is the file's own."""

    @property
    def added(self) -> int:
        return sum(line.kind is Kind.ADDED for line in self.lines)

    @property
    def removed(self) -> int:
        return sum(line.kind is Kind.REMOVED for line in self.lines)


def read(patch: str) -> list[FileChange]:
    """By file, in the order of the diff. What stands before the first file is nobody's."""
    files: list[list[str]] = []
    for line in patch.removesuffix("\n").split("\n"):
        if line.startswith(_BEGINS):  # a file's own lines have a sign before them
            files.append([])
        if files:
            files[-1].append(line)
    return [_file(lines) for lines in files]


def _file(lines: list[str]) -> FileChange:
    begins = next((number for number, line in enumerate(lines) if _HUNK.match(line)), len(lines))
    above, below = lines[:begins], lines[begins:]
    name = _name(above)
    notes = [Line(Kind.NOTE, line) for line in above[1:] if line.startswith(_TOLD)]
    return FileChange(name, (Line(Kind.FILE, name), *notes, *_hunks(below)))


def _name(above: list[str]) -> str:
    """The new name, or the old one of a file that is gone."""
    told = {line[:4]: line[4:] for line in above if line.startswith(("--- ", "+++ "))}
    for side in ("+++ ", "--- "):
        name = told.get(side, "/dev/null").rstrip("\t")
        if name != "/dev/null":
            return name[2:] if name[1:2] == "/" else name
    for line in above:
        if line.startswith(("rename to ", "copy to ")):
            return line.partition(" to ")[2]
    both = above[0].removeprefix(_BEGINS)  # `a/x b/x`: the same name twice
    return both[len(both) // 2 + 1 :].removeprefix("b/")


def _hunks(lines: list[str]) -> Iterator[Line]:
    old = new = 0
    for line in lines:
        sign, text = line[:1], line[1:]
        if hunk := _HUNK.match(line):
            old, new = int(hunk[1]), int(hunk[2])
            yield Line(Kind.HUNK, line)
            continue
        if sign == "\\":
            yield Line(Kind.NOTE, text.strip())
            continue
        yield Line(_SIGNS.get(sign, Kind.CONTEXT), text, old if sign == "-" else new)
        old += sign != "+"
        new += sign != "-"
