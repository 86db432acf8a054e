from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from scopecraft_git.errors import ScopecraftError
from scopecraft_git.events import LoggedEvent, Notice
from scopecraft_git.models import Session, SessionStatus
from scopecraft_git.storage.local import LocalStorage
from scopecraft_git.watching import Watched, Watching
from tests import samples
from tests.samples import NOW

SOON = 5.0
"""Seconds; well below `watching.LOOKS_AROUND`, after which is seen what nobody told of."""


@pytest.fixture
def storage(home: Path) -> LocalStorage:
    assert home
    return LocalStorage()


def at(seconds: float, seq: int) -> LoggedEvent:
    return samples.logged(seq).model_copy(update={"time": NOW + timedelta(seconds=seconds)})


def make(storage: LocalStorage, number: int, *times: float, **fields: object) -> Session:
    """A session with an event at each of these seconds."""
    made = samples.session(f"task-{number}-000000{number}", task=f"task-{number}", **fields)
    storage.create(made)
    storage.append(made.id, [at(seconds, seq) for seq, seconds in enumerate(times, 1)])
    return made


def end(storage: LocalStorage, session: Session) -> None:
    storage.save(storage.load(session.id).model_copy(update={"status": SessionStatus.COMPLETED, "ended_at": NOW}))


def keys(found: Iterator[Watched], count: int) -> list[tuple[str, int]]:
    begun = time.monotonic()
    taken = [(watched.session.task, watched.logged.seq) for watched in itertools.islice(found, count)]
    assert time.monotonic() - begun < SOON
    return taken


def test_what_was_stored_before_comes_in_the_order_of_its_times(storage: LocalStorage) -> None:
    make(storage, 1, 0, 3, 6)
    ended = make(storage, 2, 1, 2, 7, created_at=NOW + timedelta(seconds=1))
    end(storage, ended)
    found = iter(Watching(storage, since=NOW))
    assert keys(found, 6) == [("task-1", 1), ("task-2", 1), ("task-2", 2), ("task-1", 2), ("task-1", 3), ("task-2", 3)]


@pytest.mark.parametrize("count", [1, 2, 3, 8, 100])
def test_a_time_finds_the_first_event_from_then_on(storage: LocalStorage, count: int) -> None:
    session = make(storage, 1, *range(count))
    end(storage, session)
    for begin in range(count + 1):
        since = NOW + timedelta(seconds=begin)
        found = list(Watching(storage, since=since, named=[session]))
        assert [watched.logged.seq for watched in found] == list(range(begin + 1, count + 1))


def test_events_and_sessions_that_come_later_are_told_at_once(storage: LocalStorage) -> None:
    one = make(storage, 1, 0)
    found = iter(Watching(storage, since=NOW))
    assert keys(found, 1) == [("task-1", 1)]

    def go_on() -> None:
        storage.append(one.id, [at(1, 2)])
        two = make(storage, 2)
        storage.append(two.id, [at(2, 1)])

    threading.Timer(0.2, go_on).start()
    assert sorted(keys(found, 2)) == [("task-1", 2), ("task-2", 1)]
    threading.Timer(0.2, storage.append, (one.id, [at(3, 3)])).start()
    assert keys(found, 1) == [("task-1", 3)]


def test_a_half_written_event_is_told_once_it_is_whole(storage: LocalStorage) -> None:
    session = make(storage, 1, 0)
    found = iter(Watching(storage, since=NOW))
    assert keys(found, 1) == [("task-1", 1)]
    line = json.dumps(at(1, 2).as_json()) + "\n"

    def write() -> None:
        for part in (line[:30], line[30:]):
            with (session.path / "events.jsonl").open("a") as file:
                file.write(part)
            time.sleep(0.2)

    threading.Thread(target=write).start()
    assert keys(found, 1) == [("task-1", 2)]


def test_it_is_over_when_those_that_were_named_have_ended(storage: LocalStorage) -> None:
    one, two = make(storage, 1, 0), make(storage, 2, 0)
    found = iter(Watching(storage, since=NOW, named=[one, two]))
    assert len(keys(found, 2)) == 2
    end(storage, one)
    storage.append(two.id, [LoggedEvent(seq=2, time=NOW, offset=None, event=Notice(code="ended", text="Done"))])
    end(storage, two)
    assert keys(found, 9) == [("task-2", 2)]


def test_a_session_that_is_deleted_does_not_keep_the_others(storage: LocalStorage) -> None:
    one, two = make(storage, 1, 0), make(storage, 2, 0)
    found = iter(Watching(storage, since=NOW))
    assert len(keys(found, 2)) == 2
    storage.delete(one.id)
    storage.append(two.id, [at(1, 2)])
    assert keys(found, 1) == [("task-2", 2)]


def test_a_session_that_cannot_be_read_is_told_once(storage: LocalStorage) -> None:
    broken, fine = make(storage, 1, 0), make(storage, 2, 0)
    (broken.path / "metadata.json").write_text("{")
    (fine.path / "events.jsonl").write_text("[]\n")
    problems: list[ScopecraftError] = []
    threading.Timer(0.5, end, (storage, fine)).start()
    watched = Watching(storage, since=NOW, named=[broken, fine], onerror=problems.append)
    assert list(watched) == []
    assert len(problems) == len({problem.message for problem in problems}) == 2


def test_what_a_storage_keeps_elsewhere_is_looked_at(storage: LocalStorage, tmp_path: Path) -> None:
    class Elsewhere(LocalStorage):
        """As a plugin's: nothing in the session's folder changes."""

        extra: tuple[LoggedEvent, ...] = ()

        def events(self, session_id: str, after: int = 0) -> Iterator[LoggedEvent]:
            assert session_id
            yield from (logged for logged in self.extra if logged.seq > after)

    elsewhere = Elsewhere()
    session = make(storage, 1)
    (session.path / "metadata.json").rename(tmp_path / "metadata.json")
    found = iter(Watching(elsewhere, since=NOW, named=[session]))
    elsewhere.load = lambda _: session  # type: ignore[method-assign,assignment]
    elsewhere.extra = (at(0, 1),)
    assert keys(found, 1) == [("task-1", 1)]
    threading.Timer(0.1, setattr, (elsewhere, "extra", (at(0, 1), at(1, 2)))).start()
    assert keys(found, 1) == [("task-1", 2)]


def test_sessions_that_ended_long_before_are_not_read(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        end(storage, make(storage, number, 0))
    loaded: list[str] = []
    load = storage.load

    def remembered(name: str) -> Session:
        loaded.append(name)
        return load(name)

    monkeypatch.setattr(storage, "load", remembered)
    since = NOW + timedelta(days=36500)
    watched = Watching(storage, since=since)
    threading.Timer(0.3, make, (storage, 9, 1e10)).start()
    assert keys(iter(watched), 1) == [("task-9", 1)]
    assert set(loaded) == {"task-9-0000009"}


def test_it_is_over_at_once_when_it_is_stopped(home: Path) -> None:
    watching = Watching(LocalStorage(), since=NOW)
    told = threading.Thread(target=lambda: list(watching))
    told.start()
    watching.stop()
    told.join(5)
    assert not told.is_alive()
