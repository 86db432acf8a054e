from __future__ import annotations

import re
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from scopecraft_git import description
from scopecraft_git.agents import claude_lines
from scopecraft_git.events import (
    Event,
    Finished,
    Notice,
    PermissionRequest,
    Reasoning,
    Severity,
    Text,
    ToolCall,
    ToolResult,
    Unrecognized,
    Usage,
)


def notice(code: str, text: str = "It was so", /, **data: Any) -> Notice:
    return Notice(code=code, text=text, data=data)


def test_what_a_transcript_keeps_for_itself_is_not_shown() -> None:
    for kind in (b"attachment", b"atis-latch", b"file-history-delta"):
        (record,) = claude_lines.parse(b'{"type": "%s", "messageId": "m"}' % kind)
        assert isinstance(record, Notice)
        assert description.of(record) == ""
    assert description.of(notice("started", "Started claude on tmux")) == "· Started claude on tmux"
    assert description.of(notice("session", "")) == ""


ANSWERED = "permission_answered"


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (Text(text="one\ntwo\n"), "one\ntwo"),
        (Text(text="one\ntwo", parent_id="t1"), "┆ one\n┆ two"),
        (Reasoning(text="well,\n so"), "∴ well, so"),
        (Reasoning(text=""), ""),
        (ToolCall(id="1", name="Bash", input={"command": "ls -l"}), "● Bash ls -l"),
        (ToolCall(id="1", name="Read", input={"file_path": "a.py"}, parent_id="t1"), "┆ ● Read a.py"),
        (ToolResult(id="1", text="fine"), "  └ fine"),
        (ToolResult(id="1", text="fine", tool="Bash", duration_ms=1234), "  └ fine (1.2 s)"),
        (ToolResult(id="1", text="fine", duration_ms=999), "  └ fine"),
        (ToolResult(id="1", text="fine", duration_ms=125_000), "  └ fine (2 min 5 s)"),
        (ToolResult(id="1", text=""), "  └ (nothing)"),
        (ToolResult(id="1", text="a\nb\nc\nd\ne\nf\ng"), "  └ a\n    b\n    c\n    d\n    e\n    … 2 more lines"),
        (ToolResult(id="1", text="a\nb", is_error=True, parent_id="t"), "┆   ✗ a\n┆     b"),
        (
            ToolResult(id="1", text="no", is_error=True, tool="Bash", severity=Severity.CRITICAL, duration_ms=2000),
            "  ✗ Bash: no (critical, 2.0 s)",
        ),
        (Usage(input_tokens=5), ""),
        (PermissionRequest(id="1", tool="Bash"), ""),
        (Finished(text="done", cost_usd=0.071, duration_ms=61_000), "✓ finished (1 min 1 s, $0.07)"),
        (Finished(is_error=True, text="Invalid API key"), "✗ finished: Invalid API key"),
        (Unrecognized(raw="what\nis it"), "… what is it"),
        (notice(ANSWERED, "Allowed Bash", id="1", allow=True), ""),
        (notice(ANSWERED, "Allowed Bash", id="1", allow=True, by="policy"), ""),
        (notice(ANSWERED, "Allowed Bash", id="1", allow=True, by="human"), "· Allowed Bash by hand"),
        (notice(ANSWERED, "Denied Bash", id="1", allow=False), "· Denied Bash"),
        (
            notice(ANSWERED, "Denied Bash", id="1", allow=False, by="policy", message="A push leaves the machine."),
            "· Denied Bash by the policy: A push leaves the machine.",
        ),
        (
            notice(ANSWERED, "Denied Bash", allow=False, by="timeout", message="Nobody answered in time"),
            "· Denied Bash as nobody answered",
        ),
        (notice("deny", "It was denied", id="1"), ""),
        (
            notice("ask", "A push leaves the machine.", id="1"),
            "? Waits for approve or deny: A push leaves the machine.",
        ),
        (notice("stop", "80 turns", handler="budget"), "▲ budget: 80 turns"),
        (notice("idle", "No output", action="warn"), "▲ No output"),
        (notice("not_followed", "Not followed"), "▲ Not followed"),
        (notice("message_delivered", "Message delivered", text="Use tabs"), "→ Given to the agent: Use tabs"),
        (notice("prompt", "Use tabs", message_id="u"), "→ Taken up by the agent: Use tabs"),
        (notice("message_refused", "", text="Use tabs"), "▲ Not given to the agent, which takes no more: Use tabs"),
        (notice("paused", "Paused", by="80 turns"), "· Paused: 80 turns"),
        (notice("paused", "Paused", by="human"), "· Paused"),
        (notice("ended", "The agent is done", status="completed"), "✓ completed: The agent is done"),
        (notice("ended", "Exit code 3", status="failed"), "✗ failed: Exit code 3"),
        (Notice(code="retry", text="Trying again", severity=Severity.INFO), "· Trying again"),
        (Notice(code="x", text="No login", severity=Severity.CRITICAL), "✗ No login"),
        (Notice(code="x", text="Rate limited", severity=Severity.WARNING), "▲ Rate limited"),
        (Notice(code="ended", text="Ha", data={"status": "completed"}, origin="agent"), "· Ha"),
        (Notice(code="permission_answered", text="Ha", data={"allow": True}, origin="agent"), "· Ha"),
    ],
)
def test_an_event_in_a_humans_words(event: Event, shown: str) -> None:
    assert description.of(event) == shown
    assert bool(description.line(event)) == bool(shown)


