"""The commands by name, each imported when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from typing import Any

import typer
from typer.core import TyperGroup

from scopecraft_git import __version__, console

CONTEXT = {"help_option_names": ["-h", "--help"]}

# By importance. A command's module is imported when the command is called, or listed.
COMMANDS = {
    "run": "run:run",
    "dispatch": "run:dispatch",
    "list": "sessions:list_",
    "show": "sessions:show",
    "logs": "logs:logs",
    "watch": "watch:watch",
    "wait": "sessions:wait",
    "send": "stepping_in:send",
    "approve": "approval:approve",
    "deny": "approval:deny",
    "interrupt": "stepping_in:interrupt",
    "stop": "stepping_in:stop",
    "pause": "stepping_in:pause",
    "resume": "stepping_in:resume",
    "attach": "stepping_in:attach",
    "continue": "run:continue_",
    "diff": "sessions:diff",
    "dashboard": "dashboard:dashboard",
    "queue": "queue:app",
    "recover": "recover:recover",
    "task": "task:app",
    "worktree": "worktree:app",
    "image": "image:app",
    "policy": "policy:app",
    "config": "config:app",
    "plugins": "plugins:plugins",
    "doctor": "doctor:doctor",
    "demo": "demo:demo",
    "completion": "completion:completion",
    "supervisor": "supervisor:app",
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


def group(help: str, *, hidden: bool = False) -> typer.Typer:
    """A command that has commands of its own."""
    return typer.Typer(help=help, hidden=hidden, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


def _print_version(wanted: bool) -> None:
    if wanted:
        console.answer(f"git-scopecraft {__version__}")
        raise typer.Exit


@app.callback()
def scopecraft(
    _version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Show the version"),
) -> None:
    """Give every task for an AI coding agent a worktree of its own"""


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
