from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import plugins, sessions, submission, worktrees
from scopecraft_git.errors import (
    BranchElsewhereError,
    BranchGoneError,
    BranchLeftError,
    CannotResumeError,
    HalfDoneError,
    MissingWorktreeError,
    NothingToContinueError,
    NothingToSayError,
    PathInTheWayError,
    RepositoryGoneError,
    ScopecraftError,
    SessionLivesError,
    UnknownPluginError,
)
from scopecraft_git.models import Mode, Session, SessionStatus
from scopecraft_git.protocols import Storage
from scopecraft_git.repository import Repository
from scopecraft_git.submission import Draft, Order
from tests.samples import NOW

CONVERSATION = "5d6f7a10-0000-4000-8000-000000000001"
PROMPT = """---
systemPrompt: Be brief
appendSystemPrompt: Be kind
allowedTools: [Read, Bash(git log:*)]
disallowedTools: [WebFetch]
mcpConfig: {mcpServers: {}}
---
Fix it
"""


@pytest.fixture
def storage(home: Path) -> Storage:
    """With an agent that any program will do for, since none is started."""
    (home / "config" / "orchestration.json").write_text('{"agents": {"claude": {"command": "true"}}}')
    return plugins.storage("local")


@pytest.fixture
def ordered(repo: Path, storage: Storage) -> Draft:
    return submission.draft(Order(task="fix-typo", prompt="Fix it", executor="local"), repo)


@pytest.fixture
def parent(ordered: Draft, storage: Storage) -> Session:
    return ended(ordered, storage)


def ended(ordered: Draft, storage: Storage, **changes: Any) -> Session:
    """A session that came to its end, with its worktree."""
    session = made(ordered, storage)
    done = {"status": SessionStatus.COMPLETED, "started_at": NOW, "ended_at": NOW, "agent_session_id": CONVERSATION}
    storage.save(session.model_copy(update=done | changes))
    return storage.load(session.id)


def made(ordered: Draft, storage: Storage) -> Session:
    worktrees.ensure(ordered.repository, ordered.plan)
    with sessions.reserved_id(storage, ordered.suffix) as session_id:
        session = ordered.session(session_id)
        sessions.create(storage, session, ordered.prompt, ordered.exec_request(session_id))
    return session


def refused(kind: type[ScopecraftError], storage: Storage, parent: Session) -> ScopecraftError:
    """The error, which comes before anything is made."""
    before = storage.ids()
    with pytest.raises(kind) as caught:
        submission.continuation(storage, parent, "Go on")
    assert storage.ids() == before
    return caught.value


def test_it_is_the_same_agent_at_the_same_place(parent: Session, storage: Storage, git: Any, repo: Path) -> None:
    (parent.worktree / "fixed").touch()
    git(parent.worktree, "add", "fixed")
    git(parent.worktree, "commit", "-qm", "Fix it")
    drafted = submission.continuation(storage, parent, "Go on")
    child = drafted.session("typo-0000001")
    same = ("task", "mode", "executor", "agent", "branch", "worktree", "repository", "agent_session_id")
    assert {name: getattr(child, name) for name in same} == {name: getattr(parent, name) for name in same}
    assert child.parent == parent.id
    assert child.base_commit == git(repo, "rev-parse", "feature/typo")
    request = drafted.exec_request(child.id)
    assert request.input == drafted.agent.message("Go on")
    assert request.argv[-2:] == ("--resume", CONVERSATION)


def test_the_options_of_the_prompt_file_stay(repo: Path, storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "fix.md").write_text(PROMPT)
    order = Order(task="fix-typo", prompt_file=str(tmp_path / "fix.md"), executor="local", model="opus")
    parent = ended(submission.draft(order, repo), storage)
    first = sessions.request(parent).argv
    argv = submission.continuation(storage, parent, "Go on").exec_request("typo-0000001").argv
    assert argv[: argv.index("--resume")] == first[: first.index("--session-id")]
    assert {"opus", "Be brief", "Be kind", "Bash(git log:*)", "WebFetch"} <= set(argv)


def test_settings_are_those_of_now(parent: Session, storage: Storage, git: Any, repo: Path) -> None:
    git(repo, "config", "scopecraft.max-running", "7")
    git(repo, "config", "scopecraft.agents.claude.args", '["--verbose"]')
    git(repo, "config", "scopecraft.executor.autonomous", "docker")
    drafted = submission.continuation(storage, parent, "Go on")
    assert drafted.settings.max_running == 7
    assert drafted.executor.name == "local"
    assert drafted.exec_request("typo-0000001").argv[-1] == "--verbose"


