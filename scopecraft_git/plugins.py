"""Finds plugins and what they register. The built-ins come through the same door.

Nothing is loaded at import time, and a kind's built-ins only when that kind is asked for: `git scopecraft list`
needs a storage backend and pays for no executor.
"""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import pluggy

from scopecraft_git import hookspecs
from scopecraft_git.errors import BrokenPluginError, DuplicatePluginError, UnknownPluginError
from scopecraft_git.protocols import Agent, Executor, HandlerFactory, Storage

if TYPE_CHECKING:
    from importlib.metadata import Distribution

BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "executor": (
        "scopecraft_git.executors.docker",
        "scopecraft_git.executors.tmux",
        "scopecraft_git.executors.local",
    ),
    "agent": ("scopecraft_git.agents.claude", "scopecraft_git.agents.command"),
    "storage": ("scopecraft_git.storage.local",),
    "handler": ("scopecraft_git.handlers.activity",),
}
HOOKS = {
    "executor": "register_executors",
    "agent": "register_agents",
    "storage": "register_storage",
    "handler": "register_monitor_handlers",
}
ENTRY_POINTS = "scopecraft"


class Named(Protocol):
    name: str


class Plugin(NamedTuple):
    """A row of `git scopecraft plugins`."""

    name: str
    version: str
    source: str
    adds: tuple[str, ...]
    problem: str = ""


def executor(name: str) -> Executor:
    return cast(Executor, _pick("executor", name))


def agent(name: str) -> Agent:
    return cast(Agent, _pick("agent", name))


def storage(name: str) -> Storage:
    return cast(Storage, _pick("storage", name))


def handlers() -> list[HandlerFactory]:
    """One factory for each handler, built-ins first."""
    return cast(list[HandlerFactory], list(_registered("handler").values()))


def names(kind: str) -> list[str]:
    """What can be chosen, built-ins first."""
    return list(_registered(kind))


def installed() -> list[Plugin]:
    """Every plugin with what it adds or why it does not work, built-ins first. Raises nothing."""
    rows: dict[str, Plugin] = {}
    for kind in HOOKS:
        try:
            manager = _manager(kind)
        except (BrokenPluginError, DuplicatePluginError) as error:
            rows[f"{kind}!"] = Plugin("?", "", "", (), error.message)
            continue
        for plugin, distribution in _sources(manager):
            adds = tuple(f"{kind} {item.name}" for item in _offered(manager, kind, plugin))
            known = rows.get(plugin)
            version, source = distribution
            rows[plugin] = Plugin(plugin, version, source, (*(known.adds if known else ()), *adds))
    rows.update({name: Plugin(name, "", "entry point", (), problem) for name, problem in _broken().items()})
    return list(rows.values())


def _pick(kind: str, name: str) -> Named:
    registered = _registered(kind)
    if name not in registered:
        near = difflib.get_close_matches(name, registered, n=1)
        raise UnknownPluginError(kind, name, list(registered), near)
    return registered[name]


@cache
def _registered(kind: str) -> dict[str, Named]:
    manager = _manager(kind)
    found: dict[str, Named] = {}
    owner: dict[str, str] = {}
    plugins = [name for name, _ in manager.list_name_plugin()]
    for plugin in plugins:
        for item in _offered(manager, kind, plugin):
            if item.name in found:
                raise DuplicatePluginError(kind, item.name, owner[item.name], plugin)
            found[item.name], owner[item.name] = item, plugin
    return found


@cache
def _manager(kind: str) -> pluggy.PluginManager:
    manager = pluggy.PluginManager("scopecraft")
    manager.add_hookspecs(hookspecs)
    for dotted in BUILT_IN[kind]:
        manager.register(importlib.import_module(dotted), dotted.removeprefix("scopecraft_git."))
    for name, plugin in _external().items():
        manager.register(plugin, name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        name = manager.get_name(error.plugin) or "?"
        raise BrokenPluginError(name, str(error)) from error
    return manager


def _offered(manager: pluggy.PluginManager, kind: str, plugin: str) -> list[Named]:
    """What one plugin's hook returns, checked for a name so that a wrong return value names its plugin."""
    hook = getattr(manager.get_plugin(plugin), HOOKS[kind], None)
    if hook is None or not hasattr(hook, "scopecraft_impl"):
        return []
    try:
        items = list(cast(Iterable[Any], hook()))
    except Exception as error:
        raise BrokenPluginError(plugin, f"{HOOKS[kind]} raised {error!r}") from error
    nameless = [item for item in items if not isinstance(getattr(item, "name", None), str)]
    if nameless:
        raise BrokenPluginError(plugin, f"{HOOKS[kind]} returned {nameless[0]!r}, which has no name")
    return items


@cache
def _external() -> dict[str, Any]:
    return {name: loaded for name, loaded in _entry_points().items() if not isinstance(loaded, Exception)}


def _broken() -> dict[str, str]:
    return {name: str(loaded) for name, loaded in _entry_points().items() if isinstance(loaded, Exception)}


@cache
def _entry_points() -> dict[str, Any]:
    """Plugins by entry-point name, or the exception that loading one raised: a broken one stops nobody."""
    from importlib.metadata import entry_points

    disabled = set(os.environ.get("SCOPECRAFT_DISABLE_PLUGINS", "").replace(",", " ").split())
    found: dict[str, Any] = {}
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name in disabled or "all" in disabled:
            continue
        try:
            found[entry.name] = entry.load()
        except Exception as error:  # whatever its import raises
            found[entry.name] = error
    return found


def _sources(manager: pluggy.PluginManager) -> list[tuple[str, tuple[str, str]]]:
    from importlib.metadata import entry_points, version

    distributions: dict[str, Distribution | None] = {
        entry.name: entry.dist for entry in entry_points(group=ENTRY_POINTS)
    }
    rows = []
    for name, _ in manager.list_name_plugin():
        dist = distributions.get(name)
        origin = (dist.version, dist.metadata["Name"]) if dist else (version("scopecraft-git"), "built in")
        rows.append((name, origin))
    return rows
