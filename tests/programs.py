"""Programs that a few tests drive and not every machine has."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


def need(program: str, config: pytest.Config) -> None:
    """Skip the test without the program or file, or fail where everything is required."""
    if shutil.which(program) or Path(program).is_file():
        return
    if config.getoption("--require-everything"):
        pytest.fail(f"{program} is not there", pytrace=False)
    pytest.skip(f"{program} is not there")
