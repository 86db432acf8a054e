from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import description, plugins
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
from scopecraft_git.models import Mode
from scopecraft_git.protocols import AgentRequest
from tests.agents.renew import STREAMS

VERSIONS = sorted(path.name for path in STREAMS.glob("[0-9]*"))
UUID = "5d6f7a10-0000-4000-8000-000000000001"

claude = plugins.agent("claude")


def request(mode: Mode = Mode.AUTONOMOUS, **more: Any) -> AgentRequest:
    return AgentRequest(task="implement-auth-05A", mode=mode, agent_session_id=UUID, **more)


def read(path: Path) -> list[Event]:
    return [event for line in path.read_bytes().splitlines() for event in claude.parse(line)]


def parse(document: Any) -> list[Event]:
    return claude.parse(json.dumps(document).encode())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_reads_as_it_went(version: str) -> None:
    session, *rest = read(STREAMS / version / "success.jsonl")
    assert isinstance(session, Notice)
    assert session.code == "session"
    assert session.data["version"] == version
    assert session.data["model"]
    assert session.data["agent_session_id"]
    assert [type(event) for event in rest if not isinstance(event, Usage)][:3] == [Text, ToolCall, ToolResult]
    call, result = rest[2], next(event for event in rest if isinstance(event, ToolResult))
    assert isinstance(call, ToolCall)
    assert call.name == "Bash"
    assert result.id == call.id
    finished = rest[-1]
    assert isinstance(finished, Finished)
    assert not finished.is_error
    assert finished.turns
    assert finished.cost_usd


@pytest.mark.parametrize(
    ("recording", "is_error", "subtype"),
    [
        ("2.1.330/auth-error", True, "success"),
        ("2.1.330/overloaded", True, "success"),
        ("2.1.330/max-turns", True, "error_max_turns"),
        ("2.1.330/interrupt", True, "error_during_execution"),
        ("2.1.330/success", False, "success"),
    ],
)
def test_only_is_error_tells_how_it_ended(recording: str, is_error: bool, subtype: str) -> None:
    finished = [event for event in read(STREAMS / f"{recording}.jsonl") if isinstance(event, Finished)]
    assert [(event.is_error, event.subtype) for event in finished] == [(is_error, subtype)]


def test_older_versions_named_the_cost_otherwise() -> None:
    for key in ("total_cost_usd", "total_cost", "cost_usd"):
        (finished,) = parse({"type": "result", "subtype": "success", "is_error": False, key: 0.25})
        assert isinstance(finished, Finished)
        assert finished.cost_usd == 0.25


@pytest.mark.parametrize(
    "name", ["2.1.197/interrupt", "2.1.330/interrupt", "2.1.330/interrupt-asked", "2.1.330/interrupt-partial"]
)
def test_an_interrupt_is_told_in_words_of_humans(name: str) -> None:
    events = read(STREAMS / f"{name}.jsonl")
    assert [event.text for event in events if isinstance(event, Finished)] == ["Interrupted"]
    assert "stop-1" not in "".join(map(description.of, events))


def test_an_error_besides_an_interrupt_is_told() -> None:
    errors = ["[ede_diagnostic] result_type=user", "The disk is full"]
    told = {"type": "result", "subtype": "error_during_execution", "is_error": True, "errors": errors}
    (aborted,) = parse({**told, "terminal_reason": "aborted_tools"})
    (failed,) = parse(told)
    assert isinstance(aborted, Finished)
    assert isinstance(failed, Finished)
    assert (aborted.text, failed.text) == ("The disk is full", "\n".join(errors))


def test_a_refused_request_of_ours_is_shown() -> None:
    (refused,) = parse({"type": "control_response", "response": {"subtype": "error", "request_id": "r", "error": "No"}})
    assert description.of(refused) == "· The agent answered r: No"


def test_a_retry_says_why() -> None:
    retries = [event for event in read(STREAMS / "2.1.330/auth-error.jsonl") if isinstance(event, Notice)]
    assert [event.text for event in retries if event.code == "retry"] == [
        "Trying again after 401 authentication_failed (1 of 1)"
    ]


