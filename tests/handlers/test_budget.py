from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scopecraft_git.agents.claude import Claude
from scopecraft_git.config import BudgetSettings, Settings
from scopecraft_git.events import Event, Finished, Notice, Reasoning, Text, ToolCall, ToolResult, Usage
from scopecraft_git.handlers.budget import Budget, Turns, register_monitor_handlers
from scopecraft_git.protocols import Action, Passed, Verdict
from tests.samples import handler_request, session

STREAMS = Path(__file__).parent.parent / "agents" / "streams"
PASSED = Passed(now=0.0, spoke=0.0, silent=frozenset())


def budget(**fields: Any) -> Budget:
    return Budget(handler_request(settings=Settings(budget=BudgetSettings(**fields))))


def said(handler: Budget, *events: Event) -> list[tuple[int, str, str]]:
    """What it says, with the number of the event that it says it of."""
    found: list[tuple[int, str, str]] = []
    for number, event in enumerate(events):
        if verdict := handler.handle(session(), event):
            found.append((number, verdict.action, verdict.reason))
    return found


def turn(number: int) -> list[Event]:
    return [Text(text="I look"), ToolCall(id=f"t{number}", name="Read"), ToolResult(id=f"t{number}", text="")]


def turns(*events: Event) -> int:
    counted = Turns()
    for event in events:
        counted.take(event)
    return counted.count


def test_a_turn_begins_after_a_result() -> None:
    assert turns() == 0
    assert turns(*turn(1), *turn(2), Text(text="done"), Finished()) == 3
    assert turns(Reasoning(text="hm"), Text(text="a"), Text(text="b"), Finished(), Text(text="c")) == 2
    parallel = [ToolCall(id="1", name="A"), ToolCall(id="2", name="B")]
    assert turns(*parallel, ToolResult(id="1", text=""), ToolResult(id="2", text=""), Text(text="done")) == 2


def test_sub_agents_have_turns_of_their_own() -> None:
    inside: list[Event] = [
        Text(text="x", parent_id="t1"),
        Usage(message_id="s1", input_tokens=1),
        ToolResult(id="9", text="", parent_id="t1"),
    ]
    assert turns(ToolCall(id="t1", name="Task"), Usage(message_id="m1", input_tokens=1), *inside, *inside) == 1
    assert turns(ToolCall(id="t1", name="Task"), inside[0], inside[2], inside[0]) == 1


def test_messages_count_by_their_ids_where_there_are_any() -> None:
    one, two = Usage(message_id="m1", input_tokens=1), Usage(message_id="m2", input_tokens=1)
    early: list[Event] = [
        Text(text="a"),
        one,
        ToolCall(id="1", name="A"),
        one,
        ToolResult(id="1", text=""),
        Text(text="b"),
        one,
    ]
    assert turns(*early) == 1
    assert turns(*early, Text(text="c"), two) == 2


@pytest.mark.parametrize("version", ["2.1.197", "2.1.330"])
def test_the_turns_of_a_recorded_session(version: str) -> None:
    lines = (STREAMS / version / "success.jsonl").read_bytes().splitlines()
    events = [event for line in lines for event in Claude().parse(line)]
    assert turns(*events) == turns(*(event for event in events if not isinstance(event, Usage))) == 5


def test_it_warns_once_and_acts_once() -> None:
    events = [event for number in range(20) for event in turn(number)]
    assert said(budget(turns=5), *events) == [
        (9, "warn", "It has used 4 of 5 turns (budget.turns)"),
        (15, "stop", "budget.turns = 5 is used up: it is at 6"),
    ]


def test_nothing_is_limited_by_default() -> None:
    assert said(budget(), *(event for number in range(99) for event in turn(number)), Finished(cost_usd=99.0)) == []
    assert list(budget().deadlines(session(), PASSED)) == []


@pytest.mark.parametrize("action", ["warn", "pause", "interrupt", "stop"])
def test_the_action_is_the_users_choice(action: str) -> None:
    handler = budget(tokens=1000, action=action, warn_at=0)
    usage = Usage(message_id="m", input_tokens=600, output_tokens=399, cache_read_tokens=10**6, cache_write_tokens=2)
    said_before = said(handler, Text(text="a"), usage, Text(text="b"), usage)
    assert said_before == [(1, action, "budget.tokens = 1000 is used up: it is at 1001")]


def test_without_an_early_warning_one_comes_when_all_is_used() -> None:
    assert said(budget(turns=1, warn_at=0), *turn(1)) == [(0, "warn", "It has used 1 of 1 turns (budget.turns)")]


def test_what_is_exceeded_at_the_end_stops_nobody_who_leaves() -> None:
    handler = budget(usd=0.5)
    assert said(handler, Text(text="a"), Finished(cost_usd=0.75), Notice(code="status", text="", origin="agent")) == [
        (1, "warn", "It has used 0.75 of 0.5 dollars (budget.usd)")
    ]
    assert said(handler, Text(text="one more"), Text(text="thing")) == [
        (0, "stop", "budget.usd = 0.5 is used up: it is at 0.75")
    ]


def test_tokens_that_are_told_in_the_end_stop_nobody_who_leaves() -> None:
    read, written = Usage(message_id="m1", input_tokens=10), Usage(message_id="result", output_tokens=90)
    events: list[Event] = [Text(text="a"), read, written, Finished()]
    assert said(budget(tokens=50), *events) == [(2, "warn", "It has used 100 of 50 tokens (budget.tokens)")]
    without_ids: list[Event] = [Text(text="a"), Usage(output_tokens=90), Finished()]
    assert [action for _, action, _ in said(budget(tokens=50), *without_ids)] == ["warn"]


def test_dollars_of_a_transcript_are_in_its_bookkeeping() -> None:
    record = Notice(code="record", text="cost state", data={"cost_usd": 0.75}, origin="agent")
    assert [action for _, action, _ in said(budget(usd=0.5), record, Text(text="a"))] == ["warn", "stop"]


def test_limits_are_each_for_itself() -> None:
    handler = budget(turns=1, tokens=10, warn_at=1)
    events: list[Event] = [*turn(1), Text(text="a"), Usage(message_id="m", input_tokens=50)]
    assert [(number, action) for number, action, _ in said(handler, *events)] == [(0, "warn"), (3, "stop"), (4, "stop")]


def test_minutes_are_deadlines() -> None:
    soon, late = budget(minutes=30, action="pause").deadlines(session(), PASSED)
    assert (soon.code, soon.due, soon.verdict.action) == ("budget_minutes_soon", 1440, Action.WARN)
    assert (late.code, late.due) == ("budget_minutes", 1800)
    assert late.verdict == Verdict(Action.PAUSE, "budget.minutes = 30 is used up")
    (only,) = budget(minutes=30, warn_at=0).deadlines(session(), PASSED)
    assert only.code == "budget_minutes"


def test_it_is_registered() -> None:
    (factory,) = register_monitor_handlers()
    made = factory(handler_request())
    assert (factory.name, made.name, made.summary()) == ("budget", "budget", {})
