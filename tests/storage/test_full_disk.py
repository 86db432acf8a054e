"""A disk that is full, has no room for another file, or can only be read, in the middle of sessions."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import paths, supervisor
from tests.conftest import Result, Scopecraft, end_supervisor
from tests.executors.contract import until
from tests.test_main_job import local, show, state_of

SIZE, INODES = "8m", "600"
QUIET = 0.25
"""Of a processor's time: what a supervisor may take that keeps trying."""


class Disk:
    """A small file system of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        with self._ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def fill_with_files(self) -> None:
        self._ballast.mkdir()
        with contextlib.suppress(OSError):
            for number in range(int(INODES)):
                (self._ballast / str(number)).touch()

    def make_read_only(self) -> None:
        """To everybody who opens a file from now on."""
        assert not _mount("--bind", str(self.path), str(self.path))
        assert not _mount("-o", "remount,bind,ro", str(self.path))

    def mend(self) -> None:
        """Idempotent."""
        if self._is_read_only():
            subprocess.run(["umount", "--lazy", str(self.path)], check=True)
        shutil.rmtree(self._ballast, ignore_errors=True)
        self._ballast.unlink(missing_ok=True)

    def _is_read_only(self) -> bool:
        return bool(os.statvfs(self.path).f_flag & os.ST_RDONLY)


def _mount(*arguments: str) -> str:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    if problem := _mount("-t", "tmpfs", "-o", f"size={SIZE},nr_inodes={INODES},mode=755", "scopecraft", str(path)):
        missing = f"no file system can be mounted here: {problem.strip()}"
        if request.config.getoption("--require-everything"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    yield Disk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def home(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """SCOPECRAFT_HOME on that disk."""
    monkeypatch.setenv("SCOPECRAFT_HOME", str(disk.path / "home"))
    yield paths.ensure_home()
    disk.mend()
    end_supervisor()


class Agent:
    """A session whose agent says something at each of its gates."""

    def __init__(self, scopecraft: Scopecraft, gates: Path) -> None:
        gates.mkdir()
        self._gates = gates
        much = "head -c 30000 /dev/zero | tr '\\0' x; echo"
        says = f"echo ready; {self._gate('one')}; {much}; {self._gate('two')}; echo last words; exit 3"
        started = scopecraft(*local("one", says, "-p", "x", "--json"))
        assert started.code == 0, started.stderr
        self.session = str(json.loads(started.stdout)["id"])

    def _gate(self, name: str) -> str:
        return f"until test -e {self._gates / name}; do sleep 0.02; done; echo {name} >{self._gates / name}.passed"

    def pass_gate(self, name: str) -> None:
        (self._gates / name).touch()
        until((self._gates / f"{name}.passed").exists)


@pytest.fixture
def agent(scopecraft: Scopecraft, tmp_path: Path) -> Agent:
    agent = Agent(scopecraft, tmp_path / "gates")
    until(lambda: "ready" in scopecraft("logs", agent.session).stdout)
    return agent


def events(session: str) -> list[dict[str, Any]]:
    """All of them, each whole."""
    lines = (paths.session(session) / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def processor_time(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def supervisor_id() -> int:
    return int(until(supervisor.process_id))


def stays_quiet(pid: int, seconds: float = 2.0) -> bool:
    """It lives, and what it keeps trying takes little."""
    used, begun = processor_time(pid), time.monotonic()
    until(lambda: time.monotonic() - begun > seconds)
    return processor_time(pid) - used < QUIET * seconds


def can_be_read(scopecraft: Scopecraft, session: str) -> bool:
    asked: list[Result] = [scopecraft("list"), scopecraft("show", session), scopecraft("logs", session)]
    assert [each.code for each in asked] == [0, 0, 0], [each.stderr for each in asked]
    assert not any("cannot be read" in each.stderr for each in asked)
    return "ready" in asked[2].stdout and session in asked[0].stdout


DISTURBANCES: dict[str, tuple[Callable[[Disk], None], int, str]] = {
    "full": (Disk.fill, 1, "is full"),
    "no more files": (Disk.fill_with_files, 1, "is full"),
    "read-only": (Disk.make_read_only, 4, "cannot be written"),
}


@pytest.mark.parametrize("how", DISTURBANCES)
def test_a_session_outlasts_a_disk_that_takes_nothing(
    scopecraft: Scopecraft, agent: Agent, disk: Disk, repo: Path, home: Path, git: Any, how: str
) -> None:
    disturb, code, words = DISTURBANCES[how]
    pid = supervisor_id()
    before = state_of(repo, home, git)
    disturb(disk)
    agent.pass_gate("one")
    refused = scopecraft(*local("two", "true", "-p", "x"))
    assert (refused.code, words in refused.stderr) == (code, True), refused.stderr
    assert state_of(repo, home, git) == before
    assert can_be_read(scopecraft, agent.session)
    agent.pass_gate("two")
    assert stays_quiet(pid)
    assert supervisor.process_id() == pid
    os.kill(pid, signal.SIGKILL)
    if how != "read-only":  # there nobody can take the lock, until it is over
        until(lambda: supervisor.process_id() not in (pid, None))
    assert can_be_read(scopecraft, agent.session)

    disk.mend()
    assert scopecraft("wait", agent.session).code == 1
    ended = show(scopecraft, agent.session)
    assert (ended["status"], ended["exit_code"], ended["evidence"]) == ("failed", 3, None)
    found = events(agent.session)
    assert [event["seq"] for event in found] == list(range(1, len(found) + 1))
    assert [event["code"] for event in found if event["kind"] == "notice"][-1] == "ended"
    texts = [event["text"] for event in found if event["kind"] == "text"]
    assert texts == (paths.session(agent.session) / "stream.log").read_text().splitlines()
    assert scopecraft(*local("two", "true", "-p", "x", "--follow")).code == 0