def test_an_ask_says_until_when_it_waits() -> None:
    asked = notice("ask", "A push.", id="1", until="2026-03-04T05:06:07Z", otherwise="deny")
    at = description.clock("2026-03-04T05:06:07Z")
    assert description.of(asked) == f"? Waits for approve or deny: A push. (deny at {at} without an answer)"


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (Text(text="one\ntwo\n"), "one two"),
        (ToolResult(id="1", text="a\nb\nc", tool="Read", duration_ms=1500), "└ Read: a (1.5 s, 2 more lines)"),
        (
            ToolResult(id="1", text="a" * 50, tool="Read", duration_ms=1500),
            "└ Read: aaaaaaaaaaaaaaaaaaaaaaa… (1.5 s)",
        ),
        (ToolResult(id="1", text="no", is_error=True, parent_id="t1"), "┆ ✗ no"),
        (ToolCall(id="1", name="Bash", input={"command": "x" * 50}), "● Bash xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"),
    ],
)
def test_on_one_line_what_matters_is_not_cut(event: Event, shown: str) -> None:
    assert description.line(event, 40) == shown
    assert len(description.line(event, 40)) <= 40


@pytest.mark.parametrize(
    ("event", "style"),
    [
        (Text(text="x"), "text"),
        (Reasoning(text="x"), "reasoning"),
        (ToolCall(id="1", name="Bash"), "call"),
        (ToolResult(id="1", text="x"), "result"),
        (ToolResult(id="1", text="x", is_error=True), "error"),
        (ToolResult(id="1", text="x", is_error=True, severity=Severity.CRITICAL), "critical"),
        (Finished(), "finished"),
        (Finished(is_error=True), "error"),
        (PermissionRequest(id="1", tool="Bash"), "permission"),
        (notice("ask"), "permission"),
        (notice("imported"), "notice"),
        (notice("record"), "dim"),
        (notice("ended", status="failed"), "error"),
        (notice("ended", status="completed"), "finished"),
        (Notice(code="retry", text="x", severity=Severity.INFO), "dim"),
        (Usage(), "dim"),
        (Unrecognized(raw="x"), "dim"),
    ],
)
def test_what_an_event_is_to_the_eye(event: Event, style: str) -> None:
    assert description.style(event) == style


def test_pieces_are_shown_as_one_text_line_by_line() -> None:
    pieces = description.Pieces()

    def take(event: Event) -> list[str]:
        return [description.of(each) for each in pieces.take(event)]

    assert take(Text(text="He", partial=True)) == []
    assert take(Text(text="llo\nwor", partial=True)) == ["Hello"]
    assert take(Text(text="ld", partial=True)) == []
    assert take(Text(text="whole")) == ["world", "whole"]
    assert take(Text(text="mine", partial=True, parent_id="t1")) == []
    assert take(Text(text="yours", partial=True)) == ["┆ mine"]
    assert [description.of(each) for each in pieces.rest()] == ["yours"]
    assert pieces.rest() == []


def test_megabytes_of_a_result_are_not_looked_at() -> None:
    result = ToolResult(id="1", text="x" * 10_000_000 + "\n" + "y\n" * 1000)
    assert len(description.of(result)) < 10 * description.WIDTH
    assert len(description.line(result, 80)) <= 80


HOSTILE = st.sampled_from(
    [
        *("\x1b[31m", "\x1b]0;title\x07", "\x9b2J", "\x1bP", "\u202e", "\u2066", "\r", "\x00", "\x08", "\n", "\u2028"),
        *("\ud800", "[/red]", "[link=x]", "permission_answered", "ended", "completed", "\x85", "\x0c", "\t", "\x7f"),
    ]
)
TEXTS = st.lists(st.one_of(HOSTILE, st.text(max_size=8)), max_size=6).map("".join)
DATA = st.dictionaries(
    st.sampled_from(["by", "text", "message", "until", "otherwise", "handler", "status", "allow", "id"]) | TEXTS,
    st.one_of(TEXTS, st.booleans(), st.none(), st.lists(TEXTS, max_size=2)),
    max_size=5,
)  # fmt: skip
CODES = st.one_of(st.sampled_from(sorted(description._WORDED)), TEXTS)
EVENTS = st.one_of(
    st.builds(Text, text=TEXTS, parent_id=st.one_of(st.none(), TEXTS)),
    st.builds(Reasoning, text=TEXTS),
    st.builds(ToolCall, id=TEXTS, name=TEXTS, input=DATA),
    st.builds(ToolResult, id=TEXTS, text=TEXTS, is_error=st.booleans(), tool=st.one_of(st.none(), TEXTS)),
    st.builds(PermissionRequest, id=TEXTS, tool=TEXTS, input=DATA),
    st.builds(Finished, is_error=st.booleans(), text=TEXTS, subtype=TEXTS),
    st.builds(Notice, code=CODES, text=TEXTS, data=DATA),
    st.builds(Unrecognized, raw=TEXTS),
)
CONTROL = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff]"
)


@given(event=EVENTS, width=st.integers(min_value=0, max_value=120))
@settings(max_examples=300, deadline=None)
def test_nothing_that_a_terminal_acts_on_comes_of_any_event(event: Event, width: int) -> None:
    assert not CONTROL.search(description.of(event).replace("\t", " "))
    line = description.line(event, width)
    assert not CONTROL.search(line)
    assert "\n" not in line
    assert description.style(event) in get_args(description.Style)


@given(document=st.dictionaries(st.sampled_from(["input", "data", "text", "code", "name", "kind"]), DATA | TEXTS))
def test_whatever_can_be_stored_can_be_shown(document: dict[str, Any]) -> None:
    try:
        event: Event = TypeAdapter(Event).validate_python(document)
    except ValueError:
        return
    description.of(event)
