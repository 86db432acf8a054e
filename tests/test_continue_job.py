"""Going on with a session as a user does it: the real Claude Code CLI, a scripted model behind it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import supervisor
from tests import machine
from tests.claude_cli import claude_cli, trust
from tests.conftest import Scopecraft, end_supervisor
from tests.executors.contract import until
from tests.model_server import ModelServer, Step, bash, model
from tests.test_main_job import show

__all__ = ["claude_cli", "model", "trust"]

pytestmark = pytest.mark.claude
FIRST, SECOND, THIRD = "Add the file one.", "Now add the file two.", "That will do."


def commit(name: str) -> Step:
    return bash(f"echo {name} >{name} && git add {name} && git commit -qm 'Add {name}'", f"I add {name}.")


STORY = [commit("one"), Step("One is there."), Step("Never said."), Step("Two is there.")]
"""By the number of tool results so far: a conversation that is continued goes on in it."""


@pytest.fixture
def configure(home: Path, model: ModelServer) -> Callable[..., None]:
    """`configure({the agent's}, …)` writes the settings."""

    def write(claude: dict[str, Any], **more: Any) -> None:
        environment = {**model.environment, "CLAUDE_CODE_MAX_RETRIES": "0"}
        settings = {"agents": {"claude": {"env": environment, **claude}}, **more}
        (home / "config" / "orchestration.json").write_text(json.dumps(settings))

    return write


@pytest.fixture
def local(configure: Callable[..., None], claude_cli: Path) -> None:
    configure({"command": str(claude_cli)}, executor={"autonomous": "local"})


@pytest.fixture
def docker(configure: Callable[..., None]) -> None:
    configure({}, docker={"image": machine.AGENT_IMAGE, "network": "host"})


@pytest.fixture
def tmux(configure: Callable[..., None], claude_cli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`tmux(*arguments)`: what it prints, on a server of this test's own."""
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path))
    configure({"command": str(claude_cli)}, tmux={"socket": "t"})

    def run(*arguments: str) -> str:
        return subprocess.run(["tmux", "-L", "t", *arguments], capture_output=True, text=True, check=False).stdout

    yield run
    run("kill-server")


def said(body: dict[str, Any]) -> list[str]:
    """The texts of a conversation that are ours or the model's."""
    contents = [message["content"] for message in body["messages"]]
    blocks = [block for content in contents for block in (content if isinstance(content, list) else [content])]
    texts = [block if isinstance(block, str) else block.get("text", "") for block in blocks]
    known = {FIRST, SECOND, THIRD, *(step.text for step in STORY), "I add two."}
    return [text for text in texts if text in known]


def goes_on(scopecraft: Scopecraft, repo: Path, model: ModelServer, elsewhere: Path, git: Any) -> None:
    """What an unattended agent did, said and knows after it was continued."""
    model.story = STORY
    done = scopecraft("run", "add-files", "-p", FIRST, "--follow")
    assert done.code == 0, done.stderr
    first = show(scopecraft, "add-files")
    model.story = [*STORY[:1], commit("two"), STORY[-1]]
    done = scopecraft("continue", "add-files", "-p", SECOND, "--follow", cwd=elsewhere)
    assert done.code == 0, done.stderr + done.stdout
    assert f"to continue {first['id']}" in done.stderr
    assert "I add two.\n" in done.stdout
    assert "I add one." not in done.stdout

    assert said(model.requests[-1]) == [FIRST, "I add one.", "One is there.", SECOND, "I add two."]
    assert git(repo, "log", "--format=%s", "main..feature/files") == "Add two\nAdd one"
    second = show(scopecraft, "add-files")
    assert second["parent"] == first["id"]
    assert show(scopecraft, first["id"])["continued_by"] == [second["id"]]
    assert second["agent_session_id"] == first["agent_session_id"]
    assert second["base_commit"] == git(repo, "rev-parse", "feature/files~1")
    assert (second["status"], second["messages"]) == ("completed", 2)


