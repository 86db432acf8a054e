from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import paths
from tests.conftest import Scopecraft
from tests.executors.contract import until
from tests.test_main_job import local, show

ONE_AT_A_TIME = {"SCOPECRAFT_MAX_RUNNING": "1"}


def start(scopecraft: Scopecraft, name: str, script: str = "sleep 60", **limits: str) -> dict[str, Any]:
    done = scopecraft(*local(name, script, "-p", "x", "--json"), env=ONE_AT_A_TIME | limits)
    assert done.code == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def queue(scopecraft: Scopecraft, **limits: str) -> dict[str, Any]:
    shown = scopecraft("queue", "--json", env=ONE_AT_A_TIME | limits)
    assert shown.code == 0, shown.stderr
    document: dict[str, Any] = json.loads(shown.stdout)
    return document


def lock_of(repo: Path, worktree: str) -> Path:
    return repo / ".git" / "worktrees" / worktree / "locked"


@pytest.fixture
def held(scopecraft: Scopecraft) -> None:
    assert scopecraft("queue", "hold").code == 0


def test_an_empty_queue(scopecraft: Scopecraft) -> None:
    assert queue(scopecraft) == {
        "running": [], "waiting": [], "max_running": 1, "max_waiting": 10, "held": False, "reason": None,
    }  # fmt: skip
    for shown in (scopecraft("queue"), scopecraft("queue", "list")):
        assert shown == (0, "", "○ 0 of 3 running, 0 of 10 waiting\n")


def test_who_runs_and_who_waits_is_told_everywhere(scopecraft: Scopecraft) -> None:
    one, two, three = (start(scopecraft, name) for name in ("one", "two", "three"))
    assert [each["queue_position"] for each in (one, two, three)] == [None, 1, 2]
    assert queue(scopecraft, SCOPECRAFT_MAX_WAITING="5") == {
        "running": [one["id"]], "waiting": [two["id"], three["id"]],
        "max_running": 1, "max_waiting": 5, "held": False, "reason": None,
    }  # fmt: skip
    table = [line.split()[:4] for line in scopecraft("queue", env=ONE_AT_A_TIME).stdout.splitlines()]
    assert table == [
        ["PLACE", "SESSION", "TASK", "WHERE"],
        ["running", one["id"], "one", "local"],
        ["1", two["id"], "two", "local"],
        ["2", three["id"], "three", "local"],
    ]
    assert [each["queue_position"] for each in json.loads(scopecraft("list", "--json").stdout)] == [2, 1, None]
    assert "queued (2)" in scopecraft("list").stdout
    assert show(scopecraft, "three")["queue_position"] == 2
    assert "▲" not in scopecraft("list").stderr


def test_one_that_waits_can_be_removed_and_its_worktree_stays(scopecraft: Scopecraft, repo: Path) -> None:
    one, two, three = (start(scopecraft, name) for name in ("one", "two", "three"))
    assert lock_of(repo, "two").exists()
    removed = scopecraft("queue", "remove", "two", three["id"])
    assert removed == (
        0, "", f"✓ Removed {two['id']} from the queue\n✓ Removed {three['id']} from the queue\n",
    )  # fmt: skip
    assert show(scopecraft, "two")["status"] == "cancelled"
    assert show(scopecraft, "two")["outcome"]["reason"] == "Removed from the queue"
    assert (repo.parent / "app.worktrees" / "two").is_dir()
    assert not lock_of(repo, "two").exists()
    assert not (paths.session(two["id"]) / "environment.json").exists()
    assert queue(scopecraft)["waiting"] == []
    again = scopecraft("queue", "remove", "two")
    assert (again.code, again.stderr.splitlines()[0]) == (4, f"✗ The session {two['id']} has ended (cancelled)")
    running = scopecraft("queue", "remove", "one")
    assert running == (
        4, "", f"✗ The session {one['id']} is running and does not wait in the queue\n"
        f"↳ To end it, run git scopecraft stop {one['id']}\n",
    )  # fmt: skip


def test_one_whose_repository_is_gone_can_be_removed(scopecraft: Scopecraft, held: None, repo: Path) -> None:
    waiting = start(scopecraft, "one")
    repo.rename(repo.with_name("elsewhere"))
    removed = scopecraft("queue", "remove", waiting["id"], cwd=repo.parent)
    assert (removed.code, removed.stderr) == (0, f"✓ Removed {waiting['id']} from the queue\n")
    assert json.loads(scopecraft("show", waiting["id"], "--json", cwd=repo.parent).stdout)["status"] == "cancelled"


def test_clear_removes_all_that_wait(scopecraft: Scopecraft) -> None:
    one, *_ = (start(scopecraft, name) for name in ("one", "two", "three"))
    assert scopecraft("queue", "clear").stderr == "✓ Removed 2 sessions from the queue\n"
    assert queue(scopecraft)["waiting"] == []
    assert queue(scopecraft)["running"] == [one["id"]]
    assert scopecraft("queue", "clear").stderr == "○ No session waits\n"


