"""Sessions and events as the tests make them up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scopecraft_git import paths, plugins
from scopecraft_git.config import Settings
from scopecraft_git.events import Event, LoggedEvent, Text
from scopecraft_git.models import Mode, Session
from scopecraft_git.protocols import ExecRequest, HandlerRequest, MonitorHandler, Verdict

NOW = datetime(2026, 3, 4, 5, 6, 7, 89000, tzinfo=UTC)


def session(session_id: str = "auth-05A-0000001", **fields: Any) -> Session:
    defaults: dict[str, Any] = {
        "id": session_id,
        "task": "implement-auth-05A",
        "mode": Mode.AUTONOMOUS,
        "executor": "local",
        "agent": "command",
        "branch": "feature/auth-05A",
        "worktree": Path("/code/app.worktrees") / session_id,
        "repository": Path("/code/app/.git"),
        "base_commit": "c" * 40,
        "created_at": NOW,
        "path": paths.session(session_id),
    }
    return Session(**(defaults | fields))


def exec_request(of: Session, settings: Settings | None = None) -> ExecRequest:
    return ExecRequest(
        session_id=of.id,
        task=of.task,
        mode=of.mode,
        agent=of.agent,
        directory=of.path,
        repository=of.repository,
        worktree=of.worktree,
        branch=of.branch,
        commit=of.base_commit,
        argv=("sh", "-c", "true"),
        environment={"TASK_ID": of.task},
        credentials={"KEY": Path("/home/dev/key")},
        settings=settings or Settings(),
    )


def logged(seq: int, event: Event | None = None) -> LoggedEvent:
    return LoggedEvent(seq=seq, time=NOW, offset=seq * 100, event=event or Text(text=f"text {seq}"))


def handler_request(of: Session | None = None, settings: Settings | None = None, **fields: Any) -> HandlerRequest:
    made = of or session()
    defaults: dict[str, Any] = {
        "session": made,
        "settings": settings or Settings(),
        "worktree": made.worktree,
        "agent_asks": True,
    }
    return HandlerRequest(**(defaults | fields))


def handlers(of: Session | None = None, settings: Settings | None = None) -> list[MonitorHandler]:
    """One of each, as every session gets them."""
    return [make(handler_request(of, settings)) for make in plugins.handlers()]


class Consent:
    """A policy that allows everything."""

    name = "policy"

    def handle(self, session: Session, event: Event) -> Verdict | None:
        return None

    def summary(self) -> Mapping[str, Any]:
        return {}
