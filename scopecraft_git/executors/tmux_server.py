"""The tmux server that dispatch sessions have their windows in, spoken to through libtmux."""

from __future__ import annotations

import hashlib
import os
import shlex
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from libtmux import Server
    from libtmux.common import tmux_cmd

SESSION_MARK = "@scopecraft_session"
TASK_MARK = "@scopecraft_task"
_FIELDS = ("pane_id", "window_id", "session_id", "pane_dead", SESSION_MARK, TASK_MARK)
_SIZE = ("-x", "200", "-y", "50")
"""Of a window that nobody looks at yet."""
_PLACEHOLDER = ("cat", "-")
"""Keeps a new window open until it is told what to run. Two words: tmux hands one to a shell."""
_ATTEMPTS = 5
_TRY_AGAIN = ("duplicate session", "server exited", "lost server")


class TmuxSaidNoError(Exception):
    """What tmux printed. Callers make an error for the user of it."""


class Pane(NamedTuple):
    """Ids are for one server's lifetime; only the marks, which are ours, tell whose a pane is."""

    id: str
    window: str
    session: str
    dead: bool
    session_mark: str
    task_mark: str


class TmuxServer:
    """One server by the name of its socket. Nothing is started by making one of these."""

    def __init__(self, socket: str) -> None:
        self.socket = socket

    def run(self, *commands: Sequence[str]) -> list[str]:
        """What tmux prints, all commands in one call: nothing happens in the server between one and the next."""
        done = self._call(commands)
        if done.returncode:
            raise TmuxSaidNoError(" ".join(done.stderr) or f"exit code {done.returncode}")
        return done.stdout

    def try_run(self, *commands: Sequence[str]) -> list[str] | None:
        """Like `run`; None where it fails, such as when there is no server."""
        try:
            return self.run(*commands)
        except TmuxSaidNoError:
            return None

    def panes(self) -> Iterator[Pane]:
        listing = self.try_run(["list-panes", "-a", "-F", "\t".join(f"#{{{field}}}" for field in _FIELDS)])
        for line in listing or []:
            pane, window, session, dead, *marks = line.split("\t")
            yield Pane(pane, window, session, dead == "1", *marks)

    def pane_of(self, session_id: str) -> Pane | None:
        """The one that lives, where a start that was repeated has left another."""
        mine = [pane for pane in self.panes() if pane.session_mark == mark(session_id)]
        return min(mine, key=lambda pane: pane.dead, default=None)

    def open_window(self, session: str, name: str, directory: Path, fill: Callable[[str], list[list[str]]]) -> None:
        """Behind the one that the human looks at; what `fill` says for its target makes it what it is to be.

        Makes server and session if need be. All in one call: whoever is killed meanwhile leaves a whole window or none.
        """
        session = session.replace(".", "_").replace(":", "_")
        called = uuid.uuid4().hex
        target = f"={session}:={called}"
        shape = ["-d", "-P", "-F", "#{window_id}", "-n", called, "-c", literal(str(directory)), *_PLACEHOLDER]
        filling = [*fill(target), ["rename-window", "-t", target, literal(name)]]
        for _ in range(_ATTEMPTS):
            if self._open(["new-window", "-t", f"={session}:", *shape], *filling):
                return
            forget = self._forget_hooks_variables()
            if self._open(["new-session", "-s", literal(session), *_SIZE, *shape], *forget, *filling):
                return
        raise TmuxSaidNoError(f"no window could be opened in the session {session}")

    def _open(self, *commands: Sequence[str]) -> bool:
        """False when there is no such session for a new window, or there is one by now, or the server was leaving."""
        done = self._call(commands)
        if not done.returncode:
            return True
        if done.stdout:
            self.try_run(["kill-window", "-t", done.stdout[0]])
        said = " ".join(done.stderr)
        goes_on = any(words in said for words in _TRY_AGAIN) or "new-window" in commands[0]
        if done.stdout or not goes_on:
            raise TmuxSaidNoError(said)
        return False

    def _forget_hooks_variables(self) -> list[list[str]]:
        """A server started from a git hook would tell every pane where git works."""
        if self.try_run(["list-sessions"]) is not None:
            return []
        return [["set-environment", "-gu", name] for name in os.environ if name.startswith("GIT_")]

    def paste(self, pane: str, source: Path, *, bracketed: bool) -> None:
        """Have the contents of a file arrive as if typed, line ends as Enter; bracketed, as one pasted text.

        Not into a dead pane, asked in the same breath: tmux 3.3a crashes then, with everybody's windows.
        """
        name = f"scopecraft-{pane}"
        how = "-p" if bracketed else ""
        self.run(
            ["load-buffer", "-b", name, literal(str(source))],
            [
                *("if-shell", "-F", "-t", pane, "#{pane_dead}"),
                f"delete-buffer -b '{name}'",
                f"paste-buffer {how} -d -b '{name}' -t '{pane}'",
            ],
        )

    def screen(self, pane: str, history: int = 0) -> str | None:
        """The text of a pane, with so many lines of its past; None when it is gone."""
        lines = self.try_run(["capture-pane", "-p", "-S", f"-{history}", "-t", pane])
        return None if lines is None else "\n".join(lines) + "\n"

    def _call(self, commands: Sequence[Sequence[str]]) -> tmux_cmd:
        from libtmux.exc import LibTmuxException

        words = [word for command in commands for word in (";", *command)][1:]
        try:
            return self._server.cmd("-u", *words)
        except LibTmuxException as error:
            raise TmuxSaidNoError(str(error) or "tmux is not installed") from error

    @cached_property
    def _server(self) -> Server:
        from libtmux import Server

        return Server(socket_name=self.socket)


def mark(*names: str) -> str:
    """A word for names of any letters: tmux prints others than ASCII only to some terminals."""
    return hashlib.sha256("\0".join(names).encode(errors="surrogateescape")).hexdigest()[:24]


def literal(text: str) -> str:
    """`text` where tmux expects a format, in which `#(…)` would run a command, and takes a last `;` for its own."""
    doubled = text.replace("#", "##")
    return doubled[:-1] + "\\;" if doubled.endswith(";") else doubled


def appending(path: Path) -> str:
    """The command with which a pane's output is added to a file."""
    return literal(f"exec cat >>{shlex.quote(str(path))}").replace("%", "%%")
