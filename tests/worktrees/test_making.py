from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import errors, worktrees
from scopecraft_git.config import WorktreeSettings
from scopecraft_git.repository import Repository
from tests.conftest import Scopecraft
from tests.executors.contract import until
from tests.worktrees.conftest import AUTH, Make, Resolve, Traces


def test_a_worktree_is_made_as_planned(repo: Path, git: Any, make: Make, resolve: Resolve) -> None:
    plan = resolve()
    made = make()
    assert (made.path, made.branch, made.head, made.base_commit) == (plan.path, plan.branch, plan.commit, plan.commit)
    assert git(made.path, "status", "--porcelain", "--branch") == "## feature/auth-05A"
    assert (made.path / "README.md").read_text() == "# app\n"


def test_what_is_there_is_used_again(repository: Repository, make: Make, traces: Traces) -> None:
    first = make()
    before = traces()
    assert make() == first
    assert make("test-auth-05A") == first
    assert traces() == before


def test_the_main_worktree_and_configuration_stay_as_they_were(repo: Path, git: Any, make: Make) -> None:
    def state() -> list[bytes | str]:
        files = [repo / ".git" / name for name in ("config", "index", "HEAD", "logs/HEAD")]
        return [*(file.read_bytes() for file in files), git(repo, "status", "--porcelain"), git(repo, "branch", "-v")]

    before = state()[:-1]
    make()
    assert state()[:-1] == before


def test_many_at_the_same_instant(repository: Repository, repo: Path, git: Any) -> None:
    count = 24
    together = threading.Barrier(count)

    def run(number: int) -> worktrees.Plan:
        mine = Repository(repository.common_dir)
        task = f"implement-part{number}-05A"
        together.wait(30)
        plan = worktrees.resolve(mine, task, task.removeprefix("implement-"), WorktreeSettings())
        worktrees.ensure(mine, plan)
        return plan

    with ThreadPoolExecutor(count) as threads:
        plans = list(threads.map(run, range(count)))
    assert len(git(repo, "worktree", "list").splitlines()) == count + 1
    assert all((plan.path / "README.md").exists() for plan in plans)


def test_tasks_of_one_environment_at_the_same_instant_share_it(repository: Repository, repo: Path, git: Any) -> None:
    count = 12
    together = threading.Barrier(count)

    def run(number: int) -> Path:
        mine = Repository(repository.common_dir)
        together.wait(30)
        plan = worktrees.resolve(mine, f"v{number}-auth-05A", "auth-05A", WorktreeSettings())
        with worktrees.made(mine, plan, f"session-{number}") as worktree:
            return worktree.path

    with ThreadPoolExecutor(count) as threads:
        assert len(set(threads.map(run, range(count)))) == 1
    assert len(git(repo, "worktree", "list").splitlines()) == 2


@pytest.mark.parametrize("name", ["-dash", "with space", "grün ☃", "new\nline", "quo'te\"", "colon:and\\"])
def test_any_path_will_do(tmp_path: Path, home: Path, git: Any, name: str) -> None:
    repo = tmp_path / name
    repo.mkdir()
    git(repo, "init", "-q")
    git(repo, "commit", "-q", "--allow-empty", "-m", "Start")
    repository = Repository.discover(repo)
    plan = worktrees.resolve(repository, AUTH, "auth-05A", WorktreeSettings())
    made = worktrees.ensure(repository, plan)
    (made.path / "new").write_text("new\n")
    assert made.path == tmp_path / f"{name}.worktrees" / "auth-05A"
    assert worktrees.losses(repository, made) == ["untracked: new"]
    assert "+new" in worktrees.diff(repository, made.path, "main")
    assert Repository.discover(made.path).common_dir == repo / ".git"
    worktrees.remove(repository, made, force=True)
    assert not made.path.exists()


@pytest.mark.parametrize("hash_", ["sha1", "sha256"])
def test_either_hash_will_do(tmp_path: Path, home: Path, git: Any, hash_: str) -> None:
    git(tmp_path, "init", "-q", f"--object-format={hash_}", "app")
    git(tmp_path / "app", "commit", "-q", "--allow-empty", "-m", "Start")
    repository = Repository.discover(tmp_path / "app")
    made = worktrees.ensure(repository, worktrees.resolve(repository, AUTH, "auth-05A", WorktreeSettings()))
    assert len(made.head) == {"sha1": 40, "sha256": 64}[hash_]
    assert git(made.path, "rev-parse", "HEAD") == made.head