@pytest.mark.parametrize(
    ("info", "text", "severity"),
    [
        ({"status": "allowed"}, "Rate limit: allowed", None),
        (
            {"status": "allowed_warning", "rateLimitType": "five_hour", "utilization": 0.9, "resetsAt": 1795362687},
            "Rate limit of five hour: allowed warning, 90% used, anew at 2026-11-22 15:51 UTC",
            Severity.INFO,
        ),
        ({"status": "rejected"}, "Rate limit: rejected", Severity.WARNING),
    ],
)
def test_a_rate_limit_says_how_bad_it_is(info: dict[str, Any], text: str, severity: Severity | None) -> None:
    line = {"type": "rate_limit_event", "rate_limit_info": info}
    assert parse(line) == [Notice(code="rate_limit", text=text, data=info, severity=severity)]


@pytest.mark.parametrize("code", ["background", "permission_cancelled", "prompt", "session"])
def test_a_line_cannot_call_itself_what_is_acted_on(code: str) -> None:
    (event,) = parse({"type": "system", "subtype": code, "id": "1", "tasks": 7})
    assert isinstance(event, Notice)
    assert event.code == f"system_{code}"


def test_a_heartbeat_says_nothing() -> None:
    assert parse({"type": "keep_alive"}) == []


@pytest.mark.parametrize("text", ["[Request interrupted by user]", "<local-command-stdout>x</local-command-stdout>"])
def test_what_the_cli_tells_its_agent_is_no_prompt(text: str) -> None:
    (event,) = parse({"type": "user", "uuid": UUID, "message": {"role": "user", "content": text}})
    assert isinstance(event, Notice)
    assert event.code in {"interrupted", "record"}


def test_partial_messages_are_not_told_twice() -> None:
    texts = [event.text for event in read(STREAMS / "2.1.330/partial.jsonl") if isinstance(event, Text)]
    assert len(texts) == len(set(texts)) > 0


def test_an_error_in_mid_stream_is_kept() -> None:
    (event,) = parse({"type": "stream_event", "event": {"type": "error", "error": {"message": "overloaded"}}})
    assert isinstance(event, Unrecognized)
    assert "overloaded" in event.raw


@pytest.mark.parametrize("version", VERSIONS)
def test_a_permission_request_is_answered_as_the_cli_reads_it(version: str) -> None:
    events = read(STREAMS / version / "permission.jsonl")
    first, second = [event for event in events if isinstance(event, PermissionRequest)]
    assert (first.tool, first.input["command"]) == ("Bash", "rm -rf build")
    assert first.call_id in {event.id for event in events if isinstance(event, ToolCall)}
    prompt, *answers = (STREAMS / version / "permission.stdin.jsonl").read_bytes().splitlines()
    assert json.loads(claude.message("Do the task")) == json.loads(prompt)
    assert json.loads(claude.answer(first, allow=True)) == json.loads(answers[0])
    denied = claude.answer(second, allow=False, message="Denied by policy: curl")
    assert json.loads(denied) == json.loads(answers[1])
    assert denied.endswith(b"\n")
    assert denied.count(b"\n") == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_transcript_reads_like_a_stream(version: str) -> None:
    events = read(STREAMS / version / "transcript.jsonl")
    told = [event for event in events if not isinstance(event, Notice | Usage)]
    assert [type(event) for event in told[:4]] == [Text, ToolCall, ToolResult, Text]
    prompts = [event.text for event in events if isinstance(event, Notice) and event.code == "prompt"]
    assert prompts[0] == "Do the task"


def test_blocks_of_every_kind() -> None:
    content = [
        {"type": "thinking", "thinking": "Hm."},
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}},
        {"type": "hologram", "data": 1},
    ]
    line = {"type": "assistant", "parent_tool_use_id": "t1", "message": {"id": "m", "content": content}}
    assert parse(line) == [
        Reasoning(text="Hm.", parent_id="t1"),
        ToolCall(id="s1", name="web_search", input={"query": "x"}, parent_id="t1"),
        Unrecognized(raw='{"type": "hologram", "data": 1}'),
    ]


