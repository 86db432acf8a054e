"""What this machine has of the real parts the tests need."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

AGENT_IMAGE = "scopecraft-test-agent:2.1.330"
"""Built by `machine.sh`: git, a shell, and the real Claude Code CLI."""
BASE_IMAGE = "scopecraft-test-base:1"
"""The same without the CLI."""


@cache
def missing(need: str) -> str:
    """Why tests marked `need` cannot run here; empty when they can."""
    if need == "tmux":
        return "" if shutil.which("tmux") else "tmux is not installed"
    engine = _fails("docker", "version", "--format", "{{.Server.Version}}")
    if engine:
        return f"no Docker engine: {engine}"
    return f"no image {AGENT_IMAGE}: tests/machine.sh builds it" if _fails("docker", "inspect", AGENT_IMAGE) else ""


def _fails(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""
