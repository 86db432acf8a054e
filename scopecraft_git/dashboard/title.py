"""The first line: how many sessions are in which state, and what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.widgets import Static

from scopecraft_git.console import safe_line
from scopecraft_git.dashboard import rows
from scopecraft_git.dashboard.rows import Row

APART = "   "


class Title(Static):
    COMPONENT_CLASSES: ClassVar[set[str]] = {"title--waiting"}

    def __init__(self) -> None:
        super().__init__(id="title", markup=False)
        self._drawn = Text()

    def draw(self, where: str, found: Collection[Row], *, wanted: str = "", order: str = "status") -> None:
        """Nothing where it is as before: to draw takes a while. `wanted` is the filter."""
        needs_me = self.get_component_rich_style("title--waiting")
        text = line(where, found, self.app.size.width - 2, needs_me, wanted=wanted, order=order)
        if text != self._drawn:
            self._drawn = text
            self.update(text)


def line(
    where: str, found: Collection[Row], width: int, needs_me: Style, *, wanted: str = "", order: str = "status"
) -> Text:
    """What waits for a human stands out. Where it gets narrow, the last states are signs without words."""
    counted = Counter(row.status for row in found if row.session)
    states = [status for status in rows.SYMBOLS if status in counted]
    cost = sum(row.cost or 0 for row in found)
    end = f"${cost:.2f}" if cost else ""
    head = [safe_line(where, 30), *([f"/{safe_line(wanted, 20)}"] if wanted else [])]
    head += [f"by {order}"] if order != "status" else []
    for worded in range(len(states), -1, -1):
        text = Text(APART.join(head), no_wrap=True, overflow="ellipsis")
        for number, status in enumerate(states):
            said = f"{rows.SYMBOLS[status]} {counted[status]}" + (f" {status}" if number < worded else "")
            waits = status == "waiting"
            text.append(APART[waits:]).append(f" {said} " if waits else said, needs_me if waits else None)
        if text.cell_len + len(APART) + len(end) <= width:
            break
    return text.append(" " * max(len(APART), width - text.cell_len - len(end))).append(end) if end else text
