"""The table of sessions and worktrees. Only the lines that are seen are drawn, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from scopecraft_git.dashboard import bindings, rows
from scopecraft_git.dashboard.rows import Row

CURSOR = "›"
_MESSAGE_WANTS = 24
_MESSAGE_LIKES = 44
_TASK_LIKES = 36


class Column(NamedTuple):
    title: str
    width: int
    text: Callable[[Row], str]


STATE = Column("STATUS", 12, lambda row: row.state)
TASK = Column("TASK", 20, lambda row: row.task)
WHERE = Column("AGENT", 15, lambda row: row.where)
TOOLS = Column("TOOLS", 5, lambda row: "" if row.tools is None else f"{row.tools:>5}")
COST = Column("   COST", 7, lambda row: "" if row.cost is None else f"{f'${row.cost:.2f}':>7}")
AGE = Column(" AGE", 4, lambda row: f"{rows.age(row.since):>4}")
BRANCH = Column("BRANCH", 24, lambda row: row.branch)
REPOSITORY = Column("REPOSITORY", 16, lambda row: row.repository.removesuffix("/.git").rpartition("/")[2])
SAID = Column("LAST MESSAGE", 0, lambda row: row.said)

_BY_NEED = (STATE, TASK, AGE, COST, TOOLS, WHERE, REPOSITORY, BRANCH)
_NICE = (REPOSITORY, BRANCH)
_BY_PLACE = (STATE, TASK, REPOSITORY, BRANCH, WHERE, TOOLS, COST, AGE)


def columns(width: int, *, everywhere: bool = False) -> list[Column]:
    """As many as there is room for beside the message, which takes the rest. `everywhere`: of several repositories."""
    needed = [column for column in _BY_NEED if everywhere or column is not REPOSITORY]
    room = width - len(CURSOR) - 1
    kept: list[Column] = []
    for column in needed:
        room -= column.width + 1
        if len(kept) > 1 and room < (_MESSAGE_LIKES if column in _NICE else _MESSAGE_WANTS):
            break
        kept.append(column)
    placed = [column for column in _BY_PLACE if column in kept]
    left = width - len(CURSOR) - 1 - sum(column.width + 1 for column in placed)
    more = max(0, min(_TASK_LIKES - TASK.width, left - _MESSAGE_LIKES))
    placed[1] = TASK._replace(width=TASK.width + more)
    return [*placed, SAID._replace(width=max(0, left - more))]


class Table(ScrollView, can_focus=True):
    """The cursor stays on its row by id, whatever comes, goes, or moves."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--heading",
        "table--row",
        "table--cursor",
        "table--waiting",
        "table--good",
        "table--bad",
        "table--quiet",
    }
    BINDINGS: ClassVar[list[BindingType]] = [*bindings.TABLE]

    class Selected(Message):
        def __init__(self, row: Row | None, *, by_hand: bool) -> None:
            super().__init__()
            self.row = row
            self.by_hand = by_hand

    def __init__(self, *, everywhere: bool = False) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self._everywhere = everywhere
        self._selected: str | None = None
        self._cursor = 0

    @property
    def row(self) -> Row | None:
        return self.rows[self._cursor] if self.rows else None

    def show(self, rows: Sequence[Row]) -> None:
        """Draws what is otherwise than before. Where the selected row is gone, the one in its place is selected."""
        before, self.rows = self.rows, list(rows)
        position = next((number for number, row in enumerate(rows) if row.id == self._selected), self._cursor)
        self.virtual_size = Size(self.size.width, len(rows) + 1)
        if self.rows and [row.id for row in before] == [row.id for row in rows]:
            for number, (old, new) in enumerate(zip(before, rows, strict=True)):
                if old != new:
                    self._refresh_row(number)
        else:
            self.refresh(layout=len(before) != len(rows))
        self._go(position, by_hand=False)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        return len(self.rows) + 1

    def tick(self) -> None:
        """Ages have grown."""
        self.refresh()

    def action_move(self, by: int) -> None:
        self._go(self._cursor + by)

    def action_page(self, by: int) -> None:
        self._go(self._cursor + by * max(1, self.size.height - 2))

    def on_resize(self, event: events.Resize) -> None:
        self.virtual_size = Size(event.size.width, len(self.rows) + 1)
        self._keep_in_sight()

    def on_click(self, event: events.Click) -> None:
        if event.y:
            self._go(self.scroll_offset.y + event.y - 1)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        shown = columns(width, everywhere=self._everywhere)
        if y == 0:
            style = self.get_component_rich_style("table--heading")
            titles = "  " + " ".join(set_cell_size(column.title, column.width) for column in shown)
            return Strip([Segment(set_cell_size(titles, width), style)], width)
        number = self.scroll_offset.y + y - 1
        if number >= len(self.rows):
            return Strip.blank(width, self.rich_style)
        return self._strip(self.rows[number], shown, width, selected=number == self._cursor)

    def _strip(self, row: Row, shown: list[Column], width: int, *, selected: bool) -> Strip:
        ground = self.get_component_rich_style("table--cursor" if selected else "table--row")
        segments = [Segment(f"{CURSOR if selected else ' '} ", ground)]
        for column in shown:
            style = ground if selected and not self.app.no_color else ground + self._style(column, row)
            segments += [Segment(_fitting(column.text(row), column.width), style), Segment(" ", ground)]
        return Strip(segments).adjust_cell_length(width, ground)

    def _style(self, column: Column, row: Row) -> Style:
        if row.status == "waiting":
            return self._foreground("table--waiting")
        if row.ended or not row.session:
            is_bad = column is STATE and row.status in ("failed", "lost")
            return self._foreground("table--bad" if is_bad else "table--quiet")
        if column is STATE:
            return self._foreground("table--good" if row.status == "running" else "table--quiet")
        return Style()

    def _foreground(self, name: str) -> Style:
        style = self.get_component_rich_style(name)
        return Style(color=style.color, bold=style.bold, dim=style.dim)

    def _go(self, position: int, *, by_hand: bool = True) -> None:
        last = self._cursor
        before = self._selected
        self._cursor = max(0, min(position, len(self.rows) - 1))
        self._selected = self.row.id if self.row else None
        for number in {last, self._cursor}:
            self._refresh_row(number)
        self._keep_in_sight()
        if before != self._selected:
            self.post_message(self.Selected(self.row, by_hand=by_hand))

    def _keep_in_sight(self) -> None:
        """The first line is taken by the headings."""
        top, seen = self.scroll_offset.y, max(1, self.size.height - 1)
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False, immediate=True)
        elif self._cursor >= top + seen:
            self.scroll_to(y=self._cursor - seen + 1, animate=False, immediate=True)

    def _refresh_row(self, number: int) -> None:
        y = number - self.scroll_offset.y + 1
        if 0 < y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))


def _fitting(text: str, width: int) -> str:
    """Of just so many cells; what is cut shows it."""
    fitted = set_cell_size(text, width)
    if width > 1 and fitted.rstrip() != text.rstrip() and len(text) > len(fitted.rstrip()):
        fitted = set_cell_size(text, width - 1) + "…"
    return fitted
