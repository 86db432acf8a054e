"""What the real CLIs of agents other than Claude Code wrote means what it meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from scopecraft_git.events import Event, Finished, Notice, Text, ToolCall, ToolResult, Unrecognized
from tests.agents import renew
from tests.agents.renew import STREAMS

RECORDINGS = renew.recordings("*-*")
FOLDERS = sorted(path.name for path in STREAMS.glob("*-*"))


def named(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


def read(folder: str, name: str) -> list[Event]:
    return [event for _, event in renew.events(STREAMS / folder / f"{name}.jsonl")]


def test_there_are_recordings_of_every_agent_that_speaks_a_language_of_its_own() -> None:
    assert {folder.partition("-")[0] for folder in FOLDERS} == {"channelcoder", "codex", "gemini", "opencode"}


@pytest.mark.parametrize("path", RECORDINGS, ids=named)
def test_the_events_are_those_that_were_read_and_found_right(path: Path) -> None:
    """`python -m tests.agents.renew` writes them anew."""
    assert renew.rendered(path) == renew.expected(path).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", RECORDINGS, ids=named)
def test_every_line_is_understood(path: Path) -> None:
    assert not [event for _, event in renew.events(path) if isinstance(event, Unrecognized)]


@pytest.mark.parametrize("path", RECORDINGS, ids=named)
def test_every_call_has_one_result_and_every_result_a_call_before_it(path: Path) -> None:
    waiting: list[str] = []
    for _, event in renew.events(path):
        if isinstance(event, ToolCall):
            waiting.append(event.id)
        elif isinstance(event, ToolResult):
            waiting.remove(event.id)
    assert waiting == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_session_reads_as_it_went(folder: str) -> None:
    events = read(folder, "success")
    assert "".join(event.text for event in events if isinstance(event, Text)) == "Let me look.Done.\n\nAll of it."
    assert [event.is_error for event in events if isinstance(event, Finished)] == [False]
    calls = {event.id: event for event in events if isinstance(event, ToolCall)}
    assert {call.name for call in calls.values()} >= {"Bash", "Write"}
    failed = [calls[event.id] for event in events if isinstance(event, ToolResult) and event.is_error]
    succeeded = [calls[event.id] for event in events if isinstance(event, ToolResult) and not event.is_error]
    assert any("file_path" in call.input for call in succeeded)
    assert any("command" in call.input for call in failed)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_refused_key_is_an_error_that_says_so(folder: str) -> None:
    finished = [event for event in read(folder, "auth-error") if isinstance(event, Finished)]
    assert finished[0].is_error
    assert "key" in finished[0].text or "401" in finished[0].text
    assert finished[-1].is_error


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if (STREAMS / folder / "resume.jsonl").exists()])
def test_a_session_that_goes_on_is_the_same_to_the_agent(folder: str) -> None:
    ids = [
        {event.data["agent_session_id"] for event in read(folder, name) if isinstance(event, Notice) and event.data}
        for name in ("success", "resume")
    ]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 1
