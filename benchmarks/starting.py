"""From Enter to an agent's first instruction, each against the floor that nothing of the kind can go below."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.ground import COMMAND, Ground, until
from benchmarks.rows import Row

IMPORTS = "import typer, pydantic"


def measure(ground: Ground) -> list[Row]:
    return _local(ground) + (_docker(ground) if _has_image(ground) else [])


def _local(ground: Ground) -> list[Row]:
    floor, warm, cold = ground.in_turn(
        lambda: _git_worktree(ground) + ground.timed(sys.executable, "-c", IMPORTS),
        lambda: _run(ground, "local", cold=False),
        lambda: _run(ground, "local", cold=True),
    )
    return [
        Row("git worktree add + import typer, pydantic", floor),
        Row("run, local, supervisor up", warm, floor, 1.5),
        Row("run, local, no supervisor", cold, floor, 2.5),
    ]


def _docker(ground: Ground) -> list[Row]:
    floor, warm, cold = ground.in_turn(
        lambda: _git_worktree(ground) + _docker_run(ground),
        lambda: _run(ground, "docker", cold=False),
        lambda: _run(ground, "docker", cold=True),
    )
    return [
        Row("git worktree add + docker run -d", floor),
        Row("run, docker, supervisor up", warm, floor, 1.5),
        Row("run, docker, no supervisor", cold, floor, 2.2),
    ]


def _run(ground: Ground, executor: str, *, cold: bool) -> float:
    if cold:
        ground.stop_supervisor()
    mark = f"mark-{ground.number()}"
    begun = time.time()
    task = ground.start(executor, f"date +%s.%N >{mark}")
    elapsed = _time_in(ground.repo.parent / "app.worktrees" / task / mark) - begun
    ground.call(COMMAND, "wait", task)
    return elapsed * 1000


def _git_worktree(ground: Ground) -> float:
    number = ground.number()
    path = str(ground.folder / f"bare-{number}")
    return ground.timed("git", "worktree", "add", "-q", "--no-track", "-b", f"bare/{number}", path, "main")


def _docker_run(ground: Ground) -> float:
    mark = ground.folder / f"docker-{ground.number()}" / "mark"
    mark.parent.mkdir(mode=0o777)
    mark.parent.chmod(0o777)
    begun = time.time()
    script = "date +%s.%N >/mnt/mark"
    ground.call("docker", "run", "-d", "--rm", "-v", f"{mark.parent}:/mnt", ground.image, "sh", "-c", script)
    return (_time_in(mark) - begun) * 1000


def _time_in(mark: Path) -> float:
    return float(until(lambda: mark.exists() and mark.read_text().strip()))


def _has_image(ground: Ground) -> bool:
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "inspect", ground.image], capture_output=True, check=False).returncode == 0
