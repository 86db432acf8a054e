"""What the selected session's agent says and does. Stays at the end unless it was scrolled up."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from scopecraft_git.dashboard.reading import Entry, Page
from scopecraft_git.dashboard.rows import Row
from scopecraft_git.dashboard.wrapping import wrapped

KEEPS = 3000
"""Entries, while it is at the end; those before are read again."""
NOTHING_YET = Entry(0, "It has said nothing yet.", "dim")


class Line(NamedTuple):
    text: str
    style: str


class Transcript(ScrollView, can_focus=True):
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"transcript--{style}"
        for style in (
            "text", "reasoning", "call", "result", "error", "critical", "finished", "notice", "permission", "dim"
        )
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "scroll_up", "Up", show=False),
        Binding("j", "scroll_down", "Down", show=False),
        Binding("g", "scroll_home", "First", show=False),
        Binding("G", "scroll_end", "Last", show=False),
    ]

    class OlderWanted(Message):
        """It was scrolled to the top of what is there."""

        def __init__(self, before: int) -> None:
            super().__init__()
            self.before = before

    def __init__(self) -> None:
        super().__init__()
        self.session: str | None = None
        self._entries: list[Entry] = []
        self._lines: list[Line] = []
        self._first = 1
        self._asked_for: int | None = None
        self._width = 0
        self._title = ""

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self._lines)

    def clear(self, session: str | None, hint: str = "") -> None:
        """Begin anew with another session, or with a hint where there is none."""
        self.session = session
        self._entries = [Entry(0, hint, "text")] if hint else []
        self._first, self._asked_for = 1, None
        self._wrap_all()
        self.scroll_to(y=0, animate=False, immediate=True)

    def entitle(self, row: Row | None) -> None:
        """Whose events they are, and what it is with that session, above them."""
        facts = [row.id, row.branch, row.where] if row and row.session else []
        facts += [f"{row.tools} tool calls"] if row and row.tools else []
        facts += [f"${row.cost:.2f}"] if row and row.cost else []
        title = " · ".join(facts)
        if title != self._title:
            self._title = title
            self.border_title = Text(f" {title} ") if title else None

    def show(self, page: Page) -> None:
        """Before or behind what is there. A page of another session's comes too late, and is left out."""
        if page.session != self.session:
            return
        if page.older:
            self._show_older(page)
        elif not page.entries:
            self._first = page.first
            if page.first == 1 and not self._entries:
                self._entries = [NOTHING_YET]
                self._wrap_all()
        else:
            self._show_newer(page)

    def on_resize(self, event: events.Resize) -> None:
        if event.size.width != self._width:
            at_end = self.is_at_end
            self._wrap_all()
            if at_end:
                self._go_to_end()

    @property
    def is_at_end(self) -> bool:
        return self.scroll_offset.y >= len(self._lines) - self.size.height

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        is_up = new_value < old_value
        if is_up and new_value <= self.size.height and self._first > 1 and self._asked_for != self._first:
            self._asked_for = self._first
            self.post_message(self.OlderWanted(self._first))

    def render_line(self, y: int) -> Strip:
        width, number = self.size.width, self.scroll_offset.y + y
        if number >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        line = self._lines[number]
        style = self.get_component_rich_style(f"transcript--{line.style}")
        return Strip([Segment(set_cell_size(line.text, width), style)], width)

    def _show_newer(self, page: Page) -> None:
        at_end = self.is_at_end
        if self._entries[:1] == [NOTHING_YET]:
            self._entries, self._lines = [], []
        self._entries.extend(page.entries)
        if at_end and len(self._entries) > KEEPS:
            del self._entries[: len(self._entries) - KEEPS // 2]
            self._first = self._entries[0].seq
            self._wrap_all()
        else:
            self._lines.extend(self._wrapped(page.entries))
            self._grown()
        if at_end:
            self._go_to_end()

    def _show_older(self, page: Page) -> None:
        if page.first >= self._first:
            return
        self._first = page.first
        before = self._wrapped(page.entries)
        self._entries[:0] = page.entries
        self._lines[:0] = before
        self._grown()
        self.scroll_to(y=self.scroll_offset.y + len(before), animate=False, immediate=True, force=True)

    def _wrapped(self, entries: tuple[Entry, ...] | list[Entry]) -> list[Line]:
        width = max(20, self.size.width)
        return [Line(text, entry.style) for entry in entries for text in wrapped(entry.text, width)]

    def _wrap_all(self) -> None:
        self._width = self.size.width
        self._lines = self._wrapped(self._entries)
        self._grown()

    def _grown(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._lines))
        self.refresh()

    def _go_to_end(self) -> None:
        self.scroll_to(y=len(self._lines), animate=False, immediate=True, force=True)
