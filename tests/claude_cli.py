"""The real Claude Code CLI on this machine, with a home directory in which it has nothing left to ask."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import machine, model_server

VERSION = machine.AGENT_IMAGE.rpartition(":")[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scopecraft-tests"


@pytest.fixture(scope="session")
def claude_cli(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The program, out of the test image or else from the npm registry; kept between runs."""
    program = CACHE / f"claude-{VERSION}" / "claude"
    reasons = []
    for fetch in () if program.exists() else (_from_image, _from_npm):
        try:
            found = fetch(tmp_path_factory.mktemp("claude"))
        except (OSError, subprocess.SubprocessError) as error:
            reasons.append(f"{fetch.__name__[1:].replace('_', ' ')}: {error}")
            continue
        program.parent.mkdir(parents=True, exist_ok=True)
        program.with_suffix(f".{os.getpid()}").write_bytes(found.read_bytes())
        program.with_suffix(f".{os.getpid()}").chmod(0o755)
        program.with_suffix(f".{os.getpid()}").replace(program)
        break
    if not program.exists():
        missing = f"no Claude Code CLI {VERSION} ({'; '.join(reasons)})"
        if request.config.getoption("--require-everything"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    return program


def _from_image(folder: Path) -> Path:
    command = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "sh", machine.AGENT_IMAGE]
    target = folder / "claude"
    with target.open("wb") as file:
        subprocess.run(
            [*command, "-c", 'cat "$(readlink -f "$(command -v claude)")"'],
            stdout=file,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=120,
        )
    return target


def _from_npm(folder: Path) -> Path:
    package = f"@anthropic-ai/claude-code@{VERSION}"
    subprocess.run(
        ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", folder, package],
        capture_output=True,
        check=True,
        timeout=170,
    )
    return next(folder.glob("node_modules/@anthropic-ai/claude-code-*/claude"))


@pytest.fixture
def trust() -> Callable[..., None]:
    """`trust(path, …)`: the user went through the CLI's first questions, and trusts these repositories."""

    def write(*repositories: Path) -> None:
        document = {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "customApiKeyResponses": {"approved": [model_server.KEY[-20:]], "rejected": []},
            "projects": {str(path): {"hasTrustDialogAccepted": True} for path in repositories},
        }
        (Path.home() / ".claude.json").write_text(json.dumps(document))

    return write
