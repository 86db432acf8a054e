from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from scopecraft_git import plugins
from scopecraft_git.errors import PromptOptionNotTakenError
from scopecraft_git.events import Event, Finished, Notice, Severity, Text, ToolCall, ToolResult, Usage
from scopecraft_git.models import Mode
from tests.agents.asking import request

codex = plugins.agent("codex")


def parse(document: Any) -> list[Event]:
    return codex.parse(json.dumps(document).encode())


def item(stage: str, **fields: Any) -> list[Event]:
    return parse({"type": f"item.{stage}", "item": {"id": "item_1", **fields}})


def test_unattended_it_reads_its_prompt_and_writes_in_its_worktree_alone() -> None:
    assert codex.argv(request(model="gpt-5")) == [
        "codex", "exec", "--json", "--sandbox", "workspace-write", "-c", "check_for_update_on_startup=false",
        "--model", "gpt-5", "-",
    ]  # fmt: skip
    assert codex.message("Do it") == b"Do it"
    assert not codex.keeps_input


def test_behind_a_boundary_it_needs_no_sandbox_of_its_own() -> None:
    argv = codex.argv(request(isolated=True))
    assert argv[argv.index("--sandbox") + 1] == "danger-full-access"


@pytest.mark.parametrize("own", [("-s", "read-only"), ("--sandbox=read-only",), ("--approve-for-me",)])
def test_a_sandbox_of_the_users_takes_the_place_of_ours(own: tuple[str, ...]) -> None:
    argv = codex.argv(request(Mode.AUTONOMOUS, *own, isolated=True))
    assert [word for word in argv if "sandbox" in word or word in {"-s", "--approve-for-me"}] == [own[0]]


def test_it_goes_on_with_a_session() -> None:
    assert codex.argv(request(Mode.AUTONOMOUS, "--strict-config", resume="01a2"))[-4:] == [
        "--strict-config", "resume", "01a2", "-",
    ]  # fmt: skip


def test_beside_a_human_its_own_settings_hold() -> None:
    assert codex.argv(request(Mode.DISPATCH)) == ["codex", "-c", "check_for_update_on_startup=false"]


def test_it_is_told_both_system_prompts_as_toml() -> None:
    argv = codex.argv(request(system_prompt='Say "é" \\ \x7f', append_system_prompt="Be\nbrief"))
    told = next(word for word in argv if word.startswith("developer_instructions="))
    assert tomllib.loads(told) == {"developer_instructions": 'Say "é" \\ \x7f\n\nBe\nbrief'}


@pytest.mark.parametrize("name", ["codex", "gemini", "opencode"])
def test_what_a_prompt_file_forbids_is_refused_rather_than_left_out(name: str) -> None:
    with pytest.raises(PromptOptionNotTakenError) as caught:
        plugins.agent(name).argv(request(disallowed_tools=("Bash",), mcp_config="mcp.json"))
    assert "disallowedTools and mcpConfig" in caught.value.message
    assert "git scopecraft run implement-auth-05A --agent claude" in caught.value.hint


@pytest.mark.parametrize("name", ["codex", "gemini", "opencode"])
def test_a_text_that_would_run_as_a_shell_command_does_not(name: str) -> None:
    assert plugins.agent(name).message("! rm it", Mode.DISPATCH) == b" ! rm it"
    assert plugins.agent(name).message("! rm it") == b"! rm it"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("/bin/bash -lc 'git push'", "git push"),
        ("/bin/zsh -lc \"echo 'a b'\"", "echo 'a b'"),
        ("git push", "git push"),
        ("/bin/bash -lc 'unbalanced", "/bin/bash -lc 'unbalanced"),
    ],
)
def test_a_command_is_what_its_shell_was_given(command: str, told: str) -> None:
    (call,) = item("started", type="command_execution", command=command)
    assert call == ToolCall(id="item_1", name="Bash", input={"command": told})


def test_a_command_that_was_not_allowed_has_failed() -> None:
    (result,) = item("completed", type="command_execution", command="x", aggregated_output="no", status="declined")
    assert result == ToolResult(id="item_1", text="no", is_error=True)


def test_tools_of_other_servers_are_named_as_everywhere() -> None:
    call = {"type": "mcp_tool_call", "server": "docs", "tool": "find", "arguments": {"q": "x"}}
    assert item("started", **call, status="in_progress") == [
        ToolCall(id="item_1", name="mcp__docs__find", input={"q": "x"})
    ]
    answer = {"content": [{"type": "text", "text": "found"}, {"type": "image"}]}
    assert item("completed", **call, result=answer, status="completed") == [
        ToolResult(id="item_1", text='found\n{"type": "image"}')
    ]
    assert item("completed", **call, error={"message": "gone"}, status="failed") == [
        ToolResult(id="item_1", text="gone", is_error=True)
    ]


def test_searches_and_helpers_are_calls() -> None:
    assert item("started", type="web_search", query="x") == [
        ToolCall(id="item_1", name="WebSearch", input={"query": "x"})
    ]
    (call,) = item("started", type="collab_tool_call", tool="spawn_agent", prompt="Help", status="in_progress")
    assert call == ToolCall(id="item_1", name="spawn_agent", input={"prompt": "Help"})


def test_each_state_of_its_plan_is_told() -> None:
    items = [{"text": "Look", "completed": True}, {"text": "Build", "completed": False}]
    for stage in ("started", "updated"):
        (plan,) = item(stage, type="todo_list", items=items)
        assert isinstance(plan, Notice)
        assert (plan.code, plan.text) == ("plan", "Plan: 1 of 2 done; next: Build")
    assert item("completed", type="todo_list", items=items) == []


def test_parts_of_what_follows_whole_say_nothing() -> None:
    assert item("started", type="agent_message", text="") == []
    assert item("updated", type="command_execution", command="x", aggregated_output="half") == []
    assert item("completed", type="agent_message", text="Hi") == [Text(text="Hi")]


def test_a_request_that_is_tried_again_is_no_end() -> None:
    assert parse({"type": "error", "message": "Reconnecting... 2/5 (no answer)"}) == [
        Notice(code="retry", text="Reconnecting... 2/5 (no answer)", severity=Severity.INFO)
    ]


def test_tokens_from_a_cache_are_counted_apart() -> None:
    usage = {"input_tokens": 100, "cached_input_tokens": 40, "cache_write_input_tokens": 10, "output_tokens": 20}
    counted = Usage(message_id="thread", input_tokens=50, output_tokens=20, cache_read_tokens=40, cache_write_tokens=10)
    assert parse({"type": "turn.completed", "usage": usage}) == [counted, Finished()]
