"""What a shell makes of `$'…'`."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{1,4}|U[0-9A-Fa-f]{1,8}|[0-7]{1,3}|c.|.)", re.DOTALL)
_LETTERS = {
    "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "?": "?",
}  # fmt: skip


def ansi(text: str) -> str:
    """The text between the quotes as a program gets it: up to a null, and with what is no escape as it stands."""
    return _ESCAPE.sub(_meant, text).partition("\0")[0]


def _meant(escape: re.Match[str]) -> str:
    word = escape[1]
    if word in _LETTERS:
        return _LETTERS[word]
    if word[0] == "c" and word[1:]:
        return chr(ord(word[1]) & 0x1F)
    is_octal = word[0] in "01234567"
    if not (is_octal or word[1:]):
        return escape[0]
    number = int(word, 8) & 0xFF if is_octal else int(word[1:], 16)
    is_character = number < 0x110000 and not 0xD800 <= number < 0xE000
    return chr(number) if is_character else escape[0]
