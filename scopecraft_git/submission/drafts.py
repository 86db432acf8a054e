"""A session that could start."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from scopecraft_git import paths
from scopecraft_git.config import Settings
from scopecraft_git.models import Mode, Session
from scopecraft_git.protocols import Agent, AgentRequest, ExecRequest, Executor
from scopecraft_git.repository import Repository
from scopecraft_git.worktrees import Plan


class Draft(NamedTuple):
    """Everything is decided, nothing is made."""

    settings: Settings
    repository: Repository
    suffix: str
    """What the session's id begins with."""
    plan: Plan
    prompt: str
    executor: Executor
    agent: Agent
    agent_request: AgentRequest
    parent: Session | None = None
    """The session that this one is to continue."""

    @property
    def task(self) -> str:
        return self.agent_request.task

    @property
    def mode(self) -> Mode:
        return self.agent_request.mode

    def exec_request(self, session_id: str) -> ExecRequest:
        """What the executor of session `session_id` will be given."""
        mine = self.settings.for_agent(self.agent.name)
        environment = {
            **self.agent.environment(self.agent_request),
            "TASK_ID": self.task,
            "SCOPECRAFT_SESSION": session_id,
            **mine.env,
        }
        return ExecRequest(
            session_id=session_id,
            task=self.task,
            mode=self.mode,
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
            input_ends=self.mode is Mode.AUTONOMOUS and not self.agent.keeps_input,
            agent_request=self.agent_request,
            transcript=self.agent.transcript(self.agent_request),
            input_box=self.agent.input_box,
            settings=self.settings,
        )

    def _first_input(self) -> bytes:
        """The prompt, where no screen has to be ready for it."""
        if self.mode is Mode.DISPATCH or not self.prompt:
            return b""
        return self.agent.message(self.prompt, self.mode)

    def session(self, session_id: str) -> Session:
        """The record it begins with."""
        return Session(
            id=session_id,
            task=self.task,
            mode=self.mode,
            executor=self.executor.name,
            agent=self.agent.name,
            branch=self.plan.branch,
            worktree=self.plan.path,
            repository=self.repository.common_dir,
            base_commit=self.plan.commit,
            model=self.agent_request.settings.model,
            created_at=datetime.now(UTC),
            agent_session_id=self._conversation(),
            parent=self.parent.id if self.parent else None,
            path=paths.session(session_id),
        )

    def _conversation(self) -> str | None:
        """The agent's id of the session, where that is known before the agent says so, which it may never do."""
        request = self.agent_request
        keeps_record = self.mode is Mode.DISPATCH and self.agent.transcript(request)
        return request.resume or (request.agent_session_id if keeps_record else None)

    def as_json(self) -> dict[str, Any]:
        """What `--dry-run` shows."""
        request = self.exec_request(f"{self.suffix}-dry-run")
        return {
            "task": self.task,
            "mode": self.mode,
            **({"parent": self.parent.id} if self.parent else {}),
            "worktree": str(self.plan.path),
            "branch": self.plan.branch,
            "base": self.plan.base if self.plan.creates_branch else None,
            "base_commit": self.plan.commit,
            "executor": self.executor.name,
            "agent": self.agent.name,
            **self.executor.describe(request),
            "argv": list(request.argv),
        }
