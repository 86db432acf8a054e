from __future__ import annotations

import json
from pathlib import Path

import pytest

from scopecraft_git import __version__
from tests.conftest import Scopecraft
from tests.executors.contract import until
from tests.supervisor.sessions import keeper_id, start, supervisor_id, waiting
from tests.test_main_job import show


@pytest.fixture
def gate(repo: Path) -> Path:
    return repo.parent / "gate"


def test_the_status_without_one(scopecraft: Scopecraft) -> None:
    shown = scopecraft("supervisor", "status", "--json")
    assert json.loads(shown.stdout) == {
        "running": False, "pid": None, "keeper_pid": None, "following": [], "version": None,
    }  # fmt: skip
    assert "running       no\n" in scopecraft("supervisor", "status").stdout


def test_the_status_with_one(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(scopecraft, "one", waiting(gate))
    process, keeper = supervisor_id(), keeper_id()
    status = json.loads(scopecraft("supervisor", "status", "--json").stdout)
    assert status == {
        "running": True, "pid": process, "keeper_pid": keeper, "following": [session], "version": __version__,
    }  # fmt: skip
    assert f"following     {session}\n" in scopecraft("supervisor", "status").stdout
    gate.touch()


def test_stop_leaves_the_sessions_alone(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(scopecraft, "one", waiting(gate))
    keeper_id()
    stopped = scopecraft("supervisor", "stop")
    assert (stopped.code, stopped.stdout) == (0, "")
    assert stopped.stderr.startswith("✓ The supervisor has left")
    assert "git scopecraft" in stopped.stderr.splitlines()[1]
    assert not json.loads(scopecraft("supervisor", "status", "--json").stdout)["running"]
    assert scopecraft("supervisor", "stop").stderr == "○ There is no supervisor\n"
    assert show(scopecraft, session)["status"] == "running"
    gate.touch()
    assert scopecraft("wait", session).code == 0


def test_one_that_does_not_hear_is_killed(scopecraft: Scopecraft, gate: Path) -> None:
    import os
    import signal

    session = start(scopecraft, "one", waiting(gate))
    keeper_id()
    os.kill(supervisor_id(), signal.SIGSTOP)
    assert scopecraft("supervisor", "stop").code == 0
    until(lambda: not json.loads(scopecraft("supervisor", "status", "--json").stdout)["keeper_pid"])
    gate.touch()
    assert scopecraft("wait", session).code == 0


def test_the_group_is_not_in_the_help(scopecraft: Scopecraft) -> None:
    assert "supervisor" not in scopecraft("-h").stdout
    assert "status" in scopecraft("supervisor", "-h").stdout
