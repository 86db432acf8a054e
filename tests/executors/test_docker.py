"""What is particular to Docker, with a real engine. What every executor must do is in test_contract.py."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git.config import Settings
from scopecraft_git.errors import (
    AgentHomeError,
    AgentHomeStaysError,
    CannotAttachError,
    CredentialsUnreadableError,
    DockerRefusedError,
    DockerUnreachableError,
    EngineForbiddenError,
    ForbiddenMountError,
    ImageMissingError,
    InvalidSettingError,
    MountMissingError,
)
from scopecraft_git.executors import agent_home, engine, image_facts
from scopecraft_git.executors.docker import DockerExecutor
from scopecraft_git.protocols import ExecRequest
from tests.executors.contract import DEADLINE, Bench, read_until, until
from tests.executors.test_shadow import digests
from tests.machine import BASE_IMAGE

pytestmark = [pytest.mark.docker, pytest.mark.parametrize("bench", ["docker"], indirect=True)]

NOBODY = 65534
SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def inspect(request: ExecRequest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("inspect", f"scopecraft-{request.session_id}"))[0]
    return found


def configured(bench: Bench, **docker_settings: Any) -> Settings:
    return Settings.model_validate({"docker": {"image": BASE_IMAGE, **docker_settings}})


def output(bench: Bench, request: ExecRequest) -> str:
    execution = bench.start(request)
    return b"".join(execution.stream(0)).decode()


# Whether a session could start


@pytest.mark.parametrize("name", ["DOCKER_HOST", "context"])
def test_check_needs_no_docker_library(bench: Bench, name: str, tmp_path: Path) -> None:
    """Importing it takes longer than all that `run` does beside."""
    program = (
        "import sys; from scopecraft_git.config import Settings; from scopecraft_git.executors.docker import *\n"
        f"DockerExecutor().check(Settings.model_validate({{'docker': {{'image': '{BASE_IMAGE}'}}}}), ['x'])\n"
        "print([name for name in ('docker', 'requests', 'urllib3', 'http.client') if name in sys.modules])"
    )
    named = {"DOCKER_HOST": f"unix://{SOCKET}"} if name == "DOCKER_HOST" else context(tmp_path, f"unix://{SOCKET}")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | named, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def context(folder: Path, host: str) -> dict[str, str]:
    """A docker configuration whose current context is `host`, as `docker context use` leaves it."""
    environment = {"DOCKER_CONFIG": str(folder / "docker")}
    command = ["docker", "context", "create", "mine", "--docker", f"host={host}"]
    subprocess.run(command, env=os.environ | environment, capture_output=True, check=True)
    (folder / "docker/config.json").write_text('{"currentContext": "mine"}')
    return environment


def test_check_names_a_missing_socket(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with pytest.raises(DockerUnreachableError, match="there is no such socket"):
        bench.executor.check(bench.settings, ["x"])


def test_check_names_a_refusal(bench: Bench, monkeypatch: pytest.MonkeyPatch, short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(short / "docker.sock"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{short}/docker.sock")
    with pytest.raises(DockerUnreachableError, match="connection refused"):
        bench.executor.check(bench.settings, ["x"])


def test_check_names_a_missing_permission(bench: Bench, monkeypatch: pytest.MonkeyPatch, short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(short / "docker.sock"))
        listening.listen()
        (short / "docker.sock").chmod(0)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{short}/docker.sock")
        with unprivileged(), pytest.raises(EngineForbiddenError) as raised:
            bench.executor.check(bench.settings, ["x"])
    assert "usermod -aG docker" in raised.value.hint


class unprivileged:  # noqa: N801 - reads as a word
    """No test runs as somebody who may open everything; root takes another user's place meanwhile."""

    def __enter__(self) -> None:
        if os.getuid() == 0:
            os.seteuid(NOBODY)

    def __exit__(self, *_: object) -> None:
        os.seteuid(os.getuid())


def test_check_names_a_context_that_is_not_there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "nowhere")
    with pytest.raises(DockerUnreachableError, match="no such docker context"):
        bench.executor.check(bench.settings, ["x"])


