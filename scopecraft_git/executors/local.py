"""Runs the agent as a process of this machine's, in the worktree. No isolation, so it is only ever chosen by name."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from signal import Signals
from typing import Any

from scopecraft_git import stream
from scopecraft_git.config import Settings
from scopecraft_git.errors import AgentMissingError, CannotAttachError, StartFailedError
from scopecraft_git.executors import launching, processes
from scopecraft_git.executors.launched import LaunchedExecution
from scopecraft_git.executors.waiting import pauses
from scopecraft_git.hookspecs import hookimpl
from scopecraft_git.models import Mode
from scopecraft_git.protocols import ExecRequest, Executor, Exit

TAKES_INPUT_WITHIN = 30.0


class LocalExecutor:
    name = "local"
    modes: tuple[Mode, ...] = (Mode.AUTONOMOUS,)
    isolated = False
    worktree_seen_at: Path | None = None

    def check(self, _settings: Settings, argv: Sequence[str]) -> None:
        if not shutil.which(argv[0]):
            raise AgentMissingError(Path(argv[0]).name, argv[0])

    def describe(self, request: ExecRequest) -> Mapping[str, Any]:
        return {"cwd": str(request.worktree), "isolation": "none"}

    def start(self, request: ExecRequest) -> LocalExecution:
        try:
            return LocalExecution(request, _launch(request.directory, launching.prepare(request)))
        except OSError as error:
            raise StartFailedError(request.session_id, error.strerror or str(error)) from error

    def find(self, request: ExecRequest) -> LocalExecution | None:
        execution = LocalExecution(request)
        return execution if execution.exists() else None

    def remains(self) -> Iterable[str]:
        return processes.living("stdin")

    def attach(self, request: ExecRequest) -> Sequence[str]:
        raise CannotAttachError(request.session_id, self.name)


class LocalExecution(LaunchedExecution):
    def __init__(self, request: ExecRequest, process: subprocess.Popen[bytes] | None = None) -> None:
        super().__init__(request)
        self._process = process

    def poll(self) -> Exit | None:
        ended = super().poll()
        if self._process:  # or it would stay behind as a zombie; it exits once the record is written
            self._process.wait() if ended else self._process.poll()
        return ended

    def stream(self, offset: int) -> Iterator[bytes]:
        return stream.follow(self.folder / "stream.log", offset, self._has_ended)

    def send(self, data: bytes) -> None:
        self._wait_for_start()
        if self.request.input_ends or self._input_closed.exists():
            raise BrokenPipeError("the input of the agent is closed")
        with self._turn():
            try:
                descriptor = os.open(self.folder / "stdin", os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                raise BrokenPipeError("the agent takes no more input") from error
            with os.fdopen(descriptor, "wb", buffering=0) as pipe:
                while data:
                    if not select.select([], [pipe], [], TAKES_INPUT_WITHIN)[1]:
                        raise BrokenPipeError("the agent reads none of its input")
                    data = data[pipe.write(data) or 0 :]

    def interrupt(self, data: bytes) -> None:
        self.send(data)

    def close_input(self) -> None:
        if self._wait_for_start() and self.processes.launcher_lives():
            self._input_closed.touch(0o600)
            self.processes.signal_launcher(Signals.SIGUSR1)

    def release(self) -> None:
        (self.folder / "stdin").unlink(missing_ok=True)

    @property
    def _input_closed(self) -> Path:
        return self.folder / "input.closed"

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """One message at a time, and none before the agent's first input. Raises TimeoutError when that takes long."""
        deadline = time.monotonic() + TAKES_INPUT_WITHIN
        with (self.folder / "input.lock").open("a") as lock:
            for pause in pauses(longest=0.1):
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f"the agent has not read what it was given before for {TAKES_INPUT_WITHIN:.0f} s"
                    )
                time.sleep(pause)
            yield

    def _is_starting(self) -> bool:
        return False  # its launcher has the lock from its first instant on

    def _ended(self, ended: dict[str, Any]) -> Exit:
        return Exit(ended["code"])


def _launch(folder: Path, command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Nothing here is lasting before the last step, and that is one that happens or not."""
    (folder / "stdin").unlink(missing_ok=True)
    os.mkfifo(folder / "stdin", 0o600)
    (folder / "stream.log").touch(0o600)
    with (folder / "process.lock").open("w") as lock, (folder / "stderr.log").open("a") as stderr:
        # The launcher inherits the lock with the open file, so there is no moment in which nobody holds it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return subprocess.Popen(
            [*command, str(lock.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            pass_fds=[lock.fileno()],
            start_new_session=True,
        )


@hookimpl
def register_executors() -> Iterable[Executor]:
    return [LocalExecutor()]
