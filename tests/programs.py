"""Programs that a few tests drive and not every machine has."""

from __future__ import annotations

import shutil

import pytest


def need(program: str, config: pytest.Config) -> None:
    """Skip the test without it, or fail where everything is required."""
    if shutil.which(program):
        return
    if config.getoption("--require-everything"):
        pytest.fail(f"{program} is not installed", pytrace=False)
    pytest.skip(f"{program} is not installed")
