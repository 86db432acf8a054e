"""Tokens and keys on their way into a container: files in memory, for this user alone, gone with the session."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from scopecraft_git.errors import CredentialsUnreadableError
from scopecraft_git.executors.mounts import Mount
from scopecraft_git.protocols import ExecRequest

TARGET = "/run/scopecraft"


def folder(request: ExecRequest) -> Path:
    """In memory where the machine offers it, else with the session."""
    for memory in (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm"):
        if memory and os.access(memory, os.W_OK | os.X_OK):
            return Path(memory) / f"scopecraft-{request.session_id}"
    return request.directory / "credentials"


def mounts(request: ExecRequest) -> Iterator[Mount]:
    if request.credentials:
        yield Mount(folder(request), TARGET)


def lay_out(request: ExecRequest) -> None:
    """Copy each credential to where the container will read it. Raises `CredentialsUnreadableError`."""
    if not request.credentials:
        return
    values = {variable: _read(variable, path.expanduser()) for variable, path in request.credentials.items()}
    target = folder(request)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700)
    for variable, value in values.items():
        descriptor = os.open(target / variable, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "wb") as file:
            file.write(value)


def clear(request: ExecRequest) -> None:
    for memory in (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm"):
        if memory:
            shutil.rmtree(Path(memory) / f"scopecraft-{request.session_id}", ignore_errors=True)
    shutil.rmtree(request.directory / "credentials", ignore_errors=True)


def _read(variable: str, path: Path) -> bytes:
    if not (variable.isidentifier() and variable.isascii()):
        raise CredentialsUnreadableError(variable, path, "this is no name for a variable")
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialsUnreadableError(variable, path, error.strerror or str(error)) from error
