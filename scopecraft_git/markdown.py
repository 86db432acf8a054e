"""Reads Markdown files with YAML front matter. What is wrong with one is a ValueError that says it in a few words."""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    import yaml

LARGEST_FILE = 8 << 20
MOST_VALUES = 10_000

_BLANK = re.compile(r"(?:[ \t]*\r?\n)*")
_LINE_START = re.compile(r"(?<=\n)")
_HEADING = re.compile(r" {0,3}(#{1,2})[ \t]+(\S.*)")
_FENCE = re.compile(r"\s*(?:(`{3,})[^`]*|(~{3,}).*)")
_KEY = re.compile(r"[\w-]+\??:(?:\s|$)")
_SCALARS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(?:0|[1-9][0-9]*)",
    "float": r"[-+]?[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]+)?",
}


class Document(NamedTuple):
    title: str
    metadata: dict[str, Any]
    sections: dict[str, str]
    """Text by heading of the second level; what stands before the first one is under the empty heading."""


def read(path: Path, within: Path | None = None) -> str:
    """The text of a regular file, newlines as they are. With `within`, one that leads out of there is refused.

    Whoever can write there may exchange the file for a link or a pipe at any time, so what counts is what was opened.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        opened = os.fstat(file.fileno())
        if within is not None and not _is_within(within, file.fileno(), path):
            raise ValueError(f"it is a link that leads out of {within.name}")
        if not stat.S_ISREG(opened.st_mode):
            raise ValueError("it is not a file")
        if opened.st_size > LARGEST_FILE:
            raise ValueError(f"it is larger than {LARGEST_FILE >> 20} MiB")
        content = file.read(LARGEST_FILE)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text (byte {error.start})") from None


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _is_within(folder: Path, opened: int, path: Path) -> bool:
    """By where the system says that the open file is; elsewhere than on Linux, by what stands there a moment later."""
    try:
        return Path(f"/proc/self/fd/{opened}").readlink().is_relative_to(folder)
    except OSError:
        real = path.resolve()
        return real.is_relative_to(folder) and os.path.samestat(os.fstat(opened), real.lstat())


def parse(text: str) -> Document:
    """A title, front matter (in either order) and sections; each of them may be missing."""
    title, rest, line = _title(text.replace("\r\n", "\n"), 1)
    metadata, body = front_matter(rest, line)
    if not title:
        title, body, _ = _title(body, line)
    return Document(title or str(metadata.get("title") or ""), metadata, _sections(body))


def front_matter(text: str, line: int = 1) -> tuple[dict[str, Any], str]:
    """What stands between two lines `---` at the very beginning, and the text after it without its blank lines.

    `line` is the number of the text's first line, for the error message.
    """
    opening, *lines = _LINE_START.split(text) if text.startswith("---") else [""]
    if opening.rstrip() != "---":
        return {}, text
    end = next((count for count, candidate in enumerate(lines) if candidate.rstrip() in ("---", "...")), None)
    if end is not None:
        return _mapping("".join(lines[:end]), line + 1), _without_blank("".join(lines[end + 1 :]))
    if lines and _KEY.match(lines[0]):
        raise ValueError("its front matter is not closed by a line ---")
    return {}, text


def _title(text: str, line: int) -> tuple[str, str, int]:
    """A leading `# Title`, the text after it and its blank lines, and that text's line number."""
    first, _, after = _without_blank(text).partition("\n")
    heading = _HEADING.fullmatch(first)
    found = heading is not None and heading[1] == "#"
    rest = _without_blank(after if found else text)
    title = heading[2].strip() if heading and found else ""
    return title, rest, line + text.removesuffix(rest).count("\n")


def _without_blank(text: str) -> str:
    """`text` without the blank lines it begins with."""
    blank = _BLANK.match(text)
    return text[blank.end() :] if blank else text


def _sections(body: str) -> dict[str, str]:
    found: dict[str, list[str]] = {"": []}
    lines, fence = found[""], ""
    for line in body.split("\n"):
        fence = _fence(line, fence)
        heading = None if fence else _HEADING.fullmatch(line)
        if heading and heading[1] == "##":
            lines = found.setdefault(heading[2].strip(), [])
        else:
            lines.append(line)
    texts = {name: "\n".join(lines).strip("\n").rstrip() for name, lines in found.items()}
    return {name: text for name, text in texts.items() if name or text}


def _fence(line: str, fence: str) -> str:
    """The code fence that is open after this line: what looks like a heading in there is none."""
    marks = _FENCE.fullmatch(line)
    if not marks:
        return fence
    mark = marks[1] or marks[2]
    if not fence:
        return mark
    closes = mark.startswith(fence) and line.strip() == mark
    return "" if closes else fence


def _mapping(text: str, line: int) -> dict[str, Any]:
    import yaml

    try:
        loaded = _plain(yaml.load(text, _loader()), iter(range(MOST_VALUES)))
    except yaml.MarkedYAMLError as error:
        at = f" (line {line + error.problem_mark.line})" if error.problem_mark else ""
        raise ValueError(f"its front matter is not YAML: {error.problem or error.context}{at}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"its front matter is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise ValueError("its front matter is nested too deeply") from None
    if loaded is None or isinstance(loaded, dict):
        return loaded or {}
    raise ValueError("its front matter has no keys")


@cache
def _loader() -> type[yaml.SafeLoader]:
    """YAML 1.2's plain scalars: dates, `on`, `no` and `1:30` are the strings they look like."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {}

    for tag, pattern in _SCALARS.items():
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z"), None)
    return Loader


def _plain(value: Any, room: Iterator[int]) -> Any:
    """What JSON can hold. `room` runs out on aliases that multiply without end."""
    if next(room, None) is None:
        raise ValueError(f"its front matter holds more than {MOST_VALUES} values")
    if isinstance(value, dict):
        return {str(key): _plain(item, room) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item, room) for item in value]
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)
