"""The help, made of the keys as they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.binding import Binding

from scopecraft_git.dashboard import bindings

if TYPE_CHECKING:
    from scopecraft_git.dashboard.app import Dashboard

ABOUT = """\
Above is every session and worktree, those that wait for a human first; below, what the selected one says and does.
What waits for an answer is shown between them, one at a time: a key answers the call that is shown, and is not heeded
in the first moment after another call has come up.

The names in brackets are those of the setting dashboard.keys:
git scopecraft config set dashboard.keys.approve y"""


def text(app: Dashboard) -> str:
    """A line for each thing that keys do, in the order in which they are bound."""
    keys = app.keys()
    board, diff = ([_line(binding, keys) for binding in bound] for bound in (bindings.BOARD, bindings.DIFF))
    return "\n".join([*board, "", "While a diff is shown:", *diff, "", ABOUT])


def _line(binding: Binding, keys: dict[str, str]) -> str:
    more = f": {binding.tooltip[0].lower()}{binding.tooltip[1:]}" if binding.tooltip else ""
    return f"  {keys[binding.id or '']:<8}{binding.description}{more} [{binding.id}]"
