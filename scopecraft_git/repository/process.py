"""Runs git as a process, hardened."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from scopecraft_git.errors import GitFailedError

TIMEOUT = 120.0
CHECKOUT_TIMEOUT = 600.0
HARDENED = (
    "-c", "core.fsmonitor=false",
    "-c", "core.hooksPath=/dev/null",
    "-c", "diff.ignoreSubmodules=all",
    "-c", "submodule.recurse=false",
    "-c", "log.showSignature=false",
    "-c", "gc.auto=0",
)  # fmt: skip
OFFLINE = ("-c", "protocol.allow=never")
"""Nothing is fetched on the way: what is missing from a partial clone stays missing."""
WHERE_CONFIG_IS = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
"""Only a user sets these; git hands them to no hook."""


def scrubbed_environment(**more: str) -> dict[str, str]:
    """This process's environment without anything that tells git where to work or what to run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in WHERE_CONFIG_IS}
    return kept | {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_EDITOR": "true",
    } | more  # fmt: skip


def run_git(
    *arguments: str,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: bytes | BinaryIO | None = None,
    timeout: float = TIMEOUT,
    options: Sequence[str] = HARDENED + OFFLINE,
    descriptors: Sequence[int] = (),
) -> subprocess.CompletedProcess[bytes]:
    """Run git hardened; the caller looks at the exit code. Times out as a `GitFailedError`."""
    try:
        return subprocess.run(
            ["git", *options, *arguments],
            cwd=cwd,
            env=scrubbed_environment(**(environment or {})),
            input=stdin if isinstance(stdin, bytes) else None,
            stdin=None if isinstance(stdin, bytes) else stdin or subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
            pass_fds=descriptors,
        )
    except subprocess.TimeoutExpired:
        raise GitFailedError(arguments[0], f"no answer within {timeout:.0f} s") from None
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise GitFailedError(arguments[0], f"{error.filename}: {error.strerror}") from None


def answer(arguments: Sequence[str], done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode:
        raise GitFailedError(arguments[0], reason(done))
    return os.fsdecode(done.stdout)


def reason(done: subprocess.CompletedProcess[bytes]) -> str:
    """Git's last words, without its own prefix."""
    lines = os.fsdecode(done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
    return lines[-1].removeprefix("fatal: ").removeprefix("error: ")


def read_config(git_dir: Path) -> dict[str, str]:
    """Not hardened: what is hardened would be read back. Whoever called with `git -c` is heard."""
    given = {name: value for name, value in os.environ.items() if name.startswith("GIT_CONFIG_")}
    command = (f"--git-dir={git_dir}", "config", "--list", "-z")
    printed = answer(("config",), run_git(*command, cwd=git_dir, environment=given, options=()))
    entries = (entry.partition("\n") for entry in printed.split("\0")[:-1])
    return {key: value if newline else "true" for key, newline, value in entries}
