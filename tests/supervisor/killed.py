"""Ends a follower at its lines in turn, until the session is over: `python -m tests.supervisor.killed GIT TREE STEP`.

STEP is 1 for each of its lines. The events must be those of a session that was followed undisturbed. Prints how often
it was killed.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from scopecraft_git import monitor, plugins, sessions
from scopecraft_git.events import LoggedEvent
from scopecraft_git.models import Session
from scopecraft_git.storage.local import LocalStorage
from scopecraft_git.supervisor import clock, ending, follower, requests, standing, watchdogs
from scopecraft_git.supervisor.follower import Follower
from tests import samples
from tests.fuses import KILLED, LineFuse

WATCHED = frozenset(
    str(module.__file__) for module in (monitor, follower, standing, clock, ending, requests, watchdogs)
)
DEADLINE = 60.0
ASKS_LEAVE = """
say() { echo '{"type":"assistant","message":{"content":[{"type":"text","text":"'"$1"'"}]}}'; }
read -r prompt; say "ready"
echo '{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{}}}'
read -r answer; say "allowed"
echo '{"type":"result","subtype":"success","is_error":false,"result":"done"}'
cat >/dev/null
"""
IS_STOPPED = """
trap 'say bye; exit 3' INT
say() { echo '{"type":"assistant","message":{"content":[{"type":"text","text":"'"$1"'"}]}}'; }
say "ready"
while :; do sleep 0.02; done
"""


def main(repository: Path, worktree: Path, step: int) -> None:
    storage = LocalStorage()
    warm_up()
    kills = 0
    for number, script in enumerate((ASKS_LEAVE, IS_STOPPED)):
        undisturbed = make(storage, f"undisturbed-000000{number}", repository, worktree, script)
        assert not follow(storage, undisturbed, line=None)
        killed = make(storage, f"killed-000000{number}", repository, worktree, script)
        line = number
        while follow(storage, killed, line):
            line += step
            kills += 1
        assert told(storage, killed) == told(storage, undisturbed), told(storage, killed)
        assert how(storage, killed) == how(storage, undisturbed), how(storage, killed)
        assert not sessions.asked(killed.id)
    print(kills)


def warm_up() -> None:
    """What every child would load for itself."""
    plugins.executor("local"), plugins.agent("claude"), plugins.handlers()
    importlib.import_module("watchdog.observers")
    importlib.import_module("psutil")
    list(plugins.agent("claude").parse(b'{"type":"user","message":{"content":"x"}}'))
    LoggedEvent.from_json(samples.logged(1).as_json())


def make(storage: LocalStorage, name: str, repository: Path, worktree: Path, script: str) -> Session:
    made = samples.session(name, agent="claude", repository=repository, worktree=worktree)
    made.path.mkdir(parents=True)
    request = samples.exec_request(made).model_copy(
        update={"argv": ("sh", "-c", script), "input": b"go\n", "credentials": {}}
    )
    sessions.create(storage, made, "go", request)
    return made


def follow(storage: LocalStorage, session: Session, line: int | None) -> bool:
    """Whether a child that follows the session, and dies before it executes this line, got that far."""
    child = os.fork()
    if not child:
        if line is not None:
            LineFuse(WATCHED, line).begin_in_threads()
        follow_to_the_end(storage, session)
        os._exit(0)
    deadline = time.monotonic() + DEADLINE
    while not (waited := os.waitpid(child, os.WNOHANG))[0]:
        ask_what_is_due(storage, session)
        assert time.monotonic() < deadline, told(storage, session)
        time.sleep(0.002)
    code = os.waitstatus_to_exitcode(waited[1])
    assert code in (0, KILLED), code
    return code == KILLED


def follow_to_the_end(storage: LocalStorage, session: Session) -> None:
    nobody = dict.fromkeys(("changed", "freed", "ended"), lambda: None)
    following = Follower(storage.load(session.id), storage, **nobody)
    following.start()
    while following.is_alive():
        for asked in sessions.asked(session.id):
            following.ask(asked)
        time.sleep(0.002)
    assert not following.failed
    assert storage.load(session.id).status.ended


def ask_what_is_due(storage: LocalStorage, session: Session) -> None:
    """Once the agent of `IS_STOPPED` is there: pause it, resume it, stop it."""
    if session.id.endswith("0"):
        return
    said = [event.get("text") for event in told(storage, session)]
    once(session, "pause", due="ready" in said)
    once(session, "resume", due="Paused" in said)
    once(session, "stop", due="Resumed" in said)


def once(session: Session, kind: str, *, due: bool) -> None:
    mark = session.path / f"asked-{kind}"
    if due and not mark.exists():
        mark.touch()
        sessions.ask(session.id, kind)


def told(storage: LocalStorage, session: Session) -> list[dict[str, Any]]:
    """Its events as they are on disk, but for their times."""
    lines = (session.path / "events.jsonl").read_text().splitlines() if (session.path / "events.jsonl").exists() else []
    return [
        {key: value for key, value in json.loads(line).items() if key not in ("time", "duration_ms")} for line in lines
    ]


def how(storage: LocalStorage, session: Session) -> dict[str, Any]:
    """What the record says in the end, but for names and times."""
    own = {"id", "path", "created_at", "started_at", "ended_at", "last_activity"}
    return storage.load(session.id).model_dump(mode="json", exclude=own)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
