"""Ends a process that starts an agent at each line of the executor in turn, then starts it as its successor would.

Run as a program of its own: EXECUTOR REQUEST. Prints how often it killed.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from signal import SIGKILL
from types import CodeType

from libtmux import common

from scopecraft_git import paths, plugins
from scopecraft_git.executors import launch, launching
from scopecraft_git.protocols import ExecRequest, Execution
from tests.executors.contract import DEADLINE, until
from tests.fuses import Line, LineFuse, dies

WATCHED = {
    "local": ("scopecraft_git.executors.local", "subprocess"),
    "tmux": ("scopecraft_git.executors.tmux", "scopecraft_git.executors.tmux_server", common.__name__),
}


def main(name: str, record: str) -> None:
    executor = plugins.executor(name)
    template = ExecRequest.model_validate_json(Path(record).read_bytes())
    files = {str(importlib.import_module(module).__file__) for module in WATCHED[name]} | {launching.__file__}
    spared: set[Line] = set()
    begun: list[tuple[ExecRequest, Execution, Line | None]] = []
    killed: Line | None = (__file__, 0)
    while killed:
        request = fresh(template, len(spared))
        killed = kill(partial(executor.start, request), files, spared)
        begun.append((request, executor.find(request) or executor.start(request), killed))
        spared |= {killed} if killed else set()
    for one in begun:
        check(*one)
    print(len(spared))


def fresh(template: ExecRequest, number: int) -> ExecRequest:
    session = f"killed-{number:07}"
    directory = paths.session(session)
    directory.mkdir()
    request = template.model_copy(update={"session_id": session, "directory": directory})
    os.environ["OF_THE_USER"] = "here"
    launching.remember_environment(directory)
    os.environ["OF_THE_USER"] = "of another"
    return request.model_copy(update={"environment": {"SESSION": session}})


def kill(act: Callable[[], object], files: set[str], spared: set[Line]) -> Line | None:
    """The first line that was not spared, before which a child died; None when it got to the end."""
    told, tell = os.pipe()
    died = dies(act, _TellingFuse(files, spared, tell))
    os.close(tell)
    with os.fdopen(told) as pipe:
        number, _, file = pipe.read().partition(" ")
    assert died == bool(file)
    return (file, int(number)) if file else None


class _TellingFuse(LineFuse):
    """Says where it ended the process, and does so as a kill from outside would."""

    def __init__(self, files: set[str], spared: set[Line], tell: int) -> None:
        super().__init__(files, 0, spared=spared)
        self._tell = tell

    def watches(self, code: CodeType) -> bool:
        return super().watches(code) and (code.co_filename != subprocess.__file__ or code.co_name == "_execute_child")

    def blow(self, line: Line) -> None:
        os.write(self._tell, f"{line[1]} {line[0]}".encode())
        os.kill(os.getpid(), SIGKILL)


def check(request: ExecRequest, execution: Execution, killed: Line | None) -> None:
    """The agent worked once, with all that it should have; nothing of the start is left."""
    ended = execution.wait(DEADLINE)
    assert ended is not None, killed
    assert not ended.code, (killed, ended, (request.directory / "stderr.log").read_text())
    execution.release()
    starts = (request.worktree / f"starts-{request.session_id}").read_text()
    assert starts == "here\n" + request.input.decode(), (killed, starts)
    private = [request.directory / name for name in launch.PRIVATE]
    until(lambda: not any(path.exists() for path in private))


if __name__ == "__main__":
    main(*sys.argv[1:])
