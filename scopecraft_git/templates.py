r"""Fills the placeholders of prompt files: `{name}`, `{a.b}`, `{c ? "y" : "n"}`.

Only names that have a value are placeholders. All else is left byte for byte: JSON, code, `${shell}`, `{{other}}`.
`\{name}` is how to write a placeholder that stays; a value is never looked at again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_NAME = r"[A-Za-z_][\w-]*(?:\.[\w-]+)*"
_STRING = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`"""
_BRANCH = rf"{_STRING}|{_NAME}"
_PLACEHOLDER = re.compile(
    rf"\{{\{{{_NAME}\}}\}}"  # another template language's
    rf"|(?P<escape>\\)?(?<!\$)\{{(?:(?P<name>{_NAME})"
    rf"|(?P<not>!?)(?P<condition>{_NAME})(?:\s*(?P<operator>[!=]==?)\s*(?P<operand>{_BRANCH}))?"
    rf"\s*\?\s*(?P<then>{_BRANCH})\s*:\s*(?P<otherwise>{_BRANCH}))\}}",
    re.DOTALL,
)
_IN_STRING = re.compile(rf"\$?\{{(?P<name>{_NAME})\}}|\\(?P<quoted>[\"'`\\])")


class _Absent:
    """A name that has no value, as against one whose value is nothing."""


_ABSENT = _Absent()


def fill(text: str, values: Mapping[str, Any]) -> str:
    return _PLACEHOLDER.sub(lambda match: _filled(match, values), text)


def uses(text: str, name: str) -> bool:
    """Whether a placeholder in the text asks for the value of `name`."""
    word = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])")
    return any(
        word.search(match[0])
        for match in _PLACEHOLDER.finditer(text)
        if (match["name"] or match["then"]) and not match["escape"]
    )


def _filled(match: re.Match[str], values: Mapping[str, Any]) -> str:
    name = match["name"] or match["condition"]
    value = _lookup(name, values) if name else _ABSENT
    if isinstance(value, _Absent):
        return match[0]
    if match["escape"]:
        return match[0][1:]
    if match["name"]:
        return _shown(value)
    return _branch(match["then" if _holds(match, value, values) else "otherwise"], values)


def _lookup(name: str, values: Mapping[str, Any]) -> Any:
    found: Any = values
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return _ABSENT
        found = found[part]
    return found


def _holds(match: re.Match[str], value: Any, values: Mapping[str, Any]) -> bool:
    if not match["operator"]:
        return bool(value) != bool(match["not"])
    equal = _shown(value) == _branch(match["operand"], values)
    return equal == match["operator"].startswith("=")


def _branch(text: str, values: Mapping[str, Any]) -> str:
    """A quoted text with the names in it filled, a name's value, or the bare word itself."""
    if text[0] not in "\"'`":
        value = _lookup(text, values)
        return text if isinstance(value, _Absent) else _shown(value)
    return _IN_STRING.sub(lambda match: match["quoted"] or _in_string(match, values), text[1:-1])


def _in_string(match: re.Match[str], values: Mapping[str, Any]) -> str:
    value = _lookup(match["name"], values)
    return match[0] if isinstance(value, _Absent) else _shown(value)


def _shown(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, indent=2 if isinstance(value, dict | list) else None, ensure_ascii=False)
