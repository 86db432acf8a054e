from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import errors
from scopecraft_git.config import WorktreeSettings
from tests.worktrees.conftest import AUTH, Resolve, Traces


def add(git: Any, repo: Path, branch: str) -> Path:
    """A worktree on a new branch, made by hand."""
    path = repo.parent / branch.replace("/", "-")
    git(repo, "worktree", "add", "-q", "-b", branch, str(path))
    return path


def test_a_new_task_gets_a_branch_and_a_folder_beside_the_repository(repo: Path, git: Any, resolve: Resolve) -> None:
    plan = resolve()
    assert (plan.branch, plan.path) == ("feature/auth-05A", repo.parent / "app.worktrees" / "auth-05A")
    assert (plan.base, plan.commit) == ("main", git(repo, "rev-parse", "main"))
    assert plan.creates_worktree
    assert plan.creates_branch


def test_resolving_creates_nothing(resolve: Resolve, traces: Traces) -> None:
    before = traces()
    resolve()
    assert traces() == before


@pytest.mark.parametrize("branch", [f"feature/{AUTH}", f"task/{AUTH}", AUTH, f"fix/{AUTH}", "feature/auth-05A"])
def test_a_worktree_on_a_branch_of_the_tasks_name_is_its_own(
    repo: Path, git: Any, resolve: Resolve, branch: str
) -> None:
    path = add(git, repo, branch)
    plan = resolve()
    assert (plan.branch, plan.path) == (branch, path)
    assert not plan.creates_worktree


def test_the_whole_id_wins_over_its_end(repo: Path, git: Any, resolve: Resolve) -> None:
    add(git, repo, "feature/auth-05A")
    add(git, repo, f"fix/{AUTH}")
    assert resolve().branch == f"fix/{AUTH}"


def test_the_longest_end_wins(repo: Path, git: Any, resolve: Resolve) -> None:
    add(git, repo, "feature/auth-05A")
    add(git, repo, "feature/web-auth-05A")
    assert resolve("implement-web-auth-05A", "web-auth-05A").branch == "feature/web-auth-05A"


@pytest.mark.parametrize("branch", ["feature/05A", "feature/auth", "feature/oauth-05A", "other/auth-05A"])
def test_an_end_needs_a_word_and_a_code(repo: Path, git: Any, resolve: Resolve, branch: str) -> None:
    add(git, repo, branch)
    plan = resolve("implement-basic-auth-05A", "basic-auth-05A")
    assert plan.branch == "feature/basic-auth-05A"
    assert plan.creates_branch


def test_a_worktree_wins_over_a_branch_without_one(repo: Path, git: Any, resolve: Resolve) -> None:
    git(repo, "branch", f"feature/{AUTH}")
    add(git, repo, "feature/auth-05A")
    assert resolve().branch == "feature/auth-05A"


def test_an_existing_branch_gets_a_worktree(repo: Path, git: Any, resolve: Resolve) -> None:
    git(repo, "branch", f"task/{AUTH}")
    plan = resolve()
    assert (plan.branch, plan.path.name) == (f"task/{AUTH}", f"task-{AUTH}")
    assert plan.creates_worktree
    assert not plan.creates_branch


def test_two_of_one_length_are_refused_by_name(repo: Path, git: Any, resolve: Resolve) -> None:
    add(git, repo, f"feature/{AUTH}")
    add(git, repo, f"task/{AUTH}")
    with pytest.raises(errors.AmbiguousWorktreeError, match=f"feature/{AUTH}, task/{AUTH}"):
        resolve()
    assert resolve(branch=f"task/{AUTH}").branch == f"task/{AUTH}"


def test_the_same_suffix_is_found_again_without_a_code(repo: Path, git: Any, resolve: Resolve) -> None:
    path = add(git, repo, "feature/auth")
    assert resolve("implement-auth", "auth").path == path


def test_an_explicit_branch_wins(repo: Path, git: Any, resolve: Resolve) -> None:
    add(git, repo, "feature/auth-05A")
    plan = resolve(branch="spike/login")
    assert (plan.branch, plan.path.name) == ("spike/login", "spike-login")


def test_a_base_is_a_commit(repo: Path, git: Any, resolve: Resolve) -> None:
    git(repo, "commit", "-q", "--allow-empty", "-m", "Second")
    git(repo, "tag", "-a", "v1", "-m", "One", "HEAD~1")
    assert resolve(base="v1").commit == git(repo, "rev-parse", "HEAD~1")
    with pytest.raises(errors.UnknownRefError):
        resolve(base="nowhere")
    with pytest.raises(errors.UnknownRefError):
        resolve(base="--all")


def test_a_branch_that_only_a_remote_has_starts_there(tmp_path: Path, repo: Path, git: Any, home: Path) -> None:
    git(repo, "switch", "-q", "-c", "feature/auth-05A")
    git(repo, "commit", "-q", "--allow-empty", "-m", "Pushed")
    git(repo, "switch", "-q", "main")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repo), str(clone))
    from scopecraft_git import worktrees
    from scopecraft_git.repository import Repository

    repository = Repository.discover(clone)
    for asked in (None, "feature/auth-05A", "origin/feature/auth-05A"):
        plan = worktrees.resolve(repository, AUTH, "auth-05A", WorktreeSettings(), branch=asked)
        assert (plan.branch, plan.base) == ("feature/auth-05A", "origin/feature/auth-05A")
        assert plan.commit == git(repo, "rev-parse", "feature/auth-05A")
    made = worktrees.ensure(repository, plan)
    assert git(made.path, "log", "-1", "--format=%s") == "Pushed"
    assert "branch.feature" not in git(clone, "config", "--list")


