"""A session's launcher and its agent as processes of this machine, known by what `launch.py` left in the folder.

Pids alone are never trusted: the system gives them to others once a process has ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from signal import Signals
from typing import Any, NamedTuple

from scopecraft_git import paths
from scopecraft_git.executors import launch
from scopecraft_git.models import rfc3339

NOTHING_LEFT = "nothing of it is left"


class Known(NamedTuple):
    """What `process.json` holds."""

    boot: str
    parent: int
    """The launcher."""
    parent_born: str
    group: int
    """The agent, and the process group that it leads."""
    group_born: str


class Processes:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def known(self) -> Known | None:
        """None until the agent is about to work."""
        document = self.read("process.json")
        return None if document is None else Known(**document)

    def read(self, name: str) -> dict[str, Any] | None:
        """None also for one that the machine went down on: it is written without waiting for the disk."""
        try:
            document: dict[str, Any] = json.loads((self.folder / name).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return document

    def launcher_lives(self) -> bool:
        try:
            lock = (self.folder / "process.lock").open("r")
        except FileNotFoundError:
            return False
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def agent_lives(self) -> bool:
        known = self.known()
        return known is not None and launch.birth(known.group) == known.group_born

    def signal(self, number: Signals) -> None:
        """To all of the agent's processes, if they are still its own."""
        known = self.known()
        if known is None or not self._is_ours(known):
            return
        if number is Signals.SIGINT:  # the agent's to pass on
            _signal_group(known.group, number)
        elif number is Signals.SIGKILL:
            # One that stands still starts no other while the killing goes on.
            for group in _signal_all(known.group, Signals.SIGSTOP):
                _signal_group(group, number)
        else:
            _signal_all(known.group, number)

    def signal_launcher(self, number: Signals) -> None:
        known = self.known()
        if known and launch.birth(known.parent) == known.parent_born:
            with contextlib.suppress(ProcessLookupError):
                os.kill(known.parent, number)

    def evidence(self) -> str:
        """Of the agent and what it started, in a few words."""
        import psutil

        known = self.known()
        if known is None or not self.agent_lives():
            return NOTHING_LEFT
        try:
            agent = psutil.Process(known.group)
            seconds = [_seconds(process.cpu_times()) for process in (agent, *agent.children(recursive=True))]
            name = agent.name()
        except (psutil.Error, OSError):
            return NOTHING_LEFT
        processes = "1 process" if len(seconds) == 1 else f"{len(seconds)} processes"
        return f"process {known.group} ({name}), {processes}, {sum(seconds):.1f} s of processor time"

    def loss(self) -> str:
        """Why nobody knows how the agent ended, as far as what is left can tell."""
        known = self.known()
        if known is None:
            return NOTHING_LEFT
        cause = f"its launcher (pid {known.parent}) was killed, and nobody saw its exit status"
        if known.boot != launch.boot():
            cause = "the machine was restarted"
        return f"{cause}; its last sign of life was {rfc3339(self._last_sign())}"

    def _last_sign(self) -> datetime:
        files = [self.folder / name for name in ("stream.log", "stderr.log", "process.json")]
        return datetime.fromtimestamp(max(file.stat().st_mtime for file in files if file.exists()), UTC)

    def _is_ours(self, known: Known) -> bool:
        """As long as its parent lives, an agent that has just ended keeps its pid from others."""
        born = launch.birth(known.group)
        return born == known.group_born or (not born and self.launcher_lives())


def living(kind: str) -> Iterator[str]:
    """The sessions of this home that have the file `kind` and whose launcher or agent lives.

    Costs a look at one file for each that has ended.
    """
    with contextlib.suppress(FileNotFoundError), os.scandir(paths.sessions()) as entries:
        for entry in entries:
            folder = Path(entry.path)
            if (folder / "exit.json").exists() or not (folder / kind).exists():
                continue
            processes = Processes(folder)
            if processes.launcher_lives() or processes.agent_lives():
                yield entry.name


def _seconds(times: Any) -> float:
    """Also of the children that have ended since."""
    return float(times.user + times.system + times.children_user + times.children_system)


def _signal_all(leader: int, number: Signals) -> set[int]:
    """Returns the groups that were told, also those made while others were being told."""
    told: set[int] = set()
    while fresh := _groups(leader) - told:
        for group in fresh:
            _signal_group(group, number)
        told |= fresh
    return told


def _signal_group(group: int, number: Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone, or somebody else's by its own doing
        os.killpg(group, number)


def _groups(leader: int) -> set[int]:
    """The leader's own and those of everything below it: what it started in others must not outlive it."""
    import psutil

    groups = {leader}
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(leader).children(recursive=True):
            with contextlib.suppress(ProcessLookupError):
                groups.add(os.getpgid(process.pid))
    return groups
