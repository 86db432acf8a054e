"""What is measured, each against the floor that nothing of the kind can go below."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from scopecraft_git import supervisor

COMMAND = str(Path(sys.executable).with_name("git-scopecraft"))
IMPORTS = "import typer, pydantic"
DEADLINE = 60.0
FILES = 300


class Row(NamedTuple):
    name: str
    samples: list[float]
    floor: list[float] | None = None
    limit: float | None = None
    unit: str = "ms"

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def minimum(self) -> float:
        return min(self.samples)

    @property
    def ratio(self) -> float | None:
        return self.median / statistics.median(self.floor) if self.floor else None

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "median": round(self.median, 2),
            "minimum": round(self.minimum, 2),
            "unit": self.unit,
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "limit": self.limit,
        }


class Bench:
    """A repository of 300 files and a home of its own, below `folder`."""

    def __init__(self, folder: Path, rounds: int, image: str) -> None:
        self.folder = folder
        self.rounds = rounds
        self.image = image
        self.repo = folder / "app"
        self.home = folder / "home"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "SCOPECRAFT_"))}
        self.environment = kept | {"SCOPECRAFT_HOME": str(self.home)}
        self.number = 0
        self._make_repository()
        self._write_settings()

    def measure(self) -> list[Row]:
        rows = [*self._measure_local(), *self._measure_list(), self._measure_memory()]
        return rows + (self._measure_docker() if self._has_image() else [])

    def clean(self) -> None:
        self._stop_supervisor()

    # What is measured

    def _measure_local(self) -> list[Row]:
        floor, warm, cold = self._in_turn(
            lambda: self._git_worktree() + self._timed([sys.executable, "-c", IMPORTS]),
            lambda: self._run("local", cold=False),
            lambda: self._run("local", cold=True),
        )
        return [
            Row("git worktree add + import typer, pydantic", floor),
            Row("run, local, supervisor up", warm, floor, 1.5),
            Row("run, local, no supervisor", cold, floor, 2.5),
        ]

    def _measure_docker(self) -> list[Row]:
        floor, warm, cold = self._in_turn(
            lambda: self._git_worktree() + self._docker_run(),
            lambda: self._run("docker", cold=False),
            lambda: self._run("docker", cold=True),
        )
        return [
            Row("git worktree add + docker run -d", floor),
            Row("run, docker, supervisor up", warm, floor, 1.5),
            Row("run, docker, no supervisor", cold, floor, 2.2),
        ]

    def _measure_list(self) -> list[Row]:
        floor, listing = self._in_turn(
            lambda: self._timed([sys.executable, "-c", IMPORTS]), lambda: self._timed([COMMAND, "list"])
        )
        return [Row("import typer, pydantic", floor), Row("list, 10 sessions", listing, floor, 1.3)]

    def _measure_memory(self) -> Row:
        """Of the supervisor while it follows three sessions that are quiet."""
        tasks = [self._start("local", "sleep 30") for _ in range(3)]
        status = Path(f"/proc/{self._supervisor()}/status").read_text()
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        subprocess.run([COMMAND, "stop", *tasks], cwd=self.repo, env=self.environment, capture_output=True, check=True)
        return Row("supervisor following 3 sessions", [resident / 1024], unit="MB")

    # How

    def _in_turn(self, *measures: Callable[[], float]) -> list[list[float]]:
        """In turn, so that a noisy moment hits all of them; the first round only warms up."""
        rounds = [[measure() for measure in measures] for _ in range(self.rounds + 1)]
        return [list(samples) for samples in zip(*rounds[1:], strict=True)]

    def _run(self, executor: str, *, cold: bool) -> float:
        """From Enter to the agent's first instruction."""
        if cold:
            self._stop_supervisor()
        mark = f"mark-{self.number}"
        begun = time.time()
        task = self._start(executor, f"date +%s.%N >{mark}")
        worktree = self.repo.parent / "app.worktrees" / task
        elapsed = self._await_mark(worktree / mark) - begun
        subprocess.run([COMMAND, "wait", task], cwd=self.repo, env=self.environment, capture_output=True, check=True)
        return elapsed * 1000

    def _start(self, executor: str, script: str) -> str:
        self.number += 1
        task = f"bench-{self.number}"
        command = [COMMAND, "run", task, "-e", executor, "-a", "command", "--", "sh", "-c", script]
        subprocess.run(command, cwd=self.repo, env=self.environment, capture_output=True, check=True)
        return task

    def _git_worktree(self) -> float:
        self.number += 1
        path = str(self.folder / f"bare-{self.number}")
        return self._timed(["git", "worktree", "add", "-q", "--no-track", "-b", f"bare/{self.number}", path, "main"])

    def _docker_run(self) -> float:
        self.number += 1
        mark = self.folder / f"docker-{self.number}" / "mark"
        mark.parent.mkdir(mode=0o777)
        mark.parent.chmod(0o777)
        begun = time.time()
        subprocess.run(
            [
                "docker",
                "run",
                "-d",
                "--rm",
                "-v",
                f"{mark.parent}:/mnt",
                self.image,
                "sh",
                "-c",
                "date +%s.%N >/mnt/mark",
            ],
            capture_output=True,
            check=True,
        )
        return (self._await_mark(mark) - begun) * 1000

    def _await_mark(self, mark: Path) -> float:
        deadline = time.monotonic() + DEADLINE
        while not (mark.exists() and (text := mark.read_text().strip())):
            if time.monotonic() > deadline:
                raise TimeoutError(mark)
            time.sleep(0.002)
        return float(text)

    def _timed(self, command: list[str]) -> float:
        begun = time.perf_counter()
        subprocess.run(command, cwd=self.repo, env=self.environment, capture_output=True, check=True)
        return (time.perf_counter() - begun) * 1000

    def _supervisor(self) -> int:
        process = supervisor.process_id(self.home)
        assert process
        return process

    def _stop_supervisor(self) -> None:
        supervisor.stop(self.home)

    def _has_image(self) -> bool:
        if not shutil.which("docker"):
            return False
        return subprocess.run(["docker", "inspect", self.image], capture_output=True, check=False).returncode == 0

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
