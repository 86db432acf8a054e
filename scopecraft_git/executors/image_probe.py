"""Tries an image the way a session would use it, for `git scopecraft doctor`."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from scopecraft_git import paths
from scopecraft_git.config import Settings
from scopecraft_git.executors import agent_home
from scopecraft_git.executors.docker import DockerExecutor
from scopecraft_git.models import Mode
from scopecraft_git.protocols import ExecRequest, Exit, Imported
from scopecraft_git.repository import run_git

PATIENCE = 60.0
BRANCH = "feature/probe"
SCRIPT = """\
git log -1 --format=%s >/dev/null && git commit -q --allow-empty -m probe && echo git works
touch made
[ -z "$2" ] || [ ! -s "$HOME/$2" ] || echo logged in
echo version "$("$1" --version 2>&1 </dev/null | head -n 1)"
command -v "$1" >/dev/null
"""


class Finding(NamedTuple):
    what: str
    works: bool
    detail: str
    hint: str
    """What to do about it, ending in a command; empty when it works."""


def probe(settings: Settings, program: str = "claude", login_files: Sequence[str] = ()) -> list[Finding]:
    """Start `docker.image` once on a throw-away repository. Raises what `Executor.start` raises.

    With `login_files`, of which the first is the one that matters, it is a finding whether the image has a login.
    """
    executor = DockerExecutor()
    executor.check(settings, [program])
    with _throw_away(settings, program, login_files) as request:
        execution = executor.start(request)
        try:
            ended = execution.wait(PATIENCE)
            output = b"".join(execution.stream(0)).decode(errors="replace") if ended else ""
            arrived = execution.import_commits()
            made = request.worktree / "made"
            owner = made.stat().st_uid if made.exists() else None
        finally:
            execution.release()
    rebuild = "Build it anew: git scopecraft image build"
    findings = [_git(output, arrived, rebuild), _uid(owner, rebuild), _agent(program, output, ended, rebuild)]
    return [*findings, _login(output)] if login_files else findings


def _git(output: str, arrived: list[Imported], rebuild: str) -> Finding:
    works = "git works" in output and any(not imported.note for imported in arrived)
    detail = "git commits inside, and the commit arrives" if works else f"git does not work inside: {output.strip()}"
    return Finding("git", works, detail, "" if works else rebuild)


def _uid(owner: int | None, rebuild: str) -> Finding:
    works = owner == os.getuid()
    detail = f"what the agent writes belongs to uid {owner}" if works else f"uid {os.getuid()} cannot write there"
    return Finding("user", works, detail, "" if works else rebuild)


def _agent(program: str, output: str, ended: Exit | None, rebuild: str) -> Finding:
    version = next((line.removeprefix("version ") for line in output.splitlines() if line.startswith("version ")), "")
    works = ended is not None and ended.code == 0
    detail = f"{program} answers {version}" if works else f"{program} does not answer: {version or 'no output'}"
    return Finding("agent", works, detail, "" if works else rebuild)


def _login(output: str) -> Finding:
    works = "logged in" in output
    detail = "the agent is logged in" if works else "the agent is not logged in"
    return Finding("login", works, detail, "" if works else "Log it in: git scopecraft image login")


@contextmanager
def _throw_away(settings: Settings, program: str, login_files: Sequence[str]) -> Iterator[ExecRequest]:
    """A session that is in no registry, with a repository of its own."""
    paths.ensure_home()
    session_id = f"probe-{uuid.uuid4().hex[:8]}"
    root = Path(tempfile.mkdtemp(prefix="probe-", dir=paths.home())).resolve()
    worktree = root / "worktree"
    try:
        commit = _repository(root / "repository", worktree)
        (root / "session").mkdir()
        yield ExecRequest(
            session_id=session_id,
            task="probe",
            mode=Mode.AUTONOMOUS,
            agent=program,
            directory=root / "session",
            repository=root / "repository" / ".git",
            worktree=worktree,
            branch=BRANCH,
            commit=commit,
            argv=("sh", "-c", SCRIPT, "sh", program, next(iter(login_files), "")),
            environment={},
            credentials={},
            login_files=tuple(login_files),
            settings=settings,
        )
    finally:
        shutil.rmtree(root, ignore_errors=True)
        agent_home.drop(worktree)


def _repository(path: Path, worktree: Path) -> str:
    path.mkdir()
    run_git("init", "-q", str(path))
    for key, value in {"name": "git scopecraft", "email": "probe@localhost"}.items():
        run_git("config", f"user.{key}", value, cwd=path)
    run_git("commit", "-q", "--allow-empty", "-m", "Start", cwd=path)
    run_git("worktree", "add", "-q", "-b", BRANCH, str(worktree), cwd=path)
    return run_git("rev-parse", "HEAD", cwd=path).stdout.decode().strip()
