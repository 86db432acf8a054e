"""An agent behind `launch.py`: what is the same with and without a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from signal import Signals

from scopecraft_git.protocols import Exit, Imported

LOOK_AGAIN = 0.01
STARTS_WITHIN = 10.0


class LaunchedExecution(ABC):
    """Known by its session's folder alone: whoever reads that can follow and stop it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def poll(self) -> Exit | None:
        """As `Execution.poll`: only the one who started it knows where else to look."""

    def wait(self, timeout: float | None = None) -> Exit | None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (ended := self.poll()) is None and (deadline is None or time.monotonic() < deadline):
            time.sleep(LOOK_AGAIN)
        return ended

    def terminate(self, signal: Signals = Signals.SIGTERM) -> None:
        self._signal(signal)
        self._signal(Signals.SIGCONT)  # a stopped process acts on nothing but KILL

    def pause(self) -> None:
        (self.folder / "paused").touch()
        self._signal(Signals.SIGSTOP)

    def resume(self) -> None:
        (self.folder / "paused").unlink(missing_ok=True)
        self._signal(Signals.SIGCONT)

    def import_commits(self) -> list[Imported]:
        return []  # the agent works in the worktree itself

    def _signal(self, number: Signals) -> None:
        process = self._wait_for_start()
        if process is None or self.poll() is not None:
            return
        group = process["group"]
        # An interrupt is the agent's to pass on; what it started in groups of their own must not outlive the others.
        for target in [group] if number is signal.SIGINT else process_groups(group):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(target, number)

    def _wait_for_start(self) -> dict[str, int] | None:
        """Pids of the launcher and of the agent's process group; None when it ended before it had any."""
        deadline = time.monotonic() + STARTS_WITHIN
        while (process := self._read("process.json")) is None:
            if self.poll() is not None or time.monotonic() > deadline:
                return None
            time.sleep(LOOK_AGAIN)
        return process

    def _launcher_lives(self) -> bool:
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

    def _read(self, name: str) -> dict[str, int] | None:
        try:
            document: dict[str, int] = json.loads((self.folder / name).read_bytes())
        except FileNotFoundError:
            return None
        return document


def process_groups(leader: int) -> set[int]:
    """The leader's own and those of everything below it; where there is no `ps`, its own."""
    groups, members = {leader}, {leader}
    try:
        listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,pgid="], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return groups
    rows = [tuple(map(int, line.split())) for line in listing.stdout.splitlines()]
    while more := {(pid, group) for pid, parent, group in rows if parent in members and pid not in members}:
        members |= {pid for pid, _ in more}
        groups |= {group for _, group in more}
    return groups