@pytest.mark.parametrize("image", ["no-such-image:1", "registry.example:5000/a/b"])
def test_check_names_a_missing_image(bench: Bench, image: str) -> None:
    with pytest.raises(ImageMissingError, match=image):
        bench.executor.check(configured(bench, image=image), ["x"])


def test_check_over_tcp_goes_through_the_library(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.getsockname()[1]}")
    with pytest.raises(DockerUnreachableError, match="refused"):
        bench.executor.check(bench.settings, ["x"])


# Mounts


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name."""
    folder = Path(tempfile.mkdtemp(prefix="s-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    "source",
    ["/", "/..", SOCKET, str(Path(SOCKET).parent), "/proc", "/sys/fs", "~", "~/..", "~/.scopecraft", "~/.scopecraft/x"],
)
def test_what_is_never_mounted(bench: Bench, source: str, tmp_path: Path) -> None:
    (tmp_path / "user/.scopecraft/x").mkdir()
    with pytest.raises(ForbiddenMountError):
        bench.executor.check(configured(bench, mounts=[f"{source}:/data"]), ["x"])
    link = tmp_path / "link"
    link.symlink_to(Path(source).expanduser())
    with pytest.raises(ForbiddenMountError):
        bench.executor.check(configured(bench, mounts=[f"{link}:/data:rw"]), ["x"])


@pytest.mark.parametrize("name", ["podman.sock", "containerd.sock", "docker.sock"])
def test_no_engines_socket_wherever_it_lies(bench: Bench, short: Path, name: str) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(short / name))
        with pytest.raises(ForbiddenMountError, match="container engine"):
            bench.executor.check(configured(bench, mounts=[f"{short / name}:/data"]), ["x"])


@pytest.mark.parametrize(
    "target", ["/", "/workspace", "/workspace/.git", "/workspace/a/..", "/scopecraft/git", "/etc", "~"]
)
def test_where_nothing_is_mounted(bench: Bench, target: str, tmp_path: Path) -> None:
    with pytest.raises(ForbiddenMountError, match="belongs to the session"):
        bench.executor.check(configured(bench, mounts=[f"{tmp_path / 'user'}/../data:{target}"]), ["x"])


@pytest.mark.parametrize("spec", ["/tmp", "relative:/data", "/tmp:data", ":/data"])
def test_a_malformed_mount(bench: Bench, spec: str) -> None:
    with pytest.raises(InvalidSettingError, match=r"docker\.mounts"):
        bench.executor.check(configured(bench, mounts=[spec]), ["x"])


def test_a_missing_mount(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(MountMissingError):
        bench.executor.check(configured(bench, mounts=[f"{tmp_path}/nothing:/data"]), ["x"])


@pytest.mark.parametrize("inside", ["", ".git", ".git/hooks"])
def test_the_repository_is_not_mounted_either(bench: Bench, inside: str) -> None:
    request = bench.request("true", settings=configured(bench, mounts=[f"{bench.repo / inside}:/data"]))
    with pytest.raises(ForbiddenMountError, match="repository"):
        bench.executor.start(request)
    assert not (request.directory / "git").exists()


def test_mounts_are_read_only_unless_they_say_rw(bench: Bench, tmp_path: Path) -> None:
    for name in ("keys", "cache"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(f"{name}\n")
    (tmp_path / "rc").write_text("rc\n")
    wanted = [f"{tmp_path}/keys:~/.ssh", f"{tmp_path}/cache:/cache:rw", f"{tmp_path}/rc:~/.config/tool/rc"]
    script = (
        "cat ~/.ssh/file ~/.config/tool/rc; touch ~/.ssh/x || echo no; touch /cache/x && echo yes; eval echo ~$(id -un)"
    )
    written = output(bench, bench.request(script, settings=configured(bench, mounts=wanted)))
    assert written == "keys\nrc\nno\nyes\n/scopecraft/home\n"
    home = agent_home.of(bench.worktree)
    assert {path.stat().st_uid for path in [home, *home.rglob("*")]} == {os.getuid()}
    assert home.stat().st_mode & 0o777 == 0o700


# The container


def test_git_works_inside_and_only_the_branch_moves(bench: Bench, git: Any) -> None:
    repo, worktree = bench.repo, bench.worktree
    (repo / ".git/hooks/post-commit").write_text("#!/bin/sh\ntouch /tmp/ran\n")
    before = digests(repo / ".git")
    script = """set -e
    git log --format=%s; git status --porcelain
    echo one >one; git add one; git commit -qm One
    echo half >half; git add half; git stash -q; git stash pop -q; git reset -q; rm half
    git tag v1; git checkout -q -b side; echo side >side; git add side; git commit -qm Side; git checkout -q -
    echo two >two; git add two; git commit -qm Two
    git checkout -q side; git rebase -q feature/auth-05A; git checkout -q -; git merge -q side
    git gc -q; git fsck --strict --no-dangling; git config user.name Other 2>/dev/null || echo kept
    exec 2>/dev/null
    ! touch /scopecraft/objects/0/x; ! rm /workspace/.git; ! rm /scopecraft/git/config
    """
    request = bench.request(script)
    execution = bench.start(request)
    assert b"".join(execution.stream(0)) == b"Start\nkept\n"
    ended = execution.wait(DEADLINE)
    assert ended == (0, "", False), (request.directory / "stderr.log").read_text()
    tip = execution.import_commits()
    assert [(imported.ref, imported.note) for imported in tip] == [("refs/heads/feature/auth-05A", "")]
    assert git(repo, "log", "--format=%s", "main..feature/auth-05A").split() == ["Side", "Two", "One"]
    assert git(worktree, "status", "--porcelain") == ""
    changed = {name for name, digest in digests(repo / ".git").items() if before.get(name) != digest}
    assert {name for name in changed if not name.startswith(("objects/pack/", "logs/"))} == {
        "refs/heads/feature/auth-05A",
        "worktrees/auth-05A/index",
    }
    assert {path.lstat().st_uid for path in [worktree, *worktree.rglob("*")]} == {os.getuid()}


def test_it_is_locked_up(bench: Bench) -> None:
    request = bench.request(
        "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; id -u; id -g; ls -d /work /root/* 2>&1"
    )
    execution = bench.start(request)
    written = b"".join(execution.stream(0)).decode()
    assert "CapEff:\t0000000000000000" in written
    assert "CapBnd:\t0000000000000000" in written
    assert "NoNewPrivs:\t1" in written
    assert f"\n{os.getuid()}\n{os.getgid()}\n" in written
    host = inspect(request)["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (4 << 30, 4 << 30, 1024)
    assert (host["NanoCpus"], host["Privileged"], host["Init"]) == (2 * 10**9, False, True)
    assert host["NetworkMode"] == "bridge"


def test_network_and_environment_are_the_users(bench: Bench) -> None:
    settings = configured(bench, network="none", env={"A": "user", "HOME": "/nowhere"})
    request = bench.request("ls /sys/class/net; echo $A $B $HOME $TERM", settings=settings, environment={"B": "agent"})
    assert output(bench, request) == "lo\nuser agent /scopecraft/home dumb\n"


def test_what_dry_run_shows_is_made_by_nobody(bench: Bench) -> None:
    request = bench.request("true")
    shown = bench.executor.describe(request)
    assert shown["image"] == BASE_IMAGE
    assert f"{bench.worktree}:/workspace:rw" in shown["mounts"]
    assert list(request.directory.iterdir()) == []


def test_it_has_no_screen(bench: Bench) -> None:
    with pytest.raises(CannotAttachError):
        bench.executor.attach(bench.request("true"))


def test_the_memory_limit_is_named(bench: Bench) -> None:
    request = bench.request("exec head -c 300m /dev/zero | tail", settings=configured(bench, memory="32m"))
    execution = bench.start(request)
    ended = execution.wait(DEADLINE)
    assert ended is not None
    assert ended.code != 0
    assert "docker.memory = 32m" in ended.reason


def test_a_missing_program_says_so(bench: Bench) -> None:
    request = bench.request("true", argv=("no-such-agent", "-p"))
    execution = bench.start(request)
    ended = execution.wait(DEADLINE)
    assert ended is not None
    assert ended.code == 127
    assert "no-such-agent" in (request.directory / "stderr.log").read_text()


# Starts that fail, and those that were interrupted


@pytest.mark.parametrize("settings", [{"network": "no-such-network"}, {"memory": "1k"}, {"memory": "much"}])
def test_a_failed_start_leaves_nothing(bench: Bench, settings: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cr3t")
    request = bench.request("true", settings=configured(bench, **settings), credentials={"KEY": tmp_path / "key"})
    with pytest.raises(DockerRefusedError):
        bench.executor.start(request)
    assert docker("ps", "--all", "--quiet", "--filter", f"name={request.session_id}") == ""
    assert list(request.directory.iterdir()) == []
    assert not list(Path("/dev/shm").glob(f"*{request.session_id}*"))


def test_a_missing_image_at_the_start(bench: Bench) -> None:
    with pytest.raises(ImageMissingError):
        bench.executor.start(bench.request("true", settings=configured(bench, image="no-such-image:1")))


def test_a_container_that_runs_already_is_taken_over(bench: Bench) -> None:
    request = bench.request("echo ready; read line; echo $line")
    bench.start(request)
    before = inspect(request)["Id"]
    again = bench.start(request)
    assert inspect(request)["Id"] == before
    again.send(b"hello\n")
    assert b"".join(again.stream(0)) == b"ready\nhello\n"


def test_a_container_that_never_started_is_replaced(bench: Bench) -> None:
    request = bench.request("echo new")
    docker("create", "--name", f"scopecraft-{request.session_id}", "--label", label(bench), BASE_IMAGE, "echo", "old")
    assert bench.executor.find(request) is None
    assert output(bench, request) == "new\n"


def test_a_start_that_is_killed_starts_once(bench: Bench, tmp_path: Path) -> None:
    script = 'echo once >>"starts-$SESSION"; cat'
    record = tmp_path / "request.json"
    record.write_text(bench.request(script, input=b"the prompt\n", input_ends=True).model_dump_json())
    program = [sys.executable, "-m", "tests.executors.killed_docker", "start", str(record)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 8


def label(bench: Bench) -> str:
    """By which a container is known to be of this SCOPECRAFT_HOME."""
    request = bench.request("true")
    bench.start(request).wait(DEADLINE)
    return f"scopecraft.home={inspect(request)['Config']['Labels']['scopecraft.home']}"


def test_a_container_of_another_home_is_left_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    request = bench.request("echo ready; read line")
    execution = bench.start(request)
    monkeypatch.setenv("SCOPECRAFT_HOME", str(tmp_path / "another"))
    with pytest.raises(DockerRefusedError, match="another SCOPECRAFT_HOME"):
        bench.executor.start(request)
    assert execution.poll() is None


def test_a_container_that_was_removed_is_lost(bench: Bench) -> None:
    request = bench.request("read line")
    execution = bench.start(request)
    docker("rm", "--force", f"scopecraft-{request.session_id}")
    ended = execution.wait(DEADLINE)
    assert ended is not None
    assert ended.lost
    assert request.session_id in ended.reason
    assert b"".join(execution.stream(0)) == b""
    found = bench.executor.find(request)
    assert found is not None
    assert found.poll() == ended
    assert "is gone" in found.evidence()
    found.release()
    assert bench.executor.find(request) is None


def test_release_removes_the_container_and_keeps_the_work(bench: Bench) -> None:
    request = bench.request("git commit -q --allow-empty -m One")
    execution = bench.start(request)
    execution.wait(DEADLINE)
    execution.release()
    assert bench.executor.find(request) is None
    assert len(execution.import_commits()) == 1


# Output


def test_output_is_the_engines_byte_for_byte_across_a_restart(bench: Bench) -> None:
    line = "head -c 40000 /dev/zero | tr '\\0' x; printf '\\303\\050\\000 end %s\\n'"
    request = bench.request(f"{line} 1; echo stray >&2; read go; {line} 2; printf unfinished")
    first = bench.start(request)
    read_until_bytes(first.stream(0), b"end 1\n")
    log = request.directory / "stream.log"
    log.write_bytes(log.read_bytes()[:-17])  # killed before all of a chunk was on disk
    again = bench.executor.find(request)
    assert again is not None
    offset = log.stat().st_size
    again.send(b"go\n")
    rest = b"".join(again.stream(offset - 5))
    name = f"scopecraft-{request.session_id}"
    seen = subprocess.run(["docker", "logs", name], capture_output=True, check=True)
    assert log.read_bytes() == seen.stdout
    assert rest == seen.stdout[offset - 5 :]
    assert (request.directory / "stderr.log").read_bytes() == seen.stderr == b"stray\n"


def read_until_bytes(chunks: Iterator[bytes], expected: bytes) -> None:
    seen = b""
    while expected not in seen:
        seen += next(chunks)


def test_much_to_stderr_keeps_the_end(bench: Bench) -> None:
    request = bench.request("head -c 3m /dev/zero | tr '\\0' x | fold -w 1000 >&2; echo last >&2")
    bench.start(request).wait(DEADLINE)
    kept = (request.directory / "stderr.log").read_bytes()
    assert kept.endswith(b"last\n")
    assert 100_000 < len(kept) < 300_000


def test_a_long_message_arrives_whole(bench: Bench) -> None:
    request = bench.request("echo ready; cat | md5sum")
    execution = bench.start(request)
    chunks = execution.stream(0)
    read_until(chunks, "ready\n")
    message = bytes(range(256)) * 1000
    execution.send(message)
    execution.send(b"0\n3\nabc")
    execution.close_input()
    read_until(chunks, hashlib.md5(message + b"0\n3\nabc").hexdigest())
    with pytest.raises(BrokenPipeError):
        execution.send(b"more")


# The engine goes away


class Proxy:
    """Stands between us and the engine, so that it can go away while the engine stays for everybody else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connections: list[socket.socket] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._server.accept()
            except OSError:
                return
            there = socket.socket(socket.AF_UNIX)
            there.connect(SOCKET)
            self._connections += [here, there]
            for pair in ((here, there), (there, here)):
                self._threads.append(threading.Thread(target=self._pass_on, args=pair, daemon=True))
                self._threads[-1].start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def go_away(self) -> None:
        self.path.unlink()
        for connection in [self._server, *self._connections]:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join()
        for connection in [self._server, *self._connections]:
            connection.close()


