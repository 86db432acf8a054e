"""Finds plugins and what they register. The built-ins come through the same door.

Nothing is loaded at import time, and a kind's built-ins only when that kind is asked for: `git scopecraft list`
needs a storage backend and pays for no executor. A plugin that cannot be used is left out, and `installed` says why.
"""

from __future__ import annotations

import difflib
import importlib
import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import pluggy

from scopecraft_git import __version__, hookspecs
from scopecraft_git.errors import BrokenPluginError, DuplicatePluginError, UnknownPluginError
from scopecraft_git.events import Severity
from scopecraft_git.protocols import Agent, ErrorKind, Executor, HandlerFactory, Storage

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "executor": (
        "scopecraft_git.executors.docker",
        "scopecraft_git.executors.tmux",
        "scopecraft_git.executors.local",
    ),
    "agent": (
        "scopecraft_git.agents.claude",
        "scopecraft_git.agents.codex",
        "scopecraft_git.agents.gemini",
        "scopecraft_git.agents.opencode",
        "scopecraft_git.agents.channelcoder",
        "scopecraft_git.agents.command",
    ),
    "storage": ("scopecraft_git.storage.local",),
    "handler": (
        "scopecraft_git.handlers.activity",
        "scopecraft_git.handlers.policy",
        "scopecraft_git.handlers.budget",
        "scopecraft_git.handlers.idle",
        "scopecraft_git.handlers.notify",
    ),
    "error": ("scopecraft_git.handlers.error_kinds",),
}
HOOKS = {
    "executor": "register_executors",
    "agent": "register_agents",
    "storage": "register_storage",
    "handler": "register_monitor_handlers",
    "error": "register_error_kinds",
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


class Offered(NamedTuple):
    """What plugins register of one kind, in their order."""

    items: list[tuple[str, Named]]
    """With the plugin's name; two may have one name."""
    problems: dict[str, str]
    """Why nothing of a plugin's is used, by its name."""


def executor(name: str) -> Executor:
    return cast(Executor, _pick("executor", name))


def agent(name: str) -> Agent:
    return cast(Agent, _pick("agent", name))


def storage(name: str) -> Storage:
    return cast(Storage, _pick("storage", name))


def handlers() -> list[HandlerFactory]:
    """One factory for each name, built-ins first; the first plugin's where two register one name."""
    first = {item.name: item for _, item in reversed(_offered("handler").items)}
    return cast(list[HandlerFactory], [first[name] for name in names("handler")])


def error_kinds() -> list[ErrorKind]:
    """Plugins' rows before ours, so that they can judge an error otherwise."""
    offered = _offered("error").items
    ours = [item for plugin, item in offered if f"scopecraft_git.{plugin}" in BUILT_IN["error"]]
    return cast(list[ErrorKind], [item for _, item in offered if item not in ours] + ours)


def names(kind: str) -> list[str]:
    """What can be chosen, built-ins first."""
    return list(dict.fromkeys(item.name for _, item in _offered(kind).items))


def installed() -> list[Plugin]:
    """Every plugin with what it adds or why it does not work, built-ins first. Raises nothing."""
    adds: dict[str, list[str]] = {}
    problems: dict[str, str] = {}
    for kind in HOOKS:
        offered = _offered(kind)
        problems |= offered.problems
        for plugin, item in offered.items:
            adds.setdefault(plugin, []).append(f"{kind} {item.name}")
    problems |= _external().problems
    entries = {entry.name: entry for entry in _entry_points()}
    rows = [Plugin(name, __version__, "built in", tuple(added)) for name, added in adds.items() if name not in entries]
    for name, entry in entries.items():
        made, source = (entry.dist.version, entry.dist.name) if entry.dist else ("", "")
        rows.append(Plugin(name, made, source, tuple(adds.get(name, ())), problems.get(name, "")))
    return rows


def _pick(kind: str, name: str) -> Named:
    """Raises `UnknownPluginError`, `BrokenPluginError`, or `DuplicatePluginError` rather than choose between two."""
    found = [(plugin, item) for plugin, item in _offered(kind).items if item.name == name]
    if not found:
        if problem := (_external().problems | _offered(kind).problems).get(name):
            raise BrokenPluginError(name, problem)
        known = names(kind)
        raise UnknownPluginError(kind, name, known, difflib.get_close_matches(name, known, n=1))
    if len(found) > 1:
        raise DuplicatePluginError(kind, name, found[0][0], found[1][0])
    return found[0][1]


@cache
def _offered(kind: str) -> Offered:
    """Asks the hook of every plugin by itself, so that one that fails is known by name and stops no other."""
    manager = _manager()
    for dotted in BUILT_IN[kind]:
        manager.register(importlib.import_module(dotted), dotted.removeprefix("scopecraft_git."))
    offered = Offered([], {})
    for name, plugin in _external().plugins.items():
        try:
            manager.register(plugin, name)
        except ValueError:
            offered.problems[name] = "a plugin of this name, or this one by another name, is there already"
    hooks = getattr(manager.hook, HOOKS[kind]).get_hookimpls()
    # A plugin may ask to be heard first or last; what is ours is not replaced by it.
    for hook in sorted(hooks, key=lambda hook: f"scopecraft_git.{hook.plugin_name}" not in BUILT_IN[kind]):
        try:
            offered.items.extend((hook.plugin_name, item) for item in _named(hook.function()))
        except (Exception, SystemExit) as error:  # whatever a plugin raises
            offered.problems[hook.plugin_name] = f"{HOOKS[kind]}: {_reason(error)}"
    return offered


def _named(items: Iterable[Any]) -> list[Named]:
    found = list(items)
    for item in found:
        if not isinstance(getattr(item, "name", None), str):
            raise TypeError(f"{item!r} has no name")
        if isinstance(item, ErrorKind):
            _check(item)
    return found


def _check(kind: ErrorKind) -> None:
    Severity(kind.severity)
    try:
        re.compile(kind.pattern)
    except re.error as error:
        raise ValueError(f"the pattern of {kind.name} is no regular expression: {error}") from None


class External(NamedTuple):
    """What entry points name: what could be loaded, and why the rest could not."""

    plugins: dict[str, Any]
    problems: dict[str, str]


@cache
def _external() -> External:
    disabled = os.environ.get("SCOPECRAFT_DISABLE_PLUGINS", "").replace(",", " ").split()
    found = External({}, {})
    for entry in _entry_points():
        if entry.name in disabled or "all" in disabled:
            found.problems[entry.name] = "left out by SCOPECRAFT_DISABLE_PLUGINS"
        elif entry.name in found.plugins:
            found.problems[entry.name] = "another distribution has a plugin of this name, which is used instead"
        else:
            try:
                found.plugins[entry.name] = _checked(entry)
            except (Exception, SystemExit) as error:  # whatever its import raises
                found.problems[entry.name] = _reason(error)
    return found


def _checked(entry: EntryPoint) -> Any:
    """The plugin, loaded. Raises also for a hook that is misspelt or takes what no hook is given."""
    plugin = entry.load()
    manager = _manager()
    manager.register(plugin, entry.name)
    manager.check_pending()
    return plugin


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("scopecraft")
    manager.add_hookspecs(hookspecs)
    return manager


@cache
def _entry_points() -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points

    return tuple(entry_points(group=ENTRY_POINTS))


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
