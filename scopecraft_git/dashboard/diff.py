"""What a session changed, file by file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Footer, Static

from scopecraft_git.console import safe_line
from scopecraft_git.dashboard import bindings, patch
from scopecraft_git.dashboard.painting import LONGEST, Painter, shown, sign
from scopecraft_git.dashboard.patch import FileChange, Kind, Line
from scopecraft_git.errors import ScopecraftError

FOLDED_ABOVE = 400
"""Lines of a file from which it is folded at first."""
GUTTER = 8


class Place(NamedTuple):
    """A line on the screen."""

    file: int
    line: int


class DiffView(ScrollView, can_focus=True):
    """Only the lines that are seen are painted."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "diff--file",
        "diff--note",
        "diff--hunk",
        "diff--gutter",
        "diff--added",
        "diff--removed",
    }
    BINDINGS: ClassVar[list[BindingType]] = [*bindings.DIFF_VIEW]

    def __init__(self) -> None:
        super().__init__()
        self._files: list[FileChange] = []
        self._painters: list[Painter] = []
        self._folded: set[int] = set()
        self._places: list[Place] = []

    def show(self, files: list[FileChange]) -> None:
        """Files that were folded or unfolded before stay so, by name."""
        known = {change.name: number in self._folded for number, change in enumerate(self._files)}
        self._files = files
        dark = self.app.current_theme.dark
        self._painters = [Painter(change, dark=dark) for change in files]
        large = [len(change.lines) > FOLDED_ABOVE for change in files]
        self._folded = {number for number, change in enumerate(files) if known.get(change.name, large[number])}
        self._lay_out()

    def action_file(self, by: int) -> None:
        """The beginning of this file comes before the one before it."""
        top = self.scroll_offset.y
        begins = [y for y, place in enumerate(self._places) if place.line == 0]
        found = [y for y in begins if y > top] if by > 0 else [y for y in reversed(begins) if y < top]
        if found:
            self._go(found[0])

    def action_go(self, number: int) -> None:
        """To a line; below 0 from the end."""
        self._go(number % max(1, len(self._places)))

    def action_fold(self) -> None:
        """Of the file at the top."""
        if not self._places:
            return
        file = self._places[min(self.scroll_offset.y, len(self._places) - 1)].file
        self._folded ^= {file}
        self._lay_out()
        self._go(self._places.index(Place(file, 0)))

    def _go(self, line: int) -> None:
        self.scroll_to(y=line, animate=False, force=True)

    def render_line(self, y: int) -> Strip:
        x, top = self.scroll_offset
        width = self.size.width
        if top + y >= len(self._places):
            return Strip.blank(width, self.rich_style)
        place = self._places[top + y]
        line = self._files[place.file].lines[place.line]
        if line.kind in (Kind.FILE, Kind.NOTE, Kind.HUNK):
            return self._heading(line, place.file, width)
        ground = self._ground(line.kind)
        gutter = f"{line.number or '':>{GUTTER - 2}}{sign(line)} "
        in_gutter = self._muted if line.kind is Kind.CONTEXT else Style(bold=True)
        text = self._painters[place.file].text(place.line)
        body = Strip(list(text.render(self.app.console))).apply_style(ground)
        rest = body.crop_extend(x, x + max(0, width - GUTTER), ground)
        return Strip([Segment(gutter, ground + in_gutter), *rest])

    def _heading(self, line: Line, file: int, width: int) -> Strip:
        change = self._files[file]
        text = shown(line.text)
        if line.kind is Kind.FILE:
            fold = f"  ({len(change.lines) - 1} lines folded)" if file in self._folded else ""
            text = f"{text}  +{change.added} -{change.removed}{fold}"
        style = self.get_component_rich_style(f"diff--{line.kind.name.lower()}")
        return Strip([Segment(text, style)]).crop_extend(0, width, style)

    def _ground(self, kind: Kind) -> Style:
        names = {Kind.ADDED: "diff--added", Kind.REMOVED: "diff--removed"}
        return self.get_component_rich_style(names[kind]) if kind in names else self.rich_style

    @property
    def _muted(self) -> Style:
        return Style(color=self.get_component_rich_style("diff--gutter").color)

    def _lay_out(self) -> None:
        self._places = [
            Place(file, line)
            for file, change in enumerate(self._files)
            for line in range(1 if file in self._folded else len(change.lines))
        ]
        longest = max((len(line.text) for change in self._files for line in change.lines), default=0)
        self.virtual_size = Size(GUTTER + min(longest, LONGEST), len(self._places))
        self.refresh()


class DiffScreen(ModalScreen[None]):
    """`load` gives the diff in git's format; it is called in a thread, and again for each refresh."""

    CSS = """
    DiffScreen { background: $background; }
    DiffScreen #title { height: 1; padding: 0 1; background: $panel; }
    DiffView { height: 1fr; scrollbar-size: 1 1; }
    DiffView > .diff--file { text-style: bold; background: $primary 40%; }
    DiffView:ansi > .diff--file { text-style: bold reverse; background: ansi_default; }
    DiffView > .diff--note { text-style: italic; }
    DiffView > .diff--hunk { color: $accent; }
    DiffView > .diff--gutter { color: $text-muted; }
    DiffView > .diff--added { background: $success 15%; }
    DiffView > .diff--removed { background: $error 15%; }
    DiffView:ansi > .diff--hunk { color: ansi_cyan; }
    DiffView:ansi > .diff--added { color: ansi_green; background: ansi_default; }
    DiffView:ansi > .diff--removed { color: ansi_red; background: ansi_default; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*bindings.DIFF_SCREEN]

    def __init__(self, title: str, load: Callable[[], str]) -> None:
        super().__init__()
        self._title = safe_line(title)
        self._load = load

    def compose(self) -> ComposeResult:
        yield Static(f"{self._title}: reading the changes…", id="title", markup=False)
        yield DiffView()
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.query_one(DiffView).focus()
        self.action_refresh()

    @work(thread=True, exclusive=True)
    def action_refresh(self) -> None:
        try:
            files = patch.read(self._load())
        except ScopecraftError as error:
            self.app.call_from_thread(self._say, f"{error.message}\n{error.hint}")
            return
        self.app.call_from_thread(partial(self._show, files))

    def _show(self, files: list[FileChange]) -> None:
        added, removed = sum(change.added for change in files), sum(change.removed for change in files)
        count = "1 file" if len(files) == 1 else f"{len(files)} files"
        self._say(f"{count}, +{added} -{removed}" if files else "nothing has changed")
        self.query_one(DiffView).show(files)

    def _say(self, text: str) -> None:
        self.query_one("#title", Static).update(f"{self._title}: {text}")
