"""The hooks that plugins implement.

All are called in the process that first needs what they return: the user's command or the supervisor.
A hook that raises makes its plugin unusable, which is reported by its name, and the others go on.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from scopecraft_git.protocols import Agent, ErrorKind, Executor, HandlerFactory, Storage

hookspec = pluggy.HookspecMarker("scopecraft")
hookimpl = pluggy.HookimplMarker("scopecraft")


@hookspec
def register_executors() -> Iterable[Executor]:  # type: ignore[empty-body]
    """Executors this plugin adds, chosen by `executor.*` and `--executor`."""


@hookspec
def register_agents() -> Iterable[Agent]:  # type: ignore[empty-body]
    """Agents this plugin adds, chosen by `agent` and `--agent`."""


@hookspec
def register_storage() -> Iterable[Storage]:  # type: ignore[empty-body]
    """Storage backends this plugin adds, chosen by `storage`."""


@hookspec
def register_monitor_handlers() -> Iterable[HandlerFactory]:  # type: ignore[empty-body]
    """Handlers this plugin adds; every session gets one of each."""


@hookspec
def register_error_kinds() -> Iterable[ErrorKind]:  # type: ignore[empty-body]
    """Rows for the table that tells how bad an error is."""
