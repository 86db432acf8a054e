from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scopecraft_git import supervisor
from scopecraft_git.supervisor import keeper, presence
from tests.conftest import Scopecraft, end_supervisor
from tests.executors.contract import until
from tests.supervisor.sessions import (
    await_next,
    both_gone,
    counting,
    keeper_id,
    kill,
    start,
    supervisor_id,
    texts,
    waiting,
)
from tests.test_main_job import show

BACK_WITHIN = 2.0
PROC = Path("/proc/self/fd").is_dir()


@pytest.fixture
def gate(repo: Path) -> Path:
    return repo.parent / "gate"


def test_a_killed_supervisor_is_back_in_time_and_carries_on(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(scopecraft, "one", counting(gate, 40))
    keeper = keeper_id()
    for _ in range(3):
        killed = supervisor_id()
        until(lambda: supervisor.status().following == [session])
        begun = time.monotonic()
        kill(killed)
        await_next(killed)
        until(lambda: supervisor.status().following == [session])
        assert time.monotonic() - begun < BACK_WITHIN
    assert keeper_id() == keeper
    gate.touch()
    until(lambda: show(scopecraft, session)["status"] == "completed")
    assert texts(scopecraft, session) == [*(f"number {number}" for number in range(1, 41)), "ready"]


def test_a_killed_keeper_is_back(scopecraft: Scopecraft, gate: Path) -> None:
    start(scopecraft, "one", waiting(gate))
    process, killed = supervisor_id(), keeper_id()
    kill(killed)
    until(lambda: keeper_id() != killed)
    assert supervisor_id() == process
    kill(process)
    await_next(process)
    gate.touch()


def test_when_both_are_killed_the_next_command_brings_both_back(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(scopecraft, "one", waiting(gate))
    keeper_id()
    end_supervisor()
    assert both_gone()
    gate.touch()
    assert scopecraft("wait", session).code == 0
    assert supervisor_id() != keeper_id()


def test_a_command_that_waits_brings_both_back(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(scopecraft, "one", waiting(gate))
    commands = [
        subprocess.Popen([sys.executable, "-m", "scopecraft_git", *arguments], stdout=subprocess.DEVNULL)
        for arguments in (["wait", session], ["logs", "-f", session])
    ]
    for _ in range(2):
        keeper_id()
        end_supervisor()
        until(lambda: not both_gone())
    gate.touch()
    assert [command.wait(30) for command in commands] == [0, 0]


def test_a_supervisor_that_cannot_work_is_started_again_later_each_time(home: Path, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    with keeping(
        home, f"import time; open({str(starts)!r}, 'a').write(f'{{time.monotonic()}}\\n'); raise SystemExit(1)"
    ):
        until(lambda: starts.exists() and len(starts.read_text().splitlines()) >= 4)
    times = [float(line) for line in starts.read_text().splitlines()]
    assert times[3] - times[0] >= sum(keeper.FIRST_PAUSE * factor for factor in (2, 4, 8))


def test_it_leaves_when_the_supervisor_left_on_purpose(home: Path) -> None:
    with keeping(home, "import os, sys; os.pwrite(int(sys.argv[1]), b'\\n', 0)") as process:
        assert process.wait(20) == 0


def test_it_leaves_when_the_home_is_gone(home: Path) -> None:
    with keeping(home, "raise SystemExit(1)") as process:
        home.rename(home.with_name("elsewhere"))
        assert process.wait(20) == 0


def keeping(home: Path, code: str) -> subprocess.Popen[bytes]:
    """A keeper of what runs `code` in place of a supervisor, the first of which was killed."""
    folder = home / "supervisor"
    (folder / "lock").write_text("1 0.0.1\n")
    own = os.open(folder / presence.KEEPER_LOCK, os.O_RDWR | os.O_CREAT)
    fcntl.flock(own, fcntl.LOCK_EX)
    script = [sys.executable, "-I", "-S", str(keeper.__file__)]
    try:
        return Keeping([*script, str(folder), str(own), "0.0.1", sys.executable, "-c", code], pass_fds=[own])
    finally:
        os.close(own)


class Keeping(subprocess.Popen[bytes]):
    def __exit__(self, *_: object) -> None:
        self.kill()
        super().wait()


@pytest.mark.skipif(not PROC, reason="needs /proc to see what a process has")
def test_they_keep_nothing_of_the_command_that_started_them(scopecraft: Scopecraft, gate: Path) -> None:
    start(scopecraft, "one", waiting(gate), TMUX="/tmp/tmux,1,0", GIT_AUTHOR_NAME="nobody", SCOPECRAFT_SESSION="x")
    first = supervisor_id()
    keeper_id()
    kill(first)
    await_next(first)
    for process in (supervisor_id(), keeper_id()):
        variables = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
        assert [v for v in variables if v.startswith((b"GIT_", b"TMUX", b"SCOPECRAFT_SESSION"))] == []
    opened = [str(link.readlink()) for link in Path(f"/proc/{keeper_id()}/fd").iterdir()]
    assert {Path(name).name for name in opened} <= {"null", "lock", "keeper.lock", "supervisor.log"}
    gate.touch()


@pytest.mark.skipif(not PROC, reason="needs /proc to see what a process has")
def test_the_keeper_is_small_and_leaves_no_zombies(scopecraft: Scopecraft, gate: Path) -> None:
    start(scopecraft, "one", waiting(gate))
    for _ in range(2):  # the second of them is a child of the keeper's
        killed = supervisor_id()
        keeper_id()
        kill(killed)
        await_next(killed)
    status = Path(f"/proc/{keeper_id()}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    assert resident < 16 << 10
    children = Path(f"/proc/{keeper_id()}/task/{keeper_id()}/children").read_text().split()
    assert children == [str(supervisor_id())]
    gate.touch()


def test_a_supervisor_is_killed_by_signals_of_any_kind_and_is_back(scopecraft: Scopecraft, gate: Path) -> None:
    start(scopecraft, "one", waiting(gate))
    keeper_id()
    for number in (signal.SIGSEGV, signal.SIGABRT):
        killed = supervisor_id()
        kill(killed, number)
        await_next(killed)
    gate.touch()
