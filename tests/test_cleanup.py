"""What goes with a worktree, what keeps it, and that no work of a session is lost with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import Signals
from typing import Any

import pytest

from scopecraft_git import errors, paths, sessions, worktrees
from scopecraft_git.cleanup import Cleanup
from scopecraft_git.config import DockerSettings, Settings, WorktreeSettings
from scopecraft_git.executors import agent_home, shadow
from scopecraft_git.executors.docker import DockerExecutor
from scopecraft_git.models import Mode, Session, SessionStatus, Worktree
from scopecraft_git.protocols import ExecRequest, Execution
from scopecraft_git.repository import Repository
from scopecraft_git.storage.local import LocalStorage
from scopecraft_git.worktrees import Plan, teardown
from tests.conftest import Scopecraft
from tests.machine import BASE_IMAGE
from tests.samples import exec_request, session

BRANCH = "feature/auth-05A"


@pytest.fixture
def repository(repo: Path, home: Path) -> Repository:
    return Repository(repo / ".git")


@pytest.fixture
def plan(repository: Repository) -> Plan:
    return worktrees.resolve(repository, "implement-auth-05A", "auth-05A", WorktreeSettings())


@pytest.fixture
def made(repository: Repository, plan: Plan) -> Worktree:
    return worktrees.ensure(repository, plan)


@pytest.fixture
def storage() -> LocalStorage:
    return LocalStorage()


@pytest.fixture
def cleanup(repository: Repository, storage: LocalStorage) -> Cleanup:
    return Cleanup(repository, storage)


def submitted(storage: LocalStorage, repository: Repository, made: Worktree, **fields: Any) -> Session:
    """A session that waits in the queue, as `run` leaves it."""
    with sessions.reserved_id(storage, "auth-05A") as session_id:
        about = {"worktree": made.path, "repository": repository.common_dir, "base_commit": made.base_commit}
        new = session(session_id, **(about | fields))
        worktrees.lock(repository, made.path, session_id)
        sessions.create(storage, new, "Do it", exec_request(new, Settings(docker=DockerSettings(image=BASE_IMAGE))))
    return new


def over(storage: LocalStorage, living: Session) -> Session:
    return storage.update_status(living.id, SessionStatus.COMPLETED, expected=set(SessionStatus))


def commit(git: Any, path: Path, name: str = "work") -> str:
    (path / name).write_text("x")
    git(path, "add", name)
    git(path, "commit", "-qm", f"Add {name}")
    return str(git(path, "rev-parse", "HEAD"))


# Who lives there


@pytest.mark.parametrize(
    ("mode", "status"),
    [
        (Mode.AUTONOMOUS, SessionStatus.QUEUED),
        (Mode.DISPATCH, SessionStatus.QUEUED),
        (Mode.AUTONOMOUS, SessionStatus.RUNNING),
        (Mode.DISPATCH, SessionStatus.IDLE),
        (Mode.AUTONOMOUS, SessionStatus.PAUSED),
    ],
)
@pytest.mark.parametrize("locked", [True, False])
def test_a_session_that_lives_refuses(
    cleanup: Cleanup, made: Worktree, repository: Repository, storage: LocalStorage, mode: Mode, status: SessionStatus,
    locked: bool,
) -> None:  # fmt: skip
    living = submitted(storage, repository, made, mode=mode, status=status)
    if not locked:
        worktrees.unlock(repository, made.path, living.id)
    for force in (False, True):
        with pytest.raises(errors.WorktreeBusyError, match=living.id) as raised:
            cleanup.remove(made, force=force)
        assert raised.value.hint.endswith(f"git scopecraft stop {living.id}")
    assert [(each.goes, each.reason) for each in cleanup.clean()] == [(False, raised.value.message)]
    assert made.path.is_dir()


def test_a_session_in_the_making_refuses_until_its_maker_has_died(
    cleanup: Cleanup, repository: Repository, storage: LocalStorage, plan: Plan
) -> None:
    ready, done = os.pipe()
    maker = os.fork()
    if not maker:
        with sessions.reserved_id(storage, "auth-05A") as session_id, worktrees.made(repository, plan, session_id):
            os.write(done, session_id.encode())
            os.kill(os.getpid(), Signals.SIGSTOP)
        os._exit(0)
    try:
        session_id = os.read(ready, 100).decode()
        os.waitpid(maker, os.WUNTRACED)
        made = worktrees.at(repository, plan.path)
        with pytest.raises(errors.WorktreeBusyError, match=session_id):
            cleanup.remove(made)
    finally:
        os.kill(maker, Signals.SIGKILL)
        os.waitpid(maker, 0)
    assert cleanup.remove(made).branch == BRANCH


def test_a_lock_of_a_session_that_has_ended_is_taken_off(
    cleanup: Cleanup, made: Worktree, repository: Repository, storage: LocalStorage, git: Any, repo: Path
) -> None:
    """Its supervisor was killed between the two."""
    commit(git, made.path)
    git(repo, "merge", "-q", BRANCH)
    over(storage, submitted(storage, repository, made))
    assert worktrees.at(repository, made.path).locked
    assert [(each.goes, each.reason) for each in cleanup.clean(dry_run=True)] == [(True, "merged into main")]
    assert worktrees.at(repository, made.path).locked, "a rehearsal changes nothing"
    assert [(each.goes, each.reason) for each in cleanup.clean()] == [(True, "merged into main")]
    assert not made.path.exists()


def test_a_lock_of_the_users_is_obeyed(
    cleanup: Cleanup, made: Worktree, repository: Repository, storage: LocalStorage, git: Any, repo: Path
) -> None:
    git(repo, "worktree", "lock", "--reason", "mine", str(made.path))
    over(storage, submitted(storage, repository, made))
    with pytest.raises(errors.WorktreeLockedError, match="mine"):
        cleanup.remove(made, force=True)


def test_a_record_that_cannot_be_read_refuses(
    cleanup: Cleanup, made: Worktree, repository: Repository, storage: LocalStorage
) -> None:
    """Its agent may well be at work."""
    spoilt = submitted(storage, repository, made)
    worktrees.unlock(repository, made.path, spoilt.id)
    (spoilt.path / "metadata.json").write_text("{")
    with pytest.raises(errors.UnreadableSessionError, match=spoilt.id) as raised:
        cleanup.remove(made, force=True)
    subprocess.run(["sh", "-c", raised.value.hint.partition("aside: ")[2]], check=True)
    assert cleanup.remove(made).branch == BRANCH


# What it has


@pytest.fixture
def ended(repository: Repository, storage: LocalStorage, made: Worktree) -> Session:
    """It worked in a copy of the repository, which is all that is left of it."""
    past = submitted(storage, repository, made, executor="docker")
    shadow.prepare(sessions.request(past))
    worktrees.unlock(repository, made.path, past.id)
    return over(storage, past)


def as_agent(past: Session, git: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """A commit in the copy."""
    with monkeypatch.context() as patch:
        patch.setenv("GIT_DIR", str(past.path / "git"))
        patch.setenv("GIT_WORK_TREE", str(past.worktree))
        patch.setenv("GIT_ALTERNATE_OBJECT_DIRECTORIES", str(past.repository / "objects"))
        return commit(git, past.worktree)


@pytest.fixture
def tip(ended: Session, git: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    return as_agent(ended, git, monkeypatch)


def test_commits_come_home_first(
    cleanup: Cleanup, made: Worktree, ended: Session, tip: str, git: Any, repo: Path, storage: LocalStorage
) -> None:
    told = [(each.goes, each.reason) for each in cleanup.clean(dry_run=True)]
    assert told == [(False, f"commits of {ended.id}: {BRANCH} at {tip[:10]}: not imported yet")]
    assert git(repo, "rev-parse", BRANCH) == made.head, "a rehearsal changes nothing"
    with pytest.raises(errors.WorkWouldBeLostError, match=r"commit: .* Add work"):
        cleanup.remove(made)
    assert git(repo, "rev-parse", BRANCH) == tip
    assert storage.load(ended.id).imported_commit == tip
    git(repo, "merge", "-q", BRANCH)
    assert [each.goes for each in cleanup.clean()] == [True]
    assert not made.path.exists()


def test_commits_come_home_though_the_folder_is_gone(
    cleanup: Cleanup, made: Worktree, ended: Session, tip: str, git: Any, repo: Path
) -> None:
    shutil.rmtree(made.path)
    (cleaned,) = cleanup.clean()
    assert (cleaned.goes, cleaned.reason) == (True, "its folder is gone; its branch stays, not merged yet (1 commit)")
    assert git(repo, "rev-parse", BRANCH) == tip
    assert str(made.path) not in git(repo, "worktree", "list")


def test_commits_that_cannot_come_home_refuse(
    cleanup: Cleanup, made: Worktree, ended: Session, tip: str, git: Any, repo: Path
) -> None:
    spoilt = ended.path / "git" / "objects" / tip[:2] / tip[2:]
    spoilt.chmod(0o600)
    spoilt.write_bytes(b"spoilt")
    expected = f"commits of {ended.id}: {BRANCH} at {tip[:10]}: not imported: "
    with pytest.raises(errors.WorkWouldBeLostError, match=expected):
        cleanup.remove(made)
    assert [each.goes for each in cleanup.clean()] == [False]
    assert made.path.is_dir()
    assert any(expected in loss for loss in cleanup.remove(made, force=True).lost)
    assert spoilt.exists(), "the session keeps its copy"


def test_the_home_of_its_agents_goes_and_what_sessions_did_stays(
    cleanup: Cleanup, made: Worktree, ended: Session, scopecraft: Scopecraft, git: Any, repo: Path
) -> None:
    home, other = agent_home.ensure(made.path), agent_home.ensure(made.path.with_name("other"))
    (home / "transcript").write_text("x" * 50_000)
    (ended.path / "stream.log").write_text("said\n")
    commit(git, made.path)
    with pytest.raises(errors.WorkWouldBeLostError):
        cleanup.remove(made)
    assert home.is_dir(), "a session may be continued"
    git(repo, "merge", "-q", BRANCH)
    (cleaned,) = cleanup.clean()
    assert cleaned.size > 50_000
    assert cleaned.sessions == (ended.id,)
    assert not home.exists()
    assert other.is_dir()
    assert (ended.path / "stream.log").read_text() == "said\n"
    for command in ("show", "logs"):
        assert scopecraft(command, ended.id).code == 0
    assert ended.id in scopecraft("list").stdout
    gone = scopecraft("diff", ended.id)
    assert (gone.code, f"The worktree {made.path} is gone" in gone.stderr) == (3, True)


def test_one_that_cannot_go_does_not_keep_the_others(
    cleanup: Cleanup, repository: Repository, git: Any, repo: Path
) -> None:
    made = []
    for name in ("first-05A", "second-05A", "third-05A"):
        plan = worktrees.resolve(repository, name, name, WorktreeSettings())
        made.append(worktrees.ensure(repository, plan))
        commit(git, made[-1].path, name)
        git(repo, "merge", "-q", "--no-edit", plan.branch)
    (repo / ".git" / "worktrees" / "second-05A" / "index").write_text("spoilt")
    told = {each.worktree.path.name: each.goes for each in cleanup.clean()}
    assert told == {"first-05A": True, "second-05A": False, "third-05A": True}
    assert [each.path.is_dir() for each in made] == [False, True, False]


def test_a_removal_that_is_killed_is_finished_or_never_began(repo: Path, home: Path) -> None:
    command = [sys.executable, "-m", "tests.worktrees.killed", str(repo)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    kills, undone = map(int, done.stdout.split())
    assert kills > 20
    assert 0 < undone < kills


def test_the_next_command_finishes_what_was_killed(
    scopecraft: Scopecraft, made: Worktree, repository: Repository
) -> None:
    name = paths.worktree_record(made.path)
    program = "from scopecraft_git.worktrees import teardown; import os; teardown._unregister = lambda *_: os._exit(9)"
    program += "; from scopecraft_git.cli import main; main()"
    command = [sys.executable, "-c", program, "worktree", "remove", "auth-05A"]
    assert subprocess.run(command, cwd=repository.main_worktree, check=False).returncode == 9
    assert "removal" in json.loads(name.read_bytes())
    done = scopecraft("worktree", "remove", "auth-05A")
    assert (done.code, done.stderr) == (0, f"✓ Removed worktree @ {output(made.path)} and the branch {BRANCH}\n")
    assert not name.exists()


def output(path: Path) -> str:
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)


# With a real engine


@pytest.fixture
def started() -> Iterator[list[Execution]]:
    made: list[Execution] = []
    yield made
    for execution in made:
        execution.terminate(Signals.SIGKILL)
        execution.release()


def in_container(
    repository: Repository, storage: LocalStorage, made: Worktree, script: str, started: list[Execution]
) -> tuple[Session, Execution]:
    """A session that counts as ended, though nobody has imported its commits or let go of its container."""
    past = submitted(storage, repository, made, executor="docker")
    asked: ExecRequest = sessions.request(past).model_copy(update={"argv": ("sh", "-c", script), "credentials": {}})
    (past.path / "request.json").write_text(asked.model_dump_json())
    execution = DockerExecutor().start(asked)
    started.append(execution)
    return over(storage, past), execution


def containers(past: Session) -> str:
    command = ["docker", "ps", "--all", "--quiet", "--filter", f"label=scopecraft.session={past.id}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


COMMIT = "echo x > work && git add work && git -c user.name=A -c user.email=a@example.org commit -qm 'Add work'"


@pytest.mark.docker
def test_a_container_goes_once_its_commits_are_home(
    cleanup: Cleanup, repository: Repository, storage: LocalStorage, made: Worktree, git: Any, repo: Path,
    started: list[Execution],
) -> None:  # fmt: skip
    past, execution = in_container(repository, storage, made, COMMIT, started)
    ended = execution.wait(30)
    assert ended
    assert ended.code == 0
    with pytest.raises(errors.WorkWouldBeLostError, match=r"commit: .* Add work"):
        cleanup.remove(made)
    assert containers(past)
    git(repo, "merge", "-q", BRANCH)
    assert [each.goes for each in cleanup.clean()] == [True]
    assert not containers(past)
    assert not agent_home.of(made.path).exists()
    assert git(repo, "log", "-1", "--format=%s") == "Add work"


@pytest.mark.docker
def test_an_agent_that_is_still_at_work_refuses(
    cleanup: Cleanup, repository: Repository, storage: LocalStorage, made: Worktree, git: Any, repo: Path,
    started: list[Execution], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    past, execution = in_container(repository, storage, made, f"{COMMIT}; sleep 600", started)
    expected = f"the agent of {past.id}, which is still at work"
    with pytest.raises(errors.WorkWouldBeLostError, match=expected):
        cleanup.remove(made)
    assert execution.poll() is None
    prepare = teardown.prepare

    def look(*given: Any) -> teardown.Removal:
        assert execution.poll(), "it could still write and commit"
        return prepare(*given)

    monkeypatch.setattr(teardown, "prepare", look)
    removed = cleanup.remove(made, force=True)
    assert not containers(past)
    assert not made.path.exists()
    assert removed.backup
    assert git(repo, "log", "-1", "--format=%s", removed.backup) == "Add work"
