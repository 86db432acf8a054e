from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scopecraft_git import paths, sessions, supervisor
from scopecraft_git.supervisor import clearing, presence
from scopecraft_git.supervisor.doorbell import WORK, Doorbell, ring
from tests.conftest import Scopecraft, end_supervisor
from tests.executors.contract import until
from tests.supervisor.sessions import both_gone, keeper_id, kill, start, supervisor_id, waiting
from tests.test_main_job import show


@pytest.fixture
def gate(repo: Path) -> Path:
    """Sessions of `waiting(gate)` end when it is there."""
    return repo.parent / "gate"


def test_nobody_listens_until_there_is_a_supervisor(home: Path) -> None:
    assert not ring(WORK)
    doorbell = Doorbell()
    assert not ring(WORK)
    doorbell.mend()
    assert ring(WORK)
    assert doorbell.wait(5) == WORK
    assert doorbell.wait(0) == b""
    doorbell.close()
    assert not ring(WORK)


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
    assert "nobody saw its exit status" in ended["outcome"]["reason"]


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


def run_patched(home: Path, *changes: str) -> subprocess.Popen[bytes]:
    """A supervisor with other constants than it has."""
    code = ["from scopecraft_git.supervisor import process, waking", *changes, "process.main(waking.take_up([]))"]
    return subprocess.Popen([sys.executable, "-c", "\n".join(code), "scopecraft_git.supervisor"], cwd=home)


def test_it_leaves_with_its_keeper_when_there_is_nothing_to_do(home: Path) -> None:
    process = run_patched(home, "process.LEAVES_AFTER = 0.5")
    keeper_id()
    assert process.wait(20) == 0
    until(both_gone)


def test_it_stays_while_the_queue_waits_for_memory(scopecraft: Scopecraft, home: Path) -> None:
    start(scopecraft, "one", "true", SCOPECRAFT_MIN_FREE_MEMORY="1000t")
    end_supervisor()
    process = run_patched(home, "process.LEAVES_AFTER = process.TICK = 0.2")
    until(lambda: ring(WORK))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    assert scopecraft("queue", "clear").code == 0
    assert process.wait(20) == 0


def test_told_to_leave_it_leaves_the_agents_alone(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(scopecraft, "one", waiting(gate))
    keeper_id()
    kill(supervisor_id(), signal.SIGTERM)
    until(both_gone)
    assert show(scopecraft, session)["status"] == "running"
    gate.touch()
    assert scopecraft("wait", session).code == 0


def test_it_leaves_when_its_home_is_gone(scopecraft: Scopecraft, home: Path) -> None:
    session = start(scopecraft, "one", "true")
    assert scopecraft("wait", session).code == 0
    processes = [supervisor_id(), keeper_id()]
    home.rename(home.with_name("elsewhere"))
    until(lambda: not any(map(is_alive, processes)))
    assert not home.exists()


def test_it_leaves_a_home_made_anew_to_the_next(scopecraft: Scopecraft, home: Path) -> None:
    assert scopecraft("wait", start(scopecraft, "one", "true")).code == 0
    first = [supervisor_id(), keeper_id()]
    home.rename(home.with_name("elsewhere"))
    assert scopecraft("wait", start(scopecraft, "two", "true")).code == 0
    until(lambda: not any(map(is_alive, first)))
    assert is_alive(supervisor_id())


def is_alive(process: int) -> bool:
    """Not a zombie either: a supervisor may be a child of this process."""
    import psutil

    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_it_says_whom_it_follows(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(scopecraft, "one", waiting(gate))
    until(lambda: supervisor.status().following == [session])
    gate.touch()
    until(lambda: supervisor.status().following == [])
    end_supervisor()
    assert supervisor.status() == presence.Status(running=False)


def test_what_it_cannot_write_is_said_once_and_stops_nothing(scopecraft: Scopecraft, home: Path, gate: Path) -> None:
    following = home / "supervisor" / "following"
    following.mkdir()
    for name in ("one", "two"):
        assert scopecraft("wait", start(scopecraft, name, "true")).code == 0
    log = (home / "supervisor" / "supervisor.log").read_text()
    assert log.count("publish: [Errno") == 1, log
    following.rmdir()
    session = start(scopecraft, "three", waiting(gate))
    until(lambda: supervisor.status().following == [session])
    gate.touch()


def test_a_doorbell_that_was_removed_is_hung_up_again(scopecraft: Scopecraft, home: Path, gate: Path) -> None:
    start(scopecraft, "one", waiting(gate))
    process = supervisor_id()
    (home / "supervisor" / "doorbell").unlink()
    until(lambda: ring(WORK))
    assert supervisor_id() == process
    gate.touch()


def test_what_a_killed_one_left_of_a_session_that_is_over_is_cleared_away(scopecraft: Scopecraft) -> None:
    """The record is the first to know of an end; the agent's input and the worktree's lock go after that."""
    session = start(scopecraft, "one", "true")
    assert scopecraft("wait", session).code == 0
    until(lambda: not clearing.left())
    end_supervisor()
    events = (paths.session(session) / "events.jsonl").read_bytes()
    os.mkfifo(paths.session(session) / "stdin")
    clearing.begin(session)
    clearing.begin("one-0000000")  # whose folder was set aside
    supervisor.wake()
    until(lambda: not clearing.left())
    assert not (paths.session(session) / "stdin").exists()
    assert (paths.session(session) / "events.jsonl").read_bytes() == events
    assert show(scopecraft, session)["status"] == "completed"


def test_a_queue_of_a_newer_format_stops_nobody_from_following(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(scopecraft, "one", waiting(gate))
    pid = supervisor_id()
    queue = json.loads(paths.queue_file().read_bytes())
    paths.queue_file().write_text(json.dumps(queue | {"schema_version": 99}))
    supervisor.wake()
    log = paths.supervisor() / "supervisor.log"
    until(lambda: "newer version" in log.read_text())
    paths.queue_file().write_text(json.dumps(queue))
    gate.touch()
    assert scopecraft("wait", session).code == 0
    assert supervisor_id() == pid
