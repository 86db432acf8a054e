from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from scopecraft_git import __version__
from scopecraft_git.storage import files
from scopecraft_git.supervisor import keeper, presence
from tests.cli.test_stepping_in import agents

__all__ = ["agents", "alone"]


@pytest.fixture
def alone(home: Path) -> Iterator[None]:
    """The supervisor's place is taken by nobody: made-up sessions stay as they are, and what is asked stays asked."""
    lock = files.try_lock(presence.lock_file())
    assert lock is not None
    keeper.mark(lock, 0, __version__)
    yield
    os.close(lock)
