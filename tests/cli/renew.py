"""What commands say of themselves and what errors say, as text. `python -m tests.cli.renew` writes it anew."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from scopecraft_git import errors
from scopecraft_git.cli.commands import app
from scopecraft_git.errors import ScopecraftError

PAGES = Path(__file__).parent / "help"
ERRORS = Path(__file__).parent.parent / "errors.txt"
SAMPLES: dict[str, Any] = {
    "action": "start the container",
    "address": "unix:///var/run/docker.sock",
    "agent": "claude",
    "approval": "3f2a",
    "approvals": ["1b6e8a40", "1b6ef233"],
    "aside": Path("/code/app.worktrees/auth-05A.removing"),
    "branch": "feature/auth-05A",
    "branches": ["develop", "next"],
    "blocker": "feature",
    "candidates": ["feature/auth-05A", "task/auth-05A"],
    "code": 1,
    "command": "worktree",
    "elsewhere": Path("/code/other"),
    "executor": "docker",
    "first": "one",
    "home": Path("/home/dev/.scopecraft"),
    "image": "my-claude:authenticated",
    "kept": "refs/scopecraft/backup/feature/auth-05A-1a2b3c4",
    "key": "docker.imag",
    "kind": "executor",
    "known": ["docker", "tmux", "local"],
    "log": Path("/home/dev/.scopecraft/supervisor/supervisor.log"),
    "losses": ["changed: README.md", "commit: 1a2b3c4 Greet"],
    "main": Path("/code/app"),
    "maximum": 10,
    "mode": "dispatch",
    "name": "auth-05A",
    "near": ["auth-05B"],
    "operation": "rebase",
    "option": "--model",
    "options": ["disallowedTools", "mcpConfig"],
    "origin": "git config",
    "ours": True,
    "outer": Path("/code/app"),
    "own": "feature/auth-05A",
    "path": Path("/code/app.worktrees/auth-05A"),
    "plugin": "nomad",
    "process": 4711,
    "program": "claude",
    "reason": "permission denied",
    "ref": "nowhere",
    "resumes": True,
    "second": "two",
    "seconds": 30.0,
    "selector": "auth-05A",
    "session": "auth-05A-0d3xk2a",
    "source": "/",
    "status": "completed",
    "step": "git scopecraft run",
    "task": "implement-auth-05A",
    "text": "key",
    "tool": "Bash",
    "typed_in": "auth-05B-0d3xk2b",
    "variable": "ANTHROPIC_API_KEY",
    "waiting": 10,
    "wanted": "running",
}
"""An argument for each name that an error's parameter has."""


def pages() -> dict[str, str]:
    """What `git scopecraft … -h` prints, by the name of its file."""
    found = {}
    for names in _commands(get_command(app)):
        printed = CliRunner().invoke(app, [*names, "-h"], prog_name="git scopecraft", env={"COLUMNS": "80"})
        assert printed.exit_code == 0, names
        found["-".join(["git-scopecraft", *names]) + ".txt"] = printed.output
    return found


def _commands(command: Any, *names: str) -> Iterator[tuple[str, ...]]:
    yield names
    for name, inner in dict(getattr(command, "commands", {})).items():
        yield from _commands(inner, *names, name)


def every_error() -> Iterator[ScopecraftError]:
    """One of each class that says something of its own."""
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, ScopecraftError) and "__init__" in vars(kind):
            parameters = list(inspect.signature(kind).parameters)
            if kind is not ScopecraftError:
                yield kind(**{name: SAMPLES[name] for name in parameters})


def rendered(error: ScopecraftError) -> str:
    hint = error.hint.replace(str(Path.home()), "/home/dev")
    return f"{type(error).__name__} ({error.exit_code})\n✗ {error.message}\n↳ {hint}\n"


def main() -> None:
    PAGES.mkdir(exist_ok=True)
    written = pages()
    for stale in {path.name for path in PAGES.iterdir()} - written.keys():
        (PAGES / stale).unlink()
    for name, text in written.items():
        (PAGES / name).write_text(text, encoding="utf-8")
    ERRORS.write_text("\n".join(map(rendered, every_error())), encoding="utf-8")


if __name__ == "__main__":
    main()
