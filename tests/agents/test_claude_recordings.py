"""What the real CLI wrote means what it meant."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import plugins
from scopecraft_git.events import (
    Event,
    Finished,
    Notice,
    PermissionRequest,
    Text,
    ToolCall,
    ToolResult,
    Unrecognized,
    Usage,
)
from tests.agents import renew
from tests.agents.renew import STREAMS

RECORDINGS = renew.recordings()
NEWEST = STREAMS / "2.1.330"

claude = plugins.agent("claude")


def named(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


def read(name: str) -> list[Event]:
    return [event for _, event in renew.events(NEWEST / f"{name}.jsonl")]


def notices(events: list[Event], code: str) -> list[Notice]:
    return [event for event in events if isinstance(event, Notice) and event.code == code]


@pytest.mark.parametrize("path", RECORDINGS, ids=named)
def test_the_events_are_those_that_were_read_and_found_right(path: Path) -> None:
    """`python -m tests.agents.renew` writes them anew."""
    assert renew.rendered(path) == renew.expected(path).read_text(encoding="utf-8")


def test_nothing_is_expected_of_a_recording_that_is_not_there() -> None:
    assert set(STREAMS.glob("[0-9]*/*.events.jsonl")) == {renew.expected(path) for path in RECORDINGS}


@pytest.mark.parametrize("path", RECORDINGS, ids=named)
def test_every_line_is_understood(path: Path) -> None:
    for line in path.read_bytes().splitlines():
        events = claude.parse(line)
        assert not [event for event in events if isinstance(event, Unrecognized)]
        assert events or json.loads(line)["type"] == "stream_event"


@pytest.mark.parametrize("path", RECORDINGS, ids=named)
def test_no_block_of_a_message_is_lost(path: Path) -> None:
    kinds = {"text": "text", "tool_use": "tool_call", "tool_result": "tool_result", "thinking": "reasoning"}
    wanted: Counter[str] = Counter()
    for line in path.read_bytes().splitlines():
        document = json.loads(line)
        content = document["message"]["content"] if document["type"] in {"assistant", "user"} else []
        for block in content if isinstance(content, list) else []:
            told = document["type"] == "user" and block["type"] == "text"
            wanted["told" if told else kinds[block["type"]]] += 1
    found = Counter(str(event.kind) for _, event in renew.events(path))
    del wanted["told"]
    assert {kind: found[kind] for kind in wanted} == dict(wanted)


@pytest.mark.parametrize("path", [path for path in RECORDINGS if b'"type":"result"' in path.read_bytes()], ids=named)
def test_usage_adds_up_to_what_the_cli_says(path: Path) -> None:
    """Each message once, the last that is said of it. What sub-agents wrote, and a compaction, is in its cost alone."""
    results = [document for document in documents(path) if document["type"] == "result"]
    said: Counter[str] = Counter()
    for result in results:
        said.update(input=result["usage"]["input_tokens"], output=result["usage"]["output_tokens"])
    of_sub_agents = {
        document["message"]["id"]
        for document in documents(path)
        if document["type"] == "assistant" and document["parent_tool_use_id"]
    }
    last = {event.message_id: event for _, event in renew.events(path) if isinstance(event, Usage)}
    mine = [usage for message, usage in last.items() if message not in of_sub_agents]
    assert sum(usage.output_tokens for usage in mine) == said["output"]
    if not any(result["subtype"] == "error_during_execution" for result in results):  # which forgets half a message
        assert sum(usage.input_tokens for usage in mine) == said["input"]


def documents(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


STORIES = ["told", "sub-agent", "compaction", "overloaded-asked"]


@pytest.mark.parametrize("story", STORIES)
def test_a_transcript_tells_the_same_story_as_the_stream(story: str) -> None:
    assert main_story(read(f"{story}.transcript")) == main_story(read(story))


def main_story(events: list[Event]) -> list[Event]:
    """What both know of: a stream tells as well of permissions, the end, and what sub-agents do."""
    both = [
        event
        for event in events
        if isinstance(event, Text | ToolCall | ToolResult)
        or (isinstance(event, Notice) and event.code in {"prompt", "compacted", "retry", "task_notification"})
    ]
    return [plain(event) for event in both if getattr(event, "parent_id", None) is None]


def plain(event: Event) -> Event:
    """The two say why it tries again, and what of a task is finished, in words of their own."""
    if isinstance(event, Notice) and event.code in {"retry", "task_notification"}:
        return Notice(code=event.code, text="")
    return event


def test_a_session_in_a_terminal_reads_like_an_unattended_one() -> None:
    typed, unattended = (
        [(type(event), getattr(event, "text", None), getattr(event, "input", None)) for event in main_story(read(name))]
        for name in ("told-typed.transcript", "told")
    )
    assert typed == unattended


@pytest.mark.parametrize("story", STORIES)
def test_a_transcript_and_the_stream_count_the_same_tokens(story: str) -> None:
    def tokens(events: list[Event]) -> tuple[int, int]:
        last = {event.message_id: event for event in events if isinstance(event, Usage)}
        return sum(each.input_tokens for each in last.values()), sum(each.output_tokens for each in last.values())

    stream, transcript = tokens(read(story)), tokens(read(f"{story}.transcript"))
    if story == "sub-agent":
        transcript = transcript[0] + tokens(read(f"{story}.sidechain"))[0], transcript[1]
    assert stream == transcript


def test_a_sub_agents_own_transcript_tells_what_the_stream_told_of_it() -> None:
    (call,) = [event for event in read("sub-agent") if isinstance(event, ToolCall) and event.name == "Agent"]
    streamed = [event for event in read("sub-agent") if getattr(event, "parent_id", None) == call.id]
    said = [event for event in read("sub-agent.sidechain") if isinstance(event, Text | ToolCall | ToolResult)]
    (agent,) = {event.parent_id for event in said}
    assert [event.model_copy(update={"parent_id": agent}) for event in streamed] == said
    assert {type(event) for event in said} == {Text, ToolCall, ToolResult}
    assert not notices(read("sub-agent.sidechain"), "prompt")


@pytest.mark.parametrize("recording", ["sub-agent", "sub-agent-waited-for"])
def test_a_sub_agents_calls_name_the_call_that_made_it(recording: str) -> None:
    events = read(recording)
    calls = {event.name: event for event in events if isinstance(event, ToolCall)}
    assert calls["Agent"].parent_id is None
    assert calls["Bash"].parent_id == calls["Read"].parent_id == calls["Agent"].id
    asked = [event.call_id for event in events if isinstance(event, PermissionRequest)]
    assert asked == [call.id for call in calls.values()]


def test_a_message_is_taken_up_once_and_names_its_id() -> None:
    taken = [notice.data["message_id"] for notice in notices(read("told"), "prompt")]
    sent = [json.loads(line).get("uuid") for line in (NEWEST / "told.stdin.jsonl").read_bytes().splitlines()]
    assert [*taken, taken[-1]] == [each for each in sent if each]


@pytest.mark.parametrize(("recording", "kind"), [("background", "command"), ("sub-agent", "agent")])
def test_what_is_left_in_the_background_when_a_turn_ends_is_known(recording: str, kind: str) -> None:
    under_way, left = [], []
    for event in read(recording):
        if isinstance(event, Notice) and event.code == "background":
            under_way = [task["type"] for task in event.data["tasks"]]
        if isinstance(event, Finished):
            left.append(under_way)
    assert left == [[kind], []]


def test_a_request_that_is_withdrawn_is_named() -> None:
    events = read("interrupt-asked")
    (asked,) = [event for event in events if isinstance(event, PermissionRequest)]
    (cancelled,) = notices(events, "permission_cancelled")
    assert cancelled.data == {"id": asked.id}
    assert [event.text for event in notices(events, "interrupted")] == ["Request interrupted by user for tool use"]


def test_half_a_message_that_is_interrupted_is_not_lost() -> None:
    events = read("interrupt-partial")
    assert [event.text for event in events if isinstance(event, Text)] == ["Half of an answer"]
    assert [event.is_error for event in events if isinstance(event, Finished)] == [True]


def test_hooks_say_how_they_ended() -> None:
    ran = notices(read("hooks"), "hook_response")
    assert [(notice.text, notice.severity) for notice in ran] == [
        ("Hook PreToolUse:Bash: success: pre", None),
        ("Hook PostToolUse:Bash: error: bad", "warning"),
    ]
