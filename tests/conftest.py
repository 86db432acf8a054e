"""The words the tests are written in: `home`, `repo`, `scopecraft(…)`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pytest

from tests import machine

if TYPE_CHECKING:
    from scopecraft_git.supervisor.presence import Holder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-everything", action="store_true", help="fail where Docker, tmux or the Claude Code CLI is missing"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test that needs what this machine lacks is skipped and says why, or fails where everything is required."""
    for need in ("docker", "tmux", "claude"):
        if item.get_closest_marker(need) and (missing := machine.missing(need)):
            if item.config.getoption("--require-everything"):
                pytest.fail(missing, pytrace=False)
            pytest.skip(missing)


class Result(NamedTuple):
    code: int
    stdout: str
    stderr: str


class Scopecraft(Protocol):
    def __call__(
        self, *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, stdin: str | None = None
    ) -> Result: ...


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the user's home, git configuration or settings."""
    for name in list(os.environ):
        if name.startswith(("GIT_", "SCOPECRAFT_", "ANTHROPIC_", "CLAUDE", "TMUX")):
            monkeypatch.delenv(name)
    user = tmp_path / "user"
    user.mkdir()
    (user / ".gitconfig").write_text(
        "[user]\n\tname = A Developer\n\temail = dev@example.org\n[init]\n\tdefaultBranch = main\n"
    )
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("SCOPECRAFT_HOME", str(user / ".scopecraft"))
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def home() -> Iterator[Path]:
    """SCOPECRAFT_HOME of this test, with its folders. A supervisor that a test started ends with it, and its agents."""
    from scopecraft_git import paths
    from scopecraft_git.supervisor import waking

    yield paths.ensure_home()
    end_supervisor()
    end_agents()
    while waking.started:
        waking.started.pop().wait(10)


def end_supervisor() -> None:
    """Kill it, if there is one, and its keeper, who would bring it back. After this neither of them is there."""
    from scopecraft_git.supervisor import presence

    deadline = time.monotonic() + 30
    while (supervisor := presence.supervising()) or presence.keeping():
        _kill(supervisor, signal.SIGSTOP)  # held still, it does not bring the keeper back
        _kill(presence.keeping(), signal.SIGKILL)
        _kill(supervisor, signal.SIGKILL)
        assert time.monotonic() < deadline, "the supervisor is still there"
        time.sleep(0.002)


def end_agents() -> None:
    """Kill those that nobody follows any more, such as one that asked and was never answered."""
    from scopecraft_git import paths
    from scopecraft_git.executors.processes import Processes

    for folder in paths.sessions().glob("*/"):
        agent = Processes(folder)
        if agent.known() and agent.agent_lives():
            agent.signal(signal.SIGKILL)


def _kill(holder: Holder | None, number: signal.Signals) -> None:
    if holder and holder.pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(holder.pid, number)


@pytest.fixture
def git() -> Any:
    """`git(path, *arguments)`: what git prints, as the test's user."""

    def run(path: Path, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def repo(tmp_path: Path, git: Any) -> Path:
    """A repository with one commit on main."""
    path = tmp_path / "code" / "app"
    path.mkdir(parents=True)
    git(path, "init", "-q")
    (path / "README.md").write_text("# app\n")
    git(path, "add", ".")
    git(path, "commit", "-qm", "Start")
    return path


@pytest.fixture
def scopecraft(repo: Path, home: Path) -> Scopecraft:
    """`scopecraft(*arguments)`: the real command in the repository, as a process of its own."""

    def run(
        *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, stdin: str | None = None
    ) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "scopecraft_git", *arguments],
            cwd=cwd or repo,
            env={**os.environ, **(env or {})},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run
