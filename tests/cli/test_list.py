from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from scopecraft_git import sessions
from scopecraft_git.storage.local import LocalStorage
from tests.conftest import Scopecraft
from tests.samples import exec_request, session

PROGRAM = (sys.executable, "-m", "scopecraft_git")


def make(*repositories: str) -> None:
    storage = LocalStorage()
    for repository in repositories:
        with sessions.reserved_id(storage, "auth-05A") as session_id:
            made = session(session_id, repository=Path(repository))
            sessions.create(storage, made, "Do it", exec_request(made))


def test_sessions_of_one_repository_do_not_name_it(scopecraft: Scopecraft, home: Path) -> None:
    make("/code/app/.git", "/code/app/.git")
    heading, *rows = scopecraft("list").stdout.splitlines()
    assert heading.split()[:3] == ["SESSION", "TASK", "STATUS"]
    assert len(rows) == 2
    assert [each["repository"] for each in json.loads(scopecraft("list", "--json").stdout)] == ["/code/app/.git"] * 2


def test_an_answer_that_cannot_be_written(scopecraft: Scopecraft, home: Path) -> None:
    make("/code/app/.git")
    told = {}
    for command in ("list", "list --json", "queue --json", "config path"):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [*PROGRAM, *command.split()], stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        told[command] = done.returncode, done.stderr.splitlines()[0]
    assert set(told.values()) == {(1, "✗ The answer cannot be written to where it goes: No space left on device")}


def test_a_home_of_somebody_else(home: Path) -> None:
    make("/code/app/.git")
    home.chmod(0)
    without_rights = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    try:
        for command in ("list", "queue", "show auth-05A", "recover", "supervisor status"):
            refused = subprocess.run(
                [*without_rights, *PROGRAM, *command.split()],
                cwd=home.parent,
                capture_output=True,
                text=True,
                check=False,
            )
            assert (refused.returncode, refused.stdout) == (4, "")
            assert " cannot be read (Permission denied)\n↳ " in refused.stderr
    finally:
        home.chmod(0o700)


def test_a_price_is_shown_as_one_would_write_it(scopecraft: Scopecraft, home: Path) -> None:
    LocalStorage().create(session(cost_usd=0.1 + 0.2))
    assert "cost usd          0.3\n" in scopecraft("show", "auth-05A").stdout
    assert json.loads(scopecraft("show", "auth-05A", "--json").stdout)["cost_usd"] == 0.1 + 0.2


def test_sessions_of_several_repositories_name_them(scopecraft: Scopecraft, home: Path) -> None:
    make("/code/app/.git", "/code/site/.git", "/old/site/.git")
    heading, *rows = scopecraft("list").stdout.splitlines()
    assert heading.split()[:4] == ["SESSION", "TASK", "REPOSITORY", "STATUS"]
    assert [row.split()[2] for row in rows] == ["/old/site", "/code/site", "app"]
