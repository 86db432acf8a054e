"""The main job with its real parts: the Claude Code CLI in a container, a scripted model behind it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import supervisor
from tests import machine
from tests.conftest import Scopecraft
from tests.model_server import ModelServer, Step, bash
from tests.test_main_job import TASK, show

pytestmark = [pytest.mark.docker, pytest.mark.claude]

ORDINARY = 1000
STORY = [
    bash("git status --short; ls", "I'll look around first."),
    Step("Now I'll write the greeting.", "Write", {"file_path": "/workspace/hello.txt", "content": "hello\n"}),
    Step("", "Read", {"file_path": "/workspace/nothing.txt"}),
    bash("git add -A && git commit -qm 'Add greeting' && git log --oneline"),
    Step("Outcome: hello.txt added and committed."),
]


@pytest.fixture
def model(home: Path) -> Iterator[ModelServer]:
    """On loopback, which the containers of these tests share."""
    server = ModelServer(STORY)
    settings = {
        "docker": {"image": machine.AGENT_IMAGE, "network": "host"},
        "agents": {"claude": {"env": {**server.environment, "CLAUDE_CODE_MAX_RETRIES": "0"}}},
    }
    (home / "config" / "orchestration.json").write_text(json.dumps(settings))
    yield server
    server.close()


@pytest.fixture
def task(repo: Path, git: Any) -> str:
    """Committed, as a team has its tasks."""
    folder = repo / ".tasks" / "current"
    folder.mkdir(parents=True)
    (folder / "implement-auth-05A.task.md").write_text(TASK)
    git(repo, "add", ".tasks")
    git(repo, "commit", "-qm", "Add a task")
    return "implement-auth-05A"


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def outside_the_branch(repo: Path) -> dict[str, str]:
    """Everything of `.git` but what a new branch, its worktree and its objects add."""
    added = ("objects/", "worktrees/", "refs/heads/feature/", "logs/refs/heads/feature/", "scopecraft")
    return {name: digest for name, digest in digests(repo / ".git").items() if not name.startswith(added)}


def test_the_real_agent_commits_from_its_container(
    scopecraft: Scopecraft, repo: Path, task: str, model: ModelServer, git: Any
) -> None:
    git(repo, "branch", "other")
    before, tree = outside_the_branch(repo), digests(repo / ".tasks")
    done = scopecraft("run", task, "--follow")
    assert done.code == 0, done.stderr + scopecraft("logs", task).stdout + scopecraft("show", task).stdout
    assert git(repo, "log", "--format=%s", "main..feature/auth-05A") == "Add greeting"
    assert git(repo, "show", "feature/auth-05A:hello.txt") == "hello"
    assert outside_the_branch(repo) == before
    assert digests(repo / ".tasks") == tree
    worktree = repo.parent / "app.worktrees" / "auth-05A"
    assert git(worktree, "status", "--porcelain") == ""
    owners = {path.lstat().st_uid for path in [worktree, *worktree.rglob("*")]}
    assert owners == {os.getuid()}
    assert any("Say hello." in text for text in model.asked())

    session = show(scopecraft, task)
    assert (session["status"], session["exit_code"]) == ("completed", 0)
    used = {tool["name"]: (tool["count"], tool["errors"]) for tool in session["tools_used"]}
    assert used == {"Bash": (2, 0), "Write": (1, 0), "Read": (1, 1)}
    assert session["cost_usd"] > 0
    assert session["last_message"] == STORY[-1].text
    assert (session["messages"], len(session["agent_session_id"])) == (3, 36)
    logs = scopecraft("logs", task).stdout
    assert "I'll look around first." in logs
    assert "● Write /workspace/hello.txt" in logs
    kinds = [json.loads(line)["kind"] for line in scopecraft("logs", task, "--json").stdout.splitlines()]
    assert {"text", "tool_call", "tool_result", "usage", "permission", "finished", "notice"} <= set(kinds)
    gone = subprocess.run(["docker", "inspect", f"scopecraft-{session['id']}"], capture_output=True, check=False)
    assert gone.returncode != 0


def test_stop_interrupts_the_real_agent(scopecraft: Scopecraft, repo: Path, task: str, model: ModelServer) -> None:
    model.story = [bash("echo started > began; sleep 60", "This takes long."), Step("Never said.")]
    assert scopecraft("run", task).code == 0
    stopped = scopecraft("stop", task)
    assert stopped.code == 0, stopped.stderr
    session = show(scopecraft, task)
    assert session["status"] == "cancelled"
    assert session["last_message"] in (None, "This takes long.")


def test_a_refused_login_is_a_failure(scopecraft: Scopecraft, task: str, model: ModelServer) -> None:
    model.story = [Step(status=401)]
    assert scopecraft("run", task, "--follow").code == 1
    session = show(scopecraft, task)
    assert session["status"] == "failed"
    assert "The agent reports an error" in session["outcome"]["reason"]


@pytest.fixture
def ordinary() -> Iterator[Path]:
    """A folder of an ordinary user's, who may reach the engine. Only root can make one."""
    if os.getuid() != 0:
        pytest.skip("the tests run as an ordinary user already")
    folder = Path(tempfile.mkdtemp(prefix="scopecraft-ordinary-"))
    os.chown(folder, ORDINARY, ORDINARY)
    yield folder
    supervisor.stop(folder / ".scopecraft")
    shutil.rmtree(folder)


def test_an_ordinary_user_owns_what_the_agent_made(ordinary: Path) -> None:
    engine = Path(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://"))
    # May look into every folder, since root's own Python may lie in root's home.
    looks = [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
    become = ["setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", f"--groups={engine.stat().st_gid}", *looks]
    environment = {
        **os.environ,
        "HOME": str(ordinary),
        "SCOPECRAFT_HOME": str(ordinary / ".scopecraft"),
        "SCOPECRAFT_DOCKER__IMAGE": machine.AGENT_IMAGE,
    }

    def run(*command: str) -> str:
        done = subprocess.run(
            [*become, *command],
            cwd=ordinary / "app" if (ordinary / "app").exists() else ordinary,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("git", "init", "-qb", "main", "app")
    run("git", "config", "user.name", "A Developer")
    run("git", "config", "user.email", "dev@example.org")
    run("git", "commit", "-qm", "Start", "--allow-empty")
    script = "echo hello >hello.txt; git add hello.txt; git commit -qm 'Add hello'; touch left-over"
    run(sys.executable, "-m", "scopecraft_git", "run", "greet", "-fa", "command", "--", "sh", "-c", script)
    assert run("git", "log", "--format=%s", "main..feature/greet") == "Add hello\n"
    made = [ordinary / "app.worktrees", *(ordinary / "app.worktrees").rglob("*"), *(ordinary / "app").rglob("*")]
    assert (ordinary / "app.worktrees" / "greet" / "left-over") in made
    assert {path.lstat().st_uid for path in made} == {ORDINARY}
