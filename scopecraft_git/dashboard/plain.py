"""The dashboard as lines to read and to type: for screen readers, and for terminals that can do no more."""

from __future__ import annotations

import contextlib
import itertools
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TextIO

from scopecraft_git import console
from scopecraft_git.dashboard import acts, reading, rows
from scopecraft_git.dashboard.rows import Ask, Row
from scopecraft_git.dashboard.source import Records, Worktrees, joined
from scopecraft_git.errors import ScopecraftError

if TYPE_CHECKING:
    from scopecraft_git.protocols import Storage

EVENTS = 20
SAID = 200
HELP = """\
list: every session and worktree. events N: what number N did last.
approve N, deny N, deny N why: answer what number N asks for. always approve N, always deny N: also those like it.
call N: all of what number N asks for. send N text: tell its agent something, or have one that has ended go on.
interrupt N, interrupt N text. pause N, resume N, stop N. help. quit."""


class Command(NamedTuple):
    verb: str
    row: Row
    text: str


class Conversation:
    """A row keeps the number that it first had. What changes is told as it does; what is typed is done."""

    def __init__(
        self, records: Records, storage: Storage, repository: str | None, *, lines: TextIO | None = None
    ) -> None:
        self._records = records
        self._storage = storage
        self._worktrees = Worktrees(repository)
        self._lines = lines or sys.stdin
        self._numbers: dict[str, int] = {}
        self._told: dict[str, Row] = {}
        self._verbs: dict[str, Callable[[Command], str]] = {
            "approve": lambda typed: acts.approve(storage, _ask(typed.row)),
            "deny": lambda typed: acts.deny(storage, _ask(typed.row), typed.text),
            "always approve": lambda typed: acts.approve(storage, _ask(typed.row), always=True),
            "always deny": lambda typed: acts.deny(storage, _ask(typed.row), always=True),
            "call": lambda typed: _whole(_ask(typed.row)),
            "send": self._send,
            "interrupt": lambda typed: acts.interrupt(storage, _session(typed.row), typed.text),
            "pause": lambda typed: acts.pause(storage, _session(typed.row)),
            "resume": lambda typed: acts.resume(storage, _session(typed.row)),
            "stop": lambda typed: acts.stop(storage, _session(typed.row)),
            "events": lambda typed: "\n".join(self._events(_session(typed.row))),
        }

    def hold(self) -> None:
        """Until `quit`, or until nothing more can be typed."""
        self._look()
        self._list()
        console.answer("Type help for what can be typed.")
        typed: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._listen, args=[typed], name="listen", daemon=True).start()
        while self._turn(typed):
            self._look()
            self._tell_changes()

    def _turn(self, typed: queue.Queue[str | None]) -> bool:
        """Whether to go on."""
        with contextlib.suppress(queue.Empty):
            line = typed.get(timeout=self._records.pause)
            if line is None or line in ("quit", "exit", "q"):
                return False
            self._do(line)
        return True

    def _listen(self, typed: queue.Queue[str | None]) -> None:
        with contextlib.suppress(OSError):  # a terminal that is gone
            for line in self._lines:
                typed.put(line.strip())
        typed.put(None)

    def _do(self, line: str) -> None:
        if line in ("help", "?"):
            console.answer(HELP)
        elif line in ("list", ""):
            self._list()
        else:
            try:
                command = self._parsed(line)
                console.answer(self._verbs[command.verb](command))
            except ScopecraftError as problem:
                console.error(problem)
            except (ValueError, LookupError) as problem:
                console.failure(str(problem.args[0]))
                console.hint("For what can be typed: help")

    def _parsed(self, line: str) -> Command:
        words = line.split(" ")
        long = " ".join(words[:2])
        verb, rest = (long, words[2:]) if long in self._verbs else (words[0], words[1:])
        if verb not in self._verbs:
            raise ValueError(f"{verb} is nothing that can be done here")
        numbered = {str(number): row_id for row_id, number in self._numbers.items()}
        row = self._told.get(numbered.get(rest[0], "")) if rest else None
        if row is None:
            raise ValueError(f"{verb} wants the number of a row")
        return Command(verb, row, " ".join(rest[1:]))

    def _send(self, typed: Command) -> str:
        if not typed.text:
            raise ValueError("send wants a text behind the number")
        act = acts.go_on if typed.row.ended else acts.send
        return act(self._storage, _session(typed.row), typed.text)

    def _events(self, session: str) -> Iterator[str]:
        from scopecraft_git import intervention

        newest = intervention.newest_event(self._storage, self._storage.load(session))
        events = itertools.islice(self._storage.events(session, after=max(0, newest - EVENTS)), EVENTS)
        found = [entry.text for entry in reading.entries(events)]
        yield from found or ["It has said nothing yet."]

    def _look(self) -> None:
        self._records.look()
        self._worktrees.look(self._records.rows)
        while self._records.problems:
            console.problem(self._records.problems.pop())

    def _rows(self) -> list[Row]:
        found = rows.arranged(joined(self._records.rows, self._worktrees.rows).values())
        for row in found:
            self._numbers.setdefault(row.id, len(self._numbers) + 1)
        return found

    def _list(self) -> None:
        found = self._rows()
        self._told = {row.id: row for row in found}
        for row in found:
            console.answer(self._line(row))
        if not found:
            console.answer("No sessions and no worktrees. To start one: git scopecraft run TASK")

    def _tell_changes(self) -> None:
        for row in self._rows():
            before = self._told.get(row.id)
            self._told[row.id] = row
            if before is None or (before.status, before.asks) != (row.status, row.asks):
                console.answer(self._line(row))
            elif before.said != row.said:
                console.answer(f"{self._numbers[row.id]}. {row.task}: {row.said[:SAID]}")

    def _line(self, row: Row) -> str:
        facts = [f"{row.agent} on {row.executor}"] if row.session else [row.branch]
        facts += [f"{row.tools} tool calls"] if row.tools else []
        facts += [f"${row.cost:.2f}"] if row.cost else []
        facts += [rows.age(row.since)] if row.since else []
        said = ". ".join([", ".join(facts), *([row.said[:SAID]] if row.said else [])])
        reason = f" {row.asks[0].reason}" if row.asks else ""
        return f"{self._numbers[row.id]}. {row.status}: {row.task}, {said}{reason}"


def _ask(row: Row) -> Ask:
    if not row.asks:
        raise ValueError(f"{row.task} asks for nothing")
    return row.asks[0]


def _session(row: Row) -> str:
    if row.session is None:
        raise ValueError(f"No session is in {row.task}")
    return row.session


def _whole(ask: Ask) -> str:
    return "\n".join([f"{ask.tool}: {ask.reason}", *(f"{name}: {value}" for name, value in ask.input.items())])
