"""Runs the agent in a tmux window beside the human, who can type into it at any time."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scopecraft_git import stream
from scopecraft_git.config import Settings
from scopecraft_git.errors import AgentMissingError, StartFailedError, TmuxMissingError, WindowGoneError
from scopecraft_git.executors import documents, launch, launching, processes
from scopecraft_git.executors.launched import LaunchedExecution
from scopecraft_git.executors.tmux_server import (
    SESSION_MARK,
    TASK_MARK,
    Pane,
    TmuxSaidNoError,
    TmuxServer,
    appending,
    literal,
    mark,
)
from scopecraft_git.executors.waiting import pauses
from scopecraft_git.hookspecs import hookimpl
from scopecraft_git.models import Mode
from scopecraft_git.protocols import ExecRequest, Executor, Exit

TAKES_INPUT_WITHIN = 60.0
"""How long `send` waits for the agent to take input: it may be starting, or a dialog may wait for the human."""
SHOWS_INPUT_WITHIN = 10.0
PRESSES_ENTER = 10
LOOKS_AGAIN = 0.05
FINDS_TRANSCRIPT_WITHIN = 2.0
DRAINS_WITHIN = 2.0
LAST_WORDS = 200
"""Lines of a dead pane that are kept."""
CLOSED = {"window": "its window was closed", "server": "the tmux server ended, and its window with it"}
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class TmuxExecutor:
    name = "tmux"
    modes: tuple[Mode, ...] = (Mode.DISPATCH,)
    isolated = False
    worktree_seen_at: Path | None = None

    def check(self, _settings: Settings, argv: Sequence[str]) -> None:
        if not shutil.which("tmux"):
            raise TmuxMissingError
        if not shutil.which(argv[0]):
            raise AgentMissingError(Path(argv[0]).name, argv[0])

    def describe(self, request: ExecRequest) -> Mapping[str, Any]:
        tmux = request.settings.tmux
        return {
            "socket": tmux.socket,
            "session": tmux.session,
            "window": _window(request),
            "cwd": str(request.worktree),
        }

    def start(self, request: ExecRequest) -> TmuxExecution:
        execution = TmuxExecution(request)
        execution.begin()
        return execution

    def find(self, request: ExecRequest) -> TmuxExecution | None:
        execution = TmuxExecution(request)
        return execution if execution.exists() else None

    def remains(self) -> Iterable[str]:
        """The launcher is its pane's own process: where none lives and no agent does, a pane holds but last words."""
        return processes.living("tmux.json")

    def attach(self, request: ExecRequest) -> Sequence[str]:
        server = TmuxServer(request.settings.tmux.socket)
        pane = server.pane_of(request.session_id)
        if pane is None:
            raise WindowGoneError(request.session_id)
        tmux, target = ["tmux", "-L", server.socket], f"{pane.session}:{pane.window}"
        (own_socket,) = server.run(["display-message", "-p", "#{socket_path}"])
        if os.environ.get("TMUX", "").split(",")[0] == own_socket:
            return [*tmux, "switch-client", "-t", target]
        return ["env", "-u", "TMUX", *tmux, "attach-session", "-t", target]


