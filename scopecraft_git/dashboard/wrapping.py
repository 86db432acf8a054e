"""Text into lines of so many cells."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len, chop_cells


def wrapped(text: str, width: int) -> list[str]:
    """Broken between words where that is possible; what follows keeps the indent of the line it was of."""
    found: list[str] = []
    for line in text.expandtabs(4).split("\n"):
        if cell_len(line) <= width:
            found.append(line)
        else:
            found.extend(_broken(line, width))
    return found


def _broken(line: str, width: int) -> Iterator[str]:
    indent = " " * min(len(line) - len(line.lstrip()), width // 2)
    current = ""
    for word in line.lstrip().split(" "):
        candidate = f"{current} {word}" if current else indent + word
        if cell_len(candidate) <= width:
            current = candidate
            continue
        if current:
            yield current
        *whole, current = [indent + piece for piece in chop_cells(word, max(1, width - len(indent)))] or [""]
        yield from whole
    if current:
        yield current