def test_a_result_of_several_blocks() -> None:
    blocks = [{"type": "text", "text": "one"}, {"type": "image", "source": {}}, {"type": "text", "text": "two"}]
    result = {"type": "tool_result", "tool_use_id": "t", "content": blocks, "is_error": True}
    line = {"type": "user", "message": {"role": "user", "content": [result]}}
    assert parse(line) == [ToolResult(id="t", text="one\n[image]\ntwo", is_error=True)]


@pytest.mark.parametrize(
    "line",
    [
        b"npm warn deprecated",
        b"[]",
        b'{"type": "unheard-of"}',
        b'{"type": "assistant"}',
        b'{"type": "assistant", "message": {"content": 7}}',
        b'{"type": ["assistant"]}',
        b"[" * 100_000,
        b'{"type": "control_request", "request_id": "r", "request": {"subtype": "hook_callback"}}',
    ],
)
def test_what_is_not_understood_is_kept_whole(line: bytes) -> None:
    assert claude.parse(line) == [Unrecognized(raw=line.decode())]


def test_empty_lines_say_nothing() -> None:
    assert claude.parse(b"") == claude.parse(b" \r") == []


def test_bytes_that_are_no_text_are_replaced() -> None:
    (event,) = claude.parse(b'{"type":"assistant","message":{"content":[{"type":"text","text":"a\xffb"}]}}')
    assert event == Text(text="a\N{REPLACEMENT CHARACTER}b")


def test_half_a_surrogate_pair_can_still_be_written() -> None:
    call = {"type": "tool_use", "id": "t", "name": "n", "input": {"\udc00": "\ud800"}}
    (event,) = parse({"type": "assistant", "message": {"content": [call]}})
    assert isinstance(event, ToolCall)
    assert event.model_dump_json()


def test_a_line_of_megabytes() -> None:
    text = "x" * 5_000_000
    (event,) = parse({"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}})
    assert event == Text(text=text)


def test_the_environment_names_task_and_mode() -> None:
    unattended = claude.environment(request())
    assert (unattended["TASK_ID"], unattended["WORK_MODE"]) == ("implement-auth-05A", "autonomous")
    assert claude.environment(request(Mode.DISPATCH))["WORK_MODE"] == "dispatch"


def test_what_was_no_text_is_left_out_of_a_message() -> None:
    message = json.loads(claude.message("Fix caf\udce9.txt"))
    assert message["message"]["content"] == "Fix caf?.txt"


def test_a_prompt_that_begins_like_a_shell_command_is_none() -> None:
    assert claude.message("!rm -rf .", Mode.DISPATCH) == b" !rm -rf ."
    assert claude.message("Do #(it)\n", Mode.DISPATCH) == b"Do #(it)\n"


RULE = "─" * 60
TRUST = f"""
{RULE}
 Accessing workspace:

 /home/dev/app

 ❯ No, exit
   Yes, I trust this folder

 Enter to confirm · Esc to cancel
"""
KEY = f"""
{RULE}
  Do you want to use this API key?

    Yes
  ❯ No (recommended)

  Enter to confirm · Esc to cancel
"""


def boxed(*lines: str, above: str = "") -> str:
    return "\n".join([above, RULE, *lines, RULE, "  ⏵⏵ auto mode on (shift+tab to cycle)", ""])


@pytest.mark.parametrize(
    ("screen", "typed"),
    [
        (boxed("❯ "), ""),
        (boxed("❯"), ""),
        (boxed("❯\N{NO-BREAK SPACE}"), ""),
        (boxed("❯ [Pasted text #1 +699 lines]"), "[Pasted text #1 +699 lines]"),
        (boxed("❯ Do the task.", '  "quoted" line two', ""), 'Do the task.\n  "quoted" line two'),
        (boxed("❯ now", above="❯ said before\n\n● All done.\n"), "now"),
        (boxed("! touch it", "  second line"), None),
        (TRUST, None),
        (KEY, None),
        ("", None),
        ("❯ said before\n\n● Working", None),
    ],
)
def test_the_input_box_is_told_from_dialogs(screen: str, typed: str | None) -> None:
    assert claude.input_box is not None
    found = re.search(claude.input_box, screen)
    assert (found and found[1].strip()) == typed
