from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import Scopecraft


def test_from_creation_to_removal(scopecraft: Scopecraft, repo: Path, git: Any) -> None:
    path = repo.parent / "app.worktrees" / "auth-05A"
    made = scopecraft("worktree", "create", "implement-auth-05A")
    assert (made.code, made.stdout) == (0, "")
    assert made.stderr.splitlines() == [
        f"✓ Created worktree @ {path} (feature/auth-05A from main)",
        '↳ To go there, run cd "$(git scopecraft worktree path implement-auth-05A)"',
    ]
    for name in ("implement-auth-05A", "auth-05A", "feature/auth-05A"):
        assert scopecraft("worktree", "path", name).stdout == f"{path}\n", name
    assert scopecraft("worktree", "path", "implement-auth-05A", cwd=path).stdout == f"{path}\n"
    again = scopecraft("worktree", "create", "implement-auth-05A")
    assert again.stderr.startswith("○ Worktree @ ")
    assert scopecraft("worktree", "create", "implement-auth-05A", "--base", "main").stderr.splitlines()[0] == (
        "▲ --base main is ignored: the branch feature/auth-05A exists already"
    )
    removed = scopecraft("worktree", "remove", "implement-auth-05A")
    assert removed.stderr == f"✓ Removed worktree @ {path} and the branch feature/auth-05A\n"
    assert not path.exists()
    assert git(repo, "branch", "--list", "feature/*") == ""


def test_a_worktree_goes_by_the_name_its_task_has_without_a_file(scopecraft: Scopecraft) -> None:
    path = Path(json.loads(scopecraft("worktree", "create", "fix-typo", "--json").stdout)["path"])
    for name in ("fix-typo", "../app.worktrees/typo"):
        assert scopecraft("worktree", "path", name).stdout == f"{path}\n", name
    assert scopecraft("worktree", "remove", "fix-typo").code == 0
    assert not path.exists()


def test_list_tells_what_is_not_committed_where(scopecraft: Scopecraft, repo: Path, git: Any) -> None:
    made = json.loads(scopecraft("worktree", "create", "auth-05A", "--json").stdout)
    git(repo, "worktree", "add", "-q", "-b", "by-hand", "../by-hand")
    (Path(made["path"]) / "new.txt").write_text("x")
    main, ours, foreign = json.loads(scopecraft("worktree", "list", "--json").stdout)
    head = git(repo, "rev-parse", "main")
    assert (main["main"], main["branch"], main["changes"], main["ours"]) == (True, "main", 0, False)
    assert ours == made | {"changes": 1}
    assert (ours["ours"], ours["base_commit"], ours["task"], ours["session"]) == (True, head, None, None)
    assert (foreign["branch"], foreign["ours"], foreign["base_commit"]) == ("by-hand", False, None)
    table = scopecraft("worktree", "list").stdout.splitlines()
    assert table[2].split()[1:] == ["feature/auth-05A", "-", "1", head[:10]]
    assert table[3].split()[1:] == ["by-hand", "-", "clean", "-", "not", "ours"]


def test_a_worktree_whose_folder_is_gone_is_listed(scopecraft: Scopecraft, repo: Path, git: Any) -> None:
    path = Path(json.loads(scopecraft("worktree", "create", "auth-05A", "--json").stdout)["path"])
    path.rename(path.with_name("elsewhere"))
    assert "gone" in scopecraft("worktree", "list").stdout
    assert json.loads(scopecraft("worktree", "list", "--json").stdout)[1]["changes"] is None


def test_remove_refuses_to_lose_work(scopecraft: Scopecraft, repo: Path, git: Any) -> None:
    path = Path(json.loads(scopecraft("worktree", "create", "auth-05A", "--json").stdout)["path"])
    (path / "work.txt").write_text("x")
    git(path, "add", ".")
    git(path, "commit", "-qm", "Work")
    refused = scopecraft("worktree", "remove", "auth-05A")
    assert refused.code == 4
    assert "Work" in refused.stderr
    assert refused.stderr.splitlines()[-1].endswith("git scopecraft worktree remove feature/auth-05A --force")
    forced = scopecraft("worktree", "remove", "auth-05A", "--force")
    assert forced.code == 0
    bring_back = forced.stderr.splitlines()[-1].removeprefix("↳ To have the branch back, run git ").split()
    git(repo, *bring_back)
    assert git(repo, "log", "-1", "--format=%s", "feature/auth-05A") == "Work"


