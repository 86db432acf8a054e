"""What `recover` finds, when machines, engines and supervisors have died."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import paths, sessions
from scopecraft_git.models import Outcome, SessionStatus
from scopecraft_git.storage.local import LocalStorage
from tests.conftest import Scopecraft, end_supervisor
from tests.executors.contract import until
from tests.machine import BASE_IMAGE
from tests.test_main_job import show

WAITS = "echo ready; while :; do sleep 0.05; done"


def start(scopecraft: Scopecraft, task: str, script: str = WAITS, executor: str = "local") -> str:
    done = scopecraft("run", task, "-e", executor, "-a", "command", "-p", "x", "--json", "--", "sh", "-c", script)
    assert done.code == 0, done.stderr
    session = str(json.loads(done.stdout)["id"])
    until(lambda: "ready" in scopecraft("logs", session).stdout)
    return session


def recovered(scopecraft: Scopecraft) -> dict[str, dict[str, Any]]:
    done = scopecraft("recover", "--json")
    assert done.code == 0, done.stderr
    return {each["session"]: each for each in json.loads(done.stdout)}


def lose(session: str) -> None:
    """Have the record say that it ended, as a supervisor does that knows no better."""
    outcome = Outcome(status=SessionStatus.LOST, reason="Nobody saw it end")
    sessions.finish(LocalStorage(), LocalStorage().load(session), outcome)


def agent_of(session: str) -> int:
    return int(json.loads((paths.session(session) / "process.json").read_bytes())["group"])


def lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_where_nothing_is_there_is_nothing_to_recover(scopecraft: Scopecraft) -> None:
    done = scopecraft("recover")
    assert (done.code, done.stdout) == (0, "")
    assert "○ Nothing to recover" in done.stderr


def test_where_nothing_has_ever_been_there_is_nothing_to_recover(scopecraft: Scopecraft, tmp_path: Path) -> None:
    elsewhere = {"SCOPECRAFT_HOME": str(tmp_path / "elsewhere")}
    try:
        done = scopecraft("recover", "--json", env=elsewhere)
        assert (done.code, done.stdout, done.stderr) == (0, "[]\n", "")
    finally:
        scopecraft("supervisor", "stop", env=elsewhere)


def test_why_nothing_starts_is_told(scopecraft: Scopecraft) -> None:
    scopecraft("queue", "hold")
    done = scopecraft("run", "one", "-e", "local", "-a", "command", "--json", "--", "true")
    session = json.loads(done.stdout)["id"]
    assert recovered(scopecraft)[session]["result"] == "it waits for its turn; nothing starts: the queue is held"


def test_what_lives_is_followed_again(scopecraft: Scopecraft) -> None:
    session = start(scopecraft, "one")
    end_supervisor()
    found = recovered(scopecraft)[session]
    assert (found["status"], found["mended"]) == ("running", False)
    assert found["result"] == "it is running, and followed"
    assert scopecraft("stop", session).code == 0


def test_after_a_restart_of_the_machine_what_died_with_it_is_lost(scopecraft: Scopecraft) -> None:
    session = start(scopecraft, "one")
    end_supervisor()
    process = json.loads((paths.session(session) / "process.json").read_bytes())
    os.kill(process["parent"], signal.SIGKILL)
    os.killpg(process["group"], signal.SIGKILL)
    told = scopecraft("recover")
    assert told.code == 0
    assert f"✓ {session}: lost: Nobody saw it end" in told.stderr
    assert show(scopecraft, session)["status"] == "lost"


def test_an_agent_of_a_session_that_counts_as_ended_is_ended(scopecraft: Scopecraft) -> None:
    session = start(scopecraft, "one")
    end_supervisor()
    lose(session)
    assert lives(agent_of(session))
    found = recovered(scopecraft)[session]
    assert found["result"].startswith("it still ran, and was ended")
    until(lambda: not lives(agent_of(session)))
    assert show(scopecraft, session)["status"] == "lost"


def test_a_session_that_the_registry_forgot_is_found(scopecraft: Scopecraft, home: Path) -> None:
    session = start(scopecraft, "one")
    end_supervisor()
    registry = home / "sessions" / "active.json"
    registry.write_text(json.dumps(json.loads(registry.read_bytes()) | {"sessions": []}))
    assert recovered(scopecraft)[session]["result"] == "it is running, and followed"
    assert json.loads(registry.read_bytes())["sessions"] == [session]
    assert scopecraft("stop", session).code == 0


def test_a_record_that_cannot_be_read_is_named_and_left(scopecraft: Scopecraft) -> None:
    session = start(scopecraft, "one", "echo ready")
    assert scopecraft("wait", session).code == 0
    record = paths.session(session) / "metadata.json"
    record.write_text("{")
    done = scopecraft("recover")
    assert done.code == 0
    assert f"▲ The record {record} cannot be read" in done.stderr
    assert record.read_text() == "{"


@pytest.fixture
def containers(home: Path) -> Iterator[None]:
    (home / "config" / "orchestration.json").write_text(json.dumps({"docker": {"image": BASE_IMAGE}}))
    yield
    for folder in (home / "sessions").glob("*-*"):
        subprocess.run(["docker", "rm", "-f", f"scopecraft-{folder.name}"], capture_output=True, check=False)


COMMITS = "echo hello >hello.txt; git add hello.txt; git commit -qm 'Add hello'; " + WAITS


@pytest.mark.docker
@pytest.mark.usefixtures("containers")
def test_a_container_that_was_left_behind_goes_once_its_commits_are_home(
    scopecraft: Scopecraft, repo: Path, git: Any
) -> None:
    session = start(scopecraft, "one", COMMITS, "docker")
    end_supervisor()
    lose(session)
    found = recovered(scopecraft)[session]
    assert found["result"].startswith("it still ran, and was ended")
    assert git(repo, "log", "--format=%s", "main..feature/one") == "Add hello"
    gone = subprocess.run(["docker", "inspect", f"scopecraft-{session}"], capture_output=True, check=False)
    assert gone.returncode != 0
    assert recovered(scopecraft) == {}


@pytest.mark.docker
@pytest.mark.usefixtures("containers")
def test_a_container_that_nobody_knows_is_left_alone(scopecraft: Scopecraft, home: Path) -> None:
    session = start(scopecraft, "one", executor="docker")
    end_supervisor()
    folder = home / "sessions" / session
    folder.rename(folder.with_name(f"{session}.broken"))
    found = recovered(scopecraft)[session]
    assert (found["status"], found["mended"]) == ("unknown", False)
    assert found["result"] == f"left alone: No session is called {session}"
    here = subprocess.run(["docker", "inspect", f"scopecraft-{session}"], capture_output=True, check=False)
    subprocess.run(["docker", "rm", "-f", f"scopecraft-{session}"], capture_output=True, check=True)
    assert here.returncode == 0


@pytest.mark.tmux
def test_a_pane_that_was_left_behind_is_ended(
    scopecraft: Scopecraft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path))
    done = scopecraft("dispatch", "one", "-a", "command", "-p", "x", "--json", "--", "sh", "-c", WAITS)
    assert done.code == 0, done.stderr
    session = str(json.loads(done.stdout)["id"])
    until(lambda: "ready" in scopecraft("logs", session).stdout)
    end_supervisor()
    lose(session)
    found = recovered(scopecraft)[session]
    subprocess.run(["tmux", "-L", "scopecraft", "kill-server"], capture_output=True, check=False)
    assert found["result"].startswith("it still ran, and was ended")
    assert not lives(agent_of(session))
