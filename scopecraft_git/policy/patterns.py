"""What a rule says of a text: a glob, or a regular expression behind `regex:`."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

REGEX = "regex:"
WINDOW = 8192
"""Characters that a regular expression is searched in at a time: some take the square of the time for twice as many."""
_ONE_OF_ONE = re.compile(r"\[([*?\[])\]")


class Pattern:
    """Globs match the whole of a text, upper and lower case as it is written; regular expressions any part of it."""

    def __init__(self, text: str) -> None:
        """Raises ValueError where it is no pattern."""
        self.text = text
        self._is_regex = text.startswith(REGEX)
        expression = text.removeprefix(REGEX) if self._is_regex else fnmatch.translate(text)
        try:
            self._expression = re.compile(expression)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"{text!r} is no regular expression: {error}") from None

    @cached_property
    def literal(self) -> str | None:
        """The one text that it matches, if it is one."""
        plain = _ONE_OF_ONE.sub(" ", self.text)
        if self._is_regex or re.search(r"[*?\[]", plain):
            return None
        return _ONE_OF_ONE.sub(r"\1", self.text)

    def matches(self, text: str, *, surely: bool = False) -> bool:
        """A long text is searched piece by piece; that it matches `surely` is then never said of it."""
        if self.literal is not None:
            return text == self.literal
        if not self._is_regex:
            return bool(self._expression.match(text))
        if len(text) <= WINDOW:
            return bool(self._expression.search(text))
        steps = range(0, len(text), WINDOW // 2)
        return not surely and any(self._expression.search(text, begin, begin + WINDOW) for begin in steps)


def escaped(text: str) -> str:
    """The glob that matches this text alone."""
    glob = re.sub(r"([*?\[])", r"[\1]", text)
    return f"{REGEX}\\A{re.escape(text)}\\Z" if text.startswith(REGEX) else glob


class Field(NamedTuple):
    """A condition on one field of a tool's input."""

    path: tuple[str, ...]
    patterns: tuple[Pattern, ...]

    @property
    def name(self) -> str:
        return ".".join(("input", *self.path))


def fields(given: Mapping[str, Any], *path: str) -> Iterator[Field]:
    """The conditions of a rule's `input`. Raises ValueError."""
    for name, value in given.items():
        inner = (*path, name)
        if isinstance(value, Mapping):
            yield from fields(value, *inner)
            continue
        yield Field(inner, _patterns(f"input.{'.'.join(inner)}", value))


def _patterns(name: str, value: Any) -> tuple[Pattern, ...]:
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{name} is a glob, regex:… or a list of them, not {value!r}")
    try:
        return tuple(Pattern(text) for text in texts)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def values(given: Any, path: tuple[str, ...]) -> list[str]:
    """What is there, as text: of a list each item, and what is no text as JSON."""
    if isinstance(given, list):
        return [text for item in given for text in values(item, path)]
    if path:
        inner = given.get(path[0]) if isinstance(given, Mapping) else None
        return [] if inner is None else values(inner, path[1:])
    return [given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, default=str)]
