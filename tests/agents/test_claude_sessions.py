"""Claude Code as an unattended session has it, from `run` to its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.claude_cli import claude_cli
from tests.conftest import Scopecraft
from tests.model_server import ModelServer, Step, bash, model

__all__ = ["claude_cli", "model"]


def events_of(scopecraft: Scopecraft, session: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in scopecraft("logs", session, "--json").stdout.splitlines()]


def test_a_turn_that_ends_before_its_sub_agent_does_is_not_the_end(
    scopecraft: Scopecraft, home: Path, claude_cli: Path, model: ModelServer
) -> None:
    model.told["Take part"] = [bash("sleep 0.5; echo one"), bash("echo two >&2; echo two"), Step("Part done.")]
    delegate = {"description": "d", "prompt": "Take part", "subagent_type": "general-purpose"}
    model.story = [Step("I delegate.", "Agent", delegate), Step("Done.")]
    (home / "config").mkdir(exist_ok=True)
    settings = {"agents": {"claude": {"command": str(claude_cli), "env": model.environment}}}
    (home / "config" / "orchestration.json").write_text(json.dumps(settings))
    ran = scopecraft("run", "fix-it-05A", "-p", "Do the task", "-e", "local", "--follow")
    assert ran.code == 0, ran.stderr
    events = events_of(scopecraft, "fix-it-05A")
    assert [event["is_error"] for event in events if event["kind"] == "finished"] == [False, False]
    calls = {event["id"]: event for event in events if event["kind"] == "tool_call"}
    results = {event["id"]: event for event in events if event["kind"] == "tool_result"}
    assert [(calls[name]["name"], results[name]["is_error"]) for name in calls] == [
        ("Agent", False),
        ("Bash", False),
        ("Bash", False),
    ]
    answered = [event["data"]["id"] for event in events if event.get("code") == "permission_answered"]
    assert answered == [event["id"] for event in events if event["kind"] == "permission"]
