from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scopecraft_git.agents.claude import Claude
from scopecraft_git.events import Event, Finished, Notice, Reasoning, Severity, Text, ToolCall, ToolResult, Usage
from scopecraft_git.handlers.activity import LONGEST_MESSAGE, Activity, register_monitor_handlers
from scopecraft_git.models import Session, Tokens, ToolUse
from tests.samples import handler_request, session

STREAMS = Path(__file__).parent.parent / "agents" / "streams" / "2.1.330"


def summary(*events: Event, of: Session | None = None) -> dict[str, Any]:
    handler = Activity(handler_request())
    assert [handler.handle(of or session(), event) for event in events] == [None] * len(events)
    return dict(handler.summary())


def test_a_session_that_said_nothing_yet() -> None:
    assert summary() == {
        "messages": 0,
        "last_message": None,
        "tools_used": (),
        "cost_usd": None,
        "tokens": None,
        "errors": {},
    }
    assert session().model_copy(update=summary()) == session()


def test_its_own_texts_are_its_messages() -> None:
    events: list[Event] = [
        Text(text="one"),
        Text(text="two"),
        Reasoning(text="hm"),
        Text(text="sub", parent_id="t1"),
        Text(text="\n"),
    ]
    found = summary(*events)
    assert (found["messages"], found["last_message"]) == (2, "two")


def test_a_text_that_comes_in_pieces_is_one_message() -> None:
    pieces: list[Event] = [Text(text=text, partial=True) for text in ("Hal", "lo\n", "\n", "you.")]
    found = summary(Text(text="one"), *pieces)
    assert (found["messages"], found["last_message"]) == (2, "Hallo\n\nyou.")
    found = summary(*pieces, ToolCall(id="1", name="Bash"), Text(text="Done.", partial=True), Text(text="Really."))
    assert (found["messages"], found["last_message"]) == (3, "Really.")


def test_a_very_long_message_is_cut() -> None:
    kept = summary(Text(text="ü" * 100_000))["last_message"]
    assert len(kept) == LONGEST_MESSAGE
    assert kept.endswith("ü…")


def test_tools_are_counted_with_their_errors() -> None:
    events: list[Event] = [
        ToolCall(id="1", name="Bash"),
        ToolCall(id="2", name="Read", parent_id="1"),
        ToolResult(id="2", text="no such file", is_error=True),
        ToolResult(id="1", text="done"),
        ToolCall(id="3", name="Bash"),
        ToolResult(id="3", text="exit 1", is_error=True),
        ToolResult(id="3", text="told again", is_error=True),
        ToolResult(id="4", text="of no call", is_error=True),
    ]
    assert summary(*events)["tools_used"] == (
        ToolUse(name="Bash", count=2, errors=1),
        ToolUse(name="Read", count=1, errors=1),
    )


def test_a_call_told_twice_is_one_call() -> None:
    events: list[Event] = [ToolCall(id="1", name="Bash"), ToolCall(id="1", name="Bash"), ToolResult(id="1", text="")]
    assert summary(*events)["tools_used"] == (ToolUse(name="Bash", count=1),)
    nameless: list[Event] = [ToolCall(id="", name="Bash"), ToolCall(id="", name="Bash")]
    assert summary(*nameless)["tools_used"] == (ToolUse(name="Bash", count=2),)


def test_the_cost_is_what_was_last_reported_and_not_a_sum() -> None:
    events: list[Event] = [
        Finished(cost_usd=0.25),
        Usage(message_id="m", output_tokens=9),
        Finished(cost_usd=0.75),
        Finished(),
    ]
    assert summary(*events)["cost_usd"] == 0.75


def test_the_cost_of_a_transcript_is_in_its_bookkeeping() -> None:
    record = Notice(code="record", text="cost state", data={"cost_usd": 0.5}, origin="agent")
    assert summary(record)["cost_usd"] == 0.5
    assert summary(record.model_copy(update={"origin": None}))["cost_usd"] is None


def test_tokens_of_a_message_count_once_with_what_was_last_said() -> None:
    def usage(message: str | None, output: int) -> Usage:
        return Usage(
            message_id=message, input_tokens=100, output_tokens=output, cache_read_tokens=10, cache_write_tokens=1
        )

    told = [usage("a", 1), usage("b", 1), usage("a", 30), usage("b", 2), usage(None, 5), usage(None, 5)]
    assert summary(*told)["tokens"] == Tokens(input=400, output=42, cache_read=40, cache_write=4)
    many = [usage(f"m{number}", output) for number in range(1000) for output in (1, 2)]
    assert summary(*many)["tokens"].output == 2000


def test_errors_are_counted_by_how_bad_they_are() -> None:
    events: list[Event] = [
        ToolResult(id="1", text="x", is_error=True, severity=Severity.WARNING),
        ToolResult(id="2", text="x", is_error=True, severity=Severity.WARNING),
        ToolResult(id="3", text="x"),
        Notice(code="retry", text="x", severity=Severity.INFO, origin="agent"),
        Notice(code="handler_failed", text="x", severity=Severity.WARNING),
        Finished(is_error=True, severity=Severity.CRITICAL),
    ]
    assert summary(*events)["errors"] == {"warning": 2, "info": 1, "critical": 1}


def test_the_agents_own_session() -> None:
    events: list[Event] = [
        Notice(code="session", text="", data={"agent_session_id": "u-1"}),
        Notice(code="retry", text="", data={}),
    ]
    assert summary(*events)["agent_session_id"] == "u-1"


REJECTED = "No conversation found with session ID: u-0"


def test_the_id_of_a_continued_session_outlives_a_rejection() -> None:
    continued = session(parent="auth-05A-0000000", agent_session_id="u-0")
    another = Notice(code="session", text="", data={"agent_session_id": "u-1"})
    rejected = Finished(is_error=True, subtype="error_during_execution", text=REJECTED)
    for events in ([rejected], [another], [another, Text(text=REJECTED), rejected]):
        assert continued.model_copy(update=summary(*events, of=continued)).agent_session_id == "u-0"
    gone_on = summary(another, Finished(), of=continued)
    assert gone_on["agent_session_id"] == "u-1"


@pytest.mark.parametrize(
    ("recording", "tools"),
    [
        ("success", {"Bash": (2, 0), "Write": (1, 0), "Read": (1, 0)}),
        ("tool-errors", {"Bash": (3, 2), "Read": (1, 1)}),
    ],
)
def test_a_recorded_session(recording: str, tools: dict[str, tuple[int, int]]) -> None:
    lines = (STREAMS / f"{recording}.jsonl").read_bytes().splitlines()
    found = summary(*(event for line in lines for event in Claude().parse(line)))
    assert {use.name: (use.count, use.errors) for use in found["tools_used"]} == tools
    assert found["cost_usd"] == 0.0045
    assert found["agent_session_id"].count("-") == 4


def test_it_is_registered() -> None:
    (factory,) = register_monitor_handlers()
    assert factory.name == factory(handler_request()).name == "activity"
