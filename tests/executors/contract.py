"""What every executor must do, as the tests of `test_contract.py` ask it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scopecraft_git import paths
from scopecraft_git.config import Settings
from scopecraft_git.models import Mode
from scopecraft_git.protocols import ExecRequest, Execution, Executor

DEADLINE = 30.0


class Bench:
    """An executor with a worktree, and requests for it."""

    def __init__(self, executor: Executor, repo: Path, worktree: Path, commit: str, settings: Settings) -> None:
        self.executor = executor
        self.repo = repo
        self.worktree = worktree
        self.commit = commit
        self.settings = settings
        self.started: list[Execution] = []

    def request(self, script: str, **more: Any) -> ExecRequest:
        """A session whose agent is a shell script."""
        session = f"auth-05A-{uuid.uuid4().hex[:7]}"
        directory = paths.session(session)
        directory.mkdir(parents=True)
        fields: dict[str, Any] = {
            "session_id": session,
            "task": "implement-auth-05A",
            "mode": Mode.AUTONOMOUS,
            "agent": "command",
            "directory": directory,
            "repository": self.repo / ".git",
            "worktree": self.worktree,
            "branch": "feature/auth-05A",
            "commit": self.commit,
            "argv": ("sh", "-c", script),
            "environment": {"TASK_ID": "implement-auth-05A"},
            "credentials": {},
            "settings": self.settings,
        }
        return ExecRequest(**(fields | more))

    def start(self, request: ExecRequest) -> Execution:
        execution = self.executor.start(request)
        self.started.append(execution)
        return execution

    def run(self, script: str) -> Execution:
        return self.start(self.request(script))


def until(condition: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """The first true value of `condition`; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)
    return value


def plain(data: bytes) -> str:
    """Output as text; a terminal ends lines with a carriage return as well."""
    return data.decode().replace("\r\n", "\n")


def read_until(chunks: Iterator[bytes], expected: str) -> str:
    """Reads a stream up to `expected`; fails when the stream ends before."""
    seen = ""
    for chunk in chunks:
        seen += plain(chunk)
        if expected in seen:
            return seen
    raise AssertionError(f"{expected!r} is not in {seen!r}")
