"""The main job as a user has it: a task, `run`, a closed terminal, and the commits on the branch."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Scopecraft, end_supervisor
from tests.executors.contract import until

TASK = """# Implement auth

---
type: feature
status: todo
area: core
---

## Instruction

Say hello.

## Tasks

- [ ] write hello.txt

## Deliverable

hello.txt
"""
COMMITS = "cat >asked; echo working; echo hello >hello.txt; git add hello.txt; git commit -qm 'Add hello'; echo done"


@pytest.fixture
def task(repo: Path) -> str:
    folder = repo / ".tasks" / "current"
    folder.mkdir(parents=True)
    (folder / "implement-auth-05A.task.md").write_text(TASK)
    return "implement-auth-05A"


def local(task: str, script: str, *options: str) -> list[str]:
    return ["run", task, "-e", "local", "-a", "command", *options, "--", "sh", "-c", script]


def show(scopecraft: Scopecraft, session: str) -> dict[str, Any]:
    shown = scopecraft("show", session, "--json")
    assert shown.code == 0, shown.stderr
    document: dict[str, Any] = json.loads(shown.stdout)
    return document


def state_of(repo: Path, home: Path, git: Any) -> dict[str, Any]:
    """All that a refused command must leave as it was."""
    return {
        "refs": git(repo, "for-each-ref"),
        "head": (repo / ".git" / "HEAD").read_text(),
        "config": (repo / ".git" / "config").read_text(),
        "worktrees": git(repo, "worktree", "list", "--porcelain"),
        "beside": sorted(path.name for path in repo.parent.iterdir()),
        "sessions": sorted(path.name for path in (home / "sessions").glob("*-*")),
    }


def test_run_ends_with_the_agents_commit_on_the_branch(scopecraft: Scopecraft, repo: Path, task: str, git: Any) -> None:
    main = git(repo, "rev-parse", "main")
    started = scopecraft(*local(task, COMMITS))
    assert started.code == 0, started.stderr
    assert "✓ Created worktree @ " in started.stderr
    assert "(feature/auth-05A from main)" in started.stderr
    assert "✓ Started implement-auth-05A on local (command)" in started.stderr
    assert "↳ To follow it, run git scopecraft logs -f implement-auth-05A" in started.stderr
    assert scopecraft("wait", task).code == 0
    assert git(repo, "log", "--format=%s", "main..feature/auth-05A") == "Add hello"
    assert git(repo, "rev-parse", "main") == main
    assert not (repo / "hello.txt").exists()
    asked = (repo.parent / "app.worktrees" / "auth-05A" / "asked").read_text()
    assert "Say hello." in asked
    assert "- [ ] write hello.txt" in asked


def test_the_record_says_how_it_went(scopecraft: Scopecraft, repo: Path, task: str) -> None:
    started = json.loads(scopecraft(*local(task, COMMITS, "--json")).stdout)
    assert set(started) == {
        "id", "task", "mode", "executor", "agent", "status", "branch", "worktree", "queue_position",
    }  # fmt: skip
    scopecraft("wait", task)
    session = show(scopecraft, task)
    assert session["id"] == started["id"]
    assert session["status"] == "completed"
    assert session["exit_code"] == 0
    assert session["branch"] == "feature/auth-05A"
    assert (session["messages"], session["last_message"]) == (2, "done")
    assert session["worktree"] == str(repo.parent / "app.worktrees" / "auth-05A")
    assert session["outcome"]["reason"] == "The agent is done"
    listed = json.loads(scopecraft("list", "--json").stdout)
    assert [entry["id"] for entry in listed] == [started["id"]]


def test_a_prompt_arrives_byte_for_byte(scopecraft: Scopecraft, repo: Path) -> None:
    """Also what is no UTF-8, such as the name of a file."""
    done = scopecraft(
        "run", "fix", "-p", "caf\udce9 \u2713", "-e", "local", "-a", "command", "-f", "--", "tee", "asked"
    )
    assert done.code == 0, done.stderr
    assert (repo.parent / "app.worktrees" / "fix" / "asked").read_bytes() == b"caf\xe9 \xe2\x9c\x93"


def test_logs_show_what_it_said(scopecraft: Scopecraft, task: str) -> None:
    scopecraft(*local(task, COMMITS, "--follow"))
    assert "working\ndone\n" in scopecraft("logs", task).stdout
    events = [json.loads(line) for line in scopecraft("logs", task, "--json").stdout.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["text"] for event in events if event["kind"] == "text"] == ["working", "done"]


def test_follow_shows_it_live_and_exits_as_the_session_did(scopecraft: Scopecraft, task: str) -> None:
    good = scopecraft(*local(task, "echo fine", "--follow"))
    assert (good.code, "fine\n" in good.stdout) == (0, True)
    assert "logs -f" not in good.stderr
    assert good.stderr.endswith(" completed: The agent is done\n")
    assert "The agent is done" not in good.stdout
    bad = scopecraft(*local(task, "echo bad; echo no luck >&2; exit 3", "--follow"))
    assert (bad.code, "bad\n" in bad.stdout) == (1, True)
    session = show(scopecraft, task)["id"]
    assert bad.stderr.splitlines()[-3:] == [
        f"✗ {session} failed: The agent exited with 3",
        "    no luck",
        f"↳ To see all of it, run git scopecraft show {session}",
    ]


def test_an_agent_that_fails_leaves_its_code_and_last_words(scopecraft: Scopecraft, task: str) -> None:
    scopecraft(*local(task, "echo no luck >&2; exit 3"))
    waited = scopecraft("wait", task)
    assert waited.code == 1
    assert waited.stderr.splitlines()[-2] == "    no luck"
    session = show(scopecraft, task)
    assert (session["status"], session["exit_code"]) == ("failed", 3)
    assert session["outcome"]["stderr"] == "no luck"
    assert "no luck" in scopecraft("show", task).stdout


def test_the_diff_outlives_the_worktree_as_long_as_there_is_a_branch(
    scopecraft: Scopecraft, repo: Path, task: str, git: Any
) -> None:
    scopecraft(*local(task, COMMITS, "--follow"))
    git(repo, "worktree", "remove", "--force", "../app.worktrees/auth-05A")
    assert "+hello" in scopecraft("diff", task).stdout
    git(repo, "branch", "-D", "feature/auth-05A")
    gone = scopecraft("diff", task)
    assert gone.code == 3
    assert "is gone, and so is the branch feature/auth-05A" in gone.stderr


def test_stop_ends_it(scopecraft: Scopecraft, task: str) -> None:
    scopecraft(*local(task, "trap 'echo stopping; exit 5' INT; echo ready; while :; do sleep 0.1; done"))
    stopped = scopecraft("stop", task)
    assert stopped.code == 0, stopped.stderr
    session = show(scopecraft, task)
    assert (session["status"], session["last_message"]) == ("cancelled", "stopping")
    again = scopecraft("stop", task)
    assert again.code == 4
    assert "has ended" in again.stderr


def test_a_second_session_waits_for_the_first_in_its_worktree(scopecraft: Scopecraft, repo: Path, task: str) -> None:
    gate = repo.parent / "gate"
    scopecraft(*local(task, f"until test -e {gate}; do sleep 0.05; done; echo first >>order"))
    second = scopecraft(*local(task, "echo second >>order"))
    assert "✓ Queued implement-auth-05A on local (command), position 1" in second.stderr
    gate.touch()
    assert scopecraft("wait", task).code == 0
    assert (repo.parent / "app.worktrees" / "auth-05A" / "order").read_text() == "first\nsecond\n"


def test_one_that_waits_can_be_stopped(scopecraft: Scopecraft, repo: Path, task: str) -> None:
    gate = repo.parent / "gate"
    scopecraft(*local(task, f"until test -e {gate}; do sleep 0.05; done"))
    second = json.loads(scopecraft(*local(task, "touch ran", "--json")).stdout)
    assert (second["status"], second["queue_position"]) == ("queued", 1)
    assert scopecraft("stop", second["id"]).code == 0
    gate.touch()
    assert show(scopecraft, second["id"])["status"] == "cancelled"
    assert not (repo.parent / "app.worktrees" / "auth-05A" / "ran").exists()


def test_a_supervisor_that_was_killed_is_replaced_and_nothing_is_lost(
    scopecraft: Scopecraft, repo: Path, task: str
) -> None:
    gate = repo.parent / "gate"
    script = f"echo one; until test -e {gate}; do sleep 0.05; done; echo two"
    session = json.loads(scopecraft(*local(task, script, "--json")).stdout)["id"]
    until(lambda: "one" in scopecraft("logs", session).stdout)
    end_supervisor()
    gate.touch()
    assert scopecraft("wait", session).code == 0
    events = [json.loads(line) for line in scopecraft("logs", session, "--json").stdout.splitlines()]
    assert [event["text"] for event in events if event["kind"] == "text"] == ["one", "two"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


def test_twenty_four_at_the_same_instant(scopecraft: Scopecraft, repo: Path, git: Any) -> None:
    limits = {"SCOPECRAFT_MAX_RUNNING": "24"}
    names = [f"task-{number:02}" for number in range(24)]

    def start(name: str) -> str:
        script = "echo $TASK_ID >who; git add who; git commit -qm mine"
        done = scopecraft(*local(name, script, "-p", "go"), env=limits)
        return done.stderr if done.code else ""

    with ThreadPoolExecutor(24) as pool:
        assert [said for said in pool.map(start, names) if said] == []
    assert scopecraft("wait", *names).code == 0
    branches = git(repo, "for-each-ref", "--format=%(refname:short)", "refs/heads/feature").split()
    assert branches == [f"feature/{name}" for name in names]
    assert all(git(repo, "show", f"feature/{name}:who") == name for name in names)


def test_the_agent_gets_the_environment_of_the_command(scopecraft: Scopecraft, home: Path, repo: Path) -> None:
    scopecraft(*local("first", "true", "-p", "x"), env={"COLOUR": "red"})
    done = scopecraft(*local("second", 'echo "$COLOUR $TASK_ID $WORK_MODE"', "-f", "-p", "x"), env={"COLOUR": "blue"})
    assert "blue second autonomous\n" in done.stdout
    kept = [path for path in (home / "sessions").rglob("*") if path.is_file() and b"COLOUR" in path.read_bytes()]
    assert [path.name for path in kept if path.name in ("environment.json", "launch.json")] == []


def test_a_dry_run_says_all_and_makes_nothing(
    scopecraft: Scopecraft, repo: Path, home: Path, task: str, git: Any
) -> None:
    before = state_of(repo, home, git)
    shown = scopecraft(*local(task, "true", "--dry-run", "--json"))
    document = json.loads(shown.stdout)
    assert document["branch"] == "feature/auth-05A"
    assert document["base"] == "main"
    assert document["worktree"] == str(repo.parent / "app.worktrees" / "auth-05A")
    assert document["argv"] == ["sh", "-c", "true"]
    assert state_of(repo, home, git) == before
    assert "feature/auth-05A" in scopecraft(*local(task, "true", "--dry-run")).stdout
    git(repo, "branch", "old")
    assert scopecraft(*local(task, "true", "--dry-run", "--base", "old")).stderr == ""
    git(repo, "branch", "feature/auth-05A")
    assert scopecraft(*local(task, "true", "--dry-run", "--base", "old")).stderr == (
        "▲ --base old is ignored: the branch feature/auth-05A exists already\n"
    )
    lines = scopecraft(*local(task, "echo a b", "--dry-run")).stdout.splitlines()
    assert [line.split() for line in lines if line.startswith(("base ", "argv "))] == [
        ["base", "-"],
        ["argv", "sh", "-c", "'echo", "a", "b'"],
    ]


def test_the_home_is_the_users_alone(scopecraft: Scopecraft, home: Path, task: str) -> None:
    scopecraft(*local(task, "true", "-f"))
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    readable = [path for path in home.rglob("*") if path.is_dir() and path.stat().st_mode & 0o077]
    assert all(path.parent != home for path in readable)


def test_a_program_is_the_one_the_user_sees(scopecraft: Scopecraft, repo: Path) -> None:
    """`./agent.sh` lies beside the user, and neither in the worktree nor in git."""
    tools = repo / "tools"
    tools.mkdir()
    (tools / "agent.sh").write_text("#!/bin/sh\npwd\n")
    (tools / "agent.sh").chmod(0o755)
    done = scopecraft("run", "greet", "-f", "-e", "local", "-a", "command", "--", "./agent.sh", cwd=tools)
    assert done.code == 0, done.stderr
    assert f"{repo.parent / 'app.worktrees' / 'greet'}\n" in done.stdout


# Refusals: nothing is left, and the hint says what to type


def refused(scopecraft: Scopecraft, repo: Path, home: Path, git: Any, code: int, *arguments: str, **more: Any) -> str:
    before = state_of(repo, home, git)
    result = scopecraft(*arguments, **more)
    assert result.code == code, result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("✗ ")
    assert "\n↳ " in result.stderr
    assert "Traceback" not in result.stderr
    assert state_of(repo, home, git) == before
    return result.stderr


@pytest.fixture
def refuses(scopecraft: Scopecraft, repo: Path, home: Path, git: Any) -> Any:
    def check(code: int, *arguments: str, **more: Any) -> str:
        return refused(scopecraft, repo, home, git, code, *arguments, **more)

    return check


def test_the_default_branch_is_refused(refuses: Any, task: str) -> None:
    assert "main" in refuses(4, *local(task, "true", "--branch", "main"))


def test_a_branch_in_the_main_worktree_is_refused(refuses: Any, repo: Path, task: str, git: Any) -> None:
    git(repo, "switch", "-qc", "feature/auth-05A")
    assert "main worktree" in refuses(4, *local(task, "true"))


def test_a_branch_in_the_way_is_refused(refuses: Any, repo: Path, task: str, git: Any) -> None:
    git(repo, "branch", "feature")
    assert "git branch -m feature" in refuses(4, *local(task, "true"))


def test_a_half_done_merge_is_refused(refuses: Any, repo: Path, task: str, git: Any) -> None:
    worktree = repo.parent / "tree"
    git(repo, "worktree", "add", "-q", "-b", "feature/auth-05A", str(worktree))
    (repo / ".git" / "worktrees" / "tree" / "MERGE_HEAD").write_text(git(repo, "rev-parse", "main"))
    assert "merge" in refuses(4, *local(task, "true"))


def test_an_unknown_task_is_not_found_and_a_near_one_named(refuses: Any, task: str) -> None:
    said = refuses(3, "run", "implement-auht-05A", "-e", "local")
    assert "did you mean implement-auth-05A?" in said


def test_a_task_that_cannot_be_read_is_refused(refuses: Any, repo: Path, task: str) -> None:
    (repo / ".tasks" / "current" / f"{task}.task.md").write_bytes(b"\xff\xfe\x00broken")
    assert f"{task}.task.md" in refuses(4, *local(task, "true"))


def test_an_engine_that_is_down_is_missing(refuses: Any, task: str) -> None:
    said = refuses(5, "run", task, env={"DOCKER_HOST": "unix:///nowhere/docker.sock"})
    assert "Docker is not reachable at unix:///nowhere/docker.sock" in said
    assert "--executor local" in said


@pytest.mark.docker
def test_an_image_that_does_not_exist_is_missing(refuses: Any, task: str) -> None:
    said = refuses(5, "run", task, env={"SCOPECRAFT_DOCKER__IMAGE": "no-such-image:1"})
    assert "git scopecraft image build" in said


def test_a_missing_tmux_is_missing(refuses: Any, task: str, tmp_path: Path) -> None:
    assert "tmux" in refuses(5, "dispatch", task, env={"PATH": only_git(tmp_path)})


def test_a_missing_agent_is_missing(refuses: Any, task: str, tmp_path: Path) -> None:
    said = refuses(5, "run", task, "-e", "local", env={"PATH": only_git(tmp_path)})
    assert "claude" in said


def only_git(tmp_path: Path) -> str:
    """A PATH with nothing else on it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    found = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    (folder / "git").symlink_to(found)
    return str(folder)


