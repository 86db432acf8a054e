from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any


def test_killed_at_any_line_it_tells_what_one_undisturbed_tells(repo: Path, home: Path, git: Any) -> None:
    worktree = repo.parent / "app.worktrees" / "auth-05A"
    git(repo, "worktree", "add", "-q", "-b", "feature/auth-05A", str(worktree))
    program = [sys.executable, "-m", "tests.supervisor.killed", str(repo / ".git"), str(worktree), "31"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