def test_a_held_queue_starts_nothing_until_it_is_released(scopecraft: Scopecraft, repo: Path) -> None:
    first, again = scopecraft("queue", "hold"), scopecraft("queue", "hold")
    assert first.stderr.startswith("✓ Held the queue")
    assert again.stderr.startswith("○ The queue is held already")
    queued = scopecraft(*local("one", "true", "-p", "x")).stderr.splitlines()
    assert queued[-4:-1] == [
        "✓ Queued one on local (command), position 1",
        "▲ Nothing starts: the queue is held",
        "↳ To go on, run git scopecraft queue release",
    ]
    state = queue(scopecraft)
    assert (state["held"], state["reason"], len(state["waiting"])) == (True, "the queue is held", 1)
    for command in ("list", "queue"):
        assert "▲ Nothing starts: the queue is held\n" in scopecraft(command).stderr
    assert show(scopecraft, "one")["evidence"] == "the queue is held"
    assert json.loads(scopecraft("list", "--json").stdout)[0]["evidence"] == "the queue is held"
    assert scopecraft("queue", "release").stderr == "✓ Released the queue\n"
    assert scopecraft("wait", "one").code == 0
    assert scopecraft("queue", "release").stderr == "○ The queue is not held\n"


def test_a_session_that_fails_to_start_gives_its_slot_to_the_next(scopecraft: Scopecraft, repo: Path) -> None:
    gate = repo.parent / "gate"
    start(scopecraft, "one", f"until test -e {gate}; do sleep 0.05; done")
    start(scopecraft, "two", "true")
    start(scopecraft, "three", "true")
    shutil.rmtree(repo.parent / "app.worktrees" / "two")
    gate.touch()
    assert scopecraft("wait", "one", "three").code == 0
    failed = show(scopecraft, "two")
    assert (failed["status"], failed["started_at"]) == ("failed", None)
    until(lambda: queue(scopecraft)["running"] == [])


def test_nothing_starts_where_memory_is_short(scopecraft: Scopecraft) -> None:
    want = {"SCOPECRAFT_MIN_FREE_MEMORY": "2TiB"}
    waiting = start(scopecraft, "one", **want)
    assert (waiting["status"], waiting["queue_position"]) == ("queued", 1)
    reason = queue(scopecraft)["reason"]
    assert reason.startswith("free memory is ")
    assert reason.endswith("iB, below min_free_memory = 2 TiB")
    assert reason.partition(",")[2] in scopecraft(*local("two", "true", "-p", "x"), env=want).stderr
    assert reason.partition(",")[2] in scopecraft("list").stderr
    assert show(scopecraft, "one")["evidence"].endswith(reason.partition(",")[2])
    scopecraft("queue", "clear")
    modest = start(scopecraft, "three", "true", SCOPECRAFT_MIN_FREE_MEMORY="1k")
    assert modest["queue_position"] is None
    assert scopecraft("wait", "three").code == 0
    assert until(lambda: queue(scopecraft)["reason"] is None)


def test_a_full_queue_exits_with_4_and_leaves_nothing(scopecraft: Scopecraft, held: None, repo: Path, git: Any) -> None:
    one_waits = {"SCOPECRAFT_MAX_WAITING": "1"}
    start(scopecraft, "one", **one_waits)
    before = everything(repo, git)
    refused = scopecraft(*local("two", "true", "-p", "x"), env=ONE_AT_A_TIME | one_waits)
    assert refused == (
        4, "", "✗ The queue is full: 1 session waits and the limit is 1\n"
        "↳ See who waits: git scopecraft queue; or allow more: git config --global scopecraft.max-waiting 20\n",
    )  # fmt: skip
    assert everything(repo, git) == before


def test_listing_those_that_wait_loads_neither_typer_nor_pydantic(scopecraft: Scopecraft, held: None) -> None:
    start(scopecraft, "one")
    program = (
        "import sys; from scopecraft_git.cli import main; main(); print(sorted({'typer', 'pydantic'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program, "list"], capture_output=True, text=True, check=True)
    assert "queued (1)" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def everything(repo: Path, git: Any) -> dict[str, Any]:
    """All that a refused command must leave as it was, or that its worktree would have brought."""
    home = paths.home()
    return {
        "refs": git(repo, "for-each-ref"),
        "config": (repo / ".git" / "config").read_text(),
        "worktrees": git(repo, "worktree", "list", "--porcelain"),
        "folders": sorted(path.name for path in (repo.parent / "app.worktrees").iterdir()),
        "sessions": sorted(path.name for path in paths.sessions().iterdir()),
        "registry": (paths.sessions() / "active.json").read_text(),
        "worktree records": sorted(path.name for path in (home / "worktrees").iterdir()),
        "queue": paths.queue_file().read_text(),
    }
