from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import paths, session_queue, sessions
from scopecraft_git.config import Settings
from scopecraft_git.errors import NewerFormatError, QueueFullError
from scopecraft_git.models import Mode, Outcome, Session, SessionStatus
from scopecraft_git.session_queue import Queue, place, position, release, remove, snapshot, take
from scopecraft_git.sessions import CANCELLED, COMPLETED, QUEUED, RUNNING, STARTING
from scopecraft_git.storage.local import LocalStorage
from tests.samples import exec_request, session

SMALL = Settings(max_running=1, max_waiting=2)
GREEDY = Settings.model_validate({"max_running": 1, "max_waiting": 2, "min_free_memory": "2TiB"})


@pytest.fixture
def storage(home: Path) -> LocalStorage:
    return LocalStorage()


@contextmanager
def making(storage: LocalStorage, settings: Settings = SMALL, slug: str = "t", **fields: Any) -> Iterator[Session]:
    """The body runs when everything is made, and the session cannot be taken yet."""
    with sessions.reserved_id(storage, slug) as session_id, place(session_id, settings):
        made = session(session_id, **fields)
        sessions.create(storage, made, "Do it", exec_request(made, settings))
        yield made


def submit(storage: LocalStorage, settings: Settings = SMALL, **fields: Any) -> str:
    with making(storage, settings, **fields) as made:
        return made.id


def taken(storage: LocalStorage) -> str | None:
    session = take(storage)
    assert session is None or session.status is STARTING
    return session.id if session else None


def end(storage: LocalStorage, session_id: str, status: SessionStatus = SessionStatus.FAILED) -> None:
    sessions.finish(storage, storage.load(session_id), Outcome(status=status, reason="It ended"))


# Order and limits


def test_first_come_first_served(storage: LocalStorage) -> None:
    ids = [submit(storage) for _ in range(3)]
    assert snapshot() == Queue(waiting=tuple(ids))
    assert [position(each) for each in ids] == [1, 2, 3]
    for each in ids:
        assert taken(storage) == each
        assert taken(storage) is None
        assert snapshot().running == (each,)
        end(storage, each)
        release(each)
    assert snapshot() == Queue()
    assert taken(storage) is None


def test_as_many_run_as_may(storage: LocalStorage) -> None:
    ids = [submit(storage, Settings()) for _ in range(13)]
    assert [taken(storage) for _ in range(4)] == [*ids[:3], None]
    assert (len(snapshot().running), len(snapshot().waiting)) == (3, 10)


def test_a_full_queue_refuses_and_nothing_is_left(storage: LocalStorage) -> None:
    ids = [submit(storage) for _ in range(3)]
    with pytest.raises(QueueFullError, match="3 sessions wait and the limit is 2") as refused:
        submit(storage)
    assert refused.value.exit_code == 4
    assert storage.ids() == ids[::-1]
    assert snapshot().waiting == tuple(ids)
    taken(storage)
    with pytest.raises(QueueFullError, match="2 sessions wait"):
        submit(storage)
    end(storage, ids[0])
    ids.append(submit(storage))  # the slot of a session that ended is free before anyone released it
    assert snapshot() == Queue(waiting=tuple(ids[1:]))


def test_nobody_waits_where_nobody_may(storage: LocalStorage) -> None:
    none_waits = Settings(max_running=1, max_waiting=0)
    first = submit(storage, none_waits)
    with pytest.raises(QueueFullError):
        submit(storage, none_waits)
    assert taken(storage) == first


def test_the_limit_is_that_of_the_user_who_asked(storage: LocalStorage) -> None:
    generous = Settings(max_running=3)
    ids = [submit(storage), submit(storage), submit(storage, generous)]
    assert [taken(storage), taken(storage)] == [ids[0], None]
    end(storage, ids[0])
    assert [taken(storage), taken(storage)] == [ids[1], ids[2]]


def test_one_at_a_time_in_a_worktree(storage: LocalStorage) -> None:
    roomy = Settings()
    here, there = Path("/code/here"), Path("/code/there")
    first, second, other = (submit(storage, roomy, worktree=each) for each in (here, here, there))
    assert [taken(storage), taken(storage), taken(storage)] == [first, other, None]
    end(storage, first)
    assert taken(storage) == second


def test_dispatch_sessions_are_not_queued(storage: LocalStorage) -> None:
    made = session(sessions.new_id("t"), mode=Mode.DISPATCH)
    sessions.create(storage, made, "Do it", exec_request(made))
    assert taken(storage) is None
    assert snapshot() == Queue()


def test_while_it_is_held_nothing_starts(storage: LocalStorage) -> None:
    waiting = submit(storage)
    assert [session_queue.hold(storage, held=True), session_queue.hold(storage, held=True)] == [True, False]
    assert (snapshot().held, snapshot().obstacle) == (True, "the queue is held")
    assert taken(storage) is None
    assert [session_queue.hold(storage, held=False), session_queue.hold(storage, held=False)] == [True, False]
    assert taken(storage) == waiting


