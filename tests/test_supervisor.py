from __future__ import annotations

import fcntl
import json
import os
import signal
from pathlib import Path

import pytest

from scopecraft_git import paths, supervisor
from scopecraft_git.supervisor.doorbell import WORK, Doorbell, ring, sole_supervisor
from tests.conftest import Scopecraft, end_supervisor
from tests.executors.contract import until
from tests.test_main_job import local, show


@pytest.fixture
def gate(repo: Path) -> Path:
    """Sessions of `waiting(gate)` end when it is there."""
    return repo.parent / "gate"


def waiting(gate: Path) -> str:
    return f"echo ready; until test -e {gate}; do sleep 0.05; done"


def start(scopecraft: Scopecraft, name: str, script: str, **limits: str) -> str:
    done = scopecraft(*local(name, script, "-p", "x", "--json"), env=limits)
    assert done.code == 0, done.stderr
    return str(json.loads(done.stdout)["id"])


def supervisor_id() -> int:
    return int((paths.supervisor() / "lock").read_text())


def test_nobody_listens_until_there_is_a_supervisor(home: Path) -> None:
    assert not ring(WORK)
    doorbell = Doorbell()
    assert ring(WORK)
    assert doorbell.wait(5) == WORK
    assert doorbell.wait(0) == b""
    doorbell.close()
    assert not ring(WORK)


def test_there_is_one_and_the_next_one_leaves_it_alone(home: Path) -> None:
    with sole_supervisor() as first:
        doorbell = Doorbell()
        with sole_supervisor() as second:
            assert (first, second) == (True, False)
        doorbell.close()


def test_one_that_leaves_is_waited_for(home: Path) -> None:
    """It holds the lock still, but hears nothing any more."""
    lock = (paths.supervisor() / "lock").open("a+")
    fcntl.flock(lock, fcntl.LOCK_EX)
    child = os.fork()
    if child == 0:
        lock.close()  # its own copy: the lock stays
        with sole_supervisor() as sole:
            os._exit(0 if sole else 1)
    lock.close()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_waking_twice_starts_one(home: Path) -> None:
    supervisor.wake()
    supervisor.wake()
    until(lambda: ring(WORK))
    pid = supervisor_id()
    supervisor.wake()
    assert supervisor_id() == pid


def test_commands_share_one_supervisor(scopecraft: Scopecraft, gate: Path) -> None:
    start(scopecraft, "one", waiting(gate))
    pid = supervisor_id()
    start(scopecraft, "two", waiting(gate))
    assert supervisor_id() == pid
    gate.touch()
    assert scopecraft("wait", "one", "two").code == 0


def test_a_stop_asked_of_a_dead_supervisor_is_carried_out_by_the_next(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(scopecraft, "one", waiting(gate))
    os.kill(supervisor_id(), signal.SIGSTOP)  # it will not hear
    from scopecraft_git import sessions

    sessions.ask(session, "stop")
    end_supervisor()
    assert scopecraft("wait", session).code == 1
    assert show(scopecraft, session)["status"] == "cancelled"
    assert sessions.asked(session) == []


def test_an_agent_that_ended_unwatched_is_told_of(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(scopecraft, "one", waiting(gate) + "; echo late; exit 4")
    until(lambda: "ready" in scopecraft("logs", session).stdout)
    end_supervisor()
    gate.touch()
    until((paths.session(session) / "exit.json").exists)
    scopecraft("wait", session)
    ended = show(scopecraft, session)
    assert (ended["status"], ended["exit_code"], ended["last_message"]) == ("failed", 4, "late")


def test_an_agent_whose_end_nobody_saw_is_lost(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(scopecraft, "one", waiting(gate))
    until(lambda: "ready" in scopecraft("logs", session).stdout)
    end_supervisor()
    process = json.loads((paths.session(session) / "process.json").read_text())
    os.kill(process["parent"], signal.SIGKILL)
    os.killpg(process["group"], signal.SIGKILL)
    scopecraft("wait", session)
    ended = show(scopecraft, session)
    assert (ended["status"], ended["exit_code"]) == ("lost", None)
    assert "left no exit status" in ended["outcome"]["reason"]


def test_a_session_that_cannot_be_read_stands_in_nobodys_way(scopecraft: Scopecraft, gate: Path) -> None:
    one_at_a_time = {"SCOPECRAFT_MAX_RUNNING": "1"}
    start(scopecraft, "one", waiting(gate), **one_at_a_time)
    broken = start(scopecraft, "two", "true", **one_at_a_time)
    start(scopecraft, "three", "true", **one_at_a_time)
    (paths.session(broken) / "request.json").write_text("{")
    gate.touch()
    assert scopecraft("wait", "one", "three").code == 0
    ended = show(scopecraft, broken)
    assert ended["status"] == "failed"
    assert "request.json" in ended["outcome"]["reason"]


def test_slots_are_given_to_the_next(scopecraft: Scopecraft, repo: Path) -> None:
    one_at_a_time = {"SCOPECRAFT_MAX_RUNNING": "1"}
    order = repo.parent / "order"
    names = ["one", "two", "three"]
    for name in names:
        start(scopecraft, name, f"echo {name} >>{order}; echo end-{name} >>{order}", **one_at_a_time)
    assert scopecraft("wait", *names).code == 0
    assert order.read_text().split() == [word for name in names for word in (name, f"end-{name}")]


def test_a_worktree_is_locked_while_a_session_lives_there(scopecraft: Scopecraft, repo: Path, gate: Path) -> None:
    session = start(scopecraft, "one", waiting(gate))
    lock = repo / ".git" / "worktrees" / "one" / "locked"
    assert lock.read_text().strip() == session
    gate.touch()
    scopecraft("wait", session)
    until(lambda: not lock.exists())
