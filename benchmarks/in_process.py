"""`python -m benchmarks.in_process FUNCTION ARGUMENT…`: what is measured without a command around it, as JSON."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from scopecraft_git import paths, session_queue, sessions, submission
from scopecraft_git.config import Settings
from scopecraft_git.models import Approval, Outcome, SessionStatus
from scopecraft_git.storage.local import LocalStorage
from tests.samples import NOW, exec_request, logged, session

LIMITS = Settings()


def enqueue(count: str) -> list[float]:
    """Milliseconds from nothing to a session that a crash of the machine leaves whole."""
    storage, samples = LocalStorage(), []
    for _ in range(int(count)):
        begun = time.perf_counter()
        session_id = _submit(storage)
        samples.append((time.perf_counter() - begun) * 1000)
        session_queue.remove(storage, session_id)
    return samples


def take(count: str) -> list[float]:
    """Milliseconds from a slot that was freed to the next session that is starting, ten more behind it."""
    storage, samples = LocalStorage(), []
    for _ in range(LIMITS.max_waiting):
        _submit(storage)
    for _ in range(int(count)):
        _submit(storage)
        begun = time.perf_counter()
        taken = session_queue.take(storage)
        samples.append((time.perf_counter() - begun) * 1000)
        assert taken
        sessions.finish(storage, taken, Outcome(status=SessionStatus.CANCELLED, reason="Measured"))
        session_queue.release(taken.id)
    session_queue.clear(storage)
    return samples


def submit(count: str, script: str) -> list[str]:
    """The ids of so many sessions that all may run."""
    os.environ |= {"SCOPECRAFT_MAX_RUNNING": "120", "SCOPECRAFT_MAX_WAITING": "120"}
    made = []
    for number in range(int(count)):
        command = ("sh", "-c", script)
        order = submission.Order(task=f"quiet-{number}", executor="local", agent="command", command=command)
        made.append(submission.submit(submission.draft(order, Path.cwd())).id)
    return made


def fill(home: str, ended: str) -> None:
    """Make a home in which so many sessions have ended."""
    os.environ["SCOPECRAFT_HOME"] = home
    paths.ensure_home()
    outcome = Outcome(status=SessionStatus.COMPLETED, reason="The agent is done", exit_code=0)
    facts = {"status": SessionStatus.COMPLETED, "started_at": NOW, "ended_at": NOW, "outcome": outcome}
    for number in range(int(ended)):
        made = session(f"auth-{number % 100:02}A-{number:07}", **facts)
        made.path.mkdir(mode=0o700)
        (made.path / "metadata.json").write_text(made.model_dump_json(indent=2))
    assert list(LocalStorage().sessions(active=True)) == []


def fill_board(home: str, count: str, streaming: str, repo: str) -> None:
    """Make a home with so many sessions of one repository: some at work, some that wait for a word, most ended."""
    os.environ["SCOPECRAFT_HOME"] = home
    paths.ensure_home()
    outcome = Outcome(status=SessionStatus.COMPLETED, reason="The agent is done", exit_code=0)
    ended = {"status": SessionStatus.COMPLETED, "started_at": NOW, "ended_at": NOW, "outcome": outcome}
    asked = Approval(id="call", tool="Bash", input={"command": "git push"}, reason="It leaves.", since=NOW)
    kinds: list[dict[str, Any]] = [{"status": SessionStatus.RUNNING, "started_at": NOW}] * int(streaming)
    kinds += [{"status": SessionStatus.WAITING, "started_at": NOW, "approvals": (asked,)}] * 3
    kinds += [ended] * (int(count) - len(kinds))
    living = []
    for number, facts in enumerate(kinds):
        name = f"board-{number:02}A-{int(count) - number:07}"
        made = session(name, repository=Path(repo) / ".git", task=f"board-{number:02}A", **facts)
        made.path.mkdir(mode=0o700)
        (made.path / "metadata.json").write_text(made.model_dump_json(indent=2))
        living += [name] if facts is not ended else []
    registry = {"schema_version": 1, "sessions": living}
    (paths.sessions() / "active.json").write_text(json.dumps(registry))


def stream_board(streaming: str) -> None:
    """Until it is killed: each of those that run writes 20 events a second, and its record twice."""
    storage = LocalStorage()
    names = sorted(storage.ids())[: int(streaming)]
    for seq in itertools.count(1):
        for name in names:
            storage.append(name, [logged(seq)])
            if seq % 10 == 0:
                storage.save(storage.load(name).model_copy(update={"last_message": f"text {seq}", "messages": seq}))
        time.sleep(0.05)


def _submit(storage: LocalStorage) -> str:
    with sessions.reserved_id(storage, "auth-05A") as session_id, session_queue.place(session_id, LIMITS):
        made = session(session_id)
        sessions.create(storage, made, "Do it", exec_request(made, LIMITS))
    return session_id


def main() -> None:
    functions = (enqueue, take, submit, fill, fill_board, stream_board)
    function: Any = {each.__name__: each for each in functions}[sys.argv[1]]
    print(json.dumps(function(*sys.argv[2:])))


if __name__ == "__main__":
    main()