def test_while_it_is_held_a_slot_is_no_place(storage: LocalStorage) -> None:
    session_queue.hold(storage, held=True)
    ids = [submit(storage) for _ in range(SMALL.max_waiting)]
    with pytest.raises(QueueFullError, match="2 sessions wait and the limit is 2"):
        submit(storage)
    session_queue.hold(storage, held=False)
    ids.append(submit(storage))
    assert snapshot().waiting == tuple(ids)


def test_where_memory_is_short_nothing_starts_and_the_queue_says_why(storage: LocalStorage) -> None:
    short = submit(storage, GREEDY)
    later = submit(storage)
    assert taken(storage) is None
    assert re.fullmatch(r"free memory is [\d.]+ [KMGT]iB, below min_free_memory = 2 TiB", str(snapshot().reason))
    assert snapshot().obstacle == snapshot().reason
    remove(storage, short)
    assert taken(storage) == later
    assert snapshot().reason is None


def test_memory_is_not_asked_for_where_there_is_no_slot(storage: LocalStorage) -> None:
    first = submit(storage)
    submit(storage, GREEDY)
    assert [taken(storage), taken(storage)] == [first, None]
    assert snapshot().reason is None


# Making and taking back


def test_a_session_cannot_be_taken_before_it_is_made(storage: LocalStorage) -> None:
    with making(storage) as made:
        assert position(made.id) == 1
        later = submit(storage, Settings())
        assert [taken(storage), taken(storage)] == [later, None]
        release(later)
        end(storage, later)
    assert taken(storage) == made.id


class MakingFailedError(Exception):
    pass


def test_a_place_is_given_up_when_making_fails(storage: LocalStorage) -> None:
    def fail() -> None:
        with making(storage):
            raise MakingFailedError

    with pytest.raises(MakingFailedError):
        fail()
    assert snapshot() == Queue()
    assert storage.ids() == []
    assert taken(storage) is None


DIES = """
import os
import sys
from scopecraft_git import sessions
from scopecraft_git.session_queue import place
from scopecraft_git.storage.local import LocalStorage
from tests.test_session_queue import SMALL, exec_request, session
with sessions.reserved_id(LocalStorage(), "t") as session_id, place(session_id, SMALL):
    if sys.argv[1] == "late":
        made = session(session_id)
        sessions.create(LocalStorage(), made, "Do it", exec_request(made, SMALL))
    os._exit(0)
"""


def test_a_maker_that_was_killed_early_leaves_nothing(storage: LocalStorage) -> None:
    subprocess.run([sys.executable, "-c", DIES, "early"], check=True)
    assert len(snapshot().waiting) == len(storage.ids()) == 1
    assert taken(storage) is None
    assert snapshot() == Queue()
    assert storage.ids() == []


def test_a_maker_that_was_killed_late_made_a_session(storage: LocalStorage) -> None:
    subprocess.run([sys.executable, "-c", DIES, "late"], check=True)
    (left,) = snapshot().waiting
    assert taken(storage) == left


def test_removing_one_that_waits_cancels_it(storage: LocalStorage) -> None:
    first, second = submit(storage), submit(storage)
    removed = remove(storage, first)
    assert removed is not None
    assert removed.status is CANCELLED
    assert removed == storage.load(first)
    assert snapshot().waiting == (second,)
    assert remove(storage, first) is None
    assert taken(storage) == second
    assert remove(storage, second) is None
    assert storage.load(second).status is STARTING


def test_a_dispatched_session_does_not_wait_and_is_not_removed(storage: LocalStorage) -> None:
    made = session(sessions.new_id("t"), mode=Mode.DISPATCH)
    sessions.create(storage, made, "Do it", exec_request(made))
    assert remove(storage, made.id) is None
    assert storage.load(made.id).status is QUEUED


def test_clearing_removes_all_that_wait_and_none_that_run(storage: LocalStorage) -> None:
    first, second, third = (submit(storage) for _ in range(3))
    taken(storage)
    with making(storage, Settings()) as made:
        paths.session(made.id).joinpath("metadata.json").unlink()  # not as far as that yet
        assert [each.id for each in session_queue.clear(storage)] == [second, third]
        assert snapshot() == Queue(waiting=(made.id,), running=(first,))
    assert session_queue.clear(storage) == []


# After a crash


def test_a_slot_whose_session_ended_is_free(storage: LocalStorage) -> None:
    first, second = submit(storage), submit(storage)
    taken(storage)
    end(storage, first)
    assert taken(storage) == second
    assert snapshot().running == (second,)