def test_a_session_that_continues_another_can_be_continued(parent: Session, storage: Storage) -> None:
    """Also when it ended before its agent said which session it is, or before it started."""
    second = ended(submission.continuation(storage, parent, "Go on"), storage)
    third = ended(
        submission.continuation(storage, second, "And on"), storage, started_at=None, status=SessionStatus.FAILED
    )
    drafted = submission.continuation(storage, third, "And on")
    assert (drafted.agent_request.resume, drafted.parent) == (CONVERSATION, third)


def test_a_session_continued_twice_names_both(parent: Session, storage: Storage) -> None:
    children = [made(submission.continuation(storage, parent, "Go on"), storage) for _ in range(2)]
    for child in (*children, children[0]):
        sessions.link(storage, child)
    assert storage.load(parent.id).continued_by == tuple(child.id for child in children)
    assert storage.load(parent.id).status is SessionStatus.COMPLETED


def test_the_link_is_made_though_the_command_was_killed_before(parent: Session, storage: Storage) -> None:
    child = made(submission.continuation(storage, parent, "Go on"), storage)
    (child.path / "making").touch()
    assert sessions.sweep(storage) == []
    assert storage.load(parent.id).continued_by == (child.id,)
    assert not (child.path / "making").exists()
    assert storage.load(child.id).parent == parent.id


def test_a_worktree_that_was_removed_is_made_again_where_it_was(
    parent: Session, storage: Storage, git: Any, repo: Path
) -> None:
    git(repo, "worktree", "remove", str(parent.worktree))
    git(repo, "config", "scopecraft.worktree.path", "../elsewhere/{suffix}")
    plan = submission.continuation(storage, parent, "Go on").plan
    assert (plan.path, plan.branch, plan.creates_worktree) == (parent.worktree, "feature/typo", True)
    worktrees.ensure(Repository(parent.repository), plan)
    assert git(parent.worktree, "branch", "--show-current") == "feature/typo"


def test_something_has_to_be_said(parent: Session, storage: Storage) -> None:
    with pytest.raises(NothingToSayError) as caught:
        submission.continuation(storage, parent, " \n")
    assert f"git scopecraft continue {parent.id} -p " in caught.value.hint


@pytest.mark.parametrize("status", [SessionStatus.QUEUED, SessionStatus.RUNNING, SessionStatus.PAUSED])
def test_not_while_it_lives(ordered: Draft, storage: Storage, status: SessionStatus) -> None:
    parent = ended(ordered, storage, status=status, ended_at=None)
    assert refused(SessionLivesError, storage, parent).hint.endswith(f"git scopecraft stop {parent.id}")


@pytest.mark.tmux
def test_a_window_is_talked_to_and_never_doubled(repo: Path, storage: Storage) -> None:
    ordered = submission.draft(Order(task="fix-typo", prompt="Fix it", mode=Mode.DISPATCH), repo)
    living = ended(ordered, storage, status=SessionStatus.IDLE, ended_at=None)
    assert refused(SessionLivesError, storage, living).hint.endswith(f"git scopecraft attach {living.id}")
    storage.save(living.model_copy(update={"status": SessionStatus.FAILED, "ended_at": NOW}))
    child = made(submission.continuation(storage, storage.load(living.id), "Go on"), storage)
    sessions.link(storage, child)
    hint = refused(SessionLivesError, storage, storage.load(living.id)).hint
    assert hint.endswith(f"git scopecraft attach {child.id}")


@pytest.mark.tmux
def test_which_session_a_window_shows_is_known_without_its_agents_saying_so(repo: Path, storage: Storage) -> None:
    ordered = submission.draft(Order(task="fix-typo", prompt="Fix it", mode=Mode.DISPATCH), repo)
    parent = ended(ordered, storage, agent_session_id=ordered.session("typo-0000001").agent_session_id)
    told = ordered.agent_request.agent_session_id
    assert submission.continuation(storage, parent, "Go on").agent_request.resume == told


def test_not_when_the_agent_never_began(ordered: Draft, storage: Storage) -> None:
    cancelled = ended(ordered, storage, status=SessionStatus.CANCELLED, started_at=None)
    silent = ended(ordered, storage, agent_session_id=None)
    for parent in (cancelled, silent):
        assert "git scopecraft run fix-typo -p " in refused(NothingToContinueError, storage, parent).hint


def test_not_with_an_agent_without_a_memory(repo: Path, storage: Storage) -> None:
    order = Order(task="fix-typo", executor="local", agent="command", command=("true",))
    parent = ended(submission.draft(order, repo), storage)
    assert "git scopecraft run fix-typo -p " in refused(CannotResumeError, storage, parent).hint