def test_a_home_that_cannot_be_written_is_an_error(refuses: Any, task: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refuses(4, *local(task, "true"), env={"SCOPECRAFT_HOME": str(tmp_path / "file" / "home")})
    assert "SCOPECRAFT_HOME" in said


def test_an_unknown_setting_is_named(refuses: Any, home: Path, task: str) -> None:
    (home / "config" / "orchestration.json").write_text('{"max_runing": 4}')
    said = refuses(4, *local(task, "true"))
    assert "max_runing" in said
    assert "did you mean max_running?" in said


def test_outside_a_repository_nothing_is_found(refuses: Any, tmp_path: Path, task: str) -> None:
    assert "not inside a git repository" in refuses(3, *local(task, "true"), cwd=tmp_path)


def test_a_bare_repository_is_refused(refuses: Any, repo: Path, tmp_path: Path, task: str, git: Any) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repo), "bare.git")
    assert "bare" in refuses(4, *local(task, "true", "-p", "x"), cwd=tmp_path / "bare.git")


def test_a_repository_without_a_commit_is_refused(refuses: Any, tmp_path: Path, git: Any) -> None:
    git(tmp_path, "init", "-q", "empty")
    assert "no commit yet" in refuses(4, *local("t", "true", "-p", "x"), cwd=tmp_path / "empty")


