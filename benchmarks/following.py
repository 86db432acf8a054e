"""The supervisor while it follows sessions, and how soon it does so again."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from benchmarks.ground import COMMAND, Ground, until
from benchmarks.rows import Row
from scopecraft_git import supervisor

QUIET = 100
WATCHED_FOR = 15.0
"""Seconds."""
SETTLES_IN = 3.0
KILLS = 5


def measure(ground: Ground) -> list[Row]:
    tasks = [ground.start("local", "sleep 60") for _ in range(3)]
    few = Row("supervisor following 3 sessions", [_resident(ground.supervisor())], unit="MiB")
    ground.call(COMMAND, "stop", *tasks)
    gate = ground.folder / "gate"
    os.mkfifo(gate)
    sessions = ground.in_process("submit", str(QUIET), f"read _ <{gate}; true")
    until(lambda: _follows(ground, sessions), pause=0.05)
    time.sleep(SETTLES_IN)
    process = ground.supervisor()
    rows = [
        few,
        Row(f"supervisor following {QUIET} quiet ones: CPU", [_share(process)], limit=1.0, unit="%"),
        Row(f"supervisor following {QUIET} quiet ones", [_resident(process)], limit=100.0, unit="MiB"),
        Row(f"kill of it to following {QUIET} again", [_back(ground, sessions) for _ in range(KILLS)], limit=2000.0),
    ]
    os.close(os.open(gate, os.O_WRONLY))  # all of them end
    ground.call(COMMAND, "wait", *sessions)
    return rows


def _follows(ground: Ground, sessions: list[str], killed: int | None = None) -> bool:
    """As the supervisor that is there now says itself, which is not the one that was `killed`."""
    try:
        said = json.loads((ground.home / "supervisor" / "following").read_bytes())
    except FileNotFoundError:
        return False
    return said["pid"] == supervisor.process_id(ground.home) != killed and set(sessions) <= set(said["following"])


def _back(ground: Ground, sessions: list[str]) -> float:
    begun = time.perf_counter()
    killed = ground.supervisor()
    os.kill(killed, signal.SIGKILL)
    until(lambda: _follows(ground, sessions, killed))
    return (time.perf_counter() - begun) * 1000


def _share(process: int) -> float:
    """Of one core, in percent."""
    before, begun = _seconds(process), time.monotonic()
    time.sleep(WATCHED_FOR)
    return 100 * (_seconds(process) - before) / (time.monotonic() - begun)


def _seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
