"""Reads the refs of an agent's gitdir as text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from scopecraft_git.executors import beneath
from scopecraft_git.protocols import ExecRequest

LOOSE_LIMIT = 1024
PACKED_LIMIT = 64 << 20
BRANCHES_LIMIT = 1000
DEPTH_LIMIT = 16
_OBJECT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_PACKED = re.compile(rb"^([0-9a-f]{40}(?:[0-9a-f]{24})?) (refs/\S+)$", re.MULTILINE)
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|/[.-]|\.lock(?:/|$)|[./]$|//")
"""What git, a shell or a terminal would take for more than a name."""


def is_object_id(text: str) -> bool:
    return bool(_OBJECT_ID.fullmatch(text))


def named(own: Path, name: str) -> dict[str, str]:
    """What the ref `name` says, loose before packed; empty when there is no such ref."""
    text = _loose(own, name)
    if text is None:
        text = _packed(own).get(name)
    return {} if text is None else {name: text}


def everything(own: Path, request: ExecRequest) -> dict[str, str]:
    """The session's branch first, then the agent's other branches, then a HEAD that is on none of them."""
    branch = f"refs/heads/{request.branch}"
    found = named(own, branch)
    others = {name: text for name, text in _packed(own).items() if name.startswith("refs/heads/")}
    others |= {name: text for name in _loose_branches(own) if (text := _loose(own, name)) is not None}
    found |= {name: text for name, text in others.items() if name != branch and not _FORBIDDEN.search(name)}
    head = _loose(own, "HEAD")
    return found | ({"HEAD": head} if head is not None and is_object_id(head) else {})


def given(path: Path) -> dict[str, str]:
    """The branches that the agent was given; empty when nobody wrote them down."""
    try:
        refs = _parse(path.read_bytes())
    except FileNotFoundError:
        return {}
    return {name: commit for name, commit in refs.items() if name.startswith("refs/heads/")}


def _parse(data: bytes) -> dict[str, str]:
    return {os.fsdecode(name): commit.decode() for commit, name in _PACKED.findall(data)}


def _loose(own: Path, name: str) -> str | None:
    try:
        return beneath.read(own, name, LOOSE_LIMIT).decode("ascii", "replace").strip()
    except OSError:
        return None


def _packed(own: Path) -> dict[str, str]:
    try:
        return _parse(beneath.read(own, "packed-refs", PACKED_LIMIT))
    except OSError:
        return {}


def _loose_branches(own: Path) -> Iterator[str]:
    waiting = ["refs/heads"]
    count = 0
    while waiting:
        folder = waiting.pop()
        for name, is_folder in _entries(own, folder):
            path = f"{folder}/{name}"
            count += 1
            if count > BRANCHES_LIMIT or path.count("/") > DEPTH_LIMIT:
                continue
            if is_folder:
                waiting.append(path)
            else:
                yield path


def _entries(own: Path, name: str) -> list[tuple[str, bool]]:
    try:
        with beneath.folder(own, name) as folder, os.scandir(folder) as entries:
            plain = [entry for entry in entries if not entry.is_symlink()]
            return sorted((entry.name, entry.is_dir()) for entry in plain)
    except OSError:
        return []
