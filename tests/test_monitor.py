from __future__ import annotations

import contextlib
import json
import resource
import signal
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scopecraft_git import plugins
from scopecraft_git.errors import HomeFullError
from scopecraft_git.events import Event, Notice, PermissionRequest, Text, ToolResult
from scopecraft_git.models import Session, ToolUse
from scopecraft_git.monitor import ANSWERED, Digest, Monitor, hardest
from scopecraft_git.protocols import Action, MonitorHandler, Storage, Verdict
from scopecraft_git.supervisor.inbox import Inbox
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
    """Times aside, such as how long a call took and how long a human has."""
    return [(logged.seq, logged.offset, timeless(logged.event)) for logged in storage.events(samples.session().id)]


def timeless(event: Event) -> Event:
    if isinstance(event, Notice):
        return event.model_copy(update={"data": {key: value for key, value in event.data.items() if key != "until"}})
    return event.model_copy(update={"duration_ms": None}) if isinstance(event, ToolResult) else event


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


class Judge:
    """Has an opinion on every call that is asked for; each of them another one."""

    def __init__(self, name: str = "policy") -> None:
        self.name = name
        self.asked = 0

    def handle(self, session: Session, event: Event) -> Verdict | None:
        if not isinstance(event, PermissionRequest):
            return None
        self.asked += 1
        if self.asked % 2:
            time = timedelta(minutes=5 if self.name == "policy" else 6)
            return Verdict(Action.ASK, event.tool, until=datetime.now(UTC) + time, otherwise=Action.DENY)
        return Verdict(Action.DENY, f"no {event.tool}")

    def summary(self) -> Mapping[str, Any]:
        return {}


class Faint:
    """Breaks down at the eighth event."""

    name = "faint"

    def __init__(self) -> None:
        self.seen = 0

    def handle(self, session: Session, event: Event) -> Verdict | None:
        self.seen += 1
        if self.seen == 8:
            raise ValueError("too much")
        return None

    def summary(self) -> Mapping[str, Any]:
        return {}


def go_on(storage: Storage, stream: bytes, until: int, size: int) -> Monitor:
    """As a supervisor does that is killed when it has read so far."""
    monitor = follow(storage, [*samples.handlers(), Judge("judge"), Faint(), Objector()])
    start = monitor.take_up()
    for begin in range(start, max(start, until), size):
        for _ in monitor.feed(stream[begin : min(begin + size, until)]):
            assert [approval.id for approval in monitor.approvals] == [
                name for name in monitor.unanswered if monitor.judged[name].action is Action.ASK
            ]
            for request in list(monitor.unanswered.values()):
                denied = monitor.judged[request.id].action is Action.DENY
                monitor.notice(ANSWERED, f"Answered {request.tool}", id=request.id, allow=not denied)
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
    assert {"stop", "ask", "deny", "handler_failed", ANSWERED} <= {
        event.code for _, _, event in expected if isinstance(event, Notice)
    }
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


PERMISSION = (STREAMS / "permission.jsonl").read_bytes()


def test_requests_are_judged_and_not_among_the_other_verdicts(storage: Storage) -> None:
    monitor = follow(storage, [Judge()])
    monitor.take_up()
    assert feed(monitor, PERMISSION)[1] == []
    first, second = monitor.unanswered
    assert [monitor.judged[name].action for name in (first, second)] == [Action.ASK, Action.DENY]
    noted = [event for _, _, event in stored(storage) if isinstance(event, Notice) and "handler" in event.data]
    assert [(notice.code, notice.data) for notice in noted] == [
        ("ask", {"handler": "policy", "id": first, "otherwise": "deny"}),
        ("deny", {"handler": "policy", "id": second}),
    ]


