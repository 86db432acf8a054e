from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import paths, sessions
from scopecraft_git.errors import (
    AmbiguousSessionError,
    HomeNotWritableError,
    IllegalTransitionError,
    SessionNotFoundError,
    UnreadableSessionError,
)
from scopecraft_git.executors import launching
from scopecraft_git.models import ENDED, Outcome, Session, SessionStatus, ToolUse
from scopecraft_git.sessions import CANCELLED, COMPLETED, FAILED, PAUSED, QUEUED, RUNNING, STARTING, WAITING
from scopecraft_git.storage.local import LocalStorage
from tests.samples import NOW, exec_request, session


@pytest.fixture
def storage(home: Path) -> LocalStorage:
    return LocalStorage()


def make(storage: LocalStorage, slug: str = "auth-05A", prompt: str = "Do it", **fields: Any) -> Session:
    with sessions.reserved_id(storage, slug) as session_id:
        made = session(session_id, **fields)
        sessions.create(storage, made, prompt, exec_request(made))
    return made


# Ids


def test_an_id_begins_with_the_task_and_sorts_by_time(home: Path) -> None:
    ids = [sessions.new_id("auth-05A") for _ in range(30)]
    assert all(re.fullmatch(r"auth-05A-[0-9a-hjkmnp-tv-z]{7}", each) for each in ids)
    assert ids == sorted(set(ids))
    assert all(stat.S_IMODE(paths.session(each).stat().st_mode) == 0o700 for each in ids)


