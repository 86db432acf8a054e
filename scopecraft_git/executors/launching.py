"""Hands an agent's command line, environment and first input to `launch.py`, by a file: none meets a shell or `ps`."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path

from scopecraft_git.errors import CredentialsUnreadableError
from scopecraft_git.executors import documents, launch
from scopecraft_git.protocols import ExecRequest

SCRIPT = Path(__file__).with_name("launch.py")
ENVIRONMENT = "environment.json"


def remember_environment(folder: Path) -> None:
    """Keep this process's environment for the agent of the session in `folder`, until it starts.

    Called by the command the user typed: the supervisor was started from another shell, maybe days ago. It is on the
    disk before the record is: a session that outlives a crash of the machine starts as its user meant it.
    """
    documents.write(folder / ENVIRONMENT, _own_environment(), durable=True)


def forget_environment(folder: Path) -> None:
    """Once the agent has it, or never will. Idempotent."""
    for name in launch.PRIVATE:
        (folder / name).unlink(missing_ok=True)


def prepare(request: ExecRequest) -> list[str]:
    """Write `launch.json` and return the command that runs it. Can be repeated until that has run.

    On a terminal it is complete, and leaves the first input to others; elsewhere it is given the lock it is to hold.
    """
    for variable, path in request.credentials.items():
        _check_readable(variable, path)
    asked = {
        "argv": request.argv,
        "cwd": str(request.worktree),
        "environment": {**_user_environment(request.directory), **request.environment},
        "credentials": {variable: str(path.expanduser()) for variable, path in request.credentials.items()},
        "input": base64.b64encode(request.input).decode(),
        "input_ends": request.input_ends,
    }
    documents.write(request.directory / "launch.json", asked, durable=True)
    return [sys.executable, "-I", "-S", str(SCRIPT), str(request.directory)]


def _user_environment(folder: Path) -> dict[str, str]:
    try:
        remembered: dict[str, str] = json.loads((folder / ENVIRONMENT).read_bytes())
    except FileNotFoundError:
        return _own_environment()
    return remembered


def _own_environment() -> dict[str, str]:
    """Without what a git hook was told of git."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def _check_readable(variable: str, path: Path) -> None:
    try:
        path.expanduser().open("rb").close()
    except OSError as error:
        raise CredentialsUnreadableError(variable, path, error.strerror or str(error)) from error