def test_a_slot_that_was_given_and_not_used_is_first_in_line(storage: LocalStorage) -> None:
    first, second = submit(storage), submit(storage)
    write(waiting=[second], running=[first])
    assert [taken(storage), taken(storage)] == [first, None]
    assert snapshot() == Queue(waiting=(second,), running=(first,))


def test_a_session_that_runs_has_a_slot_whatever_the_file_says(storage: LocalStorage) -> None:
    first, second = submit(storage), submit(storage)
    taken(storage)
    sessions.transition(storage, storage.load(first), RUNNING)
    write(waiting=[first, second], running=[])
    assert taken(storage) is None
    assert snapshot() == Queue(waiting=(second,), running=(first,))


@pytest.mark.parametrize("spoilt", [None, "", "{", "[]", '{"schema_version": 1, "waiting": 3}'])
def test_the_queue_is_made_again_from_the_records(storage: LocalStorage, spoilt: str | None) -> None:
    ids = [submit(storage) for _ in range(3)]
    taken(storage)
    paths.queue_file().unlink()
    if spoilt is not None:
        paths.queue_file().write_text(spoilt)
    with pytest.raises(QueueFullError):
        submit(storage)
    assert taken(storage) is None
    assert snapshot() == Queue(waiting=tuple(ids[1:]), running=(ids[0],))


def test_what_changes_a_lost_queue_writes_everyone_down(storage: LocalStorage) -> None:
    ids = [submit(storage) for _ in range(3)]
    paths.queue_file().unlink()
    session_queue.hold(storage, held=True)
    assert snapshot() == Queue(waiting=tuple(ids), held=True)
    paths.queue_file().unlink()
    remove(storage, ids[1])
    assert snapshot() == Queue(waiting=(ids[0], ids[2]))


def test_a_broken_record_keeps_its_slot_until_it_is_set_aside(storage: LocalStorage) -> None:
    first, second = submit(storage), submit(storage)
    taken(storage)
    (paths.session(first) / "metadata.json").write_text("{")
    assert taken(storage) is None
    paths.session(first).rename(paths.session(first + ".broken"))
    assert taken(storage) == second


def test_one_without_a_readable_request_is_taken_so_that_its_start_can_fail(storage: LocalStorage) -> None:
    waiting = submit(storage)
    (paths.session(waiting) / "request.json").write_text("{")
    assert taken(storage) == waiting


def test_a_newer_queue_is_left_alone(storage: LocalStorage) -> None:
    newer = '{"schema_version": 2}'
    paths.queue_file().write_text(newer)
    with pytest.raises(NewerFormatError):
        submit(storage)
    with pytest.raises(NewerFormatError):
        take(storage)
    assert paths.queue_file().read_text() == newer
    assert storage.ids() == []


def write(*, waiting: list[str], running: list[str]) -> None:
    paths.queue_file().write_text(
        json.dumps({"schema_version": 1, "waiting": waiting, "running": running, "held": False})
    )


# Many at once

SUBMITS = """
import sys
from scopecraft_git.config import Settings
from scopecraft_git.errors import QueueFullError
from scopecraft_git.storage.local import LocalStorage
from tests.test_session_queue import submit
sys.stdin.readline()
try:
    print(submit(LocalStorage(), Settings(max_running=3, max_waiting=10)))
except QueueFullError as refused:
    sys.exit(refused.exit_code)
"""


def test_many_processes_at_once_get_as_many_places_as_there_are(storage: LocalStorage) -> None:
    callers = [
        subprocess.Popen([sys.executable, "-c", SUBMITS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(24)
    ]
    for each in callers:
        assert each.stdin
        each.stdin.write("go\n")
        each.stdin.flush()
    answers = [each.communicate()[0].strip() for each in callers]
    accepted = [answer for answer in answers if answer]
    assert sorted(each.returncode for each in callers) == [0] * 13 + [4] * 11
    assert sorted(snapshot().waiting) == sorted(storage.ids()) == sorted(accepted)
    assert {each.status for each in storage.sessions(active=True)} == {QUEUED}


def test_nobody_is_taken_twice_and_nobody_forgotten(storage: LocalStorage) -> None:
    roomy = Settings(max_running=3, max_waiting=100)
    most: list[int] = []

    def submit_and_take(_: int) -> list[str]:
        submit(storage, roomy)
        mine = []
        while found := taken(storage):
            running = [each for each in storage.sessions(active=True) if each.status is not QUEUED]
            most.append(len(running))
            mine.append(found)
            sessions.transition(storage, storage.load(found), RUNNING)
            end(storage, found, COMPLETED)
        return mine

    with ThreadPoolExecutor(8) as pool:
        took = [each for found in pool.map(submit_and_take, range(40)) for each in found]
    assert len(took) == len(set(took)) == 40
    assert max(most) <= 3
    assert snapshot().waiting == ()
    assert {each.status for each in storage.sessions()} == {COMPLETED}