def test_a_full_queue_is_refused(scopecraft: Scopecraft, refuses: Any, repo: Path) -> None:
    gate = repo.parent / "gate"
    limits = {"SCOPECRAFT_MAX_RUNNING": "1", "SCOPECRAFT_MAX_WAITING": "1"}
    scopecraft(*local("one", f"until test -e {gate}; do sleep 0.05; done", "-p", "x"), env=limits)
    scopecraft(*local("two", "true", "-p", "x"), env=limits)
    assert "queue is full" in refuses(4, *local("three", "true", "-p", "x"), env=limits)
    gate.touch()
    assert scopecraft("wait", "one", "two").code == 0


def test_a_terminal_without_our_symbols_gets_others(scopecraft: Scopecraft) -> None:
    said = scopecraft("show", "nope", env={"PYTHONIOENCODING": "ascii"})
    assert (said.code, said.stderr.splitlines()[0]) == (3, "? No session is called nope")


# Wherever it is typed


def works(scopecraft: Scopecraft, cwd: Path, repo: Path, git: Any, **more: Any) -> None:
    done = scopecraft(*local("implement-auth-05A", COMMITS, "--follow", "-p", "x"), cwd=cwd, **more)
    assert done.code == 0, done.stderr
    assert git(repo, "log", "-1", "--format=%s", "feature/auth-05A") == "Add hello"