def test_what_waits_for_a_word_is_as_old_after_a_restart(storage: Storage) -> None:
    monitor = follow(storage, [Judge()])
    monitor.take_up()
    feed(monitor, PERMISSION)
    (approval,) = monitor.approvals
    assert (approval.tool, approval.reason) == ("Bash", "Bash")
    assert "command" in approval.input
    again = follow(storage, [Judge()])
    again.take_up()
    assert [waits.model_dump_json() for waits in again.approvals] == [approval.model_dump_json()]
    assert len(stored(storage)) == monitor._seq
    again.notice(ANSWERED, "Allowed Bash", id=approval.id, allow=True)
    assert again.approvals == ()
    assert approval.id not in again.judged


def test_after_a_restart_requests_are_judged_by_the_handlers_as_they_now_are(storage: Storage) -> None:
    monitor = follow(storage, [samples.Consent()])
    monitor.take_up()
    feed(monitor, PERMISSION)
    assert monitor.judged == {}
    again = follow(storage, [Judge()])
    start = again.take_up()
    feed(again, PERMISSION[start:])
    first, second = again.unanswered
    assert [approval.id for approval in again.approvals] == [first]
    assert again.judged[second].action is Action.DENY
    codes = [event.code for _, _, event in stored(storage) if isinstance(event, Notice)]
    assert (codes.count("ask"), codes.count("deny")) == (1, 1)
    assert follow(storage, [samples.Consent()]).take_up() == start


def test_of_two_who_ask_the_first_says_how_long(storage: Storage) -> None:
    monitor = follow(storage, [Judge(), Judge("other")])
    monitor.take_up()
    feed(monitor, PERMISSION)
    first = next(iter(monitor.unanswered))
    events = (logged.event for logged in storage.events(samples.session().id))
    one, other = (event.data["until"] for event in events if isinstance(event, Notice) and event.code == "ask")
    (until,) = {approval.until for approval in monitor.approvals if approval.id == first}
    assert until == datetime.fromisoformat(one)
    assert one < other


@pytest.mark.parametrize("odd", [{"a": 1}, [1], 7])
def test_a_name_that_is_none_stops_nobody(storage: Storage, odd: Any) -> None:
    monitor = follow(storage)
    inbox = Inbox()
    monitor.observers.append(inbox.take)
    monitor.take_up()
    told = [
        {"type": "user", "uuid": odd, "message": {"content": "go on"}},
        {"type": "control_cancel_request", "request_id": odd},
        {"type": "system", "subtype": "background_tasks_changed", "tasks": [{"task_id": "t", "task_type": odd}]},
    ]
    feed(monitor, b"".join(json.dumps(line).encode() + b"\n" for line in told))
    assert monitor.background == {str(odd)}


def test_the_hardest_verdict_counts_and_of_two_the_first() -> None:
    found = [Verdict(Action.WARN, "a"), Verdict(Action.DENY, "b"), Verdict(Action.ASK, "c"), Verdict(Action.DENY, "d")]
    assert hardest(found) == found[1]
    assert hardest([]) is None
    assert hardest([*found, Verdict(Action.STOP, "e"), Verdict(Action.PAUSE, "f")]) == Verdict(Action.STOP, "e")


def test_an_agents_own_notices_are_told_apart_from_ours(storage: Storage) -> None:
    monitor = follow(storage)
    monitor.take_up()
    feed(monitor, b'{"type":"system","subtype":"ended","status":"completed"}\n')
    monitor.notice("ended", "The agent is done", status="completed")
    assert [event.origin for _, _, event in stored(storage) if isinstance(event, Notice)] == ["agent", None]


def test_what_was_read_late_has_no_time_of_ours(storage: Storage) -> None:
    call = b'{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t%d","name":"Read","input":{}}]}}\n'
    result = b'{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t%d","content":""}]}}\n'
    stream = call % 1 + result % 1
    (samples.session().path / "stream.log").write_bytes(stream)
    monitor = follow(storage)
    monitor.take_up()
    events, _ = feed(monitor, stream + call % 2 + result % 2)
    late, seen = (event for event in events if isinstance(event, ToolResult))
    assert (late.tool, late.duration_ms) == ("Read", None)
    assert seen.duration_ms is not None
    assert 0 <= seen.duration_ms < 10_000
