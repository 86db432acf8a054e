"""Opens the dashboard, loading neither typer nor pydantic before there is something to see."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scopecraft_git.cli import listing
from scopecraft_git.dashboard.source import Records
from scopecraft_git.errors import DashboardNeedsTerminalError

if TYPE_CHECKING:
    from scopecraft_git.protocols import Storage


def open_dashboard(*, everything: bool = False, plain: bool = False) -> None:
    """Until it is left."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise DashboardNeedsTerminalError
    repository = None if everything else _repository()
    records = _records(repository)
    records.look()
    if plain or os.environ.get("TERM") in ("dumb", "", None):
        from scopecraft_git import supervisor
        from scopecraft_git.dashboard.plain import Conversation

        with supervisor.attended():
            Conversation(records, _storage(), repository).hold()
    else:
        _show(records, repository)


def _show(records: Records, repository: str | None) -> None:
    from scopecraft_git.dashboard import bindings
    from scopecraft_git.dashboard.app import Dashboard
    from scopecraft_git.dashboard.news import Opened

    def opening() -> Opened:
        from scopecraft_git import supervisor
        from scopecraft_git.cli import context

        settings = context.settings()
        return Opened(_storage(), settings, bindings.keymap(settings.dashboard.keys), supervisor.attended)

    app = Dashboard(records, opening, repository=repository, environment=os.environ)
    app.run()
    if app.broken:
        raise app.broken


def _repository() -> str:
    from scopecraft_git.repository import Repository

    return str(Repository.discover(Path.cwd()).common_dir)


def _records(repository: str | None) -> Records:
    return Records(repository, None if listing.is_local() else _storage())


def _storage() -> Storage:
    from scopecraft_git.cli import context

    return context.storage()
