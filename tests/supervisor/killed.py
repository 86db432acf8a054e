"""Ends a follower at its lines in turn, until the session is over: `python -m tests.supervisor.killed GIT TREE STEP`.

STEP is 1 for each of its lines, and the first is one of as many. The events must be those of a session that was
followed undisturbed. Prints how often it was killed.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any, cast

from scopecraft_git import hookimpl, monitor, plugins, sessions
from scopecraft_git.events import Event, LoggedEvent, PermissionRequest
from scopecraft_git.models import Session
from scopecraft_git.monitor import noticed
from scopecraft_git.protocols import Action, HandlerFactory, HandlerRequest, Verdict
from scopecraft_git.storage.local import LocalStorage
from scopecraft_git.supervisor import (
    clock,
    ending,
    follower,
    inbox,
    input,  # noqa: A004 - what the agent is given
    permissions,
    requests,
    standing,
    turn,
    watchdogs,
)
from scopecraft_git.supervisor.follower import Follower
from tests import samples
from tests.fuses import KILLED, LineFuse

WATCHED = frozenset(
    str(module.__file__)
    for module in (
        monitor,
        noticed,
        follower,
        standing,
        clock,
        ending,
        requests,
        watchdogs,
        inbox,
        input,
        permissions,
        turn,
    )
)
DEADLINE = 60.0
HANDLER = "tests.supervisor.killed"
MESSAGE, MORE, LAST = (f"{n}0000000-0000-4000-8000-000000000000" for n in (1, 2, 3))
WORDS = """
say() { echo '{"type":"assistant","message":{"content":[{"type":"text","text":"'"$1"'"}]}}'; }
ask() {
  request='{"subtype":"can_use_tool","tool_name":"'$2'","input":{}}'
  echo '{"type":"control_request","request_id":"'$1'","request":'"$request"'}'
}
seen() { echo '{"type":"user","isReplay":true,"uuid":"'$1'","message":{"role":"user","content":"x"}}'; }
result() { echo '{"type":"result","subtype":"x","is_error":'$1',"result":"done"}'; }
hear() { while read -r line; do case $line in *$1*) break;; esac; done; }
interrupted() {  # and told
  heard=; until [ "$heard" = im ] || [ "$heard" = mi ]; do
    read -r line
    case $line in *'"interrupt"'*) sign=i;; *$1*) sign=m;; *) sign=;; esac
    case $heard in *$sign*) ;; *) heard=$heard$sign;; esac
  done
}
answered() { hear $1; case $line in *'"allow"'*) say "$1 allowed";; *) say "$1 denied";; esac; }
"""
"""Whoever may be given something twice goes by what it is called."""
ASKS_LEAVE = (
    WORDS
    + """
hear go; say "ready"
ask r1 Allow; answered r1
ask r2 Deny; ask r3 Ask; ask r4 Ask; answered r2; answered r3; answered r4
ask r0 Pause; answered r0
result false
cat >/dev/null
"""
)
IS_TOLD = (
    WORDS
    + f"""
hear go; say "ready"; hear {MESSAGE}; seen {MESSAGE}; say "told"
interrupted {MORE}; result true; seen {MORE}; say "told more"
ask r5 Interrupt; interrupted {LAST}; result true; seen {LAST}; say "told the last"
result false
cat >/dev/null
"""
)
IS_INTERRUPTED = (
    WORDS
    + """
hear go; say "ready"; ask r6 Ask; hear '"interrupt"'; result true
cat >/dev/null
exit 1
"""
)
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
    for number, script in enumerate((ASKS_LEAVE, IS_STOPPED, IS_TOLD, IS_INTERRUPTED)):
        undisturbed = make(storage, f"undisturbed-000000{number}", repository, worktree, script)
        assert not follow(storage, undisturbed, line=None)
        killed = make(storage, f"killed-000000{number}", repository, worktree, script)
        line = random.randrange(step)
        while follow(storage, killed, line):
            line += step
            kills += 1
        assert told(storage, killed) == told(storage, undisturbed), told(storage, killed)
        assert how(storage, killed) == how(storage, undisturbed), how(storage, killed)
        assert not sessions.asked(killed.id)
    print(kills)


class Judge:
    """Wants of a call what the tool's name says."""

    name = "judge"

    def __init__(self, _request: HandlerRequest) -> None: ...

    def handle(self, _session: Session, event: Event) -> Verdict | None:
        if not isinstance(event, PermissionRequest) or event.tool == "Allow":
            return None
        return Verdict(Action(event.tool.lower()), "That is why")

    def summary(self) -> dict[str, Any]:
        return {}


@hookimpl
def register_monitor_handlers() -> list[HandlerFactory]:
    return [Judge]


def warm_up() -> None:
    """What every child would load for itself."""
    cast(dict[str, Any], plugins.BUILT_IN)["handler"] += (HANDLER,)
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
    """Each once, when the agent or its supervisor has said the word."""
    events = told(storage, session)
    said = {event.get("text") for event in events}
    asked = {event["data"].get("id") for event in events if event.get("code") == "ask"}
    match session.id[-1]:
        case "0":
            once(session, "deny", due="r2 denied" in said, id="r3", message="No.")
            once(session, "approve", due="r3 denied" in said, id="r4")
            once(session, "resume", due="Paused" in said)
        case "1":
            once(session, "pause", due="ready" in said)
            once(session, "resume", due="Paused" in said)
            once(session, "stop", due="Resumed" in said)
        case "2":
            once(session, "send", due="ready" in said, id=MESSAGE, text="Use tabs.")
            once(session, "interrupt", due="told" in said, id=MORE, text="Use spaces.")
            once(session, "send", due="Interrupted: That is why" in said, id=LAST, text="Use both.")
        case "3":
            once(session, "interrupt", due="r6" in asked, id=MORE, text="")


def once(session: Session, kind: str, *, due: bool, **data: str) -> None:
    mark = session.path / f"asked-{kind}-{data.get('id', '')}"
    if due and not mark.exists():
        mark.touch()
        sessions.ask(session.id, kind, **data)


def told(storage: LocalStorage, session: Session) -> list[dict[str, Any]]:
    """Its events as they are on disk, but for times."""
    lines = (session.path / "events.jsonl").read_text().splitlines() if (session.path / "events.jsonl").exists() else []
    return [timeless(json.loads(line)) for line in lines]


def timeless(document: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in document.items() if key not in ("time", "sent_at", "duration_ms")}
    return plain | ({"data": timeless(plain["data"])} if "data" in plain else {})


def how(storage: LocalStorage, session: Session) -> dict[str, Any]:
    """What the record says in the end, but for names and times."""
    own = {"id", "path", "created_at", "started_at", "ended_at", "last_activity"}
    record = storage.load(session.id).model_dump(mode="json", exclude=own)
    return record | {"inbox": [timeless(message) for message in record["inbox"]]}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