@pytest.fixture
def proxy(short: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Proxy]]:
    """A way to the engine, and at each call a new one in the same place."""
    made: list[Proxy] = []

    def make() -> Proxy:
        made.append(Proxy(short / "docker.sock"))
        return made[-1]

    monkeypatch.setenv("DOCKER_HOST", f"unix://{short}/docker.sock")
    yield make
    made[-1].go_away()


@pytest.fixture
def leaky() -> Iterator[None]:
    """docker-py leaves a socket behind that could not connect; it is collected before another test is blamed."""
    yield
    with warnings.catch_warnings(action="ignore"):
        gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("leaky")
def test_an_engine_that_goes_away_is_named(bench: Bench, proxy: Callable[[], Proxy]) -> None:
    way = proxy()
    request = bench.request("echo ready; read line; echo $line")
    execution = bench.executor.start(request)
    chunks = execution.stream(0)
    read_until(chunks, "ready\n")
    way.go_away()
    actions: list[Callable[[], object]] = [
        lambda: next(chunks),
        execution.poll,
        execution.terminate,
        execution.pause,
        execution.release,
        lambda: execution.send(b"x\n"),
        lambda: bench.executor.find(request),
        lambda: next(execution.stream(1000)),
    ]
    for action in actions:
        with pytest.raises(DockerUnreachableError):
            action()
    proxy()
    again = bench.executor.find(request)
    assert again is not None
    again.send(b"still here\n")
    assert b"".join(again.stream(6)) == b"still here\n"
    again.release()


