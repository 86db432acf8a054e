"""`plugins`: what is installed."""

from __future__ import annotations

from scopecraft_git import console
from scopecraft_git import plugins as registry
from scopecraft_git.cli.options import Json


def plugins(json: Json = False) -> None:
    """List plugins, what they add, and why one does not work"""
    found = registry.installed()
    if json:
        console.answer_json([plugin._asdict() for plugin in found])
        return
    console.answer_table(("PLUGIN", "VERSION", "FROM", "ADDS"), map(_row, found))
    for plugin in found:
        if plugin.problem:
            console.warning(f"{plugin.name} is not used: {plugin.problem}")


def _row(plugin: registry.Plugin) -> tuple[str, ...]:
    return (plugin.name, plugin.version or "-", plugin.source or "-", ", ".join(plugin.adds) or "-")