def test_only_ours_are_removed(scopecraft: Scopecraft, repo: Path, git: Any) -> None:
    git(repo, "worktree", "add", "-q", "-b", "by-hand", "../by-hand")
    assert scopecraft("worktree", "remove", "by-hand", "--force").code == 4
    main = scopecraft("worktree", "remove", ".")
    assert (main.code, "is the main worktree" in main.stderr) == (4, True)
    assert scopecraft("worktree", "remove", "main").stderr == main.stderr
    assert scopecraft("worktree", "remove", "nowhere").code == 3
    assert scopecraft("worktree", "path", "nowhere").code == 3
    assert (repo.parent / "by-hand").is_dir()


def test_clean_takes_what_is_merged(scopecraft: Scopecraft, repo: Path, git: Any) -> None:
    for name in ("merged-05A", "open-05B"):
        path = Path(json.loads(scopecraft("worktree", "create", name, "--json").stdout)["path"])
        (path / name).write_text("x")
        git(path, "add", ".")
        git(path, "commit", "-qm", name)
    git(repo, "merge", "-q", "feature/merged-05A")
    folder = repo.parent / "app.worktrees"
    rehearsed = scopecraft("worktree", "clean", "--dry-run")
    assert (rehearsed.code, rehearsed.stdout) == (0, "")
    goes, stays, total = rehearsed.stderr.splitlines()
    size = r"(\d+\.\d KiB)"
    removed = re.fullmatch(rf"○ Would remove {folder}/merged-05A \({size}\): merged into main", goes)
    assert re.fullmatch(rf"○ Keeps {folder}/open-05B \({size}\): not merged yet \(1 commit\)", stays)
    assert removed
    assert total == f"○ Would free {removed[1]}"
    planned = json.loads(scopecraft("worktree", "clean", "--dry-run", "--json").stdout)
    assert [each.keys() for each in planned] == [{"path", "branch", "goes", "reason", "size", "sessions"}] * 2
    assert (planned[0]["path"], planned[0]["sessions"]) == (str(folder / "merged-05A"), [])
    assert 8_000 < planned[0]["size"] < 40_000
    cleaned = json.loads(scopecraft("worktree", "clean", "--json").stdout)
    assert [(each["branch"], each["goes"]) for each in cleaned] == [
        ("feature/merged-05A", True),
        ("feature/open-05B", False),
    ]
    assert cleaned == planned
    nothing = scopecraft("worktree", "clean")
    assert (nothing.code, nothing.stderr.splitlines()) == (0, [stays])
    assert [path.name for path in (repo.parent / "app.worktrees").iterdir()] == ["open-05B"]


def test_what_a_late_writer_wrote_is_told_of(scopecraft: Scopecraft, repo: Path, git: Any) -> None:
    path = Path(json.loads(scopecraft("worktree", "create", "auth-05A", "--json").stdout)["path"])
    (repo / ".git" / "info" / "exclude").write_text("cache\n")
    program = (
        "import os; from pathlib import Path; from scopecraft_git.worktrees import teardown; real = teardown.decide\n"
        "def decide(removal, *given):\n"
        "    decided = real(removal, *given); (removal.aside / 'cache').touch(); return decided\n"
        "teardown.decide = decide; from scopecraft_git.cli import main; main()"
    )
    command = [sys.executable, "-c", program, "worktree", "remove", "auth-05A"]
    done = subprocess.run(command, cwd=repo, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == [
        f"✓ Removed worktree @ {path} and the branch feature/auth-05A",
        f"▲ Left {path}.removing: something was written there in the meantime",
    ]
    assert [left.name for left in path.with_name("auth-05A.removing").iterdir()] == ["cache"]


def test_a_session_in_the_queue_keeps_its_worktree(scopecraft: Scopecraft, home: Path) -> None:
    """Also when it was submitted a moment ago and has done nothing yet."""
    assert scopecraft("queue", "hold").code == 0
    run = scopecraft("run", "auth-05A", "--executor", "local", "--agent", "command", "--json", "--", "true")
    session = json.loads(run.stdout)
    refused = scopecraft("worktree", "remove", "auth-05A", "--force")
    assert (refused.code, refused.stderr.splitlines()) == (
        4,
        [
            f"✗ The session {session['id']} lives in {session['worktree']}",
            f"↳ Stop it first: git scopecraft stop {session['id']}",
        ],
    )
    assert scopecraft("stop", session["id"]).code == 0
    assert scopecraft("worktree", "remove", "auth-05A").code == 0
    assert scopecraft("show", session["id"]).code == 0
