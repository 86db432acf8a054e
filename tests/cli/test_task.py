from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Scopecraft


@pytest.fixture
def task(scopecraft: Scopecraft) -> str:
    made = scopecraft("task", "new", "implement-auth-05A", "--title", "Log in", "-p", "Let users log in")
    assert made.code == 0, made.stderr
    return "implement-auth-05A"


def listed(scopecraft: Scopecraft, *options: str) -> dict[str, Any]:
    answer = scopecraft("task", "list", "--json", *options)
    assert answer.code == 0, answer.stderr
    return {task["id"]: task for task in json.loads(answer.stdout)}


def test_new_writes_a_task_that_list_and_show_find(scopecraft: Scopecraft, repo: Path, task: str) -> None:
    table = scopecraft("task", "list").stdout.splitlines()
    assert table[0].split() == ["TASK", "STATUS", "TYPE", "AREA", "TITLE", "LOCATION"]
    assert table[1].split() == [task, "todo", "feature", "general", "Log", "in", "current"]
    path = repo / ".tasks" / "current" / f"{task}.task.md"
    assert scopecraft("task", "show", task).stdout == path.read_text()
    document = json.loads(scopecraft("task", "show", task, "--json").stdout)
    assert (document["path"], document["problems"]) == (str(path), [])
    assert document["sections"]["Instruction"] == "Let users log in"


def test_new_says_what_it_made_and_what_to_do_next(scopecraft: Scopecraft) -> None:
    made = scopecraft("task", "new", "fix-it", "--backlog", "--type", "bug", "--area", "ui")
    assert made.stdout == ""
    assert made.stderr.splitlines()[0].endswith("/code/app/.tasks/backlog/fix-it.task.md")
    assert made.stderr.splitlines()[1] == "↳ To start an agent on it, run git scopecraft run fix-it"
    assert listed(scopecraft)["fix-it"] | {"path": None} == {
        "id": "fix-it",
        "title": "fix-it",
        "status": "todo",
        "type": "bug",
        "area": "ui",
        "parent": None,
        "location": "backlog",
        "path": None,
        "session": None,
        "problems": [],
    }


def test_new_opens_the_editor_that_git_would(scopecraft: Scopecraft, repo: Path, git: Any) -> None:
    git(repo, "config", "core.editor", "sh -c 'echo edited >>\"$1\"' editor")
    assert scopecraft("task", "new", "fix-it", "--edit").code == 0
    assert scopecraft("task", "show", "fix-it").stdout.endswith("edited\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("show", "implement-auth-05B"),
            3,
            "✗ No task is called implement-auth-05B (did you mean implement-auth-05A?)",
        ),
        (("new", "implement-auth-05A"), 4, "✗ The task implement-auth-05A exists already"),
        (("new", "a/b"), 2, "✗ 'a/b' cannot be a task's name: it holds a slash"),
        (("new", "part", "--parent", "implement-auth-05A"), 4, "✗ The task implement-auth-05A is a single file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_is_refused(
    scopecraft: Scopecraft, task: str, arguments: tuple[str, ...], code: int, message: str
) -> None:
    refused = scopecraft("task", *arguments)
    assert (refused.code, refused.stdout) == (code, "")
    assert refused.stderr.startswith(message)
    assert "\n↳ " in refused.stderr


def test_list_shows_a_broken_file_with_its_problem(scopecraft: Scopecraft, repo: Path, task: str) -> None:
    (repo / ".tasks" / "current" / "broken.task.md").write_text("---\ntype: [\n---\n")
    answer = scopecraft("task", "list")
    assert answer.code == 0
    assert "broken              unreadable" in answer.stdout
    assert "▲ The task file " in answer.stderr
    assert listed(scopecraft)["broken"]["problems"]
    assert scopecraft("task", "show", "broken").code == 4


def test_subtasks_and_the_archive(scopecraft: Scopecraft, repo: Path, task: str) -> None:
    current = repo / ".tasks" / "current"
    (current / "epic-05A").mkdir()
    (current / f"{task}.task.md").rename(current / "epic-05A" / "_overview.md")
    archive = repo / ".tasks" / "archive" / "2026-01"
    archive.mkdir(parents=True)
    (archive / "old.task.md").write_text("# Old\n")
    assert scopecraft("task", "new", "form", "--parent", "epic-05A").code == 0
    assert listed(scopecraft).keys() == {"epic-05A", "01_form"}
    assert listed(scopecraft, "--archived").keys() == {"epic-05A", "01_form", "old"}
    assert "epic-05A/01_form" in scopecraft("task", "list").stdout
    assert scopecraft("task", "show", "form").code == 0


def test_show_reads_the_copy_of_the_tasks_worktree(scopecraft: Scopecraft, repo: Path, task: str, git: Any) -> None:
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "Add a task")
    assert scopecraft("worktree", "create", task).code == 0
    copy = repo.parent / "app.worktrees" / "auth-05A" / ".tasks" / "current" / f"{task}.task.md"
    copy.write_text(copy.read_text() + "- seen \x1b]0;title\x07the agent\n")
    shown = scopecraft("task", "show", task)
    assert shown.stdout.endswith("- seen the agent\n")


def test_a_living_session_says_how_the_task_stands(scopecraft: Scopecraft, task: str, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    waits = f"until [ -e '{hold}' ]; do sleep 0.02; done"
    started = scopecraft("run", task, "-e", "local", "-a", "command", "--json", "--", "sh", "-c", waits)
    assert started.code == 0, started.stderr
    session = json.loads(started.stdout)["id"]
    document = listed(scopecraft)[task]
    assert (document["status"], document["session"]) == ("running", session)
    worktrees = json.loads(scopecraft("worktree", "list", "--json").stdout)
    assert [worktree["session"] for worktree in worktrees] == [None, session]
    removed = scopecraft("worktree", "remove", task, "--force")
    assert (removed.code, removed.stderr.splitlines()[1]) == (4, f"↳ Stop it first: git scopecraft stop {session}")
    hold.touch()
    assert scopecraft("wait", session).code == 0
    assert listed(scopecraft)[task]["status"] == "todo"
