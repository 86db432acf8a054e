from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scopecraft_git import plugins
from scopecraft_git.events import Event, Text
from scopecraft_git.models import Session, ToolUse
from scopecraft_git.monitor import Monitor
from scopecraft_git.protocols import Action, HandlerFactory, Storage, Verdict
from tests import samples

STREAMS = Path(__file__).parent / "agents" / "streams" / "2.1.330"


@pytest.fixture
def storage(home: Path) -> Storage:
    storage = plugins.storage("local")
    storage.create(samples.session())
    return storage


def follow(storage: Storage, handlers: list[HandlerFactory] | None = None, agent: str = "claude") -> Monitor:
    return Monitor(
        samples.session(), storage, plugins.agent(agent), plugins.handlers() if handlers is None else handlers
    )


def stored(storage: Storage) -> list[tuple[int, int | None, Event]]:
    return [(logged.seq, logged.offset, logged.event) for logged in storage.events(samples.session().id)]


def test_a_recording_becomes_numbered_events_and_a_record(storage: Storage) -> None:
    monitor = follow(storage)
    assert monitor.take_up() == 0
    monitor.feed((STREAMS / "success.jsonl").read_bytes())
    monitor.end()
    events = stored(storage)
    assert [seq for seq, _, _ in events] == list(range(1, len(events) + 1))
    assert monitor.finished is not None
    assert not monitor.finished.is_error
    session = monitor.session
    assert session.tools_used == (
        ToolUse(name="Bash", count=2),
        ToolUse(name="Write", count=1),
        ToolUse(name="Read", count=1),
    )
    assert session.messages == 3
    assert session.cost_usd == 0.0045
    assert session.agent_session_id == "6759596d-8caa-4f3d-bc43-71acc566f5d3"
    assert session.last_activity is not None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_restart_anywhere_loses_and_doubles_nothing(storage: Storage, data: st.DataObject) -> None:
    stream = (STREAMS / "permission.jsonl").read_bytes()
    log = samples.session().path / "events.jsonl"
    log.unlink(missing_ok=True)
    undisturbed = follow(storage)
    undisturbed.take_up()
    undisturbed.feed(stream)
    undisturbed.end()
    expected = stored(storage)
    log.unlink()

    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    for cut in cuts:
        monitor = follow(storage)
        monitor.feed(stream[monitor.take_up() : cut])
        if log.exists():  # killed while it wrote
            log.write_bytes(log.read_bytes()[: data.draw(st.integers(0, log.stat().st_size))])
    last = follow(storage)
    last.feed(stream[last.take_up() :])
    last.end()
    assert stored(storage) == expected
    assert last.session.tools_used == undisturbed.session.tools_used


def test_a_line_arrives_in_pieces_and_the_last_one_without_its_end(storage: Storage) -> None:
    monitor = follow(storage, agent="command")
    monitor.take_up()
    assert monitor.feed(b"on") == ([], [])
    assert monitor.feed(b"e\ntwo") == ([Text(text="one")], [])
    assert monitor.end() == ([Text(text="two")], [])


def test_notices_do_not_move_the_place_in_the_stream(storage: Storage) -> None:
    monitor = follow(storage, agent="command")
    monitor.take_up()
    monitor.feed(b"one\n")
    monitor.notice("imported", "a commit came home", commit="c")
    again = follow(storage, agent="command")
    assert again.take_up() == 0
    assert again.feed(b"one\ntwo\n")[0] == [Text(text="two")]
    assert [event.kind for _, _, event in stored(storage)] == ["text", "notice", "text"]


def test_what_was_asked_and_not_answered_is_known_after_a_restart(storage: Storage) -> None:
    monitor = follow(storage)
    monitor.take_up()
    monitor.feed((STREAMS / "permission.jsonl").read_bytes())
    first, second = monitor.unanswered
    monitor.notice("permission_answered", "Allowed Bash", id=first, allow=True)
    again = follow(storage)
    again.take_up()
    assert list(again.unanswered) == [second]


class Objector:
    name = "objector"

    def handle(self, session: Session, event: Event) -> Verdict | None:
        return Verdict(Action.STOP, "no") if isinstance(event, Text) else None

    def summary(self) -> Mapping[str, Any]:
        return {}


class Raiser(Objector):
    name = "raiser"

    def handle(self, session: Session, event: Event) -> Verdict | None:
        raise ValueError("broken")


def test_verdicts_are_returned_but_not_those_of_before_a_restart(storage: Storage) -> None:
    monitor = follow(storage, [Objector], agent="command")
    monitor.take_up()
    assert monitor.feed(b"x\n")[1] == [Verdict(Action.STOP, "no")]
    again = follow(storage, [Objector], agent="command")
    again.take_up()
    assert again.feed(b"x\n")[1] == []


def test_a_handler_that_raises_is_left_out_and_the_others_go_on(storage: Storage) -> None:
    monitor = follow(storage, [Raiser, Objector], agent="command")
    monitor.take_up()
    verdicts = monitor.feed(b"x\n")[1]
    assert [verdict.action for verdict in verdicts] == [Action.WARN, Action.STOP]
    assert "raiser" in verdicts[0].reason
    assert [verdict.action for verdict in monitor.feed(b"y\n")[1]] == [Action.STOP]
