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
from types import FrameType
from typing import Any

from libtmux import common

from scopecraft_git import paths, plugins
from scopecraft_git.executors import launch, launching
from scopecraft_git.protocols import ExecRequest, Execution
from tests.executors.contract import DEADLINE, until

WATCHED = {
    "local": ("scopecraft_git.executors.local", "subprocess"),
    "tmux": ("scopecraft_git.executors.tmux", "scopecraft_git.executors.tmux_server", common.__name__),
}

Line = tuple[str, int]


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
    child = os.fork()
    if not child:

        def trace(frame: FrameType, event: str, _arg: Any) -> Any:
            file = frame.f_code.co_filename
            if file not in files or (file == subprocess.__file__ and frame.f_code.co_name != "_execute_child"):
                return None
            if event == "line" and (file, frame.f_lineno) not in spared:
                os.write(tell, f"{frame.f_lineno} {file}".encode())
                os.kill(os.getpid(), SIGKILL)
            return trace

        sys.settrace(trace)
        act()
        os._exit(0)
    os.close(tell)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with os.fdopen(told) as pipe:
        number, _, file = pipe.read().partition(" ")
    assert code == (-SIGKILL if file else 0), code
    return (file, int(number)) if file else None


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
