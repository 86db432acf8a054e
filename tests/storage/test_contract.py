"""One suite for every storage backend: ours here, other people's by the same functions."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from scopecraft_git.errors import IllegalTransitionError, SessionNotFoundError
from scopecraft_git.events import Finished, Notice, ToolCall, Unrecognized
from scopecraft_git.models import Outcome, Session, SessionStatus, ToolUse
from scopecraft_git.protocols import Storage
from tests.samples import NOW, logged, session

QUEUED, RUNNING, COMPLETED = SessionStatus.QUEUED, SessionStatus.RUNNING, SessionStatus.COMPLETED


def many(storage: Storage, statuses: list[SessionStatus]) -> list[str]:
    """Sessions made one after the other, oldest first."""
    made = [session(f"auth-05A-00000{number:02}", status=status) for number, status in enumerate(statuses)]
    for each in made:
        storage.create(each)
    return [each.id for each in made]


def test_a_record_comes_back_as_it_was_kept(storage: Storage) -> None:
    outcome = Outcome(status=COMPLETED, reason="The agent is done", exit_code=0, stderr="a\nb")
    full = session(
        status=COMPLETED,
        started_at=NOW,
        ended_at=NOW + timedelta(seconds=1),
        outcome=outcome,
        tools_used=(ToolUse(name="Bash", count=2, errors=1),),
        last_message="déjà \u2028 vu \x1b[31m",
        cost_usd=0.25,
    )
    storage.create(full)
    assert storage.load(full.id) == full


def test_a_taken_id_is_refused_and_its_record_kept(storage: Storage) -> None:
    storage.create(session(agent="first"))
    with pytest.raises(FileExistsError):
        storage.create(session(agent="second"))
    assert storage.load(session().id).agent == "first"


def test_saving_replaces(storage: Storage) -> None:
    storage.create(session())
    storage.save(session(messages=7))
    assert storage.load(session().id).messages == 7


@pytest.mark.parametrize("odd", ["nosuch-0000001", "", ".", "..", "../auth-05A-0000001", "a/b", "/etc/passwd", "a\0b"])
def test_what_does_not_exist_is_not_found(storage: Storage, odd: str) -> None:
    storage.create(session())
    for call in (
        lambda: storage.load(odd),
        lambda: storage.save(session().model_copy(update={"id": odd})),
        lambda: storage.update_status(odd, RUNNING, expected={QUEUED}),
        lambda: storage.append(odd, [logged(1)]),
        lambda: list(storage.events(odd)),
    ):
        with pytest.raises(SessionNotFoundError):
            call()


def test_sessions_come_newest_first(storage: Storage) -> None:
    ids = many(storage, [RUNNING, COMPLETED, QUEUED, COMPLETED])
    assert [each.id for each in storage.sessions()] == ids[::-1]
    assert storage.ids() == ids[::-1]


def test_active_ones_alone(storage: Storage) -> None:
    ids = many(storage, [RUNNING, COMPLETED, QUEUED, COMPLETED])
    assert [each.id for each in storage.sessions(active=True)] == [ids[2], ids[0]]


def test_the_newest_of_the_ended_beside_all_that_live(storage: Storage) -> None:
    ids = many(storage, [RUNNING, COMPLETED, COMPLETED, QUEUED, COMPLETED, COMPLETED])
    assert [each.id for each in storage.sessions(newest=2)] == [ids[5], ids[4], ids[3], ids[0]]
    assert [each.id for each in storage.sessions(newest=0)] == [ids[3], ids[0]]


def test_a_session_that_ends_is_no_longer_active(storage: Storage) -> None:
    storage.create(session())
    storage.save(session(status=COMPLETED))
    assert list(storage.sessions(active=True)) == []
    assert [each.status for each in storage.sessions()] == [COMPLETED]


def test_nothing_kept_is_nothing_listed(storage: Storage) -> None:
    assert list(storage.sessions()) == []
    assert storage.ids() == []


def test_a_status_is_swapped_with_its_changes(storage: Storage) -> None:
    storage.create(session(messages=3))
    updated = storage.update_status(session().id, RUNNING, expected={QUEUED}, changes={"started_at": NOW})
    assert updated == storage.load(session().id) == session(status=RUNNING, messages=3, started_at=NOW)


def test_a_status_that_was_not_expected_changes_nothing(storage: Storage) -> None:
    storage.create(session(status=COMPLETED))
    with pytest.raises(IllegalTransitionError, match="completed, which cannot become running"):
        storage.update_status(session().id, RUNNING, expected={QUEUED}, changes={"messages": 9})
    assert storage.load(session().id) == session(status=COMPLETED)


def test_of_many_swaps_at_once_one_wins(storage: Storage) -> None:
    storage.create(session())
    together = threading.Barrier(8)

    def swap(number: int) -> Session | None:
        together.wait()
        try:
            return storage.update_status(session().id, RUNNING, expected={QUEUED}, changes={"messages": number})
        except IllegalTransitionError:
            return None

    with ThreadPoolExecutor(8) as pool:
        won = [each for each in pool.map(swap, range(8)) if each]
    assert won == [storage.load(session().id)]


def test_events_come_back_in_order(storage: Storage) -> None:
    storage.create(session())
    kept = [
        logged(1, ToolCall(id="t1", name="Bash", input={"command": "printf '\u2028\\n'", "n": [1, None, {"ü": 1.5}]})),
        logged(2, Unrecognized(raw="\x1b[2J not json\n")),
        logged(3, Notice(code="session", text="", data={"agent_session_id": "u"})),
        logged(4, Finished(cost_usd=0.5, turns=2)),
    ]
    storage.append(session().id, kept[:1])
    storage.append(session().id, iter(kept[1:]))
    storage.append(session().id, [])
    assert list(storage.events(session().id)) == kept


def test_events_after_a_number(storage: Storage) -> None:
    storage.create(session())
    assert list(storage.events(session().id)) == []
    storage.append(session().id, [logged(seq) for seq in range(1, 3001)])
    for after in (0, 1, 1500, 2999, 3000, 9999):
        assert [event.seq for event in storage.events(session().id, after)] == list(range(after + 1, 3001))


def test_forgetting_leaves_nothing_and_can_be_repeated(storage: Storage) -> None:
    storage.create(session())
    storage.append(session().id, [logged(1)])
    storage.delete(session().id)
    storage.delete(session().id)
    assert storage.ids() == []
    assert list(storage.sessions(active=True)) == []
    with pytest.raises(SessionNotFoundError):
        storage.load(session().id)
    storage.create(session())
    assert list(storage.events(session().id)) == []
