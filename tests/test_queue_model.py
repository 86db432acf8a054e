"""The queue beside a model of it, one step after the other; and under two dozen processes at once."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from scopecraft_git import paths, session_queue, sessions
from scopecraft_git.config import Settings
from scopecraft_git.errors import QueueFullError, SessionNotFoundError
from scopecraft_git.models import Outcome, SessionStatus
from scopecraft_git.session_queue import Queue, look, position, release, remove, snapshot, take
from scopecraft_git.sessions import COMPLETED, RUNNING
from scopecraft_git.storage import files
from scopecraft_git.storage.local import LocalStorage
from tests.test_session_queue import end, submit

# One step after the other


class Place(NamedTuple):
    """What the model knows of a session."""

    id: str
    worktree: int
    max_running: int


class QueueAndModel(RuleBasedStateMachine):
    """The model is two lists and a flag; after every step the queue must be the same."""

    def __init__(self) -> None:
        super().__init__()
        os.environ["SCOPECRAFT_HOME"] = tempfile.mkdtemp(dir=Path.home())
        self.storage = LocalStorage()
        self.waiting: list[Place] = []
        self.running: list[Place] = []
        self.over: list[Place] = []
        self.held = False

    @rule(worktree=st.integers(1, 4), max_running=st.integers(1, 3), max_waiting=st.integers(0, 4))
    def submit(self, worktree: int, max_running: int, max_waiting: int) -> None:
        limits = Settings(max_running=max_running, max_waiting=max_waiting, min_free_memory=0)
        free = 0 if self.held else max(0, max_running - len(self.running))
        try:
            made = submit(self.storage, limits, worktree=Path(f"/code/{worktree}"))
        except QueueFullError:
            assert len(self.waiting) >= max_waiting + free
        else:
            assert len(self.waiting) < max_waiting + free
            self.waiting.append(Place(made, worktree, max_running))

    @rule()
    def take(self) -> None:
        expected = self._next()
        taken = take(self.storage)
        assert (taken and taken.id) == (expected and expected.id)
        if expected:
            self.waiting.remove(expected)
            self.running.append(expected)

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 99), released=st.booleans())
    def end(self, which: int, *, released: bool) -> None:
        """A supervisor that was killed in between has not released it."""
        place = self.running.pop(which % len(self.running))
        self.over.append(place)
        end(self.storage, place.id)
        if released:
            release(place.id)

    @precondition(lambda self: self.waiting or self.running or self.over)
    @rule(which=st.integers(0, 99))
    def remove(self, which: int) -> None:
        places = [*self.waiting, *self.running, *self.over]
        place = places[which % len(places)]
        assert bool(remove(self.storage, place.id)) == (place in self.waiting)
        if place in self.waiting:
            self.waiting.remove(place)
            self.over.append(place)

    @rule(held=st.booleans())
    def hold(self, *, held: bool) -> None:
        assert session_queue.hold(self.storage, held=held) == (held != self.held)
        self.held = held

    @rule()
    def a_maker_is_killed(self) -> None:
        """Its place is in the file, its folder on the disk, its mark locked by nobody."""
        dead = sessions.new_id("t")
        (paths.session(dead) / "making").touch()
        self._rewrite(waiting=[*(each.id for each in self.waiting), dead])

    @precondition(lambda self: self.waiting)
    @rule()
    def a_taker_is_killed_with_the_slot_in_hand(self) -> None:
        first = self.waiting[0].id
        self._rewrite(
            waiting=[each.id for each in self.waiting[1:]], running=[first, *(each.id for each in self.running)]
        )

    @precondition(lambda self: not self.held)
    @rule(text=st.sampled_from(["", "{", "[]", '{"schema_version": 1}']))
    def the_file_is_spoilt(self, text: str) -> None:
        """Ids sort by time, to a tenth of a second, so the order is known all the same; that it was held is not."""
        paths.ensure_home()
        paths.queue_file().write_text(text)
        self.waiting.sort()

    @invariant()
    def the_queue_is_the_models(self) -> None:
        queue, records = look(self.storage)
        assert queue.waiting == tuple(each.id for each in self.waiting)
        assert sorted(queue.running) == sorted(each.id for each in self.running)
        assert (queue.held, queue.reason) == (self.held, None)
        assert set(records) == {*queue.waiting, *queue.running}

    @invariant()
    def nothing_is_lost(self) -> None:
        kept = {each.id for each in self.storage.sessions()}
        assert kept == {each.id for each in (*self.waiting, *self.running, *self.over)}

    def _next(self) -> Place | None:
        busy = {each.worktree for each in self.running}
        ready = None if self.held else next((each for each in self.waiting if each.worktree not in busy), None)
        return ready if ready and len(self.running) < ready.max_running else None

    def _rewrite(self, *, waiting: list[str], running: list[str] | None = None) -> None:
        at_work = [each.id for each in self.running] if running is None else running
        state = {"schema_version": 1, "waiting": waiting, "running": at_work, "held": self.held}
        paths.ensure_home()
        paths.queue_file().write_text(json.dumps(state))


FEW = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # each step waits for the disk: the steps that led to a failure are told, not fewer
    suppress_health_check=list(HealthCheck),
)


def test_the_queue_behaves_as_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCOPECRAFT_HOME", "each machine has its own")
    run_state_machine_as_test(QueueAndModel, settings=FEW)


# All at once

PROCESSES, STEPS = 24, 16
LIMITS = Settings(max_running=3, max_waiting=30, min_free_memory=0)


def one_of_many(number: int, seed: int) -> None:
    """What each process does: steps at random, each one kept in a journal that all of them write to."""
    storage = LocalStorage()
    dice = random.Random(f"{seed} {number}")
    mine: list[str] = []
    for _ in range(STEPS):
        match dice.choice(["submit", "submit", "take", "take", "end", "end", "remove", "list"]):
            case "submit":
                with contextlib.suppress(QueueFullError):
                    note("submitted", submit(storage, LIMITS), number)
            case "take":
                mine += try_to_take(storage)
            case "end" if mine:
                conclude(storage, mine.pop(dice.randrange(len(mine))))
            case "remove":
                try_to_remove(storage, dice)
            case _:
                require_readable(storage)
    for session_id in mine:
        conclude(storage, session_id)


def try_to_take(storage: LocalStorage) -> list[str]:
    with files.locked(paths.home() / "journal.lock"):  # so that the journal has takes in their order
        taken = take(storage)
        if taken is None:
            return []
        note("taken", taken.id)
    sessions.transition(storage, taken, RUNNING)
    return [taken.id]


def conclude(storage: LocalStorage, session_id: str) -> None:
    note("concluded", session_id)
    end(storage, session_id, COMPLETED)
    release(session_id)


def try_to_remove(storage: LocalStorage, dice: random.Random) -> None:
    waiting = snapshot().waiting
    with contextlib.suppress(SessionNotFoundError):
        if waiting and remove(storage, session_id := dice.choice(waiting)):
            note("removed", session_id)


def require_readable(storage: LocalStorage) -> None:
    with contextlib.suppress(FileNotFoundError):
        assert len(json.loads(paths.queue_file().read_bytes())["running"]) <= LIMITS.max_running
    look(storage)
    unreadable: list[Exception] = []
    ids = [each.id for each in storage.sessions(onerror=unreadable.append)]
    assert (unreadable, len(ids)) == ([], len(set(ids)))
    for session_id in ids[:3]:
        position(session_id)


def note(what: str, session_id: str, number: int | None = None) -> None:
    journal = os.open(paths.home() / "journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(journal, f"{json.dumps([what, session_id, number])}\n".encode())
    os.close(journal)


MANY = """
import os, sys
from tests import test_queue_model
children = []
for number in range(test_queue_model.PROCESSES):
    if not (child := os.fork()):
        try:
            test_queue_model.one_of_many(number, int(sys.argv[1]))
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stderr.flush()
            os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