def test_a_git_hook_may_call(tmp_path: Path, repo: Path, git: Any, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other" / ".git" / "index"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert Repository.discover(repo).common_dir == repo / ".git"
    path = make().path
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name)
    assert git(path, "status", "--porcelain", "--branch") == "## feature/auth-05A"


def test_the_users_hooks_do_not_run(repo: Path, git: Any, make: Make, tmp_path: Path) -> None:
    hook = tmp_path / "hooks" / "post-checkout"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    hook.chmod(0o755)
    git(repo, "config", "core.hooksPath", str(hook.parent))
    make()
    assert not (tmp_path / "ran").exists()
    git(repo, "worktree", "add", "-q", str(tmp_path / "by-hand"))
    assert (tmp_path / "ran").exists()


def test_filters_that_the_user_configured_run_when_files_are_checked_out(repo: Path, git: Any, make: Make) -> None:
    git(repo, "config", "filter.shout.smudge", "tr a-z A-Z")
    (repo / ".gitattributes").write_text("*.md filter=shout\n")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "Shout")
    assert (make().path / "README.md").read_text() == "# APP\n"


def test_a_partial_clone_fetches_what_it_checks_out(tmp_path: Path, repo: Path, git: Any, home: Path) -> None:
    git(repo, "config", "uploadpack.allowFilter", "true")
    git(repo, "switch", "-q", "-c", "feature/auth-05A")
    (repo / "big").write_text("big\n")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "Big")
    git(repo, "switch", "-q", "main")
    git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{repo}", "clone")
    repository = Repository.discover(tmp_path / "clone")
    made = worktrees.ensure(repository, worktrees.resolve(repository, AUTH, "auth-05A", WorktreeSettings()))
    assert (made.path / "big").read_text() == "big\n"


def test_submodules_are_no_hindrance(tmp_path: Path, repo: Path, git: Any, make: Make, repository: Repository) -> None:
    git(tmp_path, "clone", "-q", str(repo), "library")
    git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "library"), "lib")
    git(repo, "commit", "-qm", "Add lib")
    made = make()
    assert worktrees.losses(repository, made) == []
    inside = Repository.discover(repo / "lib")
    assert inside.main_worktree == repo / "lib"
    plan = worktrees.resolve(inside, AUTH, "auth-05A", WorktreeSettings(path=str(tmp_path / "{repo}-{suffix}")))
    assert worktrees.ensure(inside, plan).path == tmp_path / "lib-auth-05A"


def test_from_inside_a_linked_worktree_it_is_made_beside_the_main_one(repo: Path, make: Make) -> None:
    inside = Repository.discover(make().path)
    plan = worktrees.resolve(inside, "add-login-05B", "login-05B", WorktreeSettings())
    assert worktrees.ensure(inside, plan).path == repo.parent / "app.worktrees" / "login-05B"


def test_nothing_is_left_when_a_later_step_fails(home: Path, make: Make, traces: Traces) -> None:
    (home / "worktrees").write_text("in the way")
    before = traces()
    with pytest.raises(errors.HomeNotWritableError):
        make()
    assert traces() == before


def test_a_branch_that_was_there_survives_a_failure(repo: Path, git: Any, home: Path, make: Make) -> None:
    git(repo, "branch", "feature/auth-05A")
    (home / "worktrees").write_text("in the way")
    with pytest.raises(errors.HomeNotWritableError):
        make()
    assert "feature/auth-05A" in git(repo, "branch")


def test_a_folder_that_cannot_be_made_is_said(repo: Path, make: Make, traces: Traces) -> None:
    (repo.parent / "file").touch()
    before = traces()
    with pytest.raises(errors.CannotMakeWorktreeError, match="Not a directory"):
        make(settings=WorktreeSettings(path="../file/{suffix}"))
    assert traces() == before


def test_nothing_is_left_when_the_session_cannot_be_made(
    repository: Repository, resolve: Resolve, traces: Traces
) -> None:
    before = traces()
    with pytest.raises(KeyboardInterrupt), worktrees.made(repository, resolve(), "s1"):
        raise KeyboardInterrupt
    assert traces() == before


def test_a_worktree_that_was_there_stays_when_the_session_cannot_be_made(
    repository: Repository, resolve: Resolve, make: Make, traces: Traces
) -> None:
    make()
    before = traces()
    with pytest.raises(KeyboardInterrupt), worktrees.made(repository, resolve(), "s1"):
        raise KeyboardInterrupt
    assert traces() == before
    assert worktrees.at(repository, resolve().path).locked is None