def test_from_a_subdirectory(scopecraft: Scopecraft, repo: Path, git: Any) -> None:
    (repo / "deep" / "er").mkdir(parents=True)
    works(scopecraft, repo / "deep" / "er", repo, git)


def test_from_another_linked_worktree(scopecraft: Scopecraft, repo: Path, git: Any) -> None:
    other = repo.parent / "other"
    git(repo, "worktree", "add", "-q", "-b", "other", str(other))
    works(scopecraft, other, repo, git)
    assert (repo.parent / "app.worktrees" / "auth-05A").is_dir()


def test_through_a_symlinked_path(scopecraft: Scopecraft, repo: Path, tmp_path: Path, git: Any) -> None:
    (tmp_path / "link").symlink_to(repo)
    works(scopecraft, tmp_path / "link", repo, git)


def test_in_a_path_with_spaces_and_letters(scopecraft: Scopecraft, repo: Path, git: Any) -> None:
    odd = repo.parent / "größe und ✓"
    repo.rename(odd)
    works(scopecraft, odd, odd, git)


@pytest.mark.parametrize("branch", ["master", "trunk"])
def test_with_another_default_branch(scopecraft: Scopecraft, repo: Path, branch: str, git: Any) -> None:
    git(repo, "branch", "-m", branch)
    works(scopecraft, repo, repo, git)


