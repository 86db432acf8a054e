"""Dispatch as a user types it: the real Claude Code CLI in a tmux window, a scripted model behind it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.claude_cli import claude_cli, trust
from tests.conftest import Scopecraft
from tests.executors.contract import until
from tests.model_server import ModelServer, Step, bash, model
from tests.test_main_job import TASK, show

__all__ = ["claude_cli", "model", "trust"]

pytestmark = pytest.mark.tmux
SOCKET = "t"
HOSTILE = "A 'quoted' \"prompt\"\nwith `touch ticked`, $(touch dollared), #(touch x), \\ and more!\n"


@pytest.fixture
def settings(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`settings(**more)` writes them; the tmux server is this test's own."""
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path))

    def write(**more: Any) -> None:
        (home / "config" / "orchestration.json").write_text(json.dumps({"tmux": {"socket": SOCKET}, **more}))

    write()
    yield write
    subprocess.run(["tmux", "-L", SOCKET, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def task(repo: Path, git: Any) -> str:
    folder = repo / ".tasks" / "current"
    folder.mkdir(parents=True)
    (folder / "implement-auth-05A.task.md").write_text(TASK)
    git(repo, "add", ".tasks")
    git(repo, "commit", "-qm", "Add a task")
    return "implement-auth-05A"


def tmux(*arguments: str) -> str:
    return subprocess.run(["tmux", "-L", SOCKET, *arguments], capture_output=True, text=True, check=False).stdout


@pytest.mark.claude
def test_the_real_agent_at_work_in_a_window(
    scopecraft: Scopecraft,
    settings: Callable[..., None],
    repo: Path,
    task: str,
    claude_cli: Path,
    model: ModelServer,
    trust: Callable[..., None],
) -> None:
    trust(repo)
    settings(agents={"claude": {"command": str(claude_cli), "env": model.environment}})
    model.story = [bash("git status --short"), Step("I have looked around.")]
    long = HOSTILE + "x" * 40 * 1024 + "\nthe end"
    started = scopecraft("dispatch", task, "-p", long)
    assert started.code == 0, started.stderr
    assert f"↳ To sit beside it, run git scopecraft attach {task}" in started.stderr
    windows = tmux("list-windows", "-a", "-F", "#{session_name}:#{window_name}:#{pane_start_path}").splitlines()
    worktree = repo.parent / "app.worktrees" / "auth-05A"
    assert windows == [f"scopecraft:implement-auth-05A-dispatch:{worktree}"]

    until(lambda: show(scopecraft, task)["last_message"] == "I have looked around.", 90)
    session = show(scopecraft, task)
    assert session["status"] == "running"
    assert session["tools_used"] == [{"name": "Bash", "count": 1, "errors": 0}]
    asked = next(text for text in model.asked() if "the end" in text)
    assert "x" * 40 * 1024 in asked
    assert HOSTILE.strip() in asked
    assert sorted(path.name for path in worktree.iterdir()) == [".git", ".tasks", "README.md"]

    assert scopecraft("stop", task).code == 0
    assert show(scopecraft, task)["status"] == "cancelled"
    until(lambda: "implement-auth-05A-dispatch" not in tmux("list-windows", "-a", "-F", "#{window_name}"))


@pytest.mark.claude
def test_a_word_and_an_interrupt_reach_the_real_agent(
    scopecraft: Scopecraft,
    settings: Callable[..., None],
    repo: Path,
    task: str,
    claude_cli: Path,
    model: ModelServer,
    trust: Callable[..., None],
) -> None:
    trust(repo)
    settings(agents={"claude": {"command": str(claude_cli), "env": model.environment}})
    model.story = [bash("git status --short", "I look around."), Step("Never said.", delay=60)]
    assert scopecraft("dispatch", task).code == 0
    until(lambda: show(scopecraft, task)["last_message"] == "I look around.", 90)
    until(lambda: len(model.requests) > 1)
    interrupted = scopecraft("interrupt", task)
    assert interrupted.stderr.splitlines()[0] == f"✓ Interrupted {show(scopecraft, task)['id']}"
    until(lambda: "Interrupted" in tmux("capture-pane", "-p"))
    model.story = [Step("With tabs, then.")]
    sent = scopecraft("send", task, "Use tabs\nand nothing else")
    assert sent.code == 0, sent.stderr
    until(lambda: show(scopecraft, task)["last_message"] == "With tabs, then.", 90)
    (message,) = show(scopecraft, task)["inbox"]
    assert (message["text"], message["state"]) == ("Use tabs\nand nothing else", "seen")
    assert scopecraft("stop", task).code == 0


def test_any_command_in_a_window(scopecraft: Scopecraft, settings: Callable[..., None], repo: Path, task: str) -> None:
    script = 'echo "hello from $TASK_ID"; read line; echo "$line" >heard; exit 0'
    started = scopecraft("dispatch", task, "-a", "command", "--", "sh", "-c", script)
    assert started.code == 0, started.stderr
    assert scopecraft("wait", task).code == 0
    heard = repo.parent / "app.worktrees" / "auth-05A" / "heard"
    assert heard.read_text().startswith("# Implement auth")
    assert "hello from implement-auth-05A" in scopecraft("logs", task).stdout


def test_attach_needs_a_terminal(scopecraft: Scopecraft, settings: Callable[..., None], task: str) -> None:
    scopecraft("dispatch", task, "-a", "command", "--", "sleep", "60")
    refused = scopecraft("attach", task)
    scopecraft("stop", task)
    assert refused.code == 2
    assert refused.stderr.startswith("✗ The window of auth-05A-")
    assert "git scopecraft logs -f auth-05A-" in refused.stderr


def test_attach_needs_a_session_that_lives(scopecraft: Scopecraft, settings: Callable[..., None], task: str) -> None:
    scopecraft("dispatch", task, "-a", "command", "--", "sh", "-c", "exit 0")
    scopecraft("wait", task)
    refused = scopecraft("attach", task)
    assert refused.code == 4
    assert "has ended" in refused.stderr


def test_a_dispatch_that_fails_says_what_was_on_the_screen(
    scopecraft: Scopecraft, settings: Callable[..., None], task: str
) -> None:
    scopecraft("dispatch", task, "-a", "command", "--", "sh", "-c", "echo something is wrong; exit 7")
    assert scopecraft("wait", task).code == 1
    session = show(scopecraft, task)
    assert (session["status"], session["exit_code"]) == ("failed", 7)
    assert "something is wrong" in session["outcome"]["stderr"]


def test_a_window_closed_by_hand_and_a_server_killed_are_told_apart(
    scopecraft: Scopecraft, settings: Callable[..., None], task: str
) -> None:
    for name in (task, "fix-typo"):
        scopecraft("dispatch", name, "-a", "command", "--", "sleep", "1000")
    tmux("kill-window", "-t", f"scopecraft:{task}-dispatch")
    assert scopecraft("wait", task).code == 1
    closed = show(scopecraft, task)
    assert (closed["status"], closed["exit_code"]) == ("failed", 129)
    assert closed["outcome"]["reason"] == "The agent exited with 129: its window was closed"
    assert show(scopecraft, "fix-typo")["status"] == "running"
    tmux("kill-server")
    assert scopecraft("wait", "fix-typo").code == 1
    reason = show(scopecraft, "fix-typo")["outcome"]["reason"]
    assert reason == "The agent exited with 129: the tmux server ended, and its window with it"


def test_two_sessions_of_one_task(scopecraft: Scopecraft, settings: Callable[..., None], repo: Path, task: str) -> None:
    waits = 'read prompt; until test -e "$0"; do sleep 0.05; done'
    ids = []
    for gate in ("first", "second"):
        started = scopecraft("dispatch", task, "-a", "command", "--json", "--", "sh", "-c", waits, gate)
        assert started.code == 0, started.stderr
        ids.append(json.loads(started.stdout)["id"])
    assert len(tmux("list-windows", "-a").splitlines()) == 2
    (repo.parent / "app.worktrees" / "auth-05A" / "second").touch()
    assert scopecraft("wait", ids[1]).code == 0
    assert show(scopecraft, ids[0])["status"] == "running"
    until(lambda: len(tmux("list-windows", "-a").splitlines()) == 1)
    assert scopecraft("stop", ids[0]).code == 0
    assert [show(scopecraft, session)["status"] for session in ids] == ["cancelled", "completed"]


def test_a_launcher_killed_leaves_evidence(scopecraft: Scopecraft, settings: Callable[..., None], task: str) -> None:
    scopecraft("dispatch", task, "-a", "command", "--", "sleep", "1000")
    pid = tmux("list-panes", "-a", "-F", "#{pane_pid}").strip()
    os.kill(int(pid), signal.SIGKILL)
    assert scopecraft("wait", task).code == 1
    session = show(scopecraft, task)
    assert session["status"] == "lost"
    assert f"its launcher (pid {pid}) was killed" in session["outcome"]["reason"]


def test_dispatch_runs_beside_an_unattended_session(
    scopecraft: Scopecraft, settings: Callable[..., None], repo: Path, task: str
) -> None:
    """Dispatch sessions are never queued."""
    gate = repo.parent / "gate"
    limits = {"SCOPECRAFT_MAX_RUNNING": "1", "SCOPECRAFT_MAX_WAITING": "0"}
    waiting = f"until test -e {gate}; do sleep 0.05; done"
    scopecraft("run", "other", "-e", "local", "-a", "command", "--", "sh", "-c", waiting, env=limits)
    started = scopecraft("dispatch", task, "-a", "command", "--", "sh", "-c", waiting, env=limits)
    assert started.code == 0, started.stderr
    assert show(scopecraft, task)["status"] == "running"
    gate.touch()
    assert scopecraft("wait", task, "other").code == 0
