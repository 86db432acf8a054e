"""What the measurements stand on: a repository, a home of their own, and commands run there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scopecraft_git import supervisor

COMMAND = str(Path(sys.executable).with_name("git-scopecraft"))
DEADLINE = 60.0
FILES = 300


class Ground:
    """A repository of 300 files and a home, below `folder`."""

    def __init__(self, folder: Path, rounds: int, image: str) -> None:
        self.folder = folder
        self.rounds = rounds
        self.image = image
        self.repo = folder / "app"
        self.home = folder / "home"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "SCOPECRAFT_"))}
        self.environment = kept | {"SCOPECRAFT_HOME": str(self.home)}
        self._number = 0
        self._make_repository()
        self._write_settings()

    def number(self) -> int:
        """One that nothing here has had before."""
        self._number += 1
        return self._number

    def in_turn(self, *measures: Callable[[], float]) -> list[list[float]]:
        """In turn, so that a noisy moment hits all of them; the first round only warms up."""
        rounds = [[measure() for measure in measures] for _ in range(self.rounds + 1)]
        return [list(samples) for samples in zip(*rounds[1:], strict=True)]

    def timed(self, *command: str, **more: str) -> float:
        begun = time.perf_counter()
        self.call(*command, **more)
        return (time.perf_counter() - begun) * 1000

    def call(self, *command: str, **more: str) -> str:
        """What a command prints; `more` goes into its environment."""
        environment = self.environment | more
        done = subprocess.run(command, cwd=self.repo, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def start(self, executor: str, script: str, **more: str) -> str:
        """The task of a session that has started, or that waits."""
        task = f"bench-{self.number()}"
        self.call(COMMAND, "run", task, "-e", executor, "-a", "command", "--", "sh", "-c", script, **more)
        return task

    def in_process(self, what: str, *arguments: str, **more: str) -> Any:
        """The answer of a function of `in_process.py`, in a process of its own."""
        command = (sys.executable, "-m", "benchmarks.in_process", what, *arguments)
        return json.loads(self.call(*command, **{"PYTHONPATH": str(Path.cwd())} | more))

    def supervisor(self) -> int:
        process = supervisor.process_id(self.home)
        assert process
        return process

    def stop_supervisor(self) -> None:
        supervisor.stop(self.home)

    def _write_settings(self) -> None:
        """As a user has them, in the file."""
        (self.home / "config").mkdir(parents=True)
        settings = {"docker": {"image": self.image}}
        (self.home / "config" / "orchestration.json").write_text(json.dumps(settings))

    def _make_repository(self) -> None:
        self.repo.mkdir()
        for number in range(FILES):
            path = self.repo / f"folder-{number % 20}" / f"file-{number}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{number}\n" * 50)
        for command in (["init", "-qb", "main"], ["add", "."], ["commit", "-qm", "Start"]):
            subprocess.run(
                ["git", "-c", "user.name=Bench", "-c", "user.email=bench@example.org", *command],
                cwd=self.repo,
                check=True,
            )


def until(condition: Callable[[], Any], pause: float = 0.002) -> Any:
    """The first true value of `condition`."""
    deadline = time.monotonic() + DEADLINE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(pause)
    return value
