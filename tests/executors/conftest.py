from __future__ import annotations

import importlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from signal import Signals
from typing import Any

import pytest

from scopecraft_git.config import DockerSettings, Settings, TmuxSettings
from tests.claude_cli import claude_cli, trust
from tests.executors.contract import DEADLINE, Bench
from tests.machine import BASE_IMAGE
from tests.model_server import model

__all__ = ["claude_cli", "model", "trust"]


@pytest.fixture
def tmux_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TmuxSettings]:
    """A tmux server of this test's own."""
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path))
    settings = TmuxSettings(socket="t")
    yield settings
    subprocess.run(["tmux", "-L", settings.socket, "kill-server"], capture_output=True, check=False)


@pytest.fixture(
    params=["local", pytest.param("tmux", marks=pytest.mark.tmux), pytest.param("docker", marks=pytest.mark.docker)]
)
def bench(
    request: pytest.FixtureRequest, repo: Path, home: Path, git: Any, tmux_settings: TmuxSettings
) -> Iterator[Bench]:
    """Each executor in turn, on a worktree of its own; what it started is ended."""
    worktree = repo.parent / "app.worktrees" / "auth-05A"
    git(repo, "worktree", "add", "-q", "-b", "feature/auth-05A", str(worktree))
    module = importlib.import_module(f"scopecraft_git.executors.{request.param}")
    executor = next(iter(module.register_executors()))
    bench = Bench(
        executor,
        repo,
        worktree,
        git(repo, "rev-parse", "HEAD"),
        Settings(tmux=tmux_settings, docker=DockerSettings(image=BASE_IMAGE)),
    )
    yield bench
    for execution in bench.started:
        execution.terminate(Signals.SIGKILL)
        execution.wait(DEADLINE)
        execution.release()
