"""git scopecraft: every task for an AI coding agent in a worktree of its own.

What plugin authors may rely on is what this package exports; nothing else is stable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from scopecraft_git.errors import (
        ExecutorUnavailableError,
        IllegalTransitionError,
        ScopecraftError,
        SessionNotFoundError,
        UnreadableSessionError,
    )
    from scopecraft_git.events import (
        Event,
        Finished,
        LoggedEvent,
        Notice,
        PermissionRequest,
        Reasoning,
        Severity,
        Text,
        ToolCall,
        ToolResult,
        Unrecognized,
        Usage,
    )
    from scopecraft_git.hookspecs import hookimpl
    from scopecraft_git.models import (
        Approval,
        Message,
        Mode,
        Outcome,
        Session,
        SessionStatus,
        Task,
        Tokens,
        ToolUse,
        Worktree,
    )
    from scopecraft_git.protocols import (
        Action,
        Agent,
        AgentRequest,
        Deadline,
        ErrorKind,
        ExecRequest,
        Execution,
        Executor,
        Exit,
        HandlerRequest,
        Imported,
        MonitorHandler,
        Passed,
        Storage,
        Timekeeper,
        Verdict,
    )

_HOMES = {
    "errors": (
        "ExecutorUnavailableError",
        "IllegalTransitionError",
        "ScopecraftError",
        "SessionNotFoundError",
        "UnreadableSessionError",
    ),
    "events": (
        "Event",
        "Finished",
        "LoggedEvent",
        "Notice",
        "PermissionRequest",
        "Reasoning",
        "Severity",
        "Text",
        "ToolCall",
        "ToolResult",
        "Unrecognized",
        "Usage",
    ),
    "hookspecs": ("hookimpl",),
    "models": (
        "Approval",
        "Message",
        "Mode",
        "Outcome",
        "Session",
        "SessionStatus",
        "Task",
        "Tokens",
        "ToolUse",
        "Worktree",
    ),
    "protocols": (
        "Action",
        "Agent",
        "AgentRequest",
        "Deadline",
        "ErrorKind",
        "ExecRequest",
        "Execution",
        "Executor",
        "Exit",
        "HandlerRequest",
        "Imported",
        "MonitorHandler",
        "Passed",
        "Storage",
        "Timekeeper",
        "Verdict",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Action",
    "Agent",
    "AgentRequest",
    "Approval",
    "Deadline",
    "ErrorKind",
    "Event",
    "ExecRequest",
    "Execution",
    "Executor",
    "ExecutorUnavailableError",
    "Exit",
    "Finished",
    "HandlerRequest",
    "IllegalTransitionError",
    "Imported",
    "LoggedEvent",
    "Message",
    "Mode",
    "MonitorHandler",
    "Notice",
    "Outcome",
    "Passed",
    "PermissionRequest",
    "Reasoning",
    "ScopecraftError",
    "Session",
    "SessionNotFoundError",
    "SessionStatus",
    "Severity",
    "Storage",
    "Task",
    "Text",
    "Timekeeper",
    "Tokens",
    "ToolCall",
    "ToolResult",
    "ToolUse",
    "UnreadableSessionError",
    "Unrecognized",
    "Usage",
    "Verdict",
    "Worktree",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    """Loaded when first asked for: a git hook of ours pays for nothing it does not use."""
    if name not in _HOME_OF:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
