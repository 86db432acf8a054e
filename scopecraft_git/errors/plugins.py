"""Plugins that are missing, broken or two of a name."""

from __future__ import annotations

from collections.abc import Sequence

from scopecraft_git.errors.base import ScopecraftError, UsageError, did_you_mean


class UnknownPluginError(UsageError):
    def __init__(self, kind: str, name: str, known: Sequence[str], near: Sequence[str] = ()) -> None:
        super().__init__(
            f"There is no {kind} called {name}{did_you_mean(near)}; known are {', '.join(known)}",
            "To see every plugin and what it adds, run git scopecraft plugins",
        )


class DuplicatePluginError(ScopecraftError):
    def __init__(self, kind: str, name: str, first: str, second: str) -> None:
        super().__init__(
            f"The plugins {first} and {second} both register the {kind} {name}",
            f"Uninstall one of them, or leave one out: export SCOPECRAFT_DISABLE_PLUGINS={second}",
        )


class BrokenPluginError(ScopecraftError):
    def __init__(self, plugin: str, reason: str) -> None:
        super().__init__(
            f"The plugin {plugin} cannot be used: {reason}",
            f"Leave it out until it is mended: export SCOPECRAFT_DISABLE_PLUGINS={plugin}",
        )
