"""What most commands begin with."""

from __future__ import annotations

from pathlib import Path

from scopecraft_git import config, plugins, sessions
from scopecraft_git.config import Settings
from scopecraft_git.models import Session
from scopecraft_git.protocols import Storage


def settings() -> Settings:
    """In force where the command was typed; outside a repository that is all but its git configuration."""
    from scopecraft_git.errors import NotARepositoryError
    from scopecraft_git.repository import Repository

    try:
        return config.load(Repository.discover(Path.cwd()).configured("scopecraft"))
    except NotARepositoryError:
        return config.load()


def storage() -> Storage:
    """The same from everywhere: sessions belong to a user, not to a repository."""
    return plugins.storage(config.load().storage)


def session(selector: str) -> Session:
    return sessions.resolve(storage(), selector)
