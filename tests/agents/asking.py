"""What agents other than Claude Code are asked in their tests."""

from __future__ import annotations

from typing import Any

from scopecraft_git.config import AgentSettings
from scopecraft_git.models import Mode
from scopecraft_git.protocols import AgentRequest

UUID = "5d6f7a10-0000-4000-8000-000000000001"


def request(mode: Mode = Mode.AUTONOMOUS, *args: str, model: str | None = None, **more: Any) -> AgentRequest:
    """`args` are the user's own."""
    settings = AgentSettings(args=args, model=model)
    return AgentRequest(task="implement-auth-05A", mode=mode, agent_session_id=UUID, settings=settings, **more)
