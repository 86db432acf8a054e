"""Very many `run` at once for the thirteen places of a queue. `SOAK_COMMANDS=200` for as many real commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scopecraft_git import paths, session_queue
from scopecraft_git.models import SessionStatus
from scopecraft_git.storage.local import LocalStorage
from tests.conftest import Result, Scopecraft
from tests.executors.contract import until
from tests.test_main_job import local

COMMANDS = int(os.environ.get("SOAK_COMMANDS", "24"))
FORKS = 200
RUNNING, WAITING = 3, 10
SCRIPT = "sleep 600"

CROWD = """
import json, os, sys
from pathlib import Path
from scopecraft_git import submission
from scopecraft_git.errors import ScopecraftError

def submit(number):
    command = ("sh", "-c", sys.argv[2])
    order = submission.Order(task=f"task-{number}", prompt="x", executor="local", agent="command", command=command)
    try:
        submission.submit(submission.draft(order, Path.cwd()))
    except ScopecraftError as error:
        return error.exit_code
    except BaseException as error:
        sys.stderr.write(repr(error))
        return 70
    return 0

submission.draft(submission.Order(task="warm", executor="local", agent="command", command=("true",)), Path.cwd())
gate, key = os.pipe()
children = []
for number in range(int(sys.argv[1])):
    if not (child := os.fork()):
        os.close(key)
        os.read(gate, 1)
        os._exit(submit(number))
    children.append(child)
os.close(key)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))
"""


def test_as_many_commands_as_there_are_places_are_accepted(scopecraft: Scopecraft, repo: Path, git: Any) -> None:
    before = git(repo, "config", "--list", "--local")
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda number: run(scopecraft, number), range(COMMANDS)))
    codes = Counter(each.code for each in done)
    assert codes == {0: RUNNING + WAITING, 4: COMMANDS - RUNNING - WAITING}, [each.stderr for each in done]
    assert all("The queue is full" in each.stderr for each in done if each.code == 4)
    assert git(repo, "config", "--list", "--local") == before
    require_thirteen_and_no_leftovers(repo, git)
    end_all(scopecraft)


def test_of_two_hundred_at_the_same_moment_thirteen_are_accepted(scopecraft: Scopecraft, repo: Path, git: Any) -> None:
    command = [sys.executable, "-c", CROWD, str(FORKS), SCRIPT]
    crowd = subprocess.run(command, cwd=repo, capture_output=True, text=True, check=False)
    assert crowd.stderr == ""
    assert Counter(json.loads(crowd.stdout)) == {0: RUNNING + WAITING, 4: FORKS - RUNNING - WAITING}
    require_thirteen_and_no_leftovers(repo, git)
    end_all(scopecraft)


def run(scopecraft: Scopecraft, number: int) -> Result:
    return scopecraft(*local(f"task-{number}", SCRIPT, "-p", "x", "--json"))


def require_thirteen_and_no_leftovers(repo: Path, git: Any) -> None:
    storage = LocalStorage()
    until(lambda: len(session_queue.snapshot().running) == RUNNING)
    queue, records = session_queue.look(storage)
    assert queue == session_queue.snapshot()
    assert (len(queue.running), len(queue.waiting)) == (RUNNING, WAITING)
    assert {records[each].status for each in queue.waiting} == {SessionStatus.QUEUED}
    assert sorted(storage.ids()) == sorted(records) == sorted([*queue.running, *queue.waiting])
    assert json.loads((paths.sessions() / "active.json").read_text())["sessions"] == sorted(records)
    branches = {record.branch for record in records.values()}
    assert set(git(repo, "for-each-ref", "--format=%(refname:short)", "refs/heads").split()) == {"main", *branches}
    worktrees = {record.worktree for record in records.values()}
    assert len(branches) == len(worktrees) == RUNNING + WAITING
    assert set((repo.parent / "app.worktrees").iterdir()) == worktrees
    assert {each.name for each in (repo / ".git" / "worktrees").iterdir()} == {each.name for each in worktrees}
    assert {each.name for each in (paths.home() / "worktrees").iterdir()} == {
        paths.worktree_record(each).name for each in worktrees
    }
    assert git(repo, "config", "--list", "--local", "--name-only").count("branch.") == 0


def end_all(scopecraft: Scopecraft) -> None:
    assert scopecraft("queue", "clear").stderr == f"✓ Removed {WAITING} sessions from the queue\n"
    assert scopecraft("stop", *session_queue.snapshot().running).code == 0
    assert session_queue.look(LocalStorage())[0] == session_queue.Queue()
