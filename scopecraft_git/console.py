"""What a terminal gets to see: stdout is the answer, stderr the narration.

Foreign text (what agents, files, branches and commits are called and say) passes `safe_text` here and nowhere else.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from scopecraft_git.errors import AnswerNotWrittenError, ScopecraftError

_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor moves
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|\x9c|$)"  # OSC, DCS, SOS, PM, APC with their payload
    r"|\x1b[ -/]*[0-~]?"  # what is left of escape
    r"|\x9b[0-?]*[ -/]*[@-~]"  # CSI in its one-byte form
    r"|[\x90\x98\x9d\x9e\x9f].*?(?:\x07|\x9c|$)",
    re.DOTALL,
)
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # text that is read in another order than it is written
    "\u2028\u2029\ud800-\udfff]"
)


def safe_text(text: str) -> str:
    """Without anything a terminal would act on. Tabs and newlines stay."""
    return _CONTROLS.sub("", _SEQUENCES.sub("", text.replace("\r\n", "\n")))


def safe_line(text: str, width: int = 0) -> str:
    """`safe_text` on one line, cut to `width` characters if that is not 0."""
    line = " ".join(safe_text(text).split())
    return line if not width or len(line) <= width else line[: width - 1] + "…"


def gist(given: Mapping[str, object]) -> str:
    """The one value of a tool's input that says most, else all of it; foreign text as it is."""
    for key in ("command", "file_path", "path", "pattern", "url", "query", "description", "prompt"):
        if isinstance(value := given.get(key), str):
            return value
    return json.dumps(given, ensure_ascii=False, default=str) if given else ""


def is_styled(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def style(text: str, code: str, stream: TextIO) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if is_styled(stream) else text


def _narrate(symbol: str, code: str, text: str) -> None:
    print(f"{style(symbol, code, sys.stderr)} {safe_text(text)}", file=sys.stderr, flush=True)


def changed(text: str) -> None:
    _narrate("✓", "32", text)


def unchanged(text: str) -> None:
    _narrate("○", "2", text)


def warning(text: str) -> None:
    _narrate("▲", "33", text)


def hint(text: str) -> None:
    _narrate("↳", "36", text)


def failure(text: str) -> None:
    _narrate("✗", "31", text)


def progress(text: str) -> None:
    """A line of what something else says while it works."""
    print(style(safe_text(text), "2", sys.stderr), file=sys.stderr, flush=True)


def error(problem: ScopecraftError) -> None:
    failure(problem.message)
    hint(problem.hint)


def problem(met: ScopecraftError) -> None:
    """Like `error`, of something that does not keep a command from the rest of its work."""
    warning(met.message)
    hint(met.hint)


def answer(text: str) -> None:
    """One piece of the answer, to stdout."""
    answer_exactly(safe_text(text))


def answer_exactly(text: object) -> None:
    """As it is, for a program to read. Raises `AnswerNotWrittenError` where stdout takes no more."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise AnswerNotWrittenError(error.strerror or str(error)) from error


def ring() -> None:
    """The terminal's bell."""
    print("\a", end="", flush=True)


def answer_json(document: Any) -> None:
    """One JSON document, in ASCII: what a terminal would act on arrives escaped."""
    answer_exactly(json.dumps(document, indent=2 if sys.stdout.isatty() else None))


def answer_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as their widest cell; the last one is not padded."""
    cells = [[safe_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [headings, *cells]) for column in range(len(headings))]
    lines = []
    for number, row in enumerate([headings, *cells]):
        padded = [cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
        line = "  ".join([*padded, row[-1]]).rstrip()
        lines.append(style(line, "2", sys.stdout) if number == 0 else line)
    answer_exactly("\n".join(lines))