def test_a_branch_that_remotes_disagree_on_is_asked_for(repo: Path, git: Any, resolve: Resolve) -> None:
    git(repo, "commit", "-q", "--allow-empty", "-m", "Second")
    git(repo, "update-ref", "refs/remotes/origin/feature/auth-05A", "main")
    git(repo, "update-ref", "refs/remotes/fork/feature/auth-05A", "main")
    assert resolve().base == "origin/feature/auth-05A"
    git(repo, "update-ref", "refs/remotes/fork/feature/auth-05A", "main~1")
    with pytest.raises(errors.AmbiguousWorktreeError, match="origin/feature/auth-05A, fork/feature/auth-05A"):
        resolve()
    plan = resolve(branch="fork/feature/auth-05A")
    assert (plan.branch, plan.commit) == ("feature/auth-05A", git(repo, "rev-parse", "main~1"))


def test_settings_say_where_and_how_it_is_called(repo: Path, tmp_path: Path, resolve: Resolve) -> None:
    settings = WorktreeSettings(path=str(tmp_path / "{repo}" / "{branch}"), prefix="ai/")
    plan = resolve(settings=settings)
    assert (plan.branch, plan.path) == ("ai/auth-05A", tmp_path / "app" / "ai-auth-05A")


def test_a_placeholder_that_stands_for_nothing_is_named(resolve: Resolve) -> None:
    with pytest.raises(errors.InvalidSettingError, match=r"\{task\}"):
        resolve(settings=WorktreeSettings(path="../{task}"))


@pytest.mark.parametrize("template", ["{suffix}", "wt/{suffix}", ".git/{suffix}", "../app/x/{suffix}"])
def test_a_worktree_never_lies_in_another(resolve: Resolve, traces: Traces, template: str) -> None:
    before = traces()
    with pytest.raises(errors.NestedWorktreeError):
        resolve(settings=WorktreeSettings(path=template))
    assert traces() == before


def test_a_worktree_never_lies_in_a_linked_one(repo: Path, git: Any, resolve: Resolve) -> None:
    path = add(git, repo, "other")
    with pytest.raises(errors.NestedWorktreeError, match=str(path)):
        resolve(settings=WorktreeSettings(path="../other/{suffix}"))


@pytest.mark.parametrize(
    "name", ["main", "feature/x..y", "-x", "a b", "x.lock", "a\x1b[31m", "@", "", "a/", ".a", "x~1"]
)
def test_a_branch_that_cannot_be_is_refused(resolve: Resolve, name: str) -> None:
    with pytest.raises((errors.MainBranchError, errors.InvalidBranchError, errors.MainWorktreeError)):
        resolve(branch=name)


def test_the_default_branch_is_refused_also_where_nobody_stands_on_it(repo: Path, git: Any, resolve: Resolve) -> None:
    git(repo, "switch", "-q", "-c", "elsewhere")
    with pytest.raises(errors.MainBranchError):
        resolve(branch="main")


@pytest.mark.parametrize("task", ["main", "implement-auth-05A"])
def test_the_default_branch_is_refused_as_such_where_the_user_stands_on_it(resolve: Resolve, task: str) -> None:
    with pytest.raises(errors.MainBranchError) as refusal:
        resolve(task=task, branch="main" if task != "main" else None)
    assert refusal.value.hint.endswith("--branch feature/auth-05A")
    assert resolve(branch=refusal.value.hint.rpartition(" ")[2]).creates_branch


def test_a_branch_that_the_main_worktree_stands_on_is_refused(repo: Path, git: Any, resolve: Resolve) -> None:
    git(repo, "switch", "-q", "-c", "feature/auth-05A")
    with pytest.raises(errors.MainWorktreeError):
        resolve()


@pytest.mark.parametrize("blocker", ["feature", "feature/auth-05A/more"])
def test_a_branch_in_the_way_is_named(repo: Path, git: Any, resolve: Resolve, blocker: str) -> None:
    git(repo, "branch", blocker)
    with pytest.raises(errors.BranchInTheWayError, match=f"{blocker} exists"):
        resolve()


def test_something_else_at_the_place_is_left_alone(repo: Path, resolve: Resolve) -> None:
    path = repo.parent / "app.worktrees" / "auth-05A"
    path.mkdir(parents=True)
    assert resolve().path == path
    (path / "mine").touch()
    with pytest.raises(errors.PathInTheWayError):
        resolve()


def test_a_worktree_that_moved_to_another_branch_is_refused(repo: Path, git: Any, make: Any, resolve: Resolve) -> None:
    path = make().path
    git(path, "switch", "-q", "-c", "elsewhere")
    with pytest.raises(errors.WrongBranchError, match="elsewhere"):
        resolve()
    git(path, "switch", "-q", "--detach")
    with pytest.raises(errors.DetachedHeadError):
        resolve()


def test_a_repository_without_commits_is_refused(tmp_path: Path, git: Any) -> None:
    from scopecraft_git import worktrees
    from scopecraft_git.repository import Repository

    (tmp_path / "new").mkdir()
    git(tmp_path / "new", "init", "-q")
    with pytest.raises(errors.UnbornRepositoryError, match=str(tmp_path / "new")):
        worktrees.resolve(Repository(tmp_path / "new" / ".git"), AUTH, "auth-05A", WorktreeSettings())


def test_a_bare_repository_is_refused(tmp_path: Path, repo: Path, git: Any) -> None:
    from scopecraft_git import worktrees
    from scopecraft_git.repository import Repository

    git(tmp_path, "clone", "-q", "--bare", str(repo), "bare.git")
    with pytest.raises(errors.BareRepositoryError):
        worktrees.resolve(Repository.discover(tmp_path / "bare.git"), AUTH, "auth-05A", WorktreeSettings())
