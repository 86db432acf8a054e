from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from scopecraft_git.protocols import Storage


@pytest.fixture(params=["local"])
def storage(request: pytest.FixtureRequest, home: Path) -> Storage:
    """Each backend in turn, empty."""
    module = importlib.import_module(f"scopecraft_git.storage.{request.param}")
    found: Storage = next(iter(module.register_storage()))
    return found
