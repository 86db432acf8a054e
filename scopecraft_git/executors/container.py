"""An agent's process in a container, also after a restart of ours: everything is asked of the engine."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from signal import Signals
from typing import Any

from scopecraft_git import stream
from scopecraft_git.errors import DockerRefusedError, DockerUnreachableError, ScopecraftError
from scopecraft_git.executors import container_state, credentials, engine, homecoming, relay
from scopecraft_git.executors.engine import Engine, NotNowError, NotThereError, hanging_up
from scopecraft_git.executors.homecoming import Homecoming
from scopecraft_git.executors.waiting import await_end
from scopecraft_git.protocols import ExecRequest, Exit, Imported

TAKES_INPUT_WITHIN = 30.0
HANGS_UP_WITHIN = 1.0
"""Seconds after which it is looked whether the agent is still there to be given anything."""
RESUMES_WITHIN = 2.0
"""Seconds after which input for a paused agent is given back."""
END_IS_KNOWN_WITHIN = 2.0
STATE_FOLLOWS_WITHIN = 0.2
"""Seconds: the log of a container ends a moment before its state says so."""
LOOKS_AGAIN = 0.25
NOTICED_WITHIN = 5.0
"""Seconds, at most, between the end of a container that its engine stops and our notice that the engine is away."""
SIGNALLED = 128
"""An exit code above it tells of a signal."""
STDERR_LIMIT = 256 << 10
STDERR_LINES = 2000
AWAY = "engine-away"
"""With the session: made when its engine was first found away."""


class DockerExecution:
    def __init__(self, engine: Engine, container: str, request: ExecRequest) -> None:
        self.engine = engine
        self.container = container
        self.request = request
        self._exit: Exit | None = None

    def poll(self) -> Exit | None:
        if self._exit is None:
            self._exit = self._look()
        return self._exit

    def wait(self, timeout: float | None = None) -> Exit | None:
        return await_end(self.poll, timeout, longest=LOOKS_AGAIN)

    def stream(self, offset: int) -> Iterator[bytes]:
        path = self.request.directory / "stream.log"
        for chunk in stream.read_from(path, offset):
            offset += len(chunk)
            yield chunk
        with path.open("ab", buffering=0) as log:
            for position, chunk in self._append(log):
                # Only what lies before an offset beyond the end is held back.
                if fresh := chunk[max(0, offset - position) :]:
                    yield fresh

    def send(self, data: bytes) -> None:
        if self._input_closed.exists():
            raise BrokenPipeError("the input of the agent is closed")
        self._write(relay.frame(data))

    def interrupt(self, data: bytes) -> None:
        self.send(data)

    def close_input(self) -> None:
        if not self._input_closed.exists():
            with contextlib.suppress(BrokenPipeError):
                self._write(relay.END)
            self._input_closed.touch()

    def terminate(self, signal: Signals = Signals.SIGTERM) -> None:
        with contextlib.suppress(NotThereError, NotNowError), self._asked("stop the container"):
            self.engine.api.kill(self.container, signal.name)
        self.resume()  # a frozen one acts on nothing

    def pause(self) -> None:
        if self._state().get("Status") == "running":
            with contextlib.suppress(NotThereError, NotNowError), self._asked("pause the container"):
                self.engine.working.pause(self.container)

    def resume(self) -> None:
        if self._state().get("Status") == "paused":
            try:
                with contextlib.suppress(NotThereError, NotNowError), self._asked("resume the container"):
                    self.engine.working.unpause(self.container)
            except DockerRefusedError:
                if self.wait(END_IS_KNOWN_WITHIN) is None:  # else it died in the ice, which the engine had yet to learn
                    raise

    def import_commits(self) -> list[Imported]:
        return Homecoming(self.request).bring(ended=self.poll() is not None)

    def evidence(self) -> str:
        try:
            state = self._state()
            used = self._used() if state.get("Pid") else {}
        except ScopecraftError as error:
            return error.message
        return f"container {self._name} {container_state.told(state, used)}"

    def release(self) -> None:
        with contextlib.suppress(NotThereError, NotNowError), self._asked("remove the container"):
            self.engine.working.remove_container(self.container, v=True, force=True)
        credentials.clear(self.request)
        homecoming.forget(self.request.directory)
        for name in (AWAY, "input"):
            (self.request.directory / name).unlink(missing_ok=True)
        engine.forget(self.request.directory)

    @property
    def _name(self) -> str:
        return f"scopecraft-{self.request.session_id}"

    @contextlib.contextmanager
    def _asked(self, action: str) -> Iterator[None]:
        """As `Engine.asked`, and remembers when the engine was first found away."""
        try:
            with self.engine.asked(action):
                yield
        except DockerUnreachableError:
            with contextlib.suppress(OSError):  # a full disk is no reason to tell of something else
                if not self._away.exists():
                    self._away.touch()
            raise

    @property
    def _input_closed(self) -> Path:
        return self.request.directory / "input.closed"

    @property
    def _away(self) -> Path:
        return self.request.directory / AWAY

    def _look(self) -> Exit | None:
        state = self._state()
        if container_state.is_gone(state):
            return Exit(-1, f"the container {self._name} is gone: it was removed by hand", lost=True)
        if container_state.runs(state):
            return None
        self._keep_stderr()
        return self._exit_of(state)

    def _exit_of(self, state: dict[str, Any]) -> Exit:
        code = int(state["ExitCode"])
        if state.get("OOMKilled") and code:
            limit = self.request.settings.docker.memory
            return Exit(code, f"it reached the memory limit, docker.memory = {limit}")
        if self._engine_stopped_it(state, code):
            # What an agent says that is told to leave is not how its work went.
            return Exit(code, "Docker was stopped or restarted while it ran", lost=code == 0)
        return Exit(code, str(state.get("Error") or "") or container_state.signalled(code))

    def _engine_stopped_it(self, state: dict[str, Any], code: int) -> bool:
        started, finished = (datetime.fromisoformat(state[name]) for name in ("StartedAt", "FinishedAt"))
        try:
            away = self._away.stat().st_mtime - NOTICED_WITHIN
        except FileNotFoundError:
            away = float("inf")
        return (code > SIGNALLED or finished.timestamp() > away) and self.engine.stopped_since(started)

    def _state(self) -> dict[str, Any]:
        """The engine's word on the container; empty when it is gone."""
        try:
            with self._asked("look at the container"):
                state: dict[str, Any] = self.engine.api.inspect_container(self.container)["State"]
        except NotThereError:
            return {}
        return state

    def _used(self) -> dict[str, Any]:
        """What it has used; empty where the engine does not say at once."""
        from docker.errors import InvalidVersion

        with (
            contextlib.suppress(NotThereError, NotNowError, InvalidVersion),
            self._asked("tell what it has used"),
        ):
            used: dict[str, Any] = self.engine.api.stats(self.container, stream=False, one_shot=True)
            return used
        return {}

    def _append(self, log: Any) -> Iterator[tuple[int, bytes]]:
        """Output beyond what the log holds, each chunk with its position, after it is in the log."""
        while True:
            over = self.poll() is not None
            for chunk in self._output(log.tell(), follow=not over):
                position = log.tell()
                log.write(chunk)
                yield position, chunk
            if over:
                return
            self.wait(STATE_FOLLOWS_WITHIN)

    def _output(self, skip: int, *, follow: bool) -> Iterator[bytes]:
        """The container's stdout from byte `skip` on."""
        try:
            with self._asked("give the output of the container"):
                chunks = self.engine.api.logs(self.container, stdout=True, stderr=False, stream=True, follow=follow)
        except (NotThereError, NotNowError):
            return
        with hanging_up(chunks), self.engine.heartbeat.guarding(chunks.close):
            for chunk in chunks:
                if fresh := chunk[skip:]:
                    yield fresh
                skip = max(0, skip - len(chunk))

    def _keep_stderr(self) -> None:
        path = self.request.directory / "stderr.log"
        if path.exists():
            return
        kept: deque[bytes] = deque()
        size = 0
        with contextlib.suppress(NotThereError, NotNowError), self._asked("give the output of the container"):
            lines = self.engine.api.logs(self.container, stdout=False, stderr=True, stream=True, tail=STDERR_LINES)
            with hanging_up(lines), self.engine.heartbeat.guarding(lines.close):
                for line in lines:
                    kept.append(line)
                    size += len(line)
                    while size > STDERR_LIMIT:
                        size -= len(kept.popleft())
        path.write_bytes(b"".join(kept))

    def _write(self, data: bytes) -> None:
        if self.poll() is not None:
            raise BrokenPipeError("the agent has ended")
        attached = self._attach()
        with hanging_up(attached):
            self._write_all(getattr(attached, "_sock", attached), data)

    def _attach(self) -> Any:
        """A connection to its input, which the engine refuses for one that is frozen."""
        deadline = time.monotonic() + RESUMES_WITHIN
        while True:
            try:
                with self._asked("pass on input"):
                    return self.engine.api.attach_socket(self.container, params={"stdin": 1, "stream": 1})
            except (NotThereError, NotNowError) as error:
                if self.poll() is not None:
                    raise BrokenPipeError("the agent has ended") from error
                if time.monotonic() > deadline:
                    raise TimeoutError("the agent is paused, and takes no input meanwhile") from error
            time.sleep(LOOKS_AGAIN)

    def _hangs_up(self, connection: socket.socket) -> bool:
        """False when the agent has left: the engine may keep a connection that it made just then."""
        deadline = time.monotonic() + TAKES_INPUT_WITHIN
        connection.settimeout(HANGS_UP_WITHIN)
        while True:
            try:
                connection.recv(1)
            except TimeoutError:
                if self.poll() is not None:
                    return False
                if time.monotonic() > deadline:
                    raise
            else:
                return True

    def _write_all(self, connection: socket.socket, data: bytes) -> None:
        """Returns when the engine has passed everything on: it hangs up then."""
        connection.settimeout(TAKES_INPUT_WITHIN)
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            passed_on = self._hangs_up(connection)
        except TimeoutError:
            raise BrokenPipeError("the agent reads none of its input") from None
        except OSError as error:
            raise DockerRefusedError("pass on input", error.strerror or str(error)) from error
        if not passed_on:
            raise BrokenPipeError("the agent has ended")
