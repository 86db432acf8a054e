"""Ends a process that starts a container or brings commits home, at each step in turn; its successor carries on.

Run as a program of its own: start|import REQUEST. Prints how often it killed.
"""

from __future__ import annotations

import http.client
import linecache
import os
import subprocess
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from scopecraft_git import paths
from scopecraft_git.executors import containers, engine, homecoming, image_facts
from scopecraft_git.executors.docker import DockerExecutor
from scopecraft_git.executors.homecoming import Homecoming
from scopecraft_git.protocols import ExecRequest, Imported
from tests.executors.contract import DEADLINE
from tests.executors.killed import kill
from tests.fuses import KILLED, Line, dies

REQUESTS = ("/start", "/containers/create?", "DELETE")
"""In the midst of which a process dies as well: the engine goes on with them."""


def main(what: str, record: str) -> None:
    request = ExecRequest.model_validate_json(Path(record).read_bytes())
    print(starts(request) if what == "start" else imports(request))


def starts(template: ExecRequest) -> int:
    """Each session's container runs once, with its input, and is all there is of it."""
    spared = without_effect(containers, ("reached.working", "_create(", "_start(", "remember("))
    killed: Line | None = (__file__, 0)
    number = 0
    while killed:
        request = fresh(template, number)
        killed = kill(partial(start, request), {str(containers.__file__)}, spared)
        spared |= {killed} if killed else set()
        carry_on(request)
        number += 1
    for sent in REQUESTS:
        request = fresh(template, number)
        create(request)
        assert dies(partial(start, request, sent))
        carry_on(request)
        number += 1
    assert list(DockerExecutor().remains()) == []
    return number


def carry_on(request: ExecRequest) -> None:
    execution = DockerExecutor().start(request)
    try:
        assert execution.wait(DEADLINE) == (0, "", False)
        assert b"".join(execution.stream(0)) == b"the prompt\n"
    finally:
        execution.release()
    assert (request.worktree / f"starts-{request.session_id}").read_text() == "once\n"


def fresh(template: ExecRequest, number: int) -> ExecRequest:
    session = f"{template.session_id}-{number}"
    paths.session(session).mkdir()
    changes = {"session_id": session, "directory": paths.session(session), "environment": {"SESSION": session}}
    return template.model_copy(update=changes)


def create(request: ExecRequest) -> None:
    """A container that never starts, as one leaves it who was killed before."""
    reached = engine.chosen()
    facts = image_facts.learn(reached, request.settings.docker.image)
    containers._prepare(reached, request, facts)
    containers._create(reached, request, facts)


def start(request: ExecRequest, dies_in: str | None = None) -> None:
    """In a child, which has connections of its own."""
    engine._engine.cache_clear()
    if dies_in:
        die_in(dies_in)
    DockerExecutor().start(request)


def die_in(wanted: str) -> None:
    """Once the request is sent, without waiting for its answer."""
    connection: Any = http.client.HTTPConnection
    put, answer = connection.putrequest, connection.getresponse
    sent = ""

    def putrequest(self: Any, method: str, url: str, **more: Any) -> None:
        nonlocal sent
        sent = f"{method} {url}"
        put(self, method, url, **more)

    def getresponse(self: Any) -> Any:
        if wanted in sent:
            os._exit(KILLED)
        return answer(self)

    connection.putrequest, connection.getresponse = putrequest, getresponse


def imports(request: ExecRequest) -> int:
    """Each commit is told of once, in order, and the worktree's index follows."""
    effects = ("update-ref", "_remember(", "_report(", "documents.write", "read-tree", "return", "_take_objects(")
    spared = without_effect(homecoming, effects)
    branch = f"refs/heads/{request.branch}"
    expected = [Imported(branch, commit(request, "First"))]
    assert Homecoming(request).bring(ended=False) == expected
    killed: Line | None = (__file__, 0)
    number = 0
    while killed:
        # Amended, so that what came home before is kept as well.
        new, last = commit(request, f"Amended {number}", "--amend"), expected[-1].commit
        kept = f"refs/scopecraft/sessions/{request.session_id}/replaced-{last[:12]}"
        expected.append(Imported(branch, new, f"it replaces {last[:10]}, kept as {kept}"))
        killed = kill(lambda: Homecoming(request).bring(ended=False), {str(homecoming.__file__)}, spared)
        spared |= {killed} if killed else set()
        assert Homecoming(request).bring(ended=False) == expected, killed
        number += 1
    git = ["git", "-C", str(request.worktree)]
    assert subprocess.check_output([*git, "status", "--porcelain"]) == b""
    assert subprocess.check_output([*git, "rev-parse", "HEAD"]).decode().strip() == expected[-1].commit
    return number


def commit(request: ExecRequest, message: str, *options: str) -> str:
    """As the agent makes it, of a file that changes each time."""
    (request.worktree / "file").write_text(message)
    environment = os.environ | {
        "GIT_DIR": str(request.directory / "git"),
        "GIT_WORK_TREE": str(request.worktree),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(request.repository / "objects"),
    }
    for command in (["add", "file"], ["commit", "-qm", message, *options]):
        subprocess.run(["git", *command], env=environment, check=True)
    return subprocess.check_output(["git", "rev-parse", "HEAD"], env=environment).decode().strip()


def without_effect(module: object, effects: Iterable[str]) -> set[Line]:
    """Before other lines than these nothing changed since the last of them."""
    file = str(module.__file__)  # type: ignore[attr-defined]
    lines = enumerate(linecache.getlines(file), 1)
    return {(file, number) for number, text in lines if not any(effect in text for effect in effects)}


if __name__ == "__main__":
    main(*sys.argv[1:])
