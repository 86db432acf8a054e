"""The contracts that plugins fulfil: Executor, Agent, Storage, MonitorHandler.

One protocol for each kind, beside what passes through it. `tests/` holds one contract suite for each,
and the built-ins pass the same suite as anyone else's.
"""

from __future__ import annotations

from scopecraft_git.protocols.agent import Agent, AgentRequest
from scopecraft_git.protocols.executor import ExecRequest, Execution, Executor, Exit, Imported
from scopecraft_git.protocols.handler import (
    Action,
    Deadline,
    ErrorKind,
    HandlerFactory,
    HandlerRequest,
    MonitorHandler,
    Passed,
    Timekeeper,
    Verdict,
)
from scopecraft_git.protocols.storage import Storage

__all__ = [
    "Action",
    "Agent",
    "AgentRequest",
    "Deadline",
    "ErrorKind",
    "ExecRequest",
    "Execution",
    "Executor",
    "Exit",
    "HandlerFactory",
    "HandlerRequest",
    "Imported",
    "MonitorHandler",
    "Passed",
    "Storage",
    "Timekeeper",
    "Verdict",
]
