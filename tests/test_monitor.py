from __future__ import annotations

import contextlib
import json
import resource
import signal
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scopecraft_git import plugins
from scopecraft_git.errors import HomeFullError
from scopecraft_git.events import Event, Notice, Text
from scopecraft_git.models import Session, ToolUse
from scopecraft_git.monitor import ANSWERED, Digest, Monitor
from scopecraft_git.protocols import Action, MonitorHandler, Storage, Verdict
from tests import samples

STREAMS = Path(__file__).parent / "agents" / "streams" / "2.1.330"


@pytest.fixture
def storage(home: Path) -> Storage:
    storage = plugins.storage("local")
    storage.create(samples.session())
    return storage


def follow(storage: Storage, handlers: list[MonitorHandler] | None = None, agent: str = "claude") -> Monitor:
    return Monitor(
        samples.session(), storage, plugins.agent(agent), samples.handlers() if handlers is None else handlers
    )


def feed(monitor: Monitor, *chunks: bytes) -> tuple[list[Event], list[Verdict]]:
    digests = [digest for chunk in chunks for digest in monitor.feed(chunk)]
    return told(digests)


def end(monitor: Monitor) -> tuple[list[Event], list[Verdict]]:
    return told(monitor.end())


def told(digests: Iterable[Digest]) -> tuple[list[Event], list[Verdict]]:
    digests = list(digests)
    return [e for digest in digests for e in digest.events], [v for digest in digests for v in digest.verdicts]


def stored(storage: Storage) -> list[tuple[int, int | None, Event]]:
    return [(logged.seq, logged.offset, logged.event) for logged in storage.events(samples.session().id)]


def test_a_recording_becomes_numbered_events_and_a_record(storage: Storage) -> None:
    monitor = follow(storage)
    assert monitor.take_up() == 0
    feed(monitor, (STREAMS / "success.jsonl").read_bytes())
    end(monitor)
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


def go_on(storage: Storage, stream: bytes, until: int, size: int) -> Monitor:
    """As a supervisor does that is killed when it has read so far."""
    monitor = follow(storage, [*samples.handlers(), Objector()])
    start = monitor.take_up()
    for begin in range(start, max(start, until), size):
        for _ in monitor.feed(stream[begin : min(begin + size, until)]):
            for request in list(monitor.unanswered.values()):
                monitor.notice(ANSWERED, f"Allowed {request.tool}", id=request.id, allow=True)
    return monitor


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_restart_anywhere_loses_and_doubles_nothing(storage: Storage, data: st.DataObject) -> None:
    """Verdicts and answers of ours are where they are without it, however the output is cut."""
    stream = (STREAMS / "permission.jsonl").read_bytes()
    log = samples.session().path / "events.jsonl"
    log.unlink(missing_ok=True)
    undisturbed = go_on(storage, stream, len(stream), len(stream))
    end(undisturbed)
    expected = stored(storage)
    assert {"stop", ANSWERED} <= {event.code for _, _, event in expected if isinstance(event, Notice)}
    log.unlink()

    sizes = st.sampled_from([311, 4000, 1 << 16])
    for cut in sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6))):
        go_on(storage, stream, cut, data.draw(sizes))
        if log.exists():  # killed while it wrote
            log.write_bytes(log.read_bytes()[: data.draw(st.integers(0, log.stat().st_size))])
    last = go_on(storage, stream, len(stream), data.draw(sizes))
    end(last)
    assert stored(storage) == expected
    assert last.session.tools_used == undisturbed.session.tools_used
    assert last.finished == undisturbed.finished


def test_a_line_arrives_in_pieces_and_the_last_one_without_its_end(storage: Storage) -> None:
    monitor = follow(storage, agent="command")
    monitor.take_up()
    assert feed(monitor, b"on") == ([], [])
    assert feed(monitor, b"e\ntwo") == ([Text(text="one")], [])
    assert end(monitor) == ([Text(text="two")], [])


def test_notices_do_not_move_the_place_in_the_stream(storage: Storage) -> None:
    monitor = follow(storage, agent="command")
    monitor.take_up()
    feed(monitor, b"one\n")
    monitor.notice("imported", "a commit came home", commit="c")
    again = follow(storage, agent="command")
    assert again.take_up() == 0
    assert feed(again, b"one\ntwo\n")[0] == [Text(text="two")]
    assert [event.kind for _, _, event in stored(storage)] == ["text", "notice", "text"]


def test_what_was_asked_and_not_answered_is_known_after_a_restart(storage: Storage) -> None:
    monitor = follow(storage)
    monitor.take_up()
    feed(monitor, (STREAMS / "permission.jsonl").read_bytes())
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


def test_verdicts_are_returned_and_noted_but_not_those_of_before_a_restart(storage: Storage) -> None:
    monitor = follow(storage, [Objector()], agent="command")
    monitor.take_up()
    assert feed(monitor, b"x\n")[1] == [Verdict(Action.STOP, "no")]
    again = follow(storage, [Objector()], agent="command")
    again.take_up()
    assert feed(again, b"x\n")[1] == []
    assert again.noticed.ending is not None
    assert again.noticed.ending.text == "no"


def test_what_an_agent_calls_itself_is_no_notice_of_ours(storage: Storage) -> None:
    for code in ("ended", "stopping", "permission_answered", "paused"):
        line = json.dumps({"type": "system", "subtype": code, "action": "stop"}).encode() + b"\n"
        monitor = follow(storage)
        feed(monitor, b"x\n" * monitor.take_up() + line)
        assert monitor.noticed.latest == {}
        assert (monitor.noticed.ending, monitor.noticed.paused) == (None, False)


def test_an_append_that_fails_loses_and_doubles_nothing(storage: Storage) -> None:
    monitor = follow(storage, agent="command")
    monitor.take_up()
    feed(monitor, b"one\n")
    log = samples.session().path / "events.jsonl"
    with limited(log.stat().st_size + 20), pytest.raises(HomeFullError):
        feed(monitor, b"two\nthree\n")
    again = follow(storage, agent="command")
    feed(again, b"one\ntwo\nthree\n"[again.take_up() :])
    assert [(seq, offset) for seq, offset, _ in stored(storage)] == [(1, 0), (2, 4), (3, 8)]


@contextlib.contextmanager
def limited(size: int) -> Iterator[None]:
    """No file may grow above `size`: a full disk, for this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, kept)


def test_a_handler_that_raises_is_left_out_and_the_others_go_on(storage: Storage) -> None:
    monitor = follow(storage, [Raiser(), Objector()], agent="command")
    monitor.take_up()
    verdicts = feed(monitor, b"x\n")[1]
    assert [verdict.action for verdict in verdicts] == [Action.WARN, Action.STOP]
    assert "raiser" in verdicts[0].reason
    assert [verdict.action for verdict in feed(monitor, b"y\n")[1]] == [Action.STOP]
