"""From what a user typed to a session in the queue: the straight line of the user's own process.

`draft` decides everything and makes nothing, so a refusal leaves nothing behind and `--dry-run` can show it all.
`submit` makes it: the place in the queue, the worktree, the record.
"""

from __future__ import annotations

import os
import time
import uuid
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from scopecraft_git import config, paths, plugins, prompts, session_queue, sessions, supervisor, tasks, worktrees
from scopecraft_git.config import AgentSettings, Settings
from scopecraft_git.errors import (
    CommandNotTakenError,
    McpConfigRefusedError,
    StartFailedError,
    SupervisorSilentError,
    TaskNotFoundError,
    WrongModeError,
)
from scopecraft_git.executors import launching
from scopecraft_git.models import Mode, Model, Session, SessionStatus, Task
from scopecraft_git.prompts import Prompt
from scopecraft_git.protocols import Agent, AgentRequest, ExecRequest, Executor, Storage
from scopecraft_git.repository import Repository
from scopecraft_git.worktrees import Plan

STARTS_WITHIN = 90.0
LOOKS_AGAIN = 0.005


class Order(Model):
    """What the user typed."""

    task: str
    mode: Mode = Mode.AUTONOMOUS
    command: tuple[str, ...] = ()
    prompt: str = ""
    prompt_file: str | None = None
    data: dict[str, str] = Field(default_factory=dict)
    executor: str | None = None
    agent: str | None = None
    model: str | None = None
    branch: str | None = None
    base: str | None = None


class Draft(NamedTuple):
    """A session that could start: everything is decided, nothing is made."""

    order: Order
    settings: Settings
    repository: Repository
    task: Task
    plan: Plan
    prompt: Prompt
    executor: Executor
    agent: Agent
    agent_request: AgentRequest

    @property
    def suffix(self) -> str:
        return tasks.suffix(self.task)

    def exec_request(self, session_id: str) -> ExecRequest:
        """What the executor of session `session_id` will be given."""
        mine = self.settings.for_agent(self.agent.name)
        environment = {
            **self.agent.environment(self.agent_request),
            "TASK_ID": self.task.id,
            "SCOPECRAFT_SESSION": session_id,
            **mine.env,
        }
        return ExecRequest(
            session_id=session_id,
            task=self.task.id,
            mode=self.order.mode,
            agent=self.agent.name,
            directory=paths.session(session_id),
            repository=self.repository.common_dir,
            worktree=self.plan.path,
            branch=self.plan.branch,
            commit=self.plan.commit,
            argv=tuple(self.agent.argv(self.agent_request)),
            environment=environment,
            credentials={name: Path(path).expanduser() for name, path in mine.credentials.items()},
            login_files=self.agent.login_files,
            input=self._first_input(),
            input_ends=self.order.mode is Mode.AUTONOMOUS and not self.agent.keeps_input,
            agent_request=self.agent_request,
            transcript=self.agent.transcript(self.agent_request),
            input_box=self.agent.input_box,
            settings=self.settings,
        )

    def _first_input(self) -> bytes:
        """The prompt, where no screen has to be ready for it."""
        if self.order.mode is Mode.DISPATCH or not self.prompt.text:
            return b""
        return self.agent.message(self.prompt.text, self.order.mode)

    def session(self, session_id: str) -> Session:
        """The record it begins with."""
        return Session(
            id=session_id,
            task=self.task.id,
            mode=self.order.mode,
            executor=self.executor.name,
            agent=self.agent.name,
            branch=self.plan.branch,
            worktree=self.plan.path,
            repository=self.repository.common_dir,
            base_commit=self.plan.commit,
            model=self.agent_request.settings.model,
            created_at=datetime.now(UTC),
            path=paths.session(session_id),
        )

    def as_json(self) -> dict[str, Any]:
        """What `run --dry-run` shows."""
        request = self.exec_request(f"{self.suffix}-dry-run")
        return {
            "task": self.task.id,
            "mode": self.order.mode,
            "worktree": str(self.plan.path),
            "branch": self.plan.branch,
            "base": self.plan.base if self.plan.creates_branch else None,
            "base_commit": self.plan.commit,
            "executor": self.executor.name,
            "agent": self.agent.name,
            **self.executor.describe(request),
            "argv": list(request.argv),
        }


def draft(order: Order, cwd: Path) -> Draft:
    """Decide everything, refuse what must be refused. Creates nothing."""
    repository = Repository.discover(cwd)
    settings = config.load(repository.configured("scopecraft"), _flags(order))
    task = _task(order, repository.main_worktree)
    plan = worktrees.resolve(
        repository,
        tasks.environment_id(task),
        tasks.suffix(task),
        settings.worktree,
        branch=order.branch,
        base=order.base,
    )
    task = tasks.from_worktree(task, repository.main_worktree, plan.path)
    prompt = _prompt(order, task, repository.main_worktree)
    executor = plugins.executor(getattr(settings.executor, order.mode))
    agent = plugins.agent(settings.agent)
    request = AgentRequest(
        task=task.id,
        mode=order.mode,
        agent_session_id=str(uuid.uuid4()),
        command=_command(order, executor, cwd),
        settings=_agent_settings(order, settings, agent.name),
        **prompt.model_dump(exclude={"text", "path"}),
    )
    if order.mode not in executor.modes:
        raise WrongModeError(executor.name, order.mode, task.id)
    if order.command and not agent.takes_command:
        raise CommandNotTakenError(agent.name, task.id)
    if not executor.isolated:
        _refuse_commands_of_the_repository(prompt, repository, executor.name, task.id)
    executor.check(settings, agent.argv(request))
    return Draft(order, settings, repository, task, plan, prompt, executor, agent, request)


