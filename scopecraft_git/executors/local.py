"""Runs the agent as a process of this machine's, in the worktree. No isolation, so it is only ever chosen by name."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scopecraft_git import stream
from scopecraft_git.config import Settings
from scopecraft_git.errors import AgentMissingError, CannotAttachError
from scopecraft_git.executors import launch, launching
from scopecraft_git.executors.launched import LaunchedExecution
from scopecraft_git.hookspecs import hookimpl
from scopecraft_git.models import Mode
from scopecraft_git.protocols import ExecRequest, Executor, Exit

TAKES_INPUT_WITHIN = 30.0


class LocalExecutor:
    name = "local"
    modes: tuple[Mode, ...] = (Mode.AUTONOMOUS,)
    isolated = False

    def check(self, _settings: Settings, argv: Sequence[str]) -> None:
        if not shutil.which(argv[0]):
            raise AgentMissingError(Path(argv[0]).name, argv[0])

    def describe(self, request: ExecRequest) -> Mapping[str, Any]:
        return {"cwd": str(request.worktree), "isolation": "none"}

    def start(self, request: ExecRequest) -> LocalExecution:
        folder = request.directory
        command = launching.prepare(request)
        (folder / "stdin").unlink(missing_ok=True)
        os.mkfifo(folder / "stdin", 0o600)
        (folder / "stream.log").touch(0o600)
        with (folder / "process.lock").open("w") as lock, (folder / "stderr.log").open("a") as stderr:
            # The launcher inherits the lock with the open file, so there is no moment in which nobody holds it.
            fcntl.flock(lock, fcntl.LOCK_EX)
            process = subprocess.Popen(
                [*command, str(lock.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                pass_fds=[lock.fileno()],
                start_new_session=True,
            )
        return LocalExecution(folder, process)

    def find(self, request: ExecRequest) -> LocalExecution | None:
        started = (request.directory / "process.lock").exists()
        return LocalExecution(request.directory) if started else None

    def attach(self, request: ExecRequest) -> Sequence[str]:
        raise CannotAttachError(request.session_id, self.name)


class LocalExecution(LaunchedExecution):
    def __init__(self, folder: Path, process: subprocess.Popen[bytes] | None = None) -> None:
        super().__init__(folder)
        self._process = process

    def poll(self) -> Exit | None:
        alive = self._launcher_lives()
        if (ended := self._read("exit.json")) is not None:
            self._reap()
            return Exit(ended["code"])
        return None if alive else self._end_unseen()

    def stream(self, offset: int) -> Iterator[bytes]:
        return stream.follow(self.folder / "stream.log", offset, lambda: self.poll() is not None)

    def send(self, data: bytes) -> None:
        self._wait_for_start()
        try:
            descriptor = os.open(self.folder / "stdin", os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            raise BrokenPipeError("the agent takes no more input") from error
        with os.fdopen(descriptor, "wb", buffering=0) as pipe:
            while data:
                if not select.select([], [pipe], [], TAKES_INPUT_WITHIN)[1]:
                    raise BrokenPipeError("the agent reads none of its input")
                data = data[pipe.write(data) or 0 :]

    def close_input(self) -> None:
        if (process := self._wait_for_start()) and self._launcher_lives():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process["parent"], signal.SIGUSR1)

    def release(self) -> None:
        (self.folder / "stdin").unlink(missing_ok=True)

    def _reap(self) -> None:
        """A launcher that this process started would stay behind as a zombie; it exits once the record is written."""
        if self._process:
            self._process.wait()

    def _end_unseen(self) -> Exit:
        process = self._read("process.json")
        if process is None:
            return Exit(launch.NOT_FOUND, "its launcher could not start it")
        return Exit(-1, f"its parent process {process['parent']} is gone and left no exit status", lost=True)


@hookimpl
def register_executors() -> Iterable[Executor]:
    return [LocalExecutor()]
