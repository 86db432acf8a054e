from __future__ import annotations

import json
from typing import Any

import pytest

from scopecraft_git import plugins
from scopecraft_git.events import Event, Finished, ToolCall, ToolResult
from scopecraft_git.models import Mode
from tests.agents.asking import request

opencode = plugins.agent("opencode")


def parse(kind: str, **part: Any) -> list[Event]:
    return opencode.parse(json.dumps({"type": kind, "sessionID": "ses_1", "part": part}).encode())


def test_unattended_it_reads_its_prompt() -> None:
    assert opencode.argv(request(model="openai/gpt-5", resume="ses_1")) == [
        "opencode", "run", "--format", "json", "--thinking", "--model", "openai/gpt-5", "--session", "ses_1",
    ]  # fmt: skip


def test_outside_its_worktree_it_may_nothing_but_behind_a_boundary() -> None:
    permission = json.loads(opencode.environment(request())["OPENCODE_PERMISSION"])
    assert permission["external_directory"] == "deny"
    assert "--auto" not in opencode.argv(request())
    assert "OPENCODE_PERMISSION" not in opencode.environment(request(isolated=True))
    assert "--auto" in opencode.argv(request(isolated=True))


def test_it_is_interrupted_by_escape_pressed_twice() -> None:
    assert opencode.interrupt(Mode.DISPATCH) == b"\x1b[27u\x1b[27u"
    assert opencode.interrupt(Mode.AUTONOMOUS) is None


def test_beside_a_human_its_own_settings_hold() -> None:
    assert opencode.argv(request(Mode.DISPATCH)) == ["opencode"]
    assert set(opencode.environment(request(Mode.DISPATCH))) == {"TASK_ID", "WORK_MODE"}


@pytest.mark.parametrize(("exit_code", "failed"), [(0, False), (None, False), (3, True)])
def test_a_command_that_failed_is_an_error(exit_code: int | None, *, failed: bool) -> None:
    state = {"status": "completed", "input": {"command": "x"}, "output": "out", "metadata": {"exit": exit_code}}
    call, result = parse("tool_use", tool="bash", callID="c", state=state)
    assert call == ToolCall(id="c", name="Bash", input={"command": "x"})
    assert result == ToolResult(id="c", text="out", is_error=failed)


def test_a_path_is_called_what_it_is_elsewhere() -> None:
    state = {"status": "error", "input": {"filePath": "/x"}, "error": "No"}
    call, result = parse("tool_use", tool="read", callID="c", state=state)
    assert call == ToolCall(id="c", name="Read", input={"file_path": "/x"})
    assert result == ToolResult(id="c", text="No", is_error=True)


@pytest.mark.parametrize("reason", ["tool-calls", "unknown"])
def test_a_step_that_others_follow_is_no_end(reason: str) -> None:
    assert parse("step_finish", reason=reason) == []


@pytest.mark.parametrize(("reason", "failed"), [("stop", False), ("length", True), ("content-filter", True)])
def test_the_last_step_says_why_it_is_the_last(reason: str, *, failed: bool) -> None:
    (finished,) = parse("step_finish", reason=reason)
    assert isinstance(finished, Finished)
    assert (finished.is_error, finished.subtype) == (failed, reason)