def submit(drafted: Draft) -> Session:
    """Make the session: a place in the queue, the worktree, the record. All of it, or nothing is left."""
    storage = plugins.storage(drafted.settings.storage)
    with (
        sessions.reserved_id(storage, drafted.suffix) as session_id,
        _place(session_id, drafted),
        worktrees.made(drafted.repository, drafted.plan, session_id),
    ):
        session = drafted.session(session_id)
        if not drafted.executor.isolated:
            launching.remember_environment(session.path)
        sessions.create(storage, session, drafted.prompt.text, drafted.exec_request(session_id))
    supervisor.wake()
    return session


def await_start(storage: Storage, session: Session) -> Session:
    """The session once it has started, or as it waits for others to end. Raises `StartFailedError`."""
    deadline = time.monotonic() + STARTS_WITHIN
    while (session := storage.load(session.id)).status in (SessionStatus.QUEUED, SessionStatus.STARTING):
        if _waits_for_others(storage, session):
            return session
        if time.monotonic() > deadline:
            raise SupervisorSilentError(session.id, paths.supervisor() / "supervisor.log")
        time.sleep(LOOKS_AGAIN)
    if session.outcome and not session.started_at:
        raise StartFailedError(session.id, session.outcome.reason)
    return session


def _place(session_id: str, drafted: Draft) -> AbstractContextManager[None]:
    """Only unattended sessions queue; a human who opens one to sit beside does not wait."""
    if drafted.order.mode is Mode.AUTONOMOUS:
        return session_queue.place(session_id, drafted.settings)
    return nullcontext()


def _waits_for_others(storage: Storage, session: Session) -> bool:
    """Whether every slot is taken, or another session runs in its worktree."""
    if session.status is not SessionStatus.QUEUED or session.mode is not Mode.AUTONOMOUS:
        return False
    queue = session_queue.snapshot()
    if session.id not in queue.waiting:
        return False
    limit = sessions.request(session).settings.max_running
    if queue.held or len(queue.running) + queue.waiting.index(session.id) >= limit:
        return True
    return any(storage.load(other).worktree == session.worktree for other in queue.running)


def _command(order: Order, executor: Executor, cwd: Path) -> tuple[str, ...]:
    """A program named by a path is meant as the user sees it, though the agent works elsewhere.

    In a container it can only be what the worktree has at that path.
    """
    if order.command and "/" in order.command[0] and not executor.isolated and (cwd / order.command[0]).is_file():
        return (str((cwd / order.command[0]).absolute()), *order.command[1:])
    return order.command


def _agent_settings(order: Order, settings: Settings, agent: str) -> AgentSettings:
    mine = settings.for_agent(agent)
    return mine.model_copy(update={"model": order.model}) if order.model else mine


def _flags(order: Order) -> dict[str, Any]:
    flags: dict[str, Any] = {}
    if order.executor:
        flags["executor"] = {str(order.mode): order.executor}
    if order.agent:
        flags["agent"] = order.agent
    return flags


def _refuse_commands_of_the_repository(prompt: Prompt, repository: Repository, executor: str, task: str) -> None:
    """What a repository commits, or an agent wrote into a worktree of it, may not say what runs on this machine."""
    if prompt.path is None or prompt.mcp_config is None:
        return
    places = (Path(os.path.normpath(prompt.path)), prompt.path.resolve())
    for tree in (repository.main_worktree, *repository.linked()):
        if any(place.is_relative_to(folder) for place in places for folder in (tree, tree.resolve())):
            raise McpConfigRefusedError(prompt.path, executor, task)


def _task(order: Order, main_worktree: Path) -> Task:
    """The task's file, or just its name when something else says what to do."""
    try:
        task = tasks.find(order.task, main_worktree)
    except TaskNotFoundError:
        if not (order.prompt or order.prompt_file or order.command):
            raise
        return tasks.bare(order.task)
    return task


def _prompt(order: Order, task: Task, main_worktree: Path) -> Prompt:
    if order.prompt_file:
        return prompts.from_file(
            order.prompt_file,
            task,
            extra=order.prompt,
            mode=order.mode,
            data=order.data,
            main_worktree=main_worktree,
        )
    if order.command and not (order.prompt or task.path):
        return Prompt(text="")  # the command knows by itself what to do
    return prompts.build(task, overview=tasks.overview(task), extra=order.prompt, mode=order.mode)
