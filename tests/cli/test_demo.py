from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scopecraft_git import demo, supervisor
from tests.conftest import Scopecraft


@pytest.fixture
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def test_the_demo_shows_the_main_job_and_leaves_nothing(scopecraft: Scopecraft, temp: Path, home: Path) -> None:
    before = sorted(home.rglob("*"))
    shown = scopecraft("demo", env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"})
    assert (shown.code, shown.stderr) == (0, "")
    for line in (
        "✓ Created worktree @ ~/app.worktrees/greeting-05A (feature/greeting-05A from main)",
        "✓ Started implement-greeting-05A on local (command)",
        "● Write greeting.py",
        "  └ greets as asked",
        "● Bash git commit --quiet --message 'Greet people by name'",
        "✓ finished",
        "Greet people by name",
        " 2 files changed, 9 insertions(+)",
    ):
        assert line in shown.stdout.splitlines()
    assert shown.stdout.splitlines()[-1] == "  git scopecraft run implement-auth-05A --follow"
    assert list(temp.iterdir()) == []
    assert sorted(home.rglob("*")) == before
    assert not _at_work_below(temp)


def test_what_it_says_to_type_works_where_git_does_not_find_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    printed = subprocess.check_output(f"{demo.program()} --version", shell=True, text=True)
    assert printed.startswith("git-scopecraft ")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    assert demo.program() == "git scopecraft"


def test_the_demo_says_the_same_every_time(scopecraft: Scopecraft, temp: Path) -> None:
    first, second = (re.sub(r"\b(greeting-05A)-\w{7}\b", r"\1", scopecraft("demo").stdout) for _ in range(2))
    assert "✓ greeting-05A completed: The agent is done" in first.splitlines()
    assert first == second


def test_nothing_of_the_users_takes_part(scopecraft: Scopecraft, temp: Path) -> None:
    (Path.home() / ".gitconfig").write_text(
        "[core]\n\thooksPath = /nonexistent/hooks\n[commit]\n\tgpgSign = true\n[init]\n\tdefaultBranch = other\n"
        '[scopecraft]\n\tagent = nonsense\n[scopecraft "worktree"]\n\tpath = /nonexistent/{suffix}\n'
    )
    shown = scopecraft("demo", env={"SCOPECRAFT_MAX_RUNNING": "nonsense"}, cwd=temp)
    assert shown.code == 0, shown.stdout


def test_its_folder_can_be_kept(scopecraft: Scopecraft, temp: Path) -> None:
    shown = scopecraft("demo", "--keep")
    (folder,) = temp.iterdir()
    assert shown.stderr.startswith(f"↳ To look around, run cd {folder}/app")
    assert (folder / "app.worktrees" / "greeting-05A" / "greeting.py").exists()
    assert supervisor.process_id(folder / ".scopecraft") is None
    kept = scopecraft("show", "greeting-05A", env={"SCOPECRAFT_HOME": str(folder / ".scopecraft")})
    assert "completed" in kept.stdout


def test_what_does_not_work_is_said(scopecraft: Scopecraft, temp: Path, tmp_path: Path) -> None:
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text('#!/bin/sh\ncase "$*" in *commit*) echo no disk >&2; exit 1;; *) exec /usr/bin/git "$@";; esac\n')
    git.chmod(0o755)
    shown = scopecraft("demo", env={"PATH": f"{git.parent}:{os.environ['PATH']}"})
    assert (shown.code, shown.stderr.splitlines()[0]) == (1, "✗ The demo stopped at 'git commit': no disk")
    assert list(temp.iterdir()) == []


@pytest.mark.parametrize("options", [[], ["--keep"]], ids=["", "keep"])
def test_an_interrupted_demo_ends_its_session(scopecraft: Scopecraft, temp: Path, options: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "scopecraft_git", "demo", *options],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    for line in process.stdout:
        if "Write greeting.py" in line:
            os.killpg(process.pid, signal.SIGINT)
            break
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not _at_work_below(temp)
    kept = list(temp.iterdir())
    assert len(kept) == len(options)
    for folder in kept:
        shown = scopecraft("show", "greeting-05A", "--json", env={"SCOPECRAFT_HOME": str(folder / ".scopecraft")})
        assert json.loads(shown.stdout)["status"] in ("cancelled", "completed")


def _at_work_below(folder: Path) -> list[str]:
    """Processes whose command line names the folder, or that run there."""
    found = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in found if str(folder) in line]
