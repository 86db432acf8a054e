"""Docker in trouble, with an engine of the tests' own: what becomes of sessions, through the real commands."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git.config import Settings
from scopecraft_git.errors import DockerUnreachableError
from scopecraft_git.executors import engine as reaching
from scopecraft_git.executors import heartbeat
from scopecraft_git.executors.docker import DockerExecutor
from scopecraft_git.models import Session, SessionStatus
from scopecraft_git.storage.local import LocalStorage
from tests import engines
from tests.conftest import Scopecraft
from tests.engines import OwnEngine
from tests.executors.contract import Bench, read_until, until

pytestmark = pytest.mark.docker

ORDINARY = 1000
COMMITS = "git commit -q --allow-empty -m One; echo ready; "
WAITS = "while [ ! -e go ]; do sleep 0.02; done; "


@pytest.fixture(scope="module")
def own(request: pytest.FixtureRequest) -> Iterator[OwnEngine]:
    if reason := engines.missing():
        if request.config.getoption("--require-everything"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    engine = OwnEngine()
    try:
        engine.start()
        engine.make_image()
        yield engine
    finally:
        engine.close()


@pytest.fixture
def engine(own: OwnEngine, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnEngine]:
    """It runs and stops its containers when it stops; sessions find it, and their programs in it."""
    own.ensure()
    monkeypatch.setenv("DOCKER_HOST", own.address)
    (home / "config" / "orchestration.json").write_text(json.dumps(engines.SETTINGS))
    yield own
    own.ensure()
    if containers := own.docker("ps", "--all", "--quiet").split():
        own.docker("rm", "--force", *containers)


class Work:
    """A session of a shell script in a container, from the outside."""

    def __init__(self, scopecraft: Scopecraft, task: str, repo: Path, script: str, **environment: str) -> None:
        self.scopecraft = scopecraft
        self.task = task
        self.worktree = repo.parent / "app.worktrees" / task
        command = ["--agent", "command", "--", "sh", "-c", script]
        done = scopecraft("run", task, "--json", *command, env=environment)
        assert done.code == 0, done.stderr
        self.id = json.loads(done.stdout)["id"]
        self.container = f"scopecraft-{self.id}"
        self.folder = self.record.path

    @property
    def record(self) -> Session:
        return LocalStorage().load(self.id)

    def ready(self) -> Work:
        until(lambda: b"ready\n" in self.output())
        return self

    def output(self) -> bytes:
        path = self.folder / "stream.log"
        return path.read_bytes() if path.exists() else b""

    def go_on(self) -> None:
        (self.worktree / "go").touch()

    def ended(self) -> Session:
        self.scopecraft("wait", self.id)
        assert self.record.outcome is not None
        return self.record

    def troubled(self, reason: str) -> str:
        """The evidence of the record, once it tells of `reason`."""
        return str(until(lambda: reason in (self.record.evidence or "") and self.record.evidence))


@pytest.fixture
def work(scopecraft: Scopecraft, repo: Path, engine: OwnEngine) -> Any:
    """`work(script)`: a session that has started."""

    def start(script: str, task: str = "t1", **environment: str) -> Work:
        return Work(scopecraft, task, repo, script, **environment)

    return start


def reason_of(session: Session) -> str:
    assert session.outcome is not None
    return session.outcome.reason


def came_home(repo: Path, git: Any) -> list[str]:
    return str(git(repo, "log", "--format=%s", "main..feature/t1")).split()


# The engine goes


@pytest.mark.parametrize(
    ("how", "script", "status", "code"),
    [
        ("stop", COMMITS + "trap 'exit 0' TERM; " + WAITS, SessionStatus.LOST, None),
        ("kill", COMMITS + WAITS, SessionStatus.FAILED, 143),
    ],
)
def test_an_engine_that_stops_takes_its_containers_along(
    work: Any, engine: OwnEngine, repo: Path, git: Any, how: str, script: str, status: SessionStatus, code: int | None
) -> None:
    session = work(script).ready()
    getattr(engine, how)()
    assert f"Docker is not reachable at {engine.address}" in session.troubled("Docker is not reachable")
    assert session.record.status is SessionStatus.RUNNING
    engine.start()
    ended = session.ended()
    assert (ended.status, ended.exit_code, ended.evidence) == (status, code, None)
    assert "Docker was stopped or restarted while it ran" in reason_of(ended)
    assert came_home(repo, git) == ["One"]
    until(lambda: engine.docker("ps", "--all", "--quiet") == "")


def test_an_agent_outlives_an_engine_that_restarts(work: Any, engine: OwnEngine, repo: Path, git: Any) -> None:
    script = COMMITS + "n=0; while [ ! -e go ]; do n=$((n+1)); echo line $n; sleep 0.01; done; echo last; " + WAITS
    session = work(script.replace(WAITS, WAITS.replace("go", "end"))).ready()
    engine.kill()
    session.troubled("Docker is not reachable")
    engine.start("--live-restore")
    seen = len(session.output())
    until(lambda: len(session.output()) > seen)
    session.go_on()
    until(lambda: session.output().endswith(b"last\n"))
    told = subprocess.run(
        ["docker", "--host", engine.address, "logs", session.container], capture_output=True, check=True
    ).stdout
    assert session.output() == told
    numbers = [int(line.split()[1]) for line in told.splitlines() if line.startswith(b"line")]
    assert numbers == sorted(set(numbers))
    (session.worktree / "end").touch()
    ended = session.ended()
    assert (ended.status, ended.exit_code, ended.evidence) == (SessionStatus.COMPLETED, 0, None)
    assert came_home(repo, git) == ["One"]


def test_a_stop_that_a_frozen_engine_kept_is_carried_out_later(
    work: Any, engine: OwnEngine, scopecraft: Scopecraft
) -> None:
    session = work(COMMITS + WAITS).ready()
    engine.freeze()
    stopping = threading.Thread(target=scopecraft, args=("stop", session.id))
    stopping.start()
    until(lambda: list((session.folder / "requests").glob("*.json")))
    engine.thaw()
    stopping.join()
    assert session.record.status is SessionStatus.CANCELLED


def test_a_frozen_engine_holds_up_nobody_for_ever(
    engine: OwnEngine, repo: Path, git: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "EVERY", 0.1)
    monkeypatch.setattr(reaching, "PATIENCE", 1)
    bench = bench_of(repo, git)
    execution = bench.run("echo ready; read line; echo $line")
    chunks = execution.stream(0)
    read_until(chunks, "ready\n")
    engine.freeze()
    for action in (lambda: next(chunks), execution.poll, lambda: execution.send(b"x\n")):
        with pytest.raises(DockerUnreachableError, match="it does not answer"):
            action()
    assert "it does not answer" in execution.evidence()
    assert list(bench.executor.remains()) == []
    engine.thaw()
    assert execution.poll() is None
    execution.send(b"hello\n")
    assert b"".join(execution.stream(6)) == b"hello\n"
    assert len(list(bench.executor.remains())) == 1
    execution.release()


def bench_of(repo: Path, git: Any) -> Bench:
    worktree = repo.parent / "app.worktrees" / "auth-05A"
    git(repo, "worktree", "add", "-q", "-b", "feature/auth-05A", str(worktree))
    settings = Settings.model_validate(engines.SETTINGS)
    return Bench(DockerExecutor(), repo, worktree, git(repo, "rev-parse", "HEAD"), settings)


# The container goes


def test_a_container_removed_by_hand_is_lost(work: Any, engine: OwnEngine, repo: Path, git: Any) -> None:
    session = work(COMMITS + WAITS).ready()
    engine.docker("rm", "--force", session.container)
    ended = session.ended()
    assert (ended.status, ended.exit_code) == (SessionStatus.LOST, None)
    assert f"the container {session.container} is gone" in reason_of(ended)
    assert came_home(repo, git) == ["One"]


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [
        (["stop"], 143, "SIGTERM ended it, as docker stop does"),
        (["kill"], 137, "SIGKILL ended it, as docker stop, docker kill"),
    ],
)
def test_a_container_stopped_by_hand_has_failed(
    work: Any, engine: OwnEngine, repo: Path, git: Any, command: list[str], code: int, reason: str
) -> None:
    session = work(COMMITS + WAITS).ready()
    engine.docker(*command, session.container)
    ended = session.ended()
    assert (ended.status, ended.exit_code) == (SessionStatus.FAILED, code)
    assert reason in reason_of(ended)
    assert came_home(repo, git) == ["One"]


def test_a_container_paused_by_hand_goes_on_later(work: Any, engine: OwnEngine) -> None:
    session = work(COMMITS + WAITS + "echo went on").ready()
    engine.docker("pause", session.container)
    session.go_on()
    assert session.record.status is SessionStatus.RUNNING
    engine.docker("unpause", session.container)
    assert session.ended().status is SessionStatus.COMPLETED
    assert session.output() == b"ready\nwent on\n"


def test_a_container_paused_by_hand_can_be_stopped(work: Any, engine: OwnEngine, scopecraft: Scopecraft) -> None:
    session = work(COMMITS + WAITS).ready()
    engine.docker("pause", session.container)
    assert scopecraft("stop", session.id).code == 0
    assert session.record.status is SessionStatus.CANCELLED


def test_a_memory_limit_is_named(work: Any) -> None:
    ended = work("head -c 300m /dev/zero | tail", SCOPECRAFT_DOCKER__MEMORY="32m").ended()
    assert ended.status is SessionStatus.FAILED
    assert "it reached the memory limit, docker.memory = 32m" in reason_of(ended)


# The image, the socket


def test_an_image_deleted_before_the_start_fails_that_session_alone(
    work: Any, engine: OwnEngine, scopecraft: Scopecraft
) -> None:
    engine.docker("tag", engines.IMAGE, "going:1")
    one = {"SCOPECRAFT_MAX_RUNNING": "1"}
    first = work(COMMITS + WAITS, **one).ready()
    second = work("true", "t2", SCOPECRAFT_DOCKER__IMAGE="going:1", **one)
    third = work("true", "t3", **one)
    engine.docker("rmi", "going:1")
    first.go_on()
    ended = second.ended()
    assert ended.status is SessionStatus.FAILED
    assert "The image going:1 does not exist" in reason_of(ended)
    events = [json.loads(line) for line in scopecraft("logs", second.id, "--json").stdout.splitlines()]
    assert [event["data"]["hint"] for event in events if event.get("code") == "start_failed"] == [
        "Build it and log in: git scopecraft image build && git scopecraft image login"
    ]
    assert third.ended().status is SessionStatus.COMPLETED


@pytest.fixture
def ordinary() -> Iterator[Path]:
    """A folder of an ordinary user's."""
    folder = Path(tempfile.mkdtemp(prefix="scopecraft-ordinary-"))
    os.chown(folder, ORDINARY, ORDINARY)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_a_session_goes_on_when_its_socket_may_be_opened_again(
    engine: OwnEngine, ordinary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor is another one by then: connections that are open stay so."""
    home = ordinary / ".scopecraft"
    monkeypatch.setenv("HOME", str(ordinary))
    monkeypatch.setenv("SCOPECRAFT_HOME", str(home))
    looks = [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
    become = ["setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups", *looks]

    def run(*command: str) -> str:
        done = subprocess.run(
            [*become, *command],
            cwd=ordinary / "app" if home.exists() else ordinary,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("git", "init", "-qb", "main", "app")
    for name in ("name", "email"):
        run("git", "config", "--global", f"user.{name}", "dev@example.org")
    run("git", "-C", "app", "commit", "-qm", "Start", "--allow-empty")
    run("mkdir", "-p", str(home / "config"))
    (home / "config" / "orchestration.json").write_text(json.dumps(engines.SETTINGS))
    os.chown(engine.socket, 0, ORDINARY)
    engine.socket.chmod(0o660)
    command = ["--agent", "command", "--", "sh", "-c", COMMITS + WAITS]
    session = json.loads(run(sys.executable, "-m", "scopecraft_git", "run", "t1", "--json", *command))["id"]

    def record() -> Session:
        return LocalStorage().load(session)

    until((home / "sessions" / session / "stream.log").exists)
    engine.socket.chmod(0)
    supervisor = json.loads(run(sys.executable, "-m", "scopecraft_git", "supervisor", "status", "--json"))
    os.kill(supervisor["pid"], signal.SIGKILL)
    until(lambda: "permission denied" in (record().evidence or ""))
    assert record().status is SessionStatus.RUNNING
    engine.socket.chmod(0o660)
    until(lambda: record().evidence is None)
    (ordinary / "app.worktrees" / "t1" / "go").touch()
    until(lambda: record().status is SessionStatus.COMPLETED)
    assert run("git", "log", "--format=%s", "main..feature/t1") == "One\n"
    run(sys.executable, "-m", "scopecraft_git", "supervisor", "stop")