class TmuxExecution(LaunchedExecution):
    """The launcher in a pane, and the agent behind it. Known by the session's folder and a mark on the pane."""

    def __init__(self, request: ExecRequest) -> None:
        super().__init__(request)
        self._server = TmuxServer(request.settings.tmux.socket)

    def begin(self) -> None:
        """Open the window and have the agent start in it."""
        (self.folder / "stream.log").touch(0o600)
        (self.folder / "stderr.log").unlink(missing_ok=True)  # the last words of a launcher that never got there
        documents.write(self.folder / "tmux.json", self._transcripts())
        command = launching.prepare(self.request)
        try:
            self._sweep()
            tmux = self.request.settings.tmux
            self._server.open_window(
                tmux.session, _window(self.request), self.request.worktree, lambda target: self._fill(target, command)
            )
        except TmuxSaidNoError as error:
            launching.forget_environment(self.folder)
            raise StartFailedError(self.request.session_id, str(error)) from error

    def poll(self) -> Exit | None:
        ended = super().poll()
        if ended and ended.code:
            self._keep_last_words()
        return ended

    def stream(self, offset: int) -> Iterator[bytes]:
        if self.request.transcript:
            return self._copy_transcript(offset)
        return stream.follow(self.folder / "stream.log", offset, self._output_ended)

    def send(self, data: bytes) -> None:
        self._wait_for_start()
        text = _typable(data)
        if self.request.input_box is None:
            self._paste(text if text.endswith("\n") else text + "\n")
            return
        empty = self._await_box()
        self._paste(text.rstrip("\n"))
        self._press_enter(self._await_pasted(empty))

    def interrupt(self, data: bytes) -> None:
        self._wait_for_start()
        self._paste(data.decode(), bracketed=False)

    def close_input(self) -> None:
        if self.request.input_box is None:
            with contextlib.suppress(BrokenPipeError):
                self._paste("\x04", bracketed=False)

    def evidence(self) -> str:
        pane = self._pane()
        if pane is None:
            return super().evidence()
        shown = [line.strip() for line in (self._server.screen(pane.id) or "").splitlines() if line.strip()]
        words = f", its last line: {shown[-1]}" if shown else ", which shows nothing"
        return f"pane {pane.id}{words}; {super().evidence()}"

    def release(self) -> None:
        """A window whose agent failed stays for the human to read, until the task's next session."""
        pane = self._pane()
        ended = self.processes.read("exit.json")
        if pane and ended and ended["code"] == 0:
            self._server.try_run(["kill-window", "-t", pane.window])

    # Starting

    def _fill(self, target: str, command: list[str]) -> list[list[str]]:
        """Tell the window what it is before it can die."""
        on_pane, on_window = ["set-option", "-p", "-t", target], ["set-option", "-w", "-t", target]
        setup = [
            [*on_window, "remain-on-exit", "on"],
            [*on_window, "automatic-rename", "off"],
            [*on_window, "allow-rename", "off"],
            [*on_pane, SESSION_MARK, mark(self.request.session_id)],
            [*on_pane, TASK_MARK, self._task_mark()],
        ]
        if self.request.transcript is None:
            setup.append(["pipe-pane", "-t", target, appending(self.folder / "stream.log")])
        start = ["respawn-pane", "-k", "-c", literal(str(self.request.worktree)), "-t", target]
        return [*setup, [*start, *command]]

    def _sweep(self) -> None:
        """Close what earlier sessions of this task left to be read."""
        for pane in self._server.panes():
            if pane.dead and pane.task_mark == self._task_mark():
                self._server.try_run(["kill-window", "-t", pane.window])

    def _task_mark(self) -> str:
        return mark(str(self.request.repository), self.request.task)

    # Ending

    def _is_starting(self) -> bool:
        pane = self._pane()
        return pane is not None and not pane.dead

    def _ended(self, ended: dict[str, Any]) -> Exit:
        return Exit(ended["code"], CLOSED.get(ended["closed"], ""))

    def _keep_last_words(self) -> None:
        """What a dead pane shows becomes `stderr.log`, once."""
        kept = self.folder / "stderr.log"
        deadline = time.monotonic() + DRAINS_WITHIN
        while not kept.exists() and (pane := self._pane()) and time.monotonic() < deadline:
            if pane.dead:  # only then has tmux read all that was written
                screen = self._server.screen(pane.id, LAST_WORDS) or ""
                lines = [line for line in screen.splitlines() if not line.startswith("Pane is dead")]
                new = kept.with_suffix(".new")
                new.write_text("\n".join(lines).strip("\n") + "\n")
                new.replace(kept)
            else:
                time.sleep(LOOKS_AGAIN)

    def _output_ended(self) -> bool:
        """The end is known and tmux has handed on all output, which takes it a moment."""
        if not self._has_ended():
            return False
        try:
            since = time.time() - (self.folder / "exit.json").stat().st_mtime
        except FileNotFoundError:
            return True
        with (self.folder / "stream.log").open("rb") as log:
            log.seek(-min(len(launch.END_OF_OUTPUT), log.seek(0, os.SEEK_END)), os.SEEK_END)
            return log.read() == launch.END_OF_OUTPUT or abs(since) > DRAINS_WITHIN

    # Transcript

    def _transcripts(self) -> dict[str, int]:
        """How long each file that the transcript could be is: a resumed session goes on in an old one."""
        pattern = self.request.transcript
        found = Path.home().glob(pattern) if pattern else []
        return {str(path): path.stat().st_size for path in found}

    def _copy_transcript(self, offset: int) -> Iterator[bytes]:
        """Of what the transcript holds, `stream.log` has the first part, wherever a copy was cut off."""
        log = self.folder / "stream.log"
        yield from stream.read_from(log, offset)
        transcript = self._await_transcript()
        if transcript is None:
            return
        begins = json.loads((self.folder / "tmux.json").read_bytes()).get(str(transcript), 0)
        with log.open("ab") as copy:
            position = copy.tell()
            for chunk in stream.follow(transcript, begins + position, self._has_ended, also=self.folder):
                copy.write(chunk)
                copy.flush()
                position += len(chunk)
                if position > offset:
                    yield chunk[max(0, offset - position + len(chunk)) :]

    def _await_transcript(self) -> Path | None:
        """The newest file there is, once there is one; None when the agent ended without."""
        for pause in pauses(longest=FINDS_TRANSCRIPT_WITHIN):
            ended = self._has_ended()
            found = self._transcripts()
            if found or ended:
                break
            time.sleep(pause)
        return max((Path(path) for path in found), key=lambda path: path.stat().st_mtime, default=None)

    # Input

    def _await_box(self) -> str:
        """What the input box holds, once there is one. Dialogs are the human's to answer."""
        deadline = time.monotonic() + TAKES_INPUT_WITHIN
        look_again = pauses(longest=0.5)
        while (box := self._box()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the agent took no input within {TAKES_INPUT_WITHIN:.0f} s; see what it shows")
            time.sleep(next(look_again))
        return box

    def _await_pasted(self, before: str) -> str | None:
        """What the box holds when the text is in it and no more is coming."""
        deadline = time.monotonic() + SHOWS_INPUT_WITHIN
        last = before
        while (box := self._box()) in (None, before) or box != last:
            if time.monotonic() > deadline:
                break
            last = before if box is None else box
            time.sleep(LOOKS_AGAIN)
        return box

    def _press_enter(self, pasted: str | None) -> None:
        """Until the box lets go of the text."""
        for _ in range(PRESSES_ENTER):
            self._paste("\n", bracketed=False)
            deadline = time.monotonic() + SHOWS_INPUT_WITHIN / PRESSES_ENTER
            while time.monotonic() < deadline:
                if self._box() != pasted:
                    return
                time.sleep(LOOKS_AGAIN)

    def _box(self) -> str | None:
        pane = self._living_pane()
        screen = self._server.screen(pane.id) or ""
        found = list(re.finditer(self.request.input_box or "", screen))
        return found[-1][1].strip() if found else None

    def _paste(self, text: str, *, bracketed: bool = True) -> None:
        """By way of a file and the pane itself: a human may be scrolling there, where keys mean something else."""
        pane = self._living_pane()
        source = self.folder / "paste"
        source.touch(0o600)
        try:
            source.write_text(text, encoding="utf-8", errors="replace")
            self._server.paste(pane.id, source, bracketed=bracketed)
        except TmuxSaidNoError as error:
            raise BrokenPipeError(str(error)) from error
        finally:
            source.unlink()

    def _living_pane(self) -> Pane:
        pane = self._pane()
        if pane is None or pane.dead or self._has_ended():
            raise BrokenPipeError("the agent has ended")
        return pane

    def _pane(self) -> Pane | None:
        return self._server.pane_of(self.request.session_id)


def _window(request: ExecRequest) -> str:
    return f"{request.task}-{request.mode.value}"


def _typable(data: bytes) -> str:
    """Text and line ends: anything else would be a key, or end the paste."""
    text = data.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", text)


@hookimpl
def register_executors() -> Iterable[Executor]:
    return [TmuxExecutor()]
