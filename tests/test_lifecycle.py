"""Sessions that are paused, idle, late or lost, as a user sees them."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import paths, sessions, supervisor
from scopecraft_git.storage.local import LocalStorage
from tests.conftest import Scopecraft, end_supervisor
from tests.executors.contract import until
from tests.test_main_job import local, show

COUNTS = f"""exec {sys.executable} -uc '
import pathlib, signal, sys, time
n = 0
while not pathlib.Path("{{gate}}").exists():
    n += 1
    print(n)
    time.sleep(0.05)
'"""
"""In no shell: one that is frozen while it starts a program is not seen to be, and may miss an interrupt."""
SAYS_BYE = 'signal.signal(signal.SIGINT, lambda *_: (print("bye"), sys.exit(3)))\nn = 0'
FINISHED = '{"type":"result","subtype":"success","is_error":false,"result":"done"}'
NEVER = {"SCOPECRAFT_WATCHDOG__FIRST_EVENT_MINUTES": "0", "SCOPECRAFT_IDLE_MINUTES": "0"}
SOON = "0.02"
"""Minutes that are over in a second."""


@pytest.fixture
def gate(repo: Path) -> Path:
    return repo.parent / "gate"


def start(scopecraft: Scopecraft, script: str, name: str = "one", **settings: str) -> str:
    environment = NEVER | {f"SCOPECRAFT_{key.upper()}": value for key, value in settings.items()}
    done = scopecraft(*local(name, script, "-p", "x", "--json"), env=environment)
    assert done.code == 0, done.stderr
    return str(json.loads(done.stdout)["id"])


def notices(session: str) -> list[str]:
    return [event["code"] for event in events(session) if event["kind"] == "notice"]


def events(session: str) -> list[dict[str, Any]]:
    return [logged.as_json() for logged in LocalStorage().events(session)]


def said(session: str) -> list[str]:
    return [event["text"] for event in events(session) if event["kind"] == "text"]


def status(session: str) -> str:
    return LocalStorage().load(session).status.value


