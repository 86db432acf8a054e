"""The dashboard in a real terminal, with a real session that waits."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from scopecraft_git.models import SessionStatus
from scopecraft_git.storage.local import LocalStorage
from tests.cli.test_stepping_in import Agents, asking
from tests.conftest import Scopecraft, end_supervisor
from tests.dashboard.screen import asks, keep
from tests.executors.contract import until
from tests.samples import NOW

pytestmark = pytest.mark.tmux
PUSHES = "asks for Bash"
DEPLOYS = "asks for Deploy"
SETTLES = 0.35
"""Seconds: a key is heeded once it can be meant for what is shown."""


class Terminal:
    def __init__(self, folder: Path, repo: Path) -> None:
        self._tmux = ["tmux", "-S", str(folder / "tmux.sock")]
        self._repo = repo

    def start(self, *, term: str = "xterm-256color", waiting_in: Path | None = None) -> None:
        """With the environment of the test, but for the terminal's kind; `waiting_in` a repository is a session."""
        if waiting_in:
            keep(
                "auth-05A-0000001",
                status=SessionStatus.WAITING,
                started_at=NOW,
                approvals=(asks(),),
                repository=waiting_in / ".git",
            )
        command = [sys.executable, "-m", "scopecraft_git", "dashboard"]
        self._run(
            *("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "-c", str(self._repo)),
            *("env", f"TERM={term}", *command),
        )

    def press(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def shown(self, *options: str) -> str:
        return self._run("capture-pane", "-p", *options)

    def is_over(self) -> bool:
        return subprocess.run([*self._tmux, "has-session"], capture_output=True, check=False).returncode != 0

    def end(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([*self._tmux, *arguments], capture_output=True, text=True, env=os.environ, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


class Pty:
    """A dashboard in a terminal that is not the one it would be told of by a signal."""

    def __init__(self, repo: Path, *options: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        command = [sys.executable, "-m", "scopecraft_git", "dashboard", *options]
        environment = os.environ | {"TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            command, cwd=repo, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def hang_up(self) -> None:
        os.close(self._master)

    def read_until(self, wanted: bytes) -> None:
        written = b""
        while wanted not in written:
            written += os.read(self._master, 1 << 16)

    def said(self) -> str:
        """All that is left to be read of one that has ended."""
        written = b""
        with contextlib.suppress(OSError):
            while piece := os.read(self._master, 1 << 16):
                written += piece
        return " ".join(written.decode().split())


@pytest.fixture
def terminal(tmp_path: Path, repo: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.delenv("NO_COLOR")
    made = Terminal(tmp_path, repo)
    yield made
    made.end()


def completes(session: str) -> Callable[[], bool]:
    return lambda: LocalStorage().load(session).status is SessionStatus.COMPLETED


def test_what_waits_is_approved_with_one_key_whoever_supervises(
    scopecraft: Scopecraft, agents: Agents, terminal: Terminal
) -> None:
    name = asking(scopecraft, agents)
    terminal.start()
    until(lambda: DEPLOYS in terminal.shown())
    end_supervisor()
    threading.Event().wait(SETTLES)
    terminal.press("a")
    until(completes(name))
    until(lambda: "✓ completed" in terminal.shown() and DEPLOYS not in terminal.shown())
    assert "deployed" in terminal.shown()
    terminal.press("q")
    until(terminal.is_over)


def test_a_plain_terminal_gets_lines_and_takes_them(scopecraft: Scopecraft, agents: Agents, terminal: Terminal) -> None:
    name = asking(scopecraft, agents)
    terminal.start(term="dumb")
    until(lambda: "asks: Deploy" in terminal.shown())
    terminal.press("approve 1", "Enter")
    until(completes(name))
    until(lambda: "1. completed: greet" in terminal.shown())
    terminal.press("quit", "Enter")
    until(terminal.is_over)


def test_what_changed_is_shown_and_left(scopecraft: Scopecraft, repo: Path, agents: Agents, terminal: Terminal) -> None:
    name = asking(scopecraft, agents)
    (LocalStorage().load(name).worktree / "auth.py").write_text("def token(): ...\n")
    terminal.start()
    until(lambda: DEPLOYS in terminal.shown())
    terminal.press("v")
    until(lambda: "+ def token(): ..." in terminal.shown() and "1 file, +1 -0" in terminal.shown())
    terminal.press("q")
    until(lambda: DEPLOYS in terminal.shown())
    terminal.press("End", "v")
    until(lambda: f"{repo.name}: nothing has changed" in terminal.shown())


def test_a_key_that_is_set_does_it(scopecraft: Scopecraft, agents: Agents, terminal: Terminal) -> None:
    name = asking(scopecraft, agents)
    assert scopecraft("config", "set", "dashboard.keys.approve", "y").code == 0
    terminal.start()
    until(lambda: "y approve" in terminal.shown())
    threading.Event().wait(SETTLES)
    terminal.press("a", "y")
    until(completes(name))


def test_a_key_that_is_anothers_is_refused(scopecraft: Scopecraft, repo: Path) -> None:
    assert scopecraft("config", "set", "dashboard.keys.approve", "d").code == 0
    with Pty(repo) as dashboard:
        assert dashboard.process.wait(30) == 4
        said = dashboard.said()
        dashboard.hang_up()
    assert "The setting dashboard.keys.approve from the configuration is not valid: the key d is that of deny" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("options", [(), ("--plain",)])
def test_it_leaves_with_its_terminal(alone: None, repo: Path, options: tuple[str, ...]) -> None:
    """Also where it is not the terminal's own process, which would be told by a signal."""
    with Pty(repo, *options) as dashboard:
        dashboard.read_until(b"main worktree" if options else b"STATUS")
        dashboard.hang_up()
        assert dashboard.process.wait(5) is not None


def test_without_a_terminal_there_is_another_command_to_type(scopecraft: Scopecraft) -> None:
    refused = scopecraft("dashboard")
    assert refused.code == 2
    assert refused.stderr.splitlines()[1].endswith("git scopecraft watch --json")


def test_sixteen_colours_are_the_terminals_own(alone: None, repo: Path, terminal: Terminal) -> None:
    terminal.start(term="xterm", waiting_in=repo)
    until(lambda: PUSHES in terminal.shown())
    assert "\x1b[3" in terminal.shown("-e")
    assert "38;2;" not in terminal.shown("-e")
    assert "38;5;" not in terminal.shown("-e")


def test_no_colour_is_no_colour(alone: None, repo: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.start(term="xterm", waiting_in=repo)
    until(lambda: PUSHES in terminal.shown())
    assert not re.search(r"\x1b\[[34][0-8]m", terminal.shown("-e"))


def test_who_goes_to_the_agents_terminal_comes_back(
    scopecraft: Scopecraft, home: Path, tmp_path: Path, terminal: Terminal
) -> None:
    settings = {"tmux": {"socket": f"dashboard-{os.getpid()}"}}
    (home / "config" / "orchestration.json").write_text(json.dumps(settings))
    started = scopecraft("dispatch", "greet", "-a", "command", "-p", "x", "--", "sh", "-c", "echo I am the agent; cat")
    assert started.code == 0, started.stderr
    try:
        terminal.start()
        until(lambda: "greet" in terminal.shown() and "Attach" in terminal.shown())
        terminal.press("t")
        until(lambda: "I am the agent" in terminal.shown() and "STATUS" not in terminal.shown())
        terminal.press("C-b", "d")
        until(lambda: "STATUS" in terminal.shown() and "Attach" in terminal.shown())
    finally:
        subprocess.run(["tmux", "-L", settings["tmux"]["socket"], "kill-server"], capture_output=True, check=False)