def test_a_worktree_that_another_session_moved_into_stays(repository: Repository, resolve: Resolve) -> None:
    def interrupted() -> None:
        with worktrees.made(repository, resolve(), "s1"):
            with worktrees.made(repository, resolve(), "s2"):
                pass
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert worktrees.at(repository, resolve().path).locked == "s2"


def test_an_interrupt_in_the_middle_of_the_checkout_leaves_nothing(
    tmp_path: Path, repo: Path, git: Any, traces: Traces
) -> None:
    git(repo, "config", "filter.slow.smudge", f"touch '{tmp_path}/reached'; exec sleep 60")
    (repo / ".gitattributes").write_text("*.md filter=slow\n")
    git(repo, "add", ".gitattributes")
    git(repo, "commit", "-qm", "Slow")
    before = traces()
    program = (
        "from pathlib import Path\nfrom scopecraft_git import worktrees\nfrom scopecraft_git.config import Settings\n"
        "from scopecraft_git.repository import Repository\nmine = Repository.discover(Path.cwd())\n"
        f"worktrees.ensure(mine, worktrees.resolve(mine, '{AUTH}', 'auth-05A', Settings().worktree))\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], cwd=repo, start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while not (tmp_path / "reached").exists():
            assert time.monotonic() < deadline
            assert child.poll() is None
        child.send_signal(signal.SIGINT)
        child.wait(30)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    assert traces() == before


def test_a_plan_that_has_become_stale_is_decided_again(
    repo: Path, git: Any, repository: Repository, resolve: Resolve
) -> None:
    plan = resolve()
    git(repo, "worktree", "add", "-q", "-b", "feature/auth-05A", str(repo.parent / "by-hand"))
    assert worktrees.ensure(repository, plan).path == repo.parent / "by-hand"


def test_a_folder_that_came_in_the_way_meanwhile_is_left_alone(repository: Repository, resolve: Resolve) -> None:
    plan = resolve()
    plan.path.mkdir(parents=True)
    (plan.path / "mine").touch()
    with pytest.raises(errors.PathInTheWayError):
        worktrees.ensure(repository, plan)
    assert (plan.path / "mine").exists()


def test_the_repository_is_found_again_when_git_forgot_the_worktree(
    repo: Path, git: Any, make: Make, tmp_path: Path
) -> None:
    path = make().path
    git(repo, "worktree", "remove", str(path))
    shutil.copytree(repo, path)
    assert Repository.discover(path).common_dir == path / ".git"


# Killed


@pytest.fixture
def deadly(repo: Path, git: Any) -> str:
    """A repository whose checkout ends with the death of all who take part in it, where DEADLY is set."""
    script = 'cat; if test -n "$DEADLY"; then kill -9 0; fi'
    git(repo, "config", "filter.deadly.smudge", script)
    (repo / ".gitattributes").write_text("z/file3 filter=deadly\n")
    (repo / ".gitignore").write_text(".env\n")
    (repo / ".worktreeinclude").write_text(".env\n")
    (repo / ".env").write_text("SECRET=1\n")
    (repo / "z").mkdir()
    for number in range(4):
        (repo / "z" / f"file{number}").write_text(f"{number}\n" * 500)
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "Many files")
    return "DEADLY"


def die_in_the_checkout(repo: Path, branch: str = "feature/auth-05A") -> None:
    """Make the task's worktree as far as the checkout, and be killed in it with git."""
    program = (
        "from pathlib import Path\nfrom scopecraft_git import worktrees\n"
        "from scopecraft_git.config import WorktreeSettings\nfrom scopecraft_git.repository import Repository\n"
        "mine = Repository.discover(Path.cwd())\n"
        f"plan = worktrees.resolve(mine, '{AUTH}', 'auth-05A', WorktreeSettings(), branch='{branch}')\n"
        "worktrees.ensure(mine, plan)\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", program],
        cwd=repo,
        start_new_session=True,
        env={**os.environ, "DEADLY": "1"},
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    with Repository(repo / ".git").lock():  # once all of them are gone
        pass


