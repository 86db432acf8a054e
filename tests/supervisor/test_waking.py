from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

from scopecraft_git import supervisor
from scopecraft_git.storage.files import is_locked, locked
from scopecraft_git.supervisor import presence
from scopecraft_git.supervisor.doorbell import WORK, Doorbell, ring
from tests.conftest import end_supervisor
from tests.executors.contract import until
from tests.supervisor.sessions import both_gone, keeper_id, supervisor_id

WAKE = "from scopecraft_git import supervisor; supervisor.wake()"


def supervisors() -> list[int]:
    """Those of this test's home, however they fare."""
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            if command[-2:-1] == ["scopecraft_git.supervisor"] and "keeper.py" not in " ".join(command):
                found += [process.pid] * (process.environ().get("SCOPECRAFT_HOME") == os.environ["SCOPECRAFT_HOME"])
        except psutil.Error:
            continue
    return found


def test_waking_twice_starts_one(home: Path) -> None:
    supervisor.wake()
    supervisor.wake()
    until(lambda: ring(WORK))
    process = supervisor_id()
    supervisor.wake()
    assert supervisor_id() == process


def test_many_that_wake_it_at_once_start_one(home: Path) -> None:
    commands = [subprocess.Popen([sys.executable, "-c", WAKE]) for _ in range(8)]
    assert [command.wait(60) for command in commands] == [0] * 8
    until(lambda: ring(WORK))
    assert supervisors() == [supervisor_id()]


def test_to_ensure_that_there_is_one_rings_for_nobody(home: Path) -> None:
    with locked(presence.lock_file()):
        doorbell = Doorbell()
        doorbell.mend()
        supervisor.ensure()
        assert doorbell.wait(0) == b""
        doorbell.close()
    supervisor.ensure()
    assert until(supervisor_id)


def test_while_one_waits_there_is_one(home: Path) -> None:
    with supervisor.attended():
        until(lambda: not both_gone())
        keeper_id()
        end_supervisor()
        until(lambda: not both_gone())


def test_who_waits_for_no_time_at_all_has_a_supervisor_started(home: Path) -> None:
    with supervisor.attended():
        assert is_locked(presence.lock_file())
