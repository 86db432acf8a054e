"""Candidates for the shell, which filters them. A failure offers nothing rather than disturb a line being typed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from scopecraft_git.errors import ScopecraftError

if TYPE_CHECKING:
    from scopecraft_git.models import Session

NEWEST = 50


def tasks(incomplete: str) -> list[str]:
    found: list[str] = []
    with _quietly():
        from scopecraft_git import tasks as task_files
        from scopecraft_git.repository import Repository

        main = Repository.discover(Path.cwd()).main_worktree
        found += [task.id for task in task_files.listing(main)]
    return [name for name in found if name.startswith(incomplete)]


def sessions(incomplete: str) -> list[str]:
    """Ids, and the tasks whose newest session they stand for."""
    found: list[Session] = []
    with _quietly():
        from scopecraft_git.cli import context

        found += context.storage().sessions(newest=NEWEST)
    return _names(found, incomplete)


def living(incomplete: str) -> list[str]:
    """`sessions` that have not ended."""
    return _names(_living(), incomplete)


def asking(incomplete: str) -> list[str]:
    """`living`, those first that wait for a word."""
    return _names(sorted(_living(), key=lambda session: not session.approvals), incomplete)


def approvals(ctx: typer.Context, incomplete: str) -> list[str]:
    """What the session asks for that was typed before."""
    found: list[str] = []
    with _quietly():
        from scopecraft_git.cli import context

        found += [approval.id for approval in context.session(ctx.params["session"] or "").approvals]
    return [name for name in found if name.startswith(incomplete)]


def waiting(incomplete: str) -> list[str]:
    found: list[str] = []
    with _quietly():
        from scopecraft_git import session_queue
        from scopecraft_git.cli import context

        queue, records = session_queue.look(context.storage())
        for session_id in queue.waiting:
            found += [session_id, *([records[session_id].task] if session_id in records else [])]
    return [name for name in dict.fromkeys(found) if name.startswith(incomplete)]


def worktrees(incomplete: str) -> list[str]:
    found: list[str] = []
    with _quietly():
        from scopecraft_git import worktrees as trees
        from scopecraft_git.repository import Repository

        found += [tree.path.name for tree in trees.listing(Repository.discover(Path.cwd())) if not tree.main]
    return [name for name in found if name.startswith(incomplete)]


def branches(incomplete: str) -> list[str]:
    found: list[str] = []
    with _quietly():
        from scopecraft_git.repository import Repository

        repository = Repository.discover(Path.cwd())
        found += repository.git("for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()
    return [name for name in found if name.startswith(incomplete)]


def executors(incomplete: str) -> list[str]:
    return _plugins("executor", incomplete)


def agents(incomplete: str) -> list[str]:
    return _plugins("agent", incomplete)


def settings(incomplete: str) -> list[str]:
    from scopecraft_git import config

    keys = [key for key, _ in config.flatten(config.Settings().model_dump())]
    return [key for key in keys if key.startswith(incomplete)]


def _plugins(kind: str, incomplete: str) -> list[str]:
    found: list[str] = []
    with _quietly():
        from scopecraft_git import plugins

        found += plugins.names(kind)
    return [name for name in found if name.startswith(incomplete)]


def _living() -> list[Session]:
    with _quietly():
        from scopecraft_git.cli import context

        return list(context.storage().sessions(active=True, newest=0))
    return []


def _names(found: Iterable[Session], incomplete: str) -> list[str]:
    names = dict.fromkeys(name for session in found for name in (session.id, session.task))
    return [name for name in names if name.startswith(incomplete)]


@contextmanager
def _quietly() -> Iterator[None]:
    try:
        yield
    except (ScopecraftError, OSError):
        return
