from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from scopecraft_git import plugins
from scopecraft_git.events import Event, Notice, Severity, Text
from scopecraft_git.models import Mode, Session
from scopecraft_git.monitor import Monitor, made
from scopecraft_git.protocols import Action, Deadline, HandlerRequest, MonitorHandler, Passed, Storage, Verdict
from tests import samples

PASSED = Passed(now=10.0, spoke=5.0, silent=frozenset())


@pytest.fixture
def storage(home: Any) -> Storage:
    storage = plugins.storage("local")
    storage.create(samples.session())
    return storage


class Handler:
    """Does what it is told, and fails in the ways that are asked of it."""

    name = "handler"

    def __init__(
        self, verdict: Any = None, summary: Any = None, deadline: Any = None, error: BaseException | None = None
    ) -> None:
        self.verdict, self.kept, self.deadline, self.error = verdict, summary or {}, deadline, error
        self.seen = 0

    def handle(self, session: Session, event: Event) -> Verdict | None:
        self.seen += 1
        if self.error:
            raise self.error
        return self.verdict  # type: ignore[no-any-return]

    def summary(self) -> Mapping[str, Any]:
        return self.kept

    def deadlines(self, session: Session, passed: Passed) -> Iterable[Deadline]:
        return [] if self.deadline is None else [self.deadline]


class Other(Handler):
    name = "other"


def follow(storage: Storage, *handlers: MonitorHandler) -> Monitor:
    monitor = Monitor(storage.load(samples.session().id), storage, plugins.agent("command"), handlers)
    monitor.take_up()
    return monitor


def feed(monitor: Monitor, output: bytes) -> list[Verdict]:
    return [verdict for digest in monitor.feed(output) for verdict in digest.verdicts]


def failures(storage: Storage) -> list[Notice]:
    events = (logged.event for logged in storage.events(samples.session().id))
    return [event for event in events if isinstance(event, Notice) and event.code == "handler_failed"]


class SillyError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (Handler(error=ValueError("bro\x1b[2Jken\nin two")), "ValueError: broken in two"),
        (Handler(error=SystemExit(3)), "SystemExit: 3"),
        (Handler(error=SillyError()), "SillyError"),
        (Handler(verdict=True), "TypeError: True is no verdict"),
        (Handler(verdict=Verdict("explode", "x")), "ValueError: 'explode' is not a valid Action"),  # type: ignore[arg-type]
        (Handler(verdict=Verdict(Action.WARN, None)), "TypeError: "),  # type: ignore[arg-type]
        (Handler(verdict=Verdict(Action.ASK, "x", until=samples.NOW.replace(tzinfo=None))), "TypeError: until is "),
        (Handler(summary={"status": "completed"}), "ValueError: its summary has status, which is not for handlers"),
        (Handler(summary={"mood": "good"}), "ValueError: its summary has mood, which is not for handlers"),
        (Handler(summary={"messages": "many"}), "ValidationError: "),
        (Handler(summary=[1]), "TypeError: "),
    ],
)
def test_one_that_fails_is_left_out_and_the_others_go_on(storage: Storage, handler: Handler, reason: str) -> None:
    other = Other(verdict=Verdict(Action.STOP, "no"))
    monitor = follow(storage, handler, other)
    assert feed(monitor, b"x\n") == [Verdict(Action.STOP, "no")]
    assert feed(monitor, b"y\n") == [Verdict(Action.STOP, "no")]
    (notice,) = failures(storage)
    assert (notice.data["handler"], notice.severity, notice.origin) == ("handler", Severity.WARNING, None)
    assert notice.data["error"].startswith(reason)
    assert notice.text.startswith(f"The handler handler was left out: {reason}")
    assert handler.seen <= 1
    assert storage.load(samples.session().id).id == samples.session().id


class Policy(Handler):
    name = "policy"


ASKED = b"""\
{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{}}}
"""


