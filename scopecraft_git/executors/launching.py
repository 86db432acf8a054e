"""Hands an agent's command line and environment to `launch.py`, through a file: neither meets a shell or `ps`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from scopecraft_git.errors import CredentialsUnreadableError
from scopecraft_git.protocols import ExecRequest

SCRIPT = Path(__file__).with_name("launch.py")
ENVIRONMENT = "environment.json"


def remember_environment(folder: Path) -> None:
    """Keep this process's environment for the agent of the session in `folder`, until it starts.

    Called by the command the user typed: the supervisor was started from another shell, maybe days ago.
    """
    _write_private(folder / ENVIRONMENT, {k: v for k, v in os.environ.items() if not k.startswith("GIT_")})


def forget_environment(folder: Path) -> None:
    """Once the agent has it, or never will. Idempotent."""
    (folder / ENVIRONMENT).unlink(missing_ok=True)


def prepare(request: ExecRequest, *, terminal: bool = False) -> list[str]:
    """Write `launch.json` and return the command that runs it.

    `terminal`: the agent gets the one that the command is run in, and the variables that belong to it.
    """
    for variable, path in request.credentials.items():
        _check_readable(variable, path)
    launch = {
        "argv": request.argv,
        "cwd": str(request.worktree),
        "environment": {**_user_environment(request.directory), **request.environment},
        "credentials": {variable: str(path.expanduser()) for variable, path in request.credentials.items()},
        "terminal": terminal,
    }
    _write_private(request.directory / "launch.json", launch)
    forget_environment(request.directory)
    return [sys.executable, "-I", "-S", str(SCRIPT), str(request.directory)]


def _user_environment(folder: Path) -> dict[str, str]:
    try:
        remembered: dict[str, str] = json.loads((folder / ENVIRONMENT).read_bytes())
    except FileNotFoundError:
        return {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    return remembered


def _check_readable(variable: str, path: Path) -> None:
    try:
        path.expanduser().open("rb").close()
    except OSError as error:
        raise CredentialsUnreadableError(variable, path, error.strerror or str(error)) from error


def _write_private(path: Path, document: Mapping[str, object]) -> None:
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file)
    temporary.replace(path)
