from __future__ import annotations

import json
from pathlib import Path

from scopecraft_git import sessions
from scopecraft_git.storage.local import LocalStorage
from tests.conftest import Scopecraft
from tests.samples import exec_request, session


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


def test_sessions_of_several_repositories_name_them(scopecraft: Scopecraft, home: Path) -> None:
    make("/code/app/.git", "/code/site/.git", "/old/site/.git")
    heading, *rows = scopecraft("list").stdout.splitlines()
    assert heading.split()[:4] == ["SESSION", "TASK", "REPOSITORY", "STATUS"]
    assert [row.split()[2] for row in rows] == ["/old/site", "/code/site", "app"]