def is_frozen(session: str) -> bool:
    group = json.loads((paths.session(session) / "process.json").read_text())["group"]
    return Path(f"/proc/{group}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_a_paused_session_stands_still_until_it_is_resumed(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(scopecraft, COUNTS.format(gate=gate))
    until(lambda: said(session))
    paused = scopecraft("pause", "one")
    assert paused.code == 0, paused.stderr
    assert paused.stderr.splitlines() == [
        f"✓ Paused {session}",
        f"↳ To have it go on, run git scopecraft resume {session}",
    ]
    assert show(scopecraft, session)["status"] == "paused"
    assert is_frozen(session)
    assert scopecraft("pause", session).stderr == f"○ {session} is paused already\n"
    end_supervisor()
    gate.touch()
    resumed = scopecraft("resume", session)
    assert (resumed.code, resumed.stderr) == (0, f"✓ Resumed {session}\n")
    assert scopecraft("wait", session).code == 0
    assert notices(session) == ["started", "paused", "resumed", "ended"]


def test_a_paused_session_stays_so_across_supervisors_and_can_be_stopped(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(scopecraft, COUNTS.format(gate=gate).replace("n = 0", SAYS_BYE))
    until(lambda: said(session))
    scopecraft("pause", session)
    end_supervisor()
    supervisor.wake()
    until(lambda: supervisor.status().following == [session])
    assert status(session) == "paused"
    assert is_frozen(session)
    stopped = scopecraft("stop", session)
    assert stopped.code == 0, stopped.stderr
    assert (status(session), said(session)[-1]) == ("cancelled", "bye")
    assert notices(session) == ["started", "paused", "stopping", "ended"]


def test_what_cannot_be_paused_says_why(scopecraft: Scopecraft, gate: Path) -> None:
    first = start(scopecraft, COUNTS.format(gate=gate), max_running="1")
    second = start(scopecraft, "true", name="two", max_running="1")
    assert scopecraft("resume", first).stderr == f"○ {first} is not paused (running)\n"
    for command in ("pause", "resume"):
        refused = scopecraft(command, second)
        assert refused.code == 4
        assert refused.stderr.startswith(f"✗ The session {second} waits in the queue and is not at work yet\n")
    gate.touch()
    scopecraft("wait", first, second)
    for command in ("pause", "resume"):
        ended = scopecraft(command, first)
        assert (ended.code, f"The session {first} has ended (completed)" in ended.stderr) == (4, True)


def test_one_that_cannot_be_stopped_does_not_keep_the_others(scopecraft: Scopecraft) -> None:
    scopecraft("queue", "hold")
    one, two, three = (start(scopecraft, "true", name=name) for name in ("one", "two", "three"))
    wrong = scopecraft("stop", one, "nobody")
    assert (wrong.code, show(scopecraft, one)["status"]) == (3, "queued")
    scopecraft("stop", two)
    stopped = scopecraft("stop", one, two, "one", three)
    assert stopped.code == 4
    assert stopped.stderr.splitlines()[:3] == [
        f"✓ {one} cancelled: Stopped on request",
        f"✓ {three} cancelled: Stopped on request",
        f"✗ The session {two} has ended (cancelled)",
    ]


def test_requests_to_a_dead_supervisor_are_carried_out_once_by_the_next(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(scopecraft, COUNTS.format(gate=gate))
    until(lambda: said(session))
    end_supervisor()
    for kind in ("pause", "resume", "pause"):
        sessions.ask(session, kind)
    supervisor.wake()
    until(lambda: not sessions.asked(session))
    assert status(session) == "paused"
    assert notices(session) == ["started", "paused", "resumed", "paused"]
    gate.touch()
    scopecraft("resume", session)
    assert scopecraft("wait", session).code == 0


def test_a_silent_session_is_idle_with_evidence_until_it_speaks(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(
        scopecraft, f"echo one; until test -e {gate}; do sleep 0.05; done; echo two; sleep 600", idle_minutes=SOON
    )
    until(lambda: status(session) == "idle")
    shown = show(scopecraft, session)
    assert shown["evidence"].startswith("no output since ")
    assert "process" in shown["evidence"]
    assert f"evidence          {shown['evidence']}" in scopecraft("show", session).stdout
    assert "▲ no output since " in scopecraft("list").stdout
    end_supervisor()
    supervisor.wake()
    until(lambda: supervisor.status().following == [session])
    assert status(session) == "idle"
    gate.touch()
    until(lambda: said(session) == ["one", "two"] and notices(session).count("idle") == 2)
    assert notices(session) == ["started", "idle", "idle"]
    kinds = [event.get("code") or event["text"] for event in events(session)]
    assert kinds == ["started", "one", "idle", "two", "idle"]
    until(lambda: status(session) == "idle")
    scopecraft("stop", session)
    assert show(scopecraft, session)["evidence"] is None


def test_time_is_up(scopecraft: Scopecraft) -> None:
    session = start(scopecraft, "trap 'exit 0' INT; echo one; while :; do sleep 0.05; done", max_minutes=SOON)
    assert scopecraft("wait", session).code == 1
    ended = show(scopecraft, session)
    assert (ended["status"], ended["outcome"]["reason"]) == ("failed", "It ran for max_minutes = 0.02")
    assert notices(session) == ["started", "time_is_up", "ended"]


@pytest.mark.parametrize(("action", "outcome"), [("warn", "completed"), ("stop", "failed")])
def test_an_agent_that_never_says_anything(scopecraft: Scopecraft, gate: Path, action: str, outcome: str) -> None:
    session = start(
        scopecraft,
        f"until test -e {gate}; do sleep 0.05; done",
        watchdog__first_event_minutes=SOON,
        watchdog__first_event=action,
    )
    until(lambda: "no_first_event" in notices(session))
    notice = next(event for event in events(session) if event.get("code") == "no_first_event")
    assert "process" in notice["data"]["evidence"]
    if action == "warn":
        gate.touch()
    scopecraft("wait", session)
    ended = show(scopecraft, session)
    assert ended["status"] == outcome
    assert notices(session) == ["started", "no_first_event", "ended"]


@pytest.mark.parametrize("action", ["warn", "stop"])
def test_an_agent_that_is_done_and_does_not_leave(scopecraft: Scopecraft, gate: Path, action: str) -> None:
    session = start(
        scopecraft,
        f"echo '{FINISHED}'; until test -e {gate}; do sleep 0.05; done",
        watchdog__lingering_seconds="1",
        watchdog__lingering=action,
    )
    until(lambda: "lingering" in notices(session))
    end_supervisor()
    if action == "warn":
        gate.touch()
    assert scopecraft("wait", session).code == 0
    assert show(scopecraft, session)["status"] == "completed"
    assert notices(session) == ["started", "lingering", "ended"]


def test_the_end_of_which_only_the_agent_told(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(scopecraft, f"echo '{FINISHED}'; until test -e {gate}; do sleep 0.05; done")
    until(lambda: any(event["kind"] == "finished" for event in events(session)))
    end_supervisor()
    process = json.loads((paths.session(session) / "process.json").read_text())
    os.kill(process["parent"], signal.SIGKILL)
    os.killpg(process["group"], signal.SIGKILL)
    assert scopecraft("wait", session).code == 0
    ended = show(scopecraft, session)
    assert ended["outcome"]["reason"].startswith("The agent is done; nobody saw it end: ")
    assert ended["exit_code"] is None


def test_trouble_is_told_once_and_shown_until_it_is_over(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(scopecraft, COUNTS.format(gate=gate))
    until(lambda: said(session))
    end_supervisor()
    log = paths.session(session) / "stream.log"
    log.rename(log.with_suffix(".kept"))
    log.mkdir()
    supervisor.wake()
    until(lambda: notices(session)[-1] == "not_followed")
    troubled = until(lambda: (found := show(scopecraft, session))["evidence"] and found)
    assert troubled["status"] == "running"
    assert troubled["evidence"].startswith("not followed since ")
    assert "Is a directory" in troubled["evidence"]
    end_supervisor()
    scopecraft("wait", session, "--timeout", "2")  # more than one try
    log.rmdir()
    log.with_suffix(".kept").rename(log)
    until(lambda: notices(session)[-1] == "followed_again")
    until(lambda: show(scopecraft, session)["evidence"] is None)
    gate.touch()
    assert scopecraft("wait", session).code == 0
    assert notices(session) == ["started", "not_followed", "followed_again", "ended"]
    assert said(session) == [str(number) for number in range(1, len(said(session)) + 1)]


def test_trouble_that_cannot_be_noted_loses_nothing(scopecraft: Scopecraft, gate: Path) -> None:
    session = start(scopecraft, COUNTS.format(gate=gate))
    until(lambda: said(session))
    end_supervisor()
    kept = paths.session(session) / "events.kept"
    log = paths.session(session) / "events.jsonl"
    log.rename(kept)
    log.mkdir()
    supervisor.wake()
    until(lambda: (show(scopecraft, session)["evidence"] or "").startswith("not followed since "))
    log.rmdir()
    kept.rename(log)
    until(lambda: show(scopecraft, session)["evidence"] is None)
    gate.touch()
    assert scopecraft("wait", session).code == 0
    assert notices(session) == ["started", "ended"]
    assert said(session) == [str(number) for number in range(1, len(said(session)) + 1)]
