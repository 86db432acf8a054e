"""The recipe of docs/watching.md, run as it is written there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Scopecraft
from tests.test_main_job import local

PAGE = Path(__file__).parent.parent.parent / "docs" / "watching.md"


def test_the_recipe_keeps_each_event_once_however_often_it_is_interrupted(scopecraft: Scopecraft, repo: Path) -> None:
    if not shutil.which("jq"):
        pytest.skip("there is no jq")
    recipe, *_ = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for task in ("auth", "docs"):
        assert scopecraft(*local(task, "echo one; echo two")).code == 0
    assert scopecraft("wait", "auth", "docs").code == 0
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for _ in range(2):
        done = subprocess.run(
            ["sh", "-c", recipe],
            cwd=repo,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        with (repo / "seen.jsonl").open("a") as seen:
            seen.write('{"session": "auth-000')  # as when it is killed
    events = [json.loads(line) for line in (repo / "events.jsonl").read_text().splitlines()]
    names = [(event["session"], event["seq"]) for event in events]
    assert len(names) == len(set(names))
    for task in ("auth", "docs"):
        mine = [event for event in events if event["task"] == task]
        assert [event["seq"] for event in mine] == [1, 2, 3, 4]
        assert [event["text"] for event in mine][1:3] == ["one", "two"]
