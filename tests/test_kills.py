"""Whatever is killed, and whenever: each session starts once, ends once, and its events are all there, once.

A short form here; `make soak` kills for longer.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import session_queue, supervisor
from scopecraft_git.models import Session, SessionStatus
from scopecraft_git.storage.local import LocalStorage
from tests.conftest import Scopecraft
from tests.executors.contract import until
from tests.machine import BASE_IMAGE

KILLS = int(os.environ.get("SOAK_KILLS", "40"))
SESSIONS = int(os.environ.get("SOAK_SESSIONS", "12"))
SEED = int(os.environ.get("SOAK_SEED") or random.randrange(1 << 32))
AT_MOST = 3
FLYING = 2
PAUSE = 0.3
"""Seconds, at most, between one kill and the next: a supervisor that never lives to the next one shows little."""
LINES = 20
TARGETS = {"supervisor": 3, "keeper": 2, "command": 1}
"""With how often each is aimed at."""


def script(seconds: float) -> str:
    """An agent that writes down beside its work when it begins and ends."""
    lines = f'i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo "line $i"; sleep {seconds / LINES:.3f}; done'
    return f"date +%s.%N >>begun; {lines}; date +%s.%N >>ended"


class Storm:
    """Gets every task its session, while it kills supervisors, keepers and its own commands at random."""

    def __init__(self, start: Callable[[str], subprocess.Popen[bytes]], tasks: list[str], kills: int) -> None:
        self.chance = random.Random(SEED)
        self.start = start
        self.pending = deque(tasks)
        self.flying: dict[subprocess.Popen[bytes], str] = {}
        self.left = kills
        self.struck: Counter[str] = Counter()

    def rage(self) -> None:
        while self.pending or self.flying or (self.left and dict(self.targets())):
            while self.pending and len(self.flying) < FLYING:
                task = self.pending.popleft()
                self.flying[self.start(task)] = task
            self.land(self.chance.random() * PAUSE)
            if self.left:
                self.strike()

    def land(self, seconds: float) -> None:
        """Let things go on for a while. A command that came to its end and brought no session is given again."""
        threading.Event().wait(seconds)
        for process in [each for each in self.flying if each.poll() is not None]:
            task = self.flying.pop(process)
            if task not in {session.task for session in LocalStorage().sessions()}:
                self.pending.append(task)

    def strike(self) -> None:
        """At one that may not be there just now: who has lately been struck is given time to come back."""
        (name,) = self.chance.choices(list(TARGETS), list(TARGETS.values()))
        if process := dict(self.targets()).get(name):
            os.kill(process, signal.SIGKILL)
            self.struck[name] += 1
            self.left -= 1

    def targets(self) -> Iterator[tuple[str, int]]:
        status = supervisor.status()
        if status.pid:
            yield "supervisor", status.pid
        if status.keeper_pid:
            yield "keeper", status.keeper_pid
        if self.flying:
            yield "command", self.chance.choice([process.pid for process in self.flying])


def starter(repo: Path, executor: str, agent: str) -> Callable[[str], subprocess.Popen[bytes]]:
    def start(task: str) -> subprocess.Popen[bytes]:
        command = ["run", task, "-e", executor, "-a", "command", "--", "sh", "-c", agent]
        return subprocess.Popen(
            [sys.executable, "-m", "scopecraft_git", *command],
            cwd=repo,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    return start


def events_of(session: Session) -> list[dict[str, Any]]:
    """As they are on disk, times aside."""
    lines = (session.path / "events.jsonl").read_text().splitlines()
    return [
        {name: value for name, value in json.loads(line).items() if name not in ("time", "duration_ms")}
        for line in lines
    ]


def times(session: Session, name: str) -> list[float]:
    """What its agent wrote down."""
    return [float(line) for line in (session.worktree / name).read_text().split()]


def most_at_once(found: list[Session]) -> int:
    steps = [(time, 1) for session in found for time in times(session, "begun")]
    steps += [(time, -1) for session in found for time in times(session, "ended")]
    return max(accumulate(step for _, step in sorted(steps)))


def weather(scopecraft: Scopecraft, repo: Path, executor: str, sessions: int, kills: int) -> None:
    """A storm, and what has to hold after it: all that would have come of it without."""
    start = starter(repo, executor, script(seconds=kills * PAUSE / (sessions / AT_MOST)))
    assert start("calm").wait(60) == 0
    assert scopecraft("wait", "calm").code == 0
    storm = Storm(start, [f"task-{number}" for number in range(sessions)], kills)
    storm.rage()
    told = f"SOAK_SEED={SEED} {dict(storm.struck)}"
    waited = scopecraft("wait", *(f"task-{number}" for number in range(sessions)))
    assert waited.code == 0, told + waited.stderr
    found = list(LocalStorage().sessions(onerror=_raise))
    assert len(found) == len({session.task for session in found}) == sessions + 1, told
    expected = events_of(found[-1])
    for session in found:
        assert session.status is SessionStatus.COMPLETED, told + f"{session}"
        assert (len(times(session, "begun")), len(times(session, "ended"))) == (1, 1), told + session.id
        assert events_of(session) == expected, told + session.id
    assert most_at_once(found) <= AT_MOST, told
    assert LocalStorage().ids() == [session.id for session in found], told + " a folder without a session is left"
    assert session_queue.snapshot() == session_queue.Queue(), told


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.timeout(600 + KILLS * 2)
def test_nothing_is_lost_or_done_twice(scopecraft: Scopecraft, repo: Path) -> None:
    weather(scopecraft, repo, "local", SESSIONS, KILLS)


@pytest.mark.docker
@pytest.mark.timeout(600 + KILLS * 2)
def test_nothing_is_lost_or_done_twice_in_containers(scopecraft: Scopecraft, home: Path, repo: Path) -> None:
    (home / "config" / "orchestration.json").write_text(json.dumps({"docker": {"image": BASE_IMAGE}}))
    weather(scopecraft, repo, "docker", max(4, SESSIONS // 4), max(10, KILLS // 4))
    until(lambda: not containers_of(home))


def containers_of(home: Path) -> list[str]:
    form = ["docker", "ps", "--all", "--format", "{{.Names}}", "--filter", "label=scopecraft.session"]
    names = subprocess.run(form, capture_output=True, text=True, check=True).stdout.split()
    return [name for name in names if (home / "sessions" / name.removeprefix("scopecraft-")).is_dir()]
