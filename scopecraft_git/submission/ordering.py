"""What a user typed, and what it comes to."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

from pydantic import Field

from scopecraft_git import config, plugins, policy, prompts, tasks, worktrees
from scopecraft_git.config import AgentSettings, Settings
from scopecraft_git.errors import (
    CommandNotTakenError,
    McpConfigRefusedError,
    NotTextError,
    TaskNotFoundError,
    WrongModeError,
)
from scopecraft_git.models import Mode, Model, Task
from scopecraft_git.prompts import Prompt
from scopecraft_git.protocols import AgentRequest, Executor
from scopecraft_git.repository import Repository
from scopecraft_git.submission.drafts import Draft


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


def draft(order: Order, cwd: Path) -> Draft:
    """Decide everything, refuse what must be refused. Creates nothing."""
    _refuse_bytes(order)
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
        isolated=executor.isolated,
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
    policy.load()  # who judges the agent's calls could do nothing with a wrong one but ask about each
    executor.check(settings, agent.argv(request))
    return Draft(settings, repository, tasks.suffix(task), plan, prompt.text, executor, agent, request)


def _refuse_bytes(order: Order) -> None:
    """What goes into records is text. The prompt and the names of files may be any bytes."""
    given = {"--": order.command, "--branch": (order.branch,), "--model": (order.model,), "--base": (order.base,)}
    for option, words in given.items():
        try:
            "".join(word or "" for word in words).encode()
        except UnicodeEncodeError:
            raise NotTextError(option) from None


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
