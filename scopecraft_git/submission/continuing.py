"""A session that goes on where another one ended."""

from __future__ import annotations

import re

from scopecraft_git import config, plugins, policy, prompts, sessions, worktrees
from scopecraft_git.config import AgentSettings, Settings
from scopecraft_git.errors import (
    BranchGoneError,
    BranchLeftError,
    CannotResumeError,
    DetachedHeadError,
    NothingToContinueError,
    NothingToSayError,
    RepositoryGoneError,
    SessionLivesError,
    SessionNotFoundError,
    WrongBranchError,
)
from scopecraft_git.models import Mode, Session
from scopecraft_git.protocols import AgentRequest, ExecRequest, Storage
from scopecraft_git.repository import Repository
from scopecraft_git.submission.drafts import Draft
from scopecraft_git.worktrees import Plan
from scopecraft_git.worktrees.teardown import BACKUPS


def continuation(storage: Storage, parent: Session, text: str) -> Draft:
    """Say `text` to the agent of `parent`, in its worktree and on its branch, where and how it ran before.

    Settings are those of now. Raises every refusal there is before anything changes.
    """
    if not text.strip():
        raise NothingToSayError(parent.id)
    _refuse_living(storage, parent)
    executor, agent = plugins.executor(parent.executor), plugins.agent(parent.agent)
    if not agent.resumes:
        raise CannotResumeError(agent.name, parent.task)
    request = _agent_request(parent, sessions.request(parent))
    repository = _repository(parent)
    settings = config.load(repository.configured("scopecraft"))
    request = request.model_copy(update={"settings": _agent_settings(parent, settings), "isolated": executor.isolated})
    plan = _plan(repository, parent, settings)
    policy.load()  # who judges the agent's calls could do nothing with a wrong one but ask about each
    executor.check(settings, agent.argv(request))
    return Draft(settings, repository, sessions.slug_of(parent.id), plan, text, executor, agent, request, parent)


def _refuse_living(storage: Storage, parent: Session) -> None:
    """Two windows on one conversation would write over each other; unattended sessions wait for one another."""
    rivals = [parent]
    if parent.mode is Mode.DISPATCH:
        rivals += [found for name in parent.continued_by if (found := _existing(storage, name))]
    for session in rivals:
        if not session.status.ended:
            raise SessionLivesError(session.id, session.status, session.mode)


def _existing(storage: Storage, session_id: str) -> Session | None:
    try:
        return storage.load(session_id)
    except SessionNotFoundError:
        return None


def _agent_request(parent: Session, request: ExecRequest) -> AgentRequest:
    """What the agent was told of itself, and which conversation is meant."""
    told = request.agent_request or AgentRequest(
        task=parent.task,
        mode=parent.mode,
        agent_session_id="",
        append_system_prompt=prompts.UNATTENDED if parent.mode is Mode.AUTONOMOUS else None,
    )
    conversation = parent.agent_session_id if parent.started_at else told.resume
    if conversation is None:
        raise NothingToContinueError(parent.id, parent.task)
    return told.model_copy(update={"agent_session_id": conversation, "resume": conversation})


def _agent_settings(parent: Session, settings: Settings) -> AgentSettings:
    mine = settings.for_agent(parent.agent)
    return mine.model_copy(update={"model": parent.model}) if parent.model else mine


def _repository(parent: Session) -> Repository:
    if not parent.repository.is_dir():
        raise RepositoryGoneError(parent.id, parent.repository)
    return Repository(parent.repository)


def _plan(repository: Repository, parent: Session, settings: Settings) -> Plan:
    """The agent's memory goes by the worktree's path, so it is that path or none."""
    if parent.branch not in repository.refs().heads:
        raise BranchGoneError(parent.branch, repository.main_worktree, parent.task, _kept(repository, parent))
    try:
        return worktrees.resolve(
            repository,
            parent.task,
            sessions.slug_of(parent.id),
            settings.worktree,
            branch=parent.branch,
            place=parent.worktree,
        )
    except (WrongBranchError, DetachedHeadError):
        raise BranchLeftError(parent.worktree, parent.branch) from None


def _kept(repository: Repository, parent: Session) -> str:
    """What still holds the branch's commits: the newest backup, else what came home last; empty when nothing does."""
    known = f"{BACKUPS}/{parent.branch}-"
    options = ("--sort=-committerdate", "--format=%(refname)")
    backups = repository.git("for-each-ref", *options, f"{known}*").split()
    found = [name for name in backups if re.fullmatch("[0-9a-f]+", name.removeprefix(known))]
    commit = parent.imported_commit
    if not found and commit and not repository.try_git("cat-file", "-e", f"{commit}^{{commit}}").returncode:
        return commit
    return found[0] if found else ""