def await_file_of_another(home: Path, session: str, name: str) -> None:
    """Until a session other than that one has something in its file of that name."""
    until(lambda: any(f.stat().st_size for f in home.glob(f"sessions/*/{name}") if f.parent.name != session))


def is_rejected(scopecraft: Scopecraft, projects: Path) -> None:
    """The agent's own words, once it has lost its memory; which session it was stays known."""
    before = show(scopecraft, "add-files")
    for transcript in projects.glob("*/*.jsonl"):
        transcript.unlink()
    assert scopecraft("continue", "add-files", "-p", THIRD, "--follow").code == 1
    after = show(scopecraft, "add-files")
    assert (after["status"], after["parent"]) == ("failed", before["id"])
    assert "No conversation found" in after["outcome"]["reason"]
    known = before["agent_session_id"]
    assert show(scopecraft, before["id"])["agent_session_id"] == after["agent_session_id"] == known


@pytest.mark.docker
def test_the_agent_goes_on_in_a_new_container(
    docker: None, scopecraft: Scopecraft, repo: Path, model: ModelServer, home: Path, tmp_path: Path, git: Any
) -> None:
    goes_on(scopecraft, repo, model, tmp_path, git)
    (agents,) = (path for path in (home / "homes").iterdir() if path.is_dir())
    is_rejected(scopecraft, agents / ".claude" / "projects")


def test_what_is_said_is_heard_once_though_the_supervisor_dies_again_and_again(
    local: None, scopecraft: Scopecraft, model: ModelServer, home: Path
) -> None:
    model.story = [Step("One is there.")]
    assert scopecraft("run", "add-files", "-p", FIRST, "--follow").code == 0
    first = show(scopecraft, "add-files")["id"]
    model.story = [Step("Two is there.")]
    with ThreadPoolExecutor() as pool:
        continued = pool.submit(scopecraft, "continue", first, "-p", SECOND)
        for trace in ("metadata.json", "process.json", "stream.log"):
            await_file_of_another(home, first, trace)
            end_supervisor()
            supervisor.wake()
        assert continued.result().code == 0
    assert scopecraft("wait", "add-files").code == 0
    assert said(model.requests[-1]) == [FIRST, "One is there.", SECOND]


@pytest.mark.tmux
def test_the_agent_goes_on_in_a_new_window(
    tmux: Callable[..., str],
    scopecraft: Scopecraft,
    repo: Path,
    model: ModelServer,
    trust: Callable[..., None],
) -> None:
    trust(repo)
    model.story = [Step("One is there.")]
    assert scopecraft("dispatch", "add-files", "-p", FIRST).code == 0
    until(lambda: show(scopecraft, "add-files")["last_message"] == "One is there.", 90)
    first = show(scopecraft, "add-files")
    refused = scopecraft("continue", "add-files", "-p", SECOND)
    assert (refused.code, f"git scopecraft attach {first['id']}" in refused.stderr) == (4, True)
    window = tmux("list-windows", "-a", "-F", "#{window_id}").strip()
    tmux("kill-window", "-t", window)
    scopecraft("wait", "add-files")

    model.story = [Step("Two is there.")]
    done = scopecraft("continue", "add-files", "-p", SECOND)
    assert done.code == 0, done.stderr
    until(lambda: show(scopecraft, "add-files")["last_message"] == "Two is there.", 90)
    conversation = next(body for body in reversed(model.requests) if SECOND in said(body))
    assert said(conversation) == [FIRST, "One is there.", SECOND]
    assert "One is there." in tmux("capture-pane", "-p", "-S", "-", "-t", "scopecraft")
    second = show(scopecraft, "add-files")
    assert second["agent_session_id"] == first["agent_session_id"]
    assert show(scopecraft, first["id"])["continued_by"] == [second["id"]]
    assert (second["parent"], second["messages"]) == (first["id"], 1)
    assert scopecraft("stop", "add-files").code == 0
