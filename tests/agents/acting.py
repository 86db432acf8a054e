"""Real agents' programs, unattended, spoken to as a supervisor does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

from scopecraft_git.events import Event, Finished, Notice, PermissionRequest
from scopecraft_git.protocols import Agent, AgentRequest
from tests.model_server import ModelServer

Say = Callable[[bytes], None]


class Acted(NamedTuple):
    lines: list[bytes]
    """What the agent wrote."""
    told: list[bytes]
    """What it was told."""
    events: list[Event]


def act(
    agent: Agent,
    request: AgentRequest,
    model: ModelServer,
    worktree: Path,
    *,
    allow: Callable[[PermissionRequest], bool] = lambda _: True,
    react: Callable[[Event, Say], object] = lambda _event, _say: None,
    message_id: str = "",
) -> Acted:
    """From the prompt until it leaves: its input ends when it says that it is done and nothing is left to wait for."""
    acted = Acted([], [], [])
    with subprocess.Popen(
        agent.argv(request),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=worktree,
        env={**os.environ, **model.environment, **agent.environment(request)},
    ) as process:
        assert process.stdin
        assert process.stdout
        _converse(agent, process.stdin, process.stdout, acted, allow, react, message_id)
    return acted


def _converse(
    agent: Agent,
    stdin: IO[bytes],
    stdout: IO[bytes],
    acted: Acted,
    allow: Callable[[PermissionRequest], bool],
    react: Callable[[Event, Say], object],
    message_id: str,
) -> None:
    def say(data: bytes) -> None:
        acted.told.append(data)
        stdin.write(data)
        stdin.flush()

    say(agent.message("Do the task", id=message_id))
    under_way: list[object] = []
    for line in stdout:
        acted.lines.append(line)
        for event in agent.parse(line.rstrip(b"\n")):
            acted.events.append(event)
            if isinstance(event, PermissionRequest):
                say(agent.answer(event, allow=allow(event), message="Not this"))
            if isinstance(event, Notice) and event.code == "background":
                under_way = event.data["tasks"]
            react(event, say)
            if isinstance(event, Finished) and not under_way:
                stdin.close()
