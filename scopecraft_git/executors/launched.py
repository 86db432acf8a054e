"""An agent behind `launch.py`: what is the same with and without a terminal."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from signal import Signals
from typing import Any

from scopecraft_git.executors import launch
from scopecraft_git.executors.processes import Processes
from scopecraft_git.executors.waiting import await_end, pauses
from scopecraft_git.protocols import ExecRequest, Exit, Imported

STARTS_WITHIN = 10.0


class LaunchedExecution(ABC):
    """Known by its session's folder alone: whoever reads that can follow and stop it."""

    def __init__(self, request: ExecRequest) -> None:
        self.request = request
        self.folder = request.directory
        self.processes = Processes(request.directory)

    @abstractmethod
    def _is_starting(self) -> bool:
        """Whether its launcher may come to life without holding its lock yet."""

    @abstractmethod
    def _ended(self, ended: dict[str, Any]) -> Exit:
        """What `exit.json` means."""

    def exists(self) -> bool:
        """Whether the agent has come to life. Waits for a launcher that is about to see to that."""
        return self._wait_for_start() or self.poll() is None or self.processes.read("exit.json") is not None

    def poll(self) -> Exit | None:
        # In this order: what is there while one thing is asked is not gone without a trace when the next one is.
        if self.processes.known() is None and self._is_starting():
            return None
        launcher_lives = self.processes.launcher_lives()
        if (ended := self.processes.read("exit.json")) is not None:
            return self._ended(ended)
        if launcher_lives or self.processes.agent_lives():
            return None
        if self.processes.known() is None:
            return Exit(launch.NOT_FOUND, "its launcher could not start it")
        return Exit(-1, self.processes.loss(), lost=True)

    def _has_ended(self) -> bool:
        return self.poll() is not None

    def wait(self, timeout: float | None = None) -> Exit | None:
        return await_end(self.poll, timeout, longest=0.1)

    def terminate(self, signal: Signals = Signals.SIGTERM) -> None:
        self._signal(signal)
        self.resume()  # a stopped process acts on nothing but KILL

    def pause(self) -> None:
        (self.folder / "paused").touch()
        self._signal(Signals.SIGSTOP)

    def resume(self) -> None:
        (self.folder / "paused").unlink(missing_ok=True)
        self._signal(Signals.SIGCONT)

    def import_commits(self) -> list[Imported]:
        return []  # the agent works in the worktree itself

    def evidence(self) -> str:
        return self.processes.evidence()

    def _signal(self, number: Signals) -> None:
        if self._wait_for_start() and self.poll() is None:
            self.processes.signal(number)

    def _wait_for_start(self) -> bool:
        """Whether there is an agent, or was one; False when it ended before it came to life."""
        deadline = time.monotonic() + STARTS_WITHIN
        for pause in pauses(longest=0.05):
            if self.processes.known() is not None:
                return True
            if self.poll() is not None or time.monotonic() > deadline:
                break
            time.sleep(pause)
        return False