"""


def test_two_dozen_processes_lose_nothing_and_start_nothing_twice(home: Path) -> None:
    seed = random.randrange(1 << 32)
    done = subprocess.run([sys.executable, "-c", MANY, str(seed)], capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0), f"seed {seed}"
    storage, journal = LocalStorage(), [json.loads(line) for line in (home / "journal").read_text().splitlines()]
    submitted = {session_id: number for what, session_id, number in journal if what == "submitted"}
    taken = [session_id for what, session_id, _ in journal if what == "taken"]
    removed = [session_id for what, session_id, _ in journal if what == "removed"]
    left = [*drained(storage)]
    assert sorted(submitted) == sorted([*taken, *removed, *left]) == sorted(storage.ids()), f"seed {seed}"
    assert {storage.load(each).status for each in removed} <= {SessionStatus.CANCELLED}
    assert {storage.load(each).status for each in taken} == {COMPLETED}
    for number in range(PROCESSES):
        theirs = [each for each in [*taken, *left] if submitted[each] == number]
        assert theirs == [each for each in submitted if each in theirs], f"seed {seed}"
    assert most_at_work(journal) <= LIMITS.max_running, f"seed {seed}"


def drained(storage: LocalStorage) -> Iterator[str]:
    """The rest, in the order in which it starts."""
    queue, _ = look(storage)
    for expected in queue.waiting:
        taken = take(storage)
        assert taken
        assert taken.id == expected
        yield taken.id
        sessions.finish(storage, taken, Outcome(status=COMPLETED, reason="It ended"))
        release(taken.id)
    assert take(storage) is None
    assert snapshot() == Queue()


def most_at_work(journal: list[Any]) -> int:
    steps = Counter({"taken": 1, "concluded": -1})
    return max(itertools.accumulate(steps[what] for what, *_ in journal))