@pytest.mark.parametrize(
    "handlers", [[], [Other()], [Policy(error=ValueError("x"))], [Policy(summary={"mood": "good"}), Other()]]
)
def test_without_the_policy_every_call_is_asked_about(storage: Storage, handlers: list[MonitorHandler]) -> None:
    monitor = follow(storage, *handlers)
    feed(monitor, b"x\n" + ASKED + ASKED.replace(b"r1", b"r2"))
    assert [approval.id for approval in monitor.approvals] == ["r1", "r2"]
    again = follow(storage, *handlers)
    assert [approval.id for approval in again.approvals] == ["r1", "r2"]


def test_it_is_asked_also_where_a_kill_came_before_that_was_noted(storage: Storage) -> None:
    feed(follow(storage, Policy(error=ValueError("x"))), b"x\n" + ASKED)
    log = samples.session().path / "events.jsonl"
    *before, asked = log.read_bytes().splitlines(keepends=True)
    assert b'"ask"' in asked
    log.write_bytes(b"".join(before))
    again = follow(storage, Policy(error=ValueError("x")))
    feed(again, ASKED)
    assert [approval.id for approval in again.approvals] == ["r1"]


@pytest.mark.parametrize(("mode", "expected"), [(Mode.AUTONOMOUS, [Action.ASK]), (Mode.DISPATCH, [])])
def test_without_the_policy_a_call_that_is_only_seen_is_for_a_human(
    storage: Storage, mode: Mode, expected: list[Action]
) -> None:
    monitor = Monitor(samples.session(mode=mode), storage, plugins.agent("opencode"), [])
    monitor.take_up()
    part = {"type": "tool", "callID": "c1", "tool": "bash", "state": {"status": "completed", "input": {}, "output": ""}}
    used = json.dumps({"type": "tool_use", "part": part}).encode()
    assert [verdict.action for verdict in feed(monitor, used + b"\n")] == expected


@pytest.mark.parametrize(("otherwise", "waits_on"), [(Action.PAUSE, True), (Action.ASK, True), (Action.DENY, False)])
def test_who_would_ask_again_is_waited_for_without_end(storage: Storage, otherwise: Action, waits_on: bool) -> None:
    monitor = follow(storage, Policy(verdict=Verdict(Action.ASK, "x", samples.NOW, otherwise)))
    feed(monitor, ASKED)
    (approval,) = monitor.approvals
    assert approval.until == (None if waits_on else samples.NOW)


def test_one_that_failed_stays_out_after_a_restart(storage: Storage) -> None:
    feed(follow(storage, Handler(error=ValueError("x"))), b"x\n")
    mended = Handler(verdict=Verdict(Action.STOP, "no"))
    again = follow(storage, mended)
    assert feed(again, b"x\ny\n") == []
    assert len(failures(storage)) == 1


def test_one_that_cannot_take_the_past_is_told_of_and_left_out(storage: Storage) -> None:
    feed(follow(storage), b"x\ny\n")
    again = follow(storage, Handler(error=ValueError("x")))
    assert len(failures(storage)) == 1
    feed(again, b"y\nz\n")
    feed(follow(storage, Handler(error=ValueError("x"))), b"z\nz\n")
    assert len(failures(storage)) == 1


def test_one_that_fails_at_a_notice_of_ours_is_told_of_at_once(storage: Storage) -> None:
    monitor = follow(storage, Handler(error=ValueError("x")), Other(error=KeyError("y")))
    monitor.notice("started", "Started")
    assert [notice.data["handler"] for notice in failures(storage)] == ["handler", "other"]
    monitor = follow(storage, Handler(error=ValueError("x")))
    assert len(failures(storage)) == 2


def test_a_failure_that_was_not_told_before_a_kill_is_told_then(storage: Storage) -> None:
    monitor = follow(storage, Handler(error=ValueError("x")))
    monitor.notice("started", "Started")
    log = samples.session().path / "events.jsonl"
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    assert failures(storage) == []
    again = follow(storage, Handler(error=ValueError("x")))
    assert len(failures(storage)) == 1
    feed(again, b"x\n")
    assert [logged.event.kind for logged in storage.events(samples.session().id)] == ["notice", "notice", "text"]


