"""The real CLIs of agents other than Claude Code, from the npm registry, kept between runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.claude_cli import CACHE

PACKAGES = {"gemini": "@google/gemini-cli@0.61.0", "channelcoder": "channelcoder@3.0.2"}
"""Those that are small enough to fetch: the recordings speak for the others."""


def program(name: str, request: pytest.FixtureRequest) -> Path:
    """Skips the test where the registry does not have it."""
    version = PACKAGES[name].rpartition("@")[2]
    folder = CACHE / f"{name}-{version}"
    if not folder.exists():
        try:
            _fetch(PACKAGES[name], folder)
        except (OSError, subprocess.SubprocessError) as error:
            missing = f"no {PACKAGES[name]} from npm: {error}"
            if request.config.getoption("--require-everything"):
                pytest.fail(missing, pytrace=False)
            pytest.skip(missing)
    return folder / "node_modules" / ".bin" / name


def _fetch(package: str, folder: Path) -> None:
    """Whole or not at all; where two fetch at once, the first one's stays."""
    new = folder.with_name(f"{folder.name}.{os.getpid()}")
    command = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(new), package]
    try:
        subprocess.run(command, capture_output=True, check=True, timeout=170)
        if not folder.exists():
            new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


@pytest.fixture
def gemini_cli(request: pytest.FixtureRequest) -> Path:
    return program("gemini", request)


@pytest.fixture
def channelcoder_cli(request: pytest.FixtureRequest) -> Path:
    return program("channelcoder", request)