def test_killed_before_any_of_its_changes_the_next_command_makes_it_whole(repo: Path, home: Path, deadly: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.worktrees.killed_making", str(repo)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(int(kills) > 4 for kills in done.stdout.split())


def test_killed_with_git_in_the_middle_of_the_checkout_nothing_is_left(
    repo: Path, deadly: str, traces: Traces, repository: Repository, make: Make, git: Any
) -> None:
    before = traces()
    die_in_the_checkout(repo)
    assert (repo.parent / "app.worktrees" / "auth-05A" / "z" / "file2").exists()
    worktrees.listing(repository)
    assert traces() == before
    assert git(make().path, "status", "--porcelain") == ""


def test_a_branch_that_was_there_before_a_killed_making_stays(
    repo: Path, deadly: str, traces: Traces, repository: Repository, git: Any
) -> None:
    git(repo, "branch", "feature/mine")
    before = traces()
    die_in_the_checkout(repo, "feature/mine")
    worktrees.listing(repository)
    assert traces() == before


@pytest.mark.parametrize("work", ["new", "z/file1", "z/file3"])
def test_what_somebody_wrote_into_half_a_worktree_is_not_lost(
    repo: Path, deadly: str, repository: Repository, resolve: Resolve, work: str, scopecraft: Scopecraft
) -> None:
    path = repo.parent / "app.worktrees" / "auth-05A"
    die_in_the_checkout(repo)
    (path / work).write_text("work\n")
    with pytest.raises(errors.HalfMadeWorktreeError) as refusal:
        resolve()
    assert (path / work).read_text() == "work\n"
    assert worktrees.at(repository, path).ours
    command = shlex.split(refusal.value.hint.rpartition(": ")[2])
    done = scopecraft(*command[2:])
    assert done.code == 0, done.stderr
    assert resolve().creates_worktree


def test_half_a_file_is_no_work(repo: Path, deadly: str, traces: Traces, repository: Repository) -> None:
    before = traces()
    die_in_the_checkout(repo)
    (repo.parent / "app.worktrees" / "auth-05A" / "z" / "file1").write_text("1\n1")
    worktrees.listing(repository)
    assert traces() == before


def test_what_somebody_committed_on_the_branch_is_not_lost(
    repo: Path, deadly: str, repository: Repository, git: Any
) -> None:
    die_in_the_checkout(repo)
    commit = git(repo, "commit-tree", "-m", "Work", "-p", "main", "main^{tree}")
    git(repo, "update-ref", "refs/heads/feature/auth-05A", commit)
    worktrees.listing(repository)
    assert worktrees.at(repository, repo.parent / "app.worktrees" / "auth-05A").ours
    assert git(repo, "rev-parse", "feature/auth-05A") == commit


@pytest.mark.parametrize("left", [(), ("locked",), ("locked", "gitdir"), ("locked", "gitdir", "HEAD")])
def test_killed_when_git_had_hardly_begun_nothing_is_left(
    repo: Path, deadly: str, repository: Repository, traces: Traces, left: tuple[str, ...]
) -> None:
    before = traces()
    die_in_the_checkout(repo)
    path = repo.parent / "app.worktrees" / "auth-05A"
    for file in (repo / ".git" / "worktrees" / "auth-05A").iterdir():
        if file.name not in left:
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    for name in path.iterdir():
        if name.name != ".git":
            shutil.rmtree(name) if name.is_dir() else name.unlink()
    if "gitdir" not in left:
        (path / ".git").unlink()
    worktrees.listing(repository)
    assert traces() == before


def test_git_that_outlives_its_command_is_waited_for(
    repo: Path, git: Any, tmp_path: Path, repository: Repository, make: Make
) -> None:
    git(repo, "config", "filter.slow.smudge", f"touch '{tmp_path}/reached'; cat; cat '{tmp_path}/go' >&2")
    (repo / ".gitattributes").write_text("*.md filter=slow\n")
    git(repo, "add", ".gitattributes")
    git(repo, "commit", "-qm", "Slow")
    os.mkfifo(tmp_path / "go")
    program = (
        "from pathlib import Path\nfrom scopecraft_git import worktrees\n"
        "from scopecraft_git.config import WorktreeSettings\nfrom scopecraft_git.repository import Repository\n"
        "mine = Repository.discover(Path.cwd())\n"
        f"worktrees.ensure(mine, worktrees.resolve(mine, '{AUTH}', 'auth-05A', WorktreeSettings()))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], cwd=repo, stderr=subprocess.DEVNULL)
    until((tmp_path / "reached").exists)
    child.kill()
    child.wait(30)
    with pytest.raises(errors.LockTimeoutError), repository.lock(0):
        pass
    (tmp_path / "go").write_text("")
    made = make()
    assert made.ours
    assert worktrees.at(repository, made.path).locked is None
    assert git(made.path, "status", "--porcelain") == ""
