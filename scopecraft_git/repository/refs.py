"""Branches as they stand at one moment."""

from __future__ import annotations

from typing import NamedTuple


class Refs(NamedTuple):
    """Branches as they stood at one moment."""

    heads: dict[str, str]
    """Commit by branch."""
    remotes: dict[str, str]
    """Commit by remote branch, such as `origin/main`."""
    remote_heads: list[str]
    """What the remotes call their default branch, `origin` first."""

    def on_remotes(self, branch: str) -> list[str]:
        """Remote branches of this name, `origin`'s first."""
        found = [name for name in self.remotes if name.partition("/")[2] == branch]
        return sorted(found, key=lambda name: not name.startswith("origin/"))

    def known(self) -> set[str]:
        """Short names of branches, here and on remotes."""
        return {*self.heads, *(name.partition("/")[2] for name in self.remotes)}
