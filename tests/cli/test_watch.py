"""`watch` as a human and as a program have it, over real sessions."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_logs import HOSTILE
from tests.conftest import Scopecraft
from tests.executors.contract import until
from tests.test_main_job import local


class Watcher:
    """`git scopecraft watch` as a process; what it says so far is in `said`, on a terminal if it has one."""

    def __init__(self, folder: Path, *arguments: str, terminal: bool = False) -> None:
        if terminal:
            self._ours, stdout = pty.openpty()
        else:
            self._ours, stdout = os.pipe()
        os.set_blocking(self._ours, False)
        command = [sys.executable, "-m", "scopecraft_git", "watch", *arguments]
        self.process = subprocess.Popen(command, cwd=folder, stdout=stdout, stderr=subprocess.PIPE, text=True)
        os.close(stdout)
        self._said = b""

    @property
    def said(self) -> str:
        with contextlib.suppress(BlockingIOError, OSError):
            while data := os.read(self._ours, 65536):
                self._said += data
        return self._said.decode().replace("\r\n", "\n")

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.said.splitlines(keepends=True) if line.endswith("\n")]

    def until(self, *texts: str) -> str:
        until(lambda: all(text in self.said for text in texts), 20)
        return self.said

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(10)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self._ours)


class Watch:
    """Makes `Watcher`s that end with the test."""

    def __init__(self, repo: Path) -> None:
        self._repo = repo
        self.made: list[Watcher] = []

    def __call__(self, *arguments: str, folder: Path | None = None, terminal: bool = False) -> Watcher:
        self.made.append(Watcher(folder or self._repo, *arguments, terminal=terminal))
        return self.made[-1]


@pytest.fixture
def watch(repo: Path, home: Path) -> Iterator[Watch]:
    assert home
    made = Watch(repo)
    yield made
    for watcher in made.made:
        watcher.close()


def start(scopecraft: Scopecraft, task: str, script: str, cwd: Path | None = None) -> str:
    done = scopecraft(*local(task, script, "--json"), cwd=cwd)
    assert done.code == 0, done.stderr
    return str(json.loads(done.stdout)["id"])


def gated(gate: Path, then: str) -> str:
    return f"echo ready; until test -e {gate}; do sleep 0.02; done; {then}"


def test_all_that_happens_comes_line_by_line_until_it_is_interrupted(
    scopecraft: Scopecraft, watch: Watch, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    one = start(scopecraft, "one", gated(gate, f"for i in 1 2 3; do echo one $i; done; {HOSTILE}"))
    until(lambda: json.loads(scopecraft("show", one, "--json").stdout)["last_message"] == "ready")
    watcher = watch()
    watcher.until("one  ○ running for ", ": ready\n")
    start(scopecraft, "two", gated(gate, "for i in 1 2 3; do echo two $i; done; exit 3"))
    watcher.until("two  · Started command on local", "two  ready")
    gate.touch()
    said = watcher.until("one  ✓ completed: The agent is done", "two  ✗ failed: The agent exited with 3")
    lines = [line.split(" ", 1) for line in said.splitlines()]
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d", clock) for clock, _ in lines)
    mine = [line for _, line in lines if line.startswith("one")]
    assert mine[1:] == [
        "one  one 1",
        "one  one 2",
        "one  one 3",
        "one  [/red] hi",
        "one  ✓ completed: The agent is done",
    ]
    assert [line for _, line in lines if line.startswith("two  two")] == ["two  two 1", "two  two 2", "two  two 3"]
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said)
    assert watcher.interrupt() == 130


def test_sessions_that_are_named_are_watched_until_they_have_ended(
    scopecraft: Scopecraft, watch: Watch, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    for task in ("one", "two", "other"):
        start(scopecraft, task, gated(gate if task != "other" else tmp_path / "never", "echo bye"))
    watcher = watch("one", "two")
    watcher.until("one  ○ ", "two  ○ ")
    gate.touch()
    assert watcher.process.wait(20) == 0
    assert watcher.said.count("bye") == 2
    assert "other" not in watcher.said
    again = watch("one")
    assert again.process.wait(20) == 0
    assert "one  ○ completed 0s ago: The agent is done" in re.sub(r"\ds ago", "0s ago", again.said)
    assert scopecraft("watch", "nobody").code == 3
    assert scopecraft("stop", "other").code == 0


def test_whoever_was_away_goes_on_from_the_last_time_it_saw(
    scopecraft: Scopecraft, watch: Watch, tmp_path: Path
) -> None:
    script = "for i in $(seq 30); do echo $i; sleep 0.03; done"
    sessions = [start(scopecraft, task, script) for task in ("one", "two")]
    first = watch("--json", "--since", "1h")
    until(lambda: len(first.documents) > 15, 20)
    first.process.kill()
    seen = {(event["session"], event["seq"]): event for event in first.documents}
    last = max(event["time"] for event in seen.values())
    assert scopecraft("wait", *sessions).code == 0
    second = watch("--json", "--since", last, *sessions)
    assert second.process.wait(20) == 0
    seen |= {(event["session"], event["seq"]): event for event in second.documents}
    for session in sessions:
        mine = [event for (of, _), event in sorted(seen.items()) if of == session]
        assert [event["seq"] for event in mine] == list(range(1, len(mine) + 1))
        assert [event["text"] for event in mine if event["kind"] == "text"] == [str(number) for number in range(1, 31)]
        assert {"session", "task", "seq", "time", "offset", "kind"} <= set(mine[0])


def test_only_sessions_of_this_repository_unless_all_are_wanted(
    scopecraft: Scopecraft, watch: Watch, tmp_path: Path, git: Any
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    git(elsewhere, "init", "-q")
    git(elsewhere, "commit", "-q", "--allow-empty", "-m", "Start")
    here, everywhere, outside = watch(), watch("--all"), watch(folder=tmp_path)
    for watcher in (here, everywhere, outside):
        assert watcher.process.stderr
        while "No session lives" not in watcher.process.stderr.readline():
            assert watcher.process.poll() is None
    start(scopecraft, "theirs", "echo their words", cwd=elsewhere)
    start(scopecraft, "ours", "echo our words")
    for watcher in (here, everywhere, outside):
        watcher.until("our words")
    for watcher in (everywhere, outside):
        watcher.until("their words")
    assert "their words" not in here.said


@pytest.mark.parametrize("rings", [True, False])
def test_the_bell_rings_for_a_session_that_ends_badly(scopecraft: Scopecraft, watch: Watch, *, rings: bool) -> None:
    assert scopecraft("config", "set", "notify.on", '["failed"]' if rings else '["waiting"]').code == 0
    start(scopecraft, "before", "exit 3")
    scopecraft("wait", "before")
    watcher = watch("--since", "1h", terminal=True)
    assert "\a" not in watcher.until("✗ failed")
    start(scopecraft, "now", "exit 4")
    watcher.until("exited with 4")
    assert watcher.interrupt() == 130
    assert ("\a" in watcher.said) is rings


def test_a_reader_that_goes_away_ends_it_quietly(scopecraft: Scopecraft, watch: Watch) -> None:
    watcher = watch("--json", "--since", "1h")
    start(scopecraft, "one", "for i in $(seq 50); do echo $i; sleep 0.02; done")
    until(lambda: watcher.documents, 20)
    os.close(watcher._ours)
    watcher._ours = os.open(os.devnull, os.O_RDONLY)
    _, errors = watcher.process.communicate(timeout=20)
    assert errors == ""


def test_two_sessions_of_a_task_are_told_apart(scopecraft: Scopecraft, watch: Watch) -> None:
    one = start(scopecraft, "one", "echo first")
    scopecraft("wait", one)
    two = start(scopecraft, "one", "echo second")
    scopecraft("wait", two)
    watcher = watch("--since", "1h", one, two)
    said = watcher.until("second")
    assert re.search("one +first", said)
    assert re.search(f"{two} +second", said)