def test_in_a_clone(scopecraft: Scopecraft, repo: Path, tmp_path: Path, git: Any) -> None:
    git(tmp_path, "clone", "-q", str(repo), "clone")
    works(scopecraft, tmp_path / "clone", tmp_path / "clone", git)


def test_with_submodules(scopecraft: Scopecraft, repo: Path, tmp_path: Path, git: Any) -> None:
    git(tmp_path, "clone", "-q", str(repo), "part")
    git(repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(tmp_path / "part"), "part")
    git(repo, "commit", "-qm", "Add a part")
    works(scopecraft, repo, repo, git)


def test_with_a_hooks_path(scopecraft: Scopecraft, repo: Path, tmp_path: Path, git: Any) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "post-checkout").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "post-checkout").chmod(0o755)
    git(repo, "config", "core.hooksPath", str(hooks))
    works(scopecraft, repo, repo, git)


def test_from_a_git_hook(scopecraft: Scopecraft, repo: Path, git: Any) -> None:
    inherited = {"GIT_DIR": str(repo / ".git"), "GIT_INDEX_FILE": str(repo / ".git" / "index"), "GIT_WORK_TREE": "/"}
    index = (repo / ".git" / "index").read_bytes()
    works(scopecraft, repo, repo, git, env=inherited)
    assert (repo / ".git" / "index").read_bytes() == index


def test_list_loads_nothing_heavy(repo: Path, home: Path) -> None:
    program = (
        "import sys; sys.argv = ['git-scopecraft', 'list']\n"
        "from scopecraft_git.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('docker', 'libtmux', 'git', 'textual', 'rich', 'watchdog') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=repo, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_record_survives_a_new_shell(scopecraft: Scopecraft, repo: Path, task: str) -> None:
    """`run` returns at once; nothing of the session hangs on the command or its terminal."""
    gate = repo.parent / "gate"
    command = [sys.executable, "-m", "scopecraft_git", *local(task, f"until test -e {gate}; do sleep 0.05; done")]
    subprocess.run(command, cwd=repo, env=os.environ, start_new_session=True, capture_output=True, check=True)
    assert show(scopecraft, task)["status"] == "running"
    gate.touch()
    assert scopecraft("wait", task).code == 0
