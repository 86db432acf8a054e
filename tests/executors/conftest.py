from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from signal import Signals
from typing import Any

import pytest

from scopecraft_git.config import Settings
from tests.executors.contract import DEADLINE, Bench


@pytest.fixture(params=["local"])
def bench(request: pytest.FixtureRequest, repo: Path, home: Path, git: Any) -> Iterator[Bench]:
    """Each executor in turn, on a worktree of its own; what it started is ended."""
    worktree = repo.parent / "app.worktrees" / "auth-05A"
    git(repo, "worktree", "add", "-q", "-b", "feature/auth-05A", str(worktree))
    module = importlib.import_module(f"scopecraft_git.executors.{request.param}")
    executor = next(iter(module.register_executors()))
    bench = Bench(executor, repo, worktree, git(repo, "rev-parse", "HEAD"), Settings())
    yield bench
    for execution in bench.started:
        execution.terminate(Signals.SIGKILL)
        execution.wait(DEADLINE)
        execution.release()