def test_codes_sort_over_years(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for years in (0, 1, 10, 50, 100):
        monkeypatch.setattr(time, "time", lambda years=years: NOW.timestamp() + years * 365 * 86400)
        ids.append(sessions.new_id("t"))
    assert ids == sorted(ids)
    assert {len(each) for each in ids} == {9}


def test_a_clock_before_its_time_still_makes_ids(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert [sessions.new_id("t"), sessions.new_id("t")] == ["t-0000000", "t-0000001"]


def test_ids_sort_as_they_were_made_when_the_clock_is_set_back(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for name, seconds in (("b", 3600), ("a", 0), ("a", 0.01), ("c", 0.05), ("a", 7200)):
        monkeypatch.setattr(time, "time", lambda seconds=seconds: NOW.timestamp() + seconds)
        ids.append(sessions.new_id(name))
    assert LocalStorage().ids() == ids[::-1]
    assert ids[-1] == f"a-{sessions.ids._code(int((NOW.timestamp() + 7200 - sessions.ids._CODE_BEGINS) * 10))}"


def test_ids_made_at_once_are_different(home: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(lambda _: sessions.new_id("t"), range(64)))
    assert len(set(ids)) == 64


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("auth-05A", "auth-05A"),
        ("feature/auth 05A", "feature-auth-05A"),
        ("../../etc", "etc"),
        ("a..b", "a.b"),
        ("-rf", "rf"),
        ("Über:größe", "ber-gr-e"),
        ("日本", "session"),
        ("", "session"),
        ("x" * 300, "x" * 40),
        ("x" * 39 + "-y", "x" * 39),
        ("#(touch x)", "touch-x"),
        ("a.lock", "a.lock"),
    ],
)
def test_a_slug_can_name_a_container(name: str, slug: str) -> None:
    assert sessions.id_slug(name) == slug
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", slug)


def test_an_unwritable_home_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").touch()
    with monkeypatch.context() as patch:
        patch.setenv("SCOPECRAFT_HOME", str(home / "file"))
        with pytest.raises(HomeNotWritableError):
            sessions.new_id("t")


# Making


def test_a_session_is_made_with_what_its_start_needs(storage: LocalStorage) -> None:
    made = make(storage, prompt="Do it — 'now'\n")
    assert storage.load(made.id) == made
    assert sessions.prompt(made) == "Do it — 'now'\n"
    assert sessions.request(made) == exec_request(made)
    assert stat.S_IMODE((made.path / "request.json").stat().st_mode) == 0o600
    assert sorted(path.name for path in made.path.iterdir()) == ["lock", "metadata.json", "prompt.md", "request.json"]


def test_a_prompt_that_is_no_text_arrives_as_it_was(storage: LocalStorage) -> None:
    odd = os.fsdecode(b"caf\xe9\r\n")
    assert sessions.prompt(make(storage, prompt=odd)) == odd


def test_while_it_is_made_others_can_tell(storage: LocalStorage) -> None:
    with sessions.reserved_id(storage, "auth-05A") as session_id:
        assert sessions.is_being_made(session_id)
    assert not sessions.is_being_made(session_id)
    assert not sessions.is_being_made("auth-05A-nosuch0")


DIES = """
import os
from scopecraft_git import sessions
from scopecraft_git.storage.local import LocalStorage
with sessions.reserved_id(LocalStorage(), "auth-05A"):
    os._exit(0)
"""


def test_a_dead_maker_makes_no_more(storage: LocalStorage) -> None:
    subprocess.run([sys.executable, "-c", DIES], check=True)
    (session_id,) = storage.ids()
    assert (paths.session(session_id) / "making").exists()
    assert not sessions.is_being_made(session_id)


def test_what_dead_makers_left_is_swept_and_nothing_else(storage: LocalStorage) -> None:
    kept = make(storage)
    broken = make(storage)
    (broken.path / "metadata.json").write_text("{")
    (broken.path / "making").touch()
    subprocess.run([sys.executable, "-c", DIES], check=True)
    with sessions.reserved_id(storage, "auth-05A") as living:
        dead = next(each for each in storage.ids() if each not in (kept.id, broken.id, living))
        assert sessions.sweep(storage) == []  # too young to be sure
        for each in (dead, living, broken.id):
            os.utime(paths.session(each) / "making", (1, 1))
        assert sessions.sweep(storage) == [dead]
        empty = sessions.new_id("auth-05A")
        assert sessions.sweep(storage) == []  # its maker may be about to make the mark
        os.utime(paths.session(empty), (1, 1))
        assert sessions.sweep(storage) == [empty]
        assert set(storage.ids()) == {kept.id, broken.id, living}


class MakingFailedError(Exception):
    pass


@pytest.mark.parametrize("step", ["before", "create", "after"])
def test_a_failure_leaves_nothing(storage: LocalStorage, step: str) -> None:
    def fail_at(here: str) -> None:
        if step == here:
            raise MakingFailedError

    class Failing(LocalStorage):
        def create(self, session: Session) -> None:
            super().create(session)
            fail_at("create")

    def make_and_fail() -> None:
        with sessions.reserved_id(storage, "auth-05A") as session_id:
            fail_at("before")
            made = session(session_id)
            sessions.create(Failing(), made, "Do it", exec_request(made))
            fail_at("after")

    with pytest.raises(MakingFailedError):
        make_and_fail()
    assert storage.ids() == []
    assert list(storage.sessions(active=True)) == []
    assert [path.name for path in paths.sessions().iterdir() if path.is_dir()] == []


def test_what_a_start_needs_is_named_when_it_is_spoilt(storage: LocalStorage) -> None:
    made = make(storage)
    (made.path / "request.json").write_text('{"session_id": 3}')
    with pytest.raises(UnreadableSessionError, match=r"request\.json"):
        sessions.request(made)
    (made.path / "prompt.md").unlink()
    with pytest.raises(UnreadableSessionError, match=r"prompt\.md"):
        sessions.prompt(made)


# Changing


def test_the_table_knows_every_status() -> None:
    assert set(sessions.TRANSITIONS) == set(SessionStatus)
    assert {status for status, after in sessions.TRANSITIONS.items() if not after} == ENDED
    assert all(status not in after for status, after in sessions.TRANSITIONS.items())
    assert all(after >= {FAILED, CANCELLED} for status, after in sessions.TRANSITIONS.items() if status not in ENDED)


def test_a_session_goes_its_way(storage: LocalStorage) -> None:
    made = make(storage)
    for status in (STARTING, RUNNING, WAITING, RUNNING, PAUSED, RUNNING, COMPLETED):
        made = sessions.transition(storage, made, status, messages=made.messages + 1)
        assert storage.load(made.id) == made
    assert (made.status, made.messages) == (COMPLETED, 7)


@pytest.mark.parametrize(("before", "after"), [(QUEUED, RUNNING), (STARTING, STARTING), (COMPLETED, RUNNING)])
def test_a_step_that_the_table_does_not_have(
    storage: LocalStorage, before: SessionStatus, after: SessionStatus
) -> None:
    made = make(storage, status=before)
    with pytest.raises(IllegalTransitionError, match=f"is {before}, which cannot become {after}"):
        sessions.transition(storage, made, after)
    assert storage.load(made.id) == made


def test_the_record_decides_and_not_an_old_copy(storage: LocalStorage) -> None:
    made = make(storage)
    sessions.transition(storage, made, CANCELLED)
    with pytest.raises(IllegalTransitionError):
        sessions.transition(storage, made, STARTING)


def test_recording_keeps_what_others_changed(storage: LocalStorage) -> None:
    made = make(storage)
    sessions.transition(storage, made, STARTING, agent_session_id="u")
    recorded = sessions.record(storage, made, messages=3)
    assert recorded == storage.load(made.id)
    assert (recorded.status, recorded.agent_session_id, recorded.messages) == (STARTING, "u", 3)


def test_it_ends_once(storage: LocalStorage) -> None:
    made = make(storage, status=RUNNING)
    first = sessions.finish(storage, made, Outcome(status=FAILED, reason="The agent exited with 3", exit_code=3))
    assert (first.status, first.exit_code, first.outcome and first.outcome.reason) == (
        FAILED,
        3,
        "The agent exited with 3",
    )
    assert first.ended_at
    again = sessions.finish(storage, made, Outcome(status=COMPLETED, reason="Done", exit_code=0))
    assert again == first == storage.load(made.id)


def test_the_users_environment_goes_with_its_end(storage: LocalStorage) -> None:
    made = make(storage, status=RUNNING)
    launching.remember_environment(made.path)
    assert any(made.path.glob("environment*"))
    sessions.finish(storage, made, Outcome(status=COMPLETED, reason="Done"))
    assert not any(made.path.glob("environment*"))


def test_what_never_started_cannot_have_completed(storage: LocalStorage) -> None:
    with pytest.raises(IllegalTransitionError):
        sessions.finish(storage, make(storage), Outcome(status=COMPLETED, reason="Done"))


# Finding


def test_found_by_id_by_its_beginning_and_by_task(storage: LocalStorage) -> None:
    old, new = make(storage), make(storage)
    other = make(storage, "billing-06B", task="billing-06B")
    assert sessions.resolve(storage, old.id) == old
    assert sessions.resolve(storage, "auth-05A") == new
    assert sessions.resolve(storage, "implement-auth-05A") == new
    assert sessions.resolve(storage, "bil") == other
    assert sessions.resolve(storage, "billing-06B") == other
    assert sessions.resolve(storage, other.id[:-1]) == other


def test_a_task_is_not_mistaken_for_another_one_of_its_worktree(storage: LocalStorage) -> None:
    implementing = make(storage)
    testing = make(storage, task="test-auth-05A")
    assert sessions.resolve(storage, "implement-auth-05A") == implementing
    assert sessions.resolve(storage, "auth-05A") == testing


def test_a_subtask_is_found_though_its_id_names_its_parent(storage: LocalStorage) -> None:
    made = make(storage, task="02_write-docs-05B", status=COMPLETED)
    make(storage, task="03_other-05C")
    assert sessions.resolve(storage, "02_write-docs-05B") == made


def test_a_task_whose_name_no_id_can_hold(storage: LocalStorage) -> None:
    made = make(storage, "größe", task="größe")
    assert sessions.resolve(storage, "größe") == made


def test_an_ambiguous_beginning_lists_the_candidates(storage: LocalStorage) -> None:
    first, second = make(storage), make(storage, "auth-06A")
    with pytest.raises(AmbiguousSessionError, match=f"{second.id}, {first.id}"):
        sessions.resolve(storage, "auth-0")


@pytest.mark.parametrize("selector", ["auth-05B", "", ".", "../x", "auth-05A-zzzzzzz"])
def test_what_is_not_there_is_not_found(storage: LocalStorage, selector: str) -> None:
    make(storage)
    with pytest.raises(SessionNotFoundError):
        sessions.resolve(storage, selector)


def test_a_near_name_is_suggested(storage: LocalStorage) -> None:
    make(storage)
    with pytest.raises(SessionNotFoundError, match=r"did you mean auth-05A\?"):
        sessions.resolve(storage, "auth-05B")


def test_one_that_is_being_made_is_passed_over(storage: LocalStorage) -> None:
    made = make(storage)
    with sessions.reserved_id(storage, "auth-05A"):
        assert sessions.resolve(storage, "auth-05A") == made


def test_a_broken_one_is_named(storage: LocalStorage) -> None:
    made = make(storage)
    (made.path / "metadata.json").write_text("{")
    for selector in (made.id, "auth-05A"):
        with pytest.raises(UnreadableSessionError):
            sessions.resolve(storage, selector)


# Telling


def test_what_is_told_of_it(home: Path) -> None:
    short = sessions.as_json(session(), position=2)
    assert short == {
        "id": "auth-05A-0000001",
        "task": "implement-auth-05A",
        "mode": "autonomous",
        "executor": "local",
        "agent": "command",
        "status": "queued",
        "branch": "feature/auth-05A",
        "worktree": "/code/app.worktrees/auth-05A-0000001",
        "queue_position": 2,
    }
    outcome = Outcome(status=COMPLETED, reason="Done", exit_code=0)
    full = sessions.as_json(
        session(status=COMPLETED, outcome=outcome, started_at=NOW, tools_used=(ToolUse(name="Bash", count=2),)),
        full=True,
    )
    assert set(full) - set(short) == {
        "repository", "base_commit", "created_at", "started_at", "ended_at", "exit_code", "outcome", "cost_usd",
        "messages", "tools_used", "last_activity", "last_message", "agent_session_id", "parent", "continued_by",
        "evidence", "tokens", "errors", "approvals", "inbox", "path",
    }  # fmt: skip
    assert full["queue_position"] is None
    assert full["started_at"] == "2026-03-04T05:06:07.089Z"
    assert full["tools_used"] == [{"name": "Bash", "count": 2, "errors": 0}]
    assert full["outcome"] == {"status": "completed", "reason": "Done", "exit_code": 0, "stderr": ""}
    assert json.loads(json.dumps(full)) == full


# Asking


def test_requests_arrive_in_order_and_stay_until_answered(storage: LocalStorage) -> None:
    made = make(storage)
    assert sessions.asked(made.id) == []
    names = [sessions.ask(made.id, "send", text=f"message {number}") for number in range(5)]
    names.append(sessions.ask(made.id, "stop"))
    found = sessions.asked(made.id)
    assert [each.name for each in found] == names
    assert [each.data.get("text") for each in found] == [f"message {number}" for number in range(5)] + [None]
    assert found[-1].kind == "stop"
    sessions.answered(made.id, names[0])
    sessions.answered(made.id, names[0])
    assert [each.name for each in sessions.asked(made.id)] == names[1:]


def test_a_clock_that_jumps_back_does_not_change_the_order(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(storage)
    for now in (3_000_000_000, 1_000_000_000, 2_000_000_000):
        monkeypatch.setattr(time, "time_ns", lambda now=now: now)
        sessions.ask(made.id, "send", text=str(now))
    assert [each.data["text"] for each in sessions.asked(made.id)] == ["3000000000", "1000000000", "2000000000"]


def test_a_half_written_request_is_not_there(storage: LocalStorage) -> None:
    made = make(storage)
    name = sessions.ask(made.id, "stop")
    (made.path / "requests" / f".{name}x.json.new").write_text('{"ki')
    assert [each.name for each in sessions.asked(made.id)] == [name]


def test_nobody_can_be_asked_of_a_session_that_is_not_there(storage: LocalStorage) -> None:
    with pytest.raises(SessionNotFoundError):
        sessions.ask("auth-05A-nosuch0", "stop")
