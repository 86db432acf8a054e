"""Tasks done by the real Gemini CLI and the real ChannelCoder, a scripted model behind each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agent_clis import channelcoder_cli, gemini_cli
from tests.claude_cli import claude_cli
from tests.conftest import Scopecraft
from tests.gemini_server import GeminiServer, gemini_model
from tests.model_server import ModelServer, Step, bash, model
from tests.test_main_job import show

__all__ = ["channelcoder_cli", "claude_cli", "gemini_cli", "gemini_model", "model"]

PROMPT = "Add {the} file for ${us}, @all.\nThen commit."


@pytest.fixture
def configure(home: Path) -> Callable[..., None]:
    """`configure(agent, program, …)` writes the settings of an agent that works on this machine."""

    def write(agent: str, program: Path, environment: dict[str, str], *args: str) -> None:
        mine = {"command": str(program), "env": environment, "args": args}
        settings = {"agent": agent, "executor": {"autonomous": "local"}, "agents": {agent: mine}}
        (home / "config" / "orchestration.json").write_text(json.dumps(settings))

    return write


def done(scopecraft: Scopecraft, *arguments: str) -> dict[str, Any]:
    """The session's record when it has completed."""
    ended = scopecraft(*arguments, "--follow")
    assert ended.code == 0, ended.stdout + ended.stderr
    return show(scopecraft, "add-one")


def test_gemini_commits_a_file_and_goes_on(
    scopecraft: Scopecraft,
    repo: Path,
    git: Any,
    configure: Callable[..., None],
    gemini_cli: Path,
    gemini_model: GeminiServer,
) -> None:
    (Path.home() / ".gemini").mkdir()
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False}}
    (Path.home() / ".gemini" / "settings.json").write_text(json.dumps(settings))
    environment = gemini_model.environment | {"GEMINI_CLI_NO_RELAUNCH": "true"}  # no second process
    configure("gemini", gemini_cli, environment, "--skip-trust", "--model", "gemini-2.5-pro")
    git(repo, "config", "user.name", "A Developer")  # the CLI keeps the user's own configuration from its git
    git(repo, "config", "user.email", "dev@example.org")
    gemini_model.story = [
        Step("I add it.", "write_file", {"file_path": "one", "content": "one\n"}),
        Step("", "run_shell_command", {"command": "git add one"}),
        Step("", "run_shell_command", {"command": "git commit -m 'Add one'"}),
        Step("", "run_shell_command", {"command": "touch two"}),
        Step("One is there."),
    ]
    first = done(scopecraft, "run", "add-one", "-p", PROMPT)
    assert PROMPT in gemini_model.asked()
    assert git(repo, "log", "--format=%s", "main..feature/one") == "Add one"
    assert not (Path(first["worktree"]) / "two").exists()
    assert (first["messages"], first["last_message"]) == (2, "One is there.")
    uses = {use["name"]: (use["count"], use["errors"]) for use in first["tools_used"]}
    assert uses == {"Write": (1, 0), "Bash": (3, 1)}

    gemini_model.story = [Step("Still here.")]
    second = done(scopecraft, "continue", "add-one", "-p", "Anything else?")
    assert (second["parent"], second["agent_session_id"]) == (first["id"], first["agent_session_id"])
    assert second["last_message"] == "Still here."
    assert {PROMPT, "Anything else?"} <= {
        part.get("text") for content in gemini_model.requests[-1]["contents"] for part in content["parts"]
    }


def test_channelcoder_commits_a_file(
    scopecraft: Scopecraft,
    repo: Path,
    git: Any,
    configure: Callable[..., None],
    channelcoder_cli: Path,
    claude_cli: Path,
    model: ModelServer,
) -> None:
    path = f"{claude_cli.parent}{os.pathsep}{os.environ['PATH']}"
    configure("channelcoder", channelcoder_cli, {**model.environment, "PATH": path})
    model.story = [
        Step("I add it.", "Write", {"file_path": str(repo.parent / "app.worktrees" / "one" / "one"), "content": "1\n"}),
        bash("git add one"),
        bash("git commit -m 'Add one'"),
        bash("touch two"),
        Step("One is there."),
    ]
    session = done(scopecraft, "run", "add-one", "-p", PROMPT)
    assert PROMPT in model.asked()
    assert git(repo, "log", "--format=%s", "main..feature/one") == "Add one"
    assert (session["messages"], session["last_message"]) == (2, "One is there.")
    uses = {use["name"]: (use["count"], use["errors"]) for use in session["tools_used"]}
    assert uses["Bash"][0] == 3