def test_the_engine_of_a_session_is_remembered(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor was started from another shell, with another engine in its environment."""
    request = bench.request("echo ready; read line")
    remembered = {"PATH": os.environ["PATH"], **context(tmp_path, f"unix://{SOCKET}")}
    (request.directory / "environment.json").write_text(json.dumps(remembered))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere.sock")
    bench.start(request)
    assert bench.executor.find(request) is not None
    assert not (request.directory / "environment.json").exists()
    assert json.loads((request.directory / "engine.json").read_text())["DOCKER_CONTEXT"] == "mine"


# Credentials and logins


def test_a_credential_is_nowhere_but_in_memory(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cr3t\n")
    request = bench.request('printf %s "$KEY" | md5sum; read x', credentials={"KEY": tmp_path / "key"})
    execution = bench.start(request)
    read_until(execution.stream(0), hashlib.md5(b"s3cr3t").hexdigest())
    assert "s3cr3t" not in json.dumps(inspect(request))
    held = [mount["Source"] for mount in inspect(request)["Mounts"] if mount["Destination"] == "/run/scopecraft"]
    assert (Path(held[0]) / "KEY").read_text() == "s3cr3t\n"
    assert Path(held[0]).stat().st_mode & 0o777 == 0o700
    assert subprocess.check_output(["stat", "-f", "-c", "%T", held[0]], text=True) == "tmpfs\n"
    execution.release()
    assert not Path(held[0]).exists()


def test_a_credential_that_cannot_be_read(bench: Bench, tmp_path: Path) -> None:
    request = bench.request("true", credentials={"KEY": tmp_path / "nothing"})
    with pytest.raises(CredentialsUnreadableError, match="KEY"):
        bench.executor.start(request)
    assert docker("ps", "--all", "--quiet", "--filter", f"name={request.session_id}") == ""


@pytest.fixture
def logged_in(short: Path) -> Iterator[Callable[[str], str]]:
    """`logged_in(token)`: the image, of a user with an odd home, after a login that left `token` there."""
    image = f"scopecraft-test-login:{os.getpid()}"

    def build(token: str) -> str:
        (short / "Dockerfile").write_text(
            f"FROM {BASE_IMAGE}\nRUN mkdir -p /srv/odd/.agent && echo {token} >/srv/odd/.agent/login "
            "&& useradd -d /srv/odd -u 4711 odd\nUSER odd\n"
        )
        environment = os.environ | {"DOCKER_BUILDKIT": "0"}
        subprocess.run(["docker", "build", "-qt", image, str(short)], env=environment, capture_output=True, check=True)
        return image

    yield build
    subprocess.run(["docker", "rmi", "--force", image], capture_output=True, check=False)


def test_the_images_login_is_copied_once_and_again_when_it_is_new(
    bench: Bench, logged_in: Callable[[str], str]
) -> None:
    settings = configured(bench, image=logged_in("one"))

    def seen(script: str) -> str:
        return output(bench, bench.request(script, settings=settings, login_files=(".agent/login", ".agent/other")))

    assert seen("cat ~/.agent/login; stat -c %a ~/.agent/login; echo renewed >~/.agent/login") == "one\n600\n"
    assert seen("cat ~/.agent/login") == "renewed\n"
    logged_in("two")
    assert seen("cat ~/.agent/login") == "two\n"
    assert seen("cat ~/.agent/login; rm ~/.agent/login") == "two\n"
    assert seen("cat ~/.agent/login") == "two\n"


def test_a_login_is_not_written_through_a_link(bench: Bench, logged_in: Callable[[str], str], tmp_path: Path) -> None:
    home = agent_home.ensure(bench.worktree)
    (home / ".agent").symlink_to(tmp_path)
    settings = configured(bench, image=logged_in("one"))
    request = bench.request("true", settings=settings, login_files=(".agent/login",))
    with pytest.raises(AgentHomeError, match=r"\.agent: not a directory"):
        bench.executor.start(request)
    assert not (tmp_path / "login").exists()
    assert docker("ps", "--all", "--quiet", "--filter", f"name={request.session_id}") == ""


@pytest.fixture
def theirs(short: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of the agents of the worktree /w, all of it an ordinary user's."""
    monkeypatch.setenv("SCOPECRAFT_HOME", str(short / "home"))
    home = agent_home.ensure(Path("/w"))
    module = home / "go/pkg/mod/module"
    module.mkdir(parents=True)
    (module / "file.go").write_text("package module\n")
    (module / "file.go").chmod(0o400)
    (home / "out").symlink_to(short)
    home.with_suffix(".json").write_text("{}")
    for path in [short / "home", *(short / "home").rglob("*")]:
        os.lchown(path, NOBODY if os.getuid() == 0 else -1, -1)
    for folder in (module, module.parent):
        folder.chmod(0o500)
    return home


def test_a_home_with_read_only_folders_is_removed(bench: Bench, theirs: Path, short: Path) -> None:
    short.chmod(0o555)
    with unprivileged():
        agent_home.drop(Path("/w"))
        agent_home.drop(Path("/w"))
    assert list((short / "home/homes").iterdir()) == []
    assert short.stat().st_mode & 0o777 == 0o555


def test_a_home_that_holds_what_is_another_users_stays_and_says_so(bench: Bench, theirs: Path) -> None:
    if os.getuid() != 0:
        return
    (theirs / "roots").mkdir()
    (theirs / "roots/file").touch()
    with unprivileged(), pytest.raises(AgentHomeStaysError, match=r"roots/file.*Permission denied") as raised:
        agent_home.drop(Path("/w"))
    assert raised.value.hint == f"Remove it: sudo rm -rf '{theirs}'"


def test_what_looked_into_an_image_and_was_killed_is_removed_later(
    bench: Bench, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = docker("create", "--label", image_facts.LABEL, BASE_IMAGE, "true")
    image_facts.learn(engine.chosen(), BASE_IMAGE)
    assert docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"id={left}") == left  # it may be at work yet
    monkeypatch.setattr(image_facts, "LOOKS_FOR_AT_MOST", -1.0)
    (home / "images.json").unlink()
    image_facts.learn(engine.chosen(), BASE_IMAGE)
    assert docker("ps", "--all", "--quiet", "--filter", f"id={left}") == ""


def test_a_login_that_two_sessions_share_is_warned_of(
    bench: Bench, logged_in: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    settings = configured(bench, image=logged_in("one"))
    waiting = {"settings": settings, "login_files": (".agent/login",)}
    bench.start(bench.request("read x", **waiting))
    assert caplog.text == ""
    bench.start(bench.request("read x", **waiting))
    assert "2 sessions share the login" in caplog.text


# An ordinary user


ORDINARY = """
import os, sys
from pathlib import Path
from scopecraft_git.executors import engine
from tests.executors.contract import Bench
from scopecraft_git.executors.docker import DockerExecutor
from scopecraft_git.config import Settings
engine.chosen().api.version()
import scopecraft_git.executors.containers, git
engine._engine.cache_clear()
os.setgroups([int(sys.argv[2])]); os.setgid(1000); os.setuid(1000)
folder, commit = Path(sys.argv[1]), sys.argv[3]
settings = Settings.model_validate({"docker": {"image": sys.argv[4]}})
bench = Bench(DockerExecutor(), folder / "app", folder / "worktree", commit, settings)
bench.executor.check(settings, ["sh"])
request = bench.request("mkdir a; touch a/b; git add .; git commit -qm One; echo $?; whoami; echo ~")
execution = bench.start(request)
print(b"".join(execution.stream(0)).decode().split(), execution.wait(30), len(execution.import_commits()))
execution.release()
"""


def test_an_ordinary_user_owns_what_the_agent_made(bench: Bench, short: Path, git: Any) -> None:
    """Only root can take another user's place; when the tests run as an ordinary user, the others show it."""
    if os.getuid() != 0:
        return
    git(short, "init", "-q", "app")
    git(short / "app", "commit", "-q", "--allow-empty", "-m", "Start")
    git(short / "app", "config", "user.name", "Ordinary")
    git(short / "app", "config", "user.email", "o@example.org")
    git(short / "app", "worktree", "add", "-qb", "feature/auth-05A", str(short / "worktree"))
    for path in [short, *short.rglob("*")]:
        os.lchown(path, 1000, 1000)
    commit = (short / "app/.git/refs/heads/main").read_text().strip()
    environment = os.environ | {"HOME": str(short), "SCOPECRAFT_HOME": str(short / "home")}
    group = str(Path(SOCKET).stat().st_gid)
    done = subprocess.run(
        [sys.executable, "-c", ORDINARY, str(short), group, commit, BASE_IMAGE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    expected = "['0', 'agent', '/scopecraft/home'] Exit(code=0, reason='', lost=False) 1\n"
    assert (done.stdout, done.stderr) == (expected, "")
    assert {path.lstat().st_uid for path in [short, *short.rglob("*")]} == {1000}


def test_two_executors_are_one(bench: Bench) -> None:
    """Nothing is kept in the executor itself: another instance finds the session."""
    request = bench.request("echo ready; read line")
    bench.start(request)
    found = until(lambda: DockerExecutor().find(request))
    assert found.poll() is None
