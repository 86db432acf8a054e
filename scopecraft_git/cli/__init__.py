"""The command line: declarations, and one call each. `main` is the one place that turns an error into an exit code."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime
from typing import Any

import typer
from typer.core import TyperGroup

from scopecraft_git import console, paths
from scopecraft_git.errors import BUG, INTERRUPTED, ScopecraftError

CONTEXT = {"help_option_names": ["-h", "--help"]}

# By importance. A command's module is imported when the command is called, or listed.
COMMANDS = {
    "run": "run:run",
    "dispatch": "run:dispatch",
    "list": "sessions:list_",
    "show": "sessions:show",
    "logs": "logs:logs",
    "wait": "sessions:wait",
    "stop": "sessions:stop",
    "attach": "sessions:attach",
    "diff": "sessions:diff",
    "task": "task:app",
    "worktree": "worktree:app",
    "image": "image:app",
    "config": "config:app",
    "plugins": "plugins:plugins",
    "doctor": "doctor:doctor",
    "demo": "demo:demo",
    "completion": "completion:completion",
}


class LazyCommands(MutableMapping[str, Any]):
    """Typer's commands by name, each made when it is first looked at."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _make(name, COMMANDS[name])
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Commands(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = LazyCommands()


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    context_settings=CONTEXT,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        console.answer(f"git-scopecraft {version('scopecraft-git')}")
        raise typer.Exit


@app.callback()
def scopecraft(
    _version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Show the version"),
) -> None:
    """Give every task for an AI coding agent a worktree of its own."""


def main() -> None:
    """The console script. Expected errors become a message, a hint and their exit code; a bug becomes a log."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]  # a git hook sets them; here the current directory decides
    try:
        app(prog_name="git scopecraft", complete_var="_GIT_SCOPECRAFT_COMPLETE")
    except ScopecraftError as error:
        console.error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads the rest
        sys.exit(1)
    except Exception as error:
        console.failure(f"This is a bug in git scopecraft: {error!r}")
        console.hint(f"Its traceback, for a report: cat {_log_crash(error)}")
        sys.exit(BUG)


def _make(name: str, where: str) -> Any:
    module, attribute = where.split(":")
    found = getattr(importlib.import_module(f"scopecraft_git.cli.{module}"), attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        single.command(name, context_settings=CONTEXT)(found)
        found = single
    command = typer.main.get_command(found)
    command.name = name
    return command


def _log_crash(error: Exception) -> str:
    """Where the traceback went; the temporary folder where the home cannot be written."""
    text = "".join(traceback.format_exception(error))
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.log"
    try:
        paths.crash_logs().mkdir(mode=0o700, parents=True, exist_ok=True)
        log = paths.crash_logs() / name
        log.write_text(text)
    except OSError:
        import tempfile

        with tempfile.NamedTemporaryFile("w", prefix="git-scopecraft-", suffix=".log", delete=False) as file:
            file.write(text)
        return file.name
    return str(log)
