from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git.cli.moments import moment
from scopecraft_git.errors import InvalidTimeError
from tests.conftest import Scopecraft
from tests.test_main_job import local

HOSTILE = r"printf '\033]0;owned\007\033[2J[/red]\302\23331m\342\200\256 hi\n'"


def on_a_terminal(repo: Path, *arguments: str, color: bool = True) -> str:
    """What a terminal of its own gets to see of the command."""
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if not (color and k == "NO_COLOR")}
    command = [sys.executable, "-m", "scopecraft_git", *arguments]
    process = subprocess.Popen(command, cwd=repo, env=environment | {"TERM": "xterm"}, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while data := os.read(ours, 4096):
            seen += data
    except OSError:  # how a terminal ends
        pass
    os.close(ours)
    assert process.wait(30) == 0
    return seen.decode().replace("\r\n", "\n")


@pytest.fixture
def session(scopecraft: Scopecraft) -> str:
    """One that has ended."""
    script = f"echo one; echo two; {HOSTILE}; echo last"
    done = scopecraft(*local("auth", script, "--json"))
    assert done.code == 0, done.stderr
    session_id = str(json.loads(done.stdout)["id"])
    assert scopecraft("wait", session_id).code == 0
    return session_id


def test_events_have_colours_on_a_terminal_and_nothing_else_of_its_language(repo: Path, session: str) -> None:
    shown = on_a_terminal(repo, "logs", session)
    assert "\x1b[32m✓ completed: The agent is done\x1b[0m" in shown
    assert "\x1b[34m· Started command on local\x1b[0m" in shown
    assert "\none\ntwo\n[/red] hi\nlast\n" in shown
    plain = on_a_terminal(repo, "logs", session, color=False)
    assert "\x1b" not in plain
    assert "✓ completed: The agent is done" in plain


def test_only_the_newest_lines_are_shown(scopecraft: Scopecraft, session: str) -> None:
    assert scopecraft("logs", session, "-n", "2").stdout == "last\n✓ completed: The agent is done\n"
    assert scopecraft("logs", session, "-n", "0").stdout == ""
    assert scopecraft("logs", session, "-n", "1", "--follow").stdout == ""  # how it ended is told apart


def test_only_what_is_stored_from_a_time_on_is_shown(scopecraft: Scopecraft, session: str) -> None:
    everything: list[Any] = [json.loads(line) for line in scopecraft("logs", session, "--json").stdout.splitlines()]
    last = everything[-1]
    later = scopecraft("logs", session, "--json", "--since", last["time"])
    assert [json.loads(line)["seq"] for line in later.stdout.splitlines()][-1] == last["seq"]
    assert len(later.stdout.splitlines()) < len(everything)
    assert scopecraft("logs", session, "--json", "--since", "1h").stdout.splitlines() == [
        json.dumps(event) for event in everything
    ]
    assert scopecraft("logs", session, "--since", "2099-01-01").stdout == ""


@pytest.mark.parametrize("text", ["yesterday", "10", "5 minutes", "99999999999999w", "", "-5m", "m"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidTimeError) as refused:
        moment(text)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("command", [("logs", "one"), ("watch",)])
def test_an_empty_time_is_none(command: tuple[str, ...], scopecraft: Scopecraft) -> None:
    scopecraft("run", "one", "-e", "local", "--agent", "command", "--", "true")
    assert scopecraft(*command, "--since", "").code == 2


def test_times_are_spans_or_dates() -> None:
    now = datetime.now(UTC)
    for text, seconds in {"30s": 30, "10m": 600, "1h30m": 5400, "1.5d": 129600, "2w": 1209600}.items():
        assert abs((now - moment(text)).total_seconds() - seconds) < 5
    assert moment("2026-03-04T05:06:07Z") == moment("2026-03-04T07:06:07+02:00")
    assert moment("2026-03-04").astimezone().hour == 0