@pytest.mark.parametrize("gone", ["executor", "agent"])
def test_not_without_the_plugin(ordered: Draft, storage: Storage, gone: str) -> None:
    refused(UnknownPluginError, storage, ended(ordered, storage, **{gone: "nomad"}))


def test_not_without_the_repository(parent: Session, storage: Storage) -> None:
    shutil.rmtree(parent.repository.parent)
    refused(RepositoryGoneError, storage, parent)


def test_a_branch_that_is_gone_comes_back_as_the_hint_says(
    parent: Session, storage: Storage, git: Any, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2099-01-01T00:00:00Z")  # newer than what lies beside it
    git(parent.worktree, "commit", "--allow-empty", "-qm", "Only here")
    tip = git(repo, "rev-parse", "feature/typo")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2099-02-01T00:00:00Z")
    of_another = git(repo, "commit-tree", "-m", "Newer", "main^{tree}")
    for name, commit in (("typo-0000000", "main"), (f"typo-{tip[:7]}", tip), ("typo-old-1111111", of_another)):
        git(repo, "update-ref", f"refs/scopecraft/backup/feature/{name}", commit)
    git(repo, "worktree", "remove", str(parent.worktree))
    git(repo, "branch", "-D", "feature/typo")
    _paste(refused(BranchGoneError, storage, parent), git, repo)
    assert submission.continuation(storage, parent, "Go on").plan.commit == tip


def test_so_does_one_whose_commits_came_home(ordered: Draft, storage: Storage, git: Any, repo: Path) -> None:
    parent = ended(ordered, storage, imported_commit=git(repo, "rev-parse", "main"))
    git(repo, "worktree", "remove", str(parent.worktree))
    git(repo, "branch", "-D", "feature/typo")
    _paste(refused(BranchGoneError, storage, parent), git, repo)
    assert submission.continuation(storage, parent, "Go on").plan.path == parent.worktree


def test_without_a_trace_of_the_branch_a_task_starts_anew(
    ordered: Draft, storage: Storage, git: Any, repo: Path
) -> None:
    parent = ended(ordered, storage, imported_commit="1" * 40)
    git(repo, "worktree", "remove", str(parent.worktree))
    git(repo, "branch", "-D", "feature/typo")
    assert "git scopecraft run fix-typo -p " in refused(BranchGoneError, storage, parent).hint


def test_a_branch_that_is_checked_out_elsewhere_moves_back(
    parent: Session, storage: Storage, git: Any, repo: Path
) -> None:
    git(repo, "worktree", "move", str(parent.worktree), str(repo.parent / "other"))
    _paste(refused(BranchElsewhereError, storage, parent), git, repo)
    assert submission.continuation(storage, parent, "Go on").plan.path == parent.worktree


def test_so_it_does_out_of_the_main_worktree(parent: Session, storage: Storage, git: Any, repo: Path) -> None:
    git(repo, "worktree", "remove", str(parent.worktree))
    git(repo, "switch", "-q", "feature/typo")
    _paste(refused(BranchElsewhereError, storage, parent), git, repo)
    assert submission.continuation(storage, parent, "Go on").plan.path == parent.worktree


@pytest.mark.parametrize("left", [("switch", "-qc", "other"), ("switch", "-q", "--detach")])
def test_a_worktree_that_left_the_branch_goes_back(
    parent: Session, storage: Storage, git: Any, repo: Path, left: tuple[str, ...]
) -> None:
    git(parent.worktree, *left)
    _paste(refused(BranchLeftError, storage, parent), git, repo)
    assert submission.continuation(storage, parent, "Go on").plan.branch == "feature/typo"


def test_not_in_the_middle_of_a_merge(parent: Session, storage: Storage, git: Any) -> None:
    (Repository(parent.repository).git_dir(parent.worktree) / "MERGE_HEAD").touch()
    refused(HalfDoneError, storage, parent)


def test_not_over_something_else(parent: Session, storage: Storage, git: Any, repo: Path) -> None:
    git(repo, "worktree", "remove", str(parent.worktree))
    parent.worktree.mkdir(parents=True)
    (parent.worktree / "notes").touch()
    refused(PathInTheWayError, storage, parent)


def test_a_worktree_deleted_by_hand_comes_back_once_git_forgets_it(
    parent: Session, storage: Storage, git: Any, repo: Path
) -> None:
    shutil.rmtree(parent.worktree)
    _paste(refused(MissingWorktreeError, storage, parent), git, repo)
    assert submission.continuation(storage, parent, "Go on").plan.path == parent.worktree


def _paste(error: ScopecraftError, git: Any, repo: Path) -> None:
    """Do what the hint says."""
    command = error.hint[error.hint.index(": git ") + 2 :].replace("'", "").split()
    git(repo, *command[1:])
