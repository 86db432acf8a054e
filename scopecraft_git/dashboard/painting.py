"""The lines of a diff in colour, each made when it is first looked at."""

from __future__ import annotations

from rich.style import Style
from rich.syntax import Syntax
from rich.text import Text

from scopecraft_git.console import safe_text
from scopecraft_git.dashboard.patch import FileChange, Kind, Line

BLOCK = 200
"""Lines that are painted together: enough to know a string from a comment, few enough to be quick."""
LONGEST = 2000
"""Characters of a line that are shown."""
_PICTURES = {number: 0x2400 + number for number in (*range(9), *range(11, 32))} | {127: 0x2421}


def shown(text: str) -> str:
    """On one line, with a picture for each character that a terminal would act on."""
    cut = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return safe_text(cut.expandtabs(4).translate(_PICTURES)).replace("\n", " ")


class Painter:
    """Of one file, in the sixteen colours that every terminal has."""

    def __init__(self, change: FileChange, *, dark: bool) -> None:
        self._lines = change.lines
        self._theme = "ansi_dark" if dark else "ansi_light"
        self._language = Syntax.guess_lexer(change.name.strip('"'))
        self._painted: dict[int, Text] = {}

    def text(self, number: int) -> Text:
        """Line `number` of the file, in the colours of its language."""
        if number not in self._painted:
            start = number - number % BLOCK
            self._paint(range(start, min(start + BLOCK, len(self._lines))))
        return self._painted[number]

    def _paint(self, block: range) -> None:
        """The old lines and the new ones are two texts: one knows nothing of the other's quotes."""
        for number in block:
            self._painted[number] = Text(shown(self._lines[number].text))
        for kind in (Kind.REMOVED, Kind.ADDED):
            side = [number for number in block if self._lines[number].kind in (kind, Kind.CONTEXT)]
            self._highlight(side)

    def _highlight(self, side: list[int]) -> None:
        if not side:
            return
        plain = "\n".join(self._painted[number].plain for number in side)
        coloured = Syntax(plain, self._language, theme=self._theme).highlight(plain)
        coloured.spans = [span for span in coloured.spans if not _marks_an_error(span.style)]
        coloured.right_crop(max(0, len(coloured.plain) - len(plain)))
        parts = coloured.split("\n", allow_blank=True)
        if [part.plain for part in parts] == [self._painted[number].plain for number in side]:
            self._painted |= dict(zip(side, parts, strict=True))


def _marks_an_error(style: str | Style) -> bool:
    """What a piece of a file seems to break is whole where the rest of it stands."""
    return isinstance(style, Style) and bool(style.underline)


def sign(line: Line) -> str:
    return {Kind.ADDED: "+", Kind.REMOVED: "-"}.get(line.kind, " ")
