"""Sessions that a supervisor's tests start and look at."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from scopecraft_git import supervisor
from scopecraft_git.supervisor import presence
from tests.conftest import Scopecraft
from tests.executors.contract import until
from tests.test_main_job import local


def waiting(gate: Path) -> str:
    return f"echo ready; until test -e {gate}; do sleep 0.05; done"


def counting(gate: Path, numbers: int = 40) -> str:
    """Says a number every 50 ms, and after that waits."""
    return f"for i in $(seq {numbers}); do echo number $i; sleep 0.05; done; {waiting(gate)}"


def start(scopecraft: Scopecraft, name: str, script: str, **environment: str) -> str:
    done = scopecraft(*local(name, script, "-p", "x", "--json"), env=environment)
    assert done.code == 0, done.stderr
    return str(json.loads(done.stdout)["id"])


def texts(scopecraft: Scopecraft, session: str) -> list[str]:
    logged = [json.loads(line) for line in scopecraft("logs", session, "--json").stdout.splitlines()]
    assert [event["seq"] for event in logged] == list(range(1, len(logged) + 1))
    return [event["text"] for event in logged if event["kind"] == "text"]


def supervisor_id() -> int:
    return int(until(supervisor.process_id))


def keeper_id() -> int:
    return int(until(lambda: (found := presence.keeping()) and found.pid))


def kill(process: int, number: signal.Signals = signal.SIGKILL) -> None:
    os.kill(process, number)


def await_next(killed: int) -> None:
    until(lambda: supervisor.process_id() not in (None, killed))


def both_gone() -> bool:
    return not (presence.supervising() or presence.keeping())
