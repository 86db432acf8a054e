"""`config show|set|unset|path`."""

from __future__ import annotations

import json as json_format
from collections.abc import Callable
from typing import Annotated, Any

import typer

from scopecraft_git import config, console, paths
from scopecraft_git.cli import complete, context, output
from scopecraft_git.cli.commands import group
from scopecraft_git.cli.options import Json
from scopecraft_git.storage import files

app = group("Show and change settings")

Key = Annotated[
    str, typer.Argument(metavar="KEY", help="Setting, such as docker.image", autocompletion=complete.settings)
]


@app.command()
def show(
    key: Annotated[
        str | None,
        typer.Argument(metavar="KEY", help="One setting, or a section of them", autocompletion=complete.settings),
    ] = None,
    defaults: Annotated[bool, typer.Option("--defaults", help="With those nobody has set")] = False,
    json: Json = False,
) -> None:
    """Show settings, and where each was set"""
    if key:
        config.require_known(key, config.COMMAND_LINE)
    settings = config.explain(context.git_config())
    wanted = [setting for setting in settings if _is_wanted(setting, key, defaults=defaults)]
    if json:
        console.answer_json([setting._asdict() for setting in wanted])
    elif key and all(setting.key == key for setting in wanted):
        _tell_one(key, wanted)
    elif wanted:
        console.answer_table(("KEY", "VALUE", "FROM"), map(_row, wanted))
    else:
        console.unchanged("Nothing is set: every setting has its default")
        console.hint("To see them, run git scopecraft config show --defaults")


@app.command("set", context_settings={"ignore_unknown_options": True})  # a value may be below zero
def set_(
    key: Key, value: Annotated[str, typer.Argument(metavar="VALUE", help="Lists and objects are written as JSON")]
) -> None:
    """Keep a setting in the preferences file"""
    _change(lambda: config.with_setting(key, value))
    console.changed(f"Set {key} in {output.short(paths.config_file())}")
    for setting in config.explain(context.git_config()):
        if setting.key == key and setting.origin != str(paths.config_file()):
            console.warning(f"The {setting.origin} says otherwise here: {key} is {_text(setting.value)}")


@app.command()
def unset(key: Key) -> None:
    """Take a setting out of the preferences file"""
    if _change(lambda: config.without_setting(key)):
        console.changed(f"Took {key} out of {output.short(paths.config_file())}")
        return
    config.require_known(key, config.COMMAND_LINE)
    console.unchanged(f"{key} is not set in {output.short(paths.config_file())}")


@app.command()
def path() -> None:
    """Print where the preferences file is"""
    console.answer_exactly(paths.config_file())


def _change(changed: Callable[[], dict[str, Any] | None]) -> bool:
    """Replace the file by what `changed` makes of it, whole or not at all; whether it made anything."""
    file = paths.config_file()
    paths.ensure_home()
    with files.locked(file.with_name(".lock")):
        document = changed()
        if document is not None:
            files.replace(file, json_format.dumps(document, indent=2).encode() + b"\n")
    return document is not None


def _is_wanted(setting: config.Setting, key: str | None, *, defaults: bool) -> bool:
    if key:
        return setting.key == key or setting.key.startswith(f"{key}.")
    return defaults or setting.origin != config.DEFAULT


def _tell_one(key: str, found: list[config.Setting]) -> None:
    """The bare value, for scripts; nothing for one that has none."""
    if found and found[0].value is not None:
        console.answer(_text(found[0].value))
    console.unchanged(f"{key} from {_origin(found[0]) if found else config.DEFAULT}")


def _row(setting: config.Setting) -> tuple[str, str, str]:
    return setting.key, _text(setting.value), _origin(setting)


def _origin(setting: config.Setting) -> str:
    file = paths.config_file()
    return output.short(file) if setting.origin == str(file) else setting.origin


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "-" if value is None else json_format.dumps(value)
