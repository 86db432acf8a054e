"""The home directory of the agents of one worktree: kept on this machine, so that a later container resumes in it.

An agent writes here as it likes, so nothing in it is trusted: no link is followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from scopecraft_git import paths
from scopecraft_git.errors import AgentHomeError, AgentHomeStaysError
from scopecraft_git.executors import beneath, documents, image_facts
from scopecraft_git.executors.engine import Engine
from scopecraft_git.executors.image_facts import ImageFacts
from scopecraft_git.executors.mounts import HOME


def of(worktree: Path) -> Path:
    """Where the home of this worktree's agents is. Not created by asking."""
    return paths.agent_homes() / hashlib.sha256(os.fsencode(worktree)).hexdigest()[:16]


def ensure(worktree: Path) -> Path:
    home = of(worktree)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return home


def drop(worktree: Path) -> None:
    """Remove it, transcripts and login included. Idempotent. Raises `AgentHomeStaysError`."""
    home = of(worktree)
    if home.exists():
        # Caches of modules are read-only folders. Neither program follows a link in what it goes through.
        subprocess.run(["chmod", "-R", "u+rwX", "--", home], capture_output=True, check=False)
        removed = subprocess.run(["rm", "-rf", "--", home], capture_output=True, check=False)
        if home.exists():
            raise AgentHomeStaysError(home, os.fsdecode(removed.stderr).strip().partition("\n")[0])
    home.with_suffix(".json").unlink(missing_ok=True)


@contextlib.contextmanager
def usable(home: Path) -> Iterator[None]:
    """Names what stands in the way of writing below `home`."""
    try:
        yield
    except OSError as error:
        raise AgentHomeError(home, f"{error.filename}: {(error.strerror or str(error)).lower()}") from error


def write_passwd(path: Path, facts: ImageFacts) -> None:
    """The image's user database with this user first, so that its home is the same as HOME to whoever asks."""
    user, group = os.getuid(), os.getgid()
    rows = [line.split(":") for line in facts.passwd.splitlines()]
    others = [row for row in rows if len(row) == 7 and row[2] != str(user)]
    mine = next((row for row in rows if len(row) == 7 and row[2] == str(user)), None)
    name = mine[0] if mine else "agent"
    shell = mine[6] if mine and not mine[6].endswith(("nologin", "false")) else "/bin/sh"
    first = [name, "x", str(user), str(group), "", HOME, shell]
    path.write_text("".join(":".join(row) + "\n" for row in [first, *(row for row in others if row[0] != name)]))


def bring_login(home: Path, files: Iterable[str], engine: Engine, facts: ImageFacts, container: str) -> None:
    """Copy the image's login into `home`: what is missing there, and what is new in the image since the last time.

    A login that the agent has renewed in its home stays: the image's copy of it is the older one.
    """
    mark = home.with_suffix(".json")
    last = _read(mark)
    taken: dict[str, str] = last.get("files", {})
    names = [name for name in files if last.get("image") != facts.id or not beneath.exists(home, name)]
    for name in names:
        data = image_facts.read_file(engine, container, f"{facts.home.rstrip('/')}/{name}")
        if data is None:
            continue
        digest = hashlib.sha256(data).hexdigest()
        if taken.get(name) != digest or not beneath.exists(home, name):
            beneath.write(home, name, data)
        taken[name] = digest
    if names:
        documents.write(mark, {"image": facts.id, "files": taken})


def uses_image_login(home: Path) -> bool:
    """Whether the login in `home` is a copy of the image's."""
    return bool(_read(home.with_suffix(".json")).get("files"))


def _read(mark: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        document = json.loads(mark.read_bytes())
        if isinstance(document, dict):
            return document
    return {}