def test_nothing_is_told_after_the_end(storage: Storage) -> None:
    monitor = follow(storage, Handler(error=ValueError("x")))
    monitor.notice("ended", "The agent is done", status="completed")
    assert failures(storage) == []


class Factory:
    def __init__(self, name: str, thing: Any) -> None:
        self.name, self.thing = name, thing

    def __call__(self, request: HandlerRequest) -> MonitorHandler:
        if isinstance(self.thing, Exception):
            raise self.thing
        return self.thing  # type: ignore[no-any-return]


@pytest.mark.parametrize("thing", [ValueError("no"), Other(), object()], ids=["raises", "name", "thing"])
def test_one_that_cannot_be_made_is_left_out(storage: Storage, thing: Any) -> None:
    other = Other(verdict=Verdict(Action.STOP, "no"))
    monitor = follow(storage, *made([Factory("handler", thing), Factory("other", other)], samples.handler_request()))
    assert feed(monitor, b"x\n") == [Verdict(Action.STOP, "no")]
    (notice,) = failures(storage)
    assert notice.data["handler"] == "handler"


def test_what_is_said_of_our_own_notices_is_not_heard(storage: Storage) -> None:
    handler = Handler(verdict=Verdict(Action.STOP, "no"))
    monitor = follow(storage, handler)
    monitor.notice("imported", "x")
    assert handler.seen == 1
    assert feed(monitor, b"") == []
    assert monitor.noticed.ending is None


def test_the_record_has_what_handlers_keep(storage: Storage) -> None:
    monitor = follow(
        storage, Handler(summary={"messages": 7, "errors": {"warning": 1}}), Other(summary={"messages": 8})
    )
    feed(monitor, b"x\n")
    assert (monitor.session.messages, monitor.session.errors) == (8, {"warning": 1})


SOON = Deadline("late", 20.0, Verdict(Action.PAUSE, "It took too long"))


def test_deadlines_are_collected(storage: Storage) -> None:
    other = Other(deadline=SOON._replace(code="later"))
    assert [each.code for each in follow(storage, Handler(deadline=SOON), other).deadlines(PASSED)] == ["late", "later"]


@pytest.mark.parametrize(
    "deadline",
    ["tomorrow", SOON._replace(due=float("nan")), SOON._replace(verdict=None), SOON._replace(code=3)],  # type: ignore[arg-type]
)
def test_what_is_no_deadline_is_a_failure(storage: Storage, deadline: Any) -> None:
    monitor = follow(storage, Handler(deadline=deadline), Other(deadline=SOON))
    assert monitor.deadlines(PASSED) == [SOON]
    assert monitor.deadlines(PASSED) == [SOON]
    assert len(failures(storage)) == 1


def test_a_deadline_is_missed_once(storage: Storage) -> None:
    monitor = follow(storage, Handler(deadline=SOON))
    monitor.notice("late", "It took too long", action="pause", due=20.0)
    assert monitor.deadlines(PASSED) == []
    feed(monitor, b"x\n")
    assert monitor.deadlines(PASSED) == []
    assert follow(storage, Handler(deadline=SOON)).deadlines(PASSED) == []
    another = SOON._replace(due=30.0)
    monitor = follow(storage, Handler(deadline=another))
    assert monitor.deadlines(PASSED) == [another]
    monitor.notice("late", "It took too long", action="pause", due=30.0)
    monitor._handling._handlers[0].deadline = SOON._replace(due=40.0)  # type: ignore[attr-defined]
    assert monitor.deadlines(PASSED) == []
    assert feed(monitor, b"x\n") == [] == feed(monitor, b"still there\n")
    assert [each.due for each in monitor.deadlines(PASSED)] == [40.0]


def test_text_is_shown_to_everyone(storage: Storage) -> None:
    handlers = [Handler(), Other()]
    feed(follow(storage, *handlers), b"x\n\ny\n")
    assert [handler.seen for handler in handlers] == [2, 2]
    assert [logged.event for logged in storage.events(samples.session().id)] == [Text(text="x"), Text(text="y")]
