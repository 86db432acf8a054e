"""Which colours: those that the terminal has, on the ground that it has."""

from __future__ import annotations

from collections.abc import Mapping

THEMES = ("textual-dark", "textual-light", "ansi-dark", "ansi-light")
"""The last two are the terminal's own sixteen colours."""
_LIGHT_GROUNDS = ("7", "15")


def chosen(environment: Mapping[str, str]) -> str:
    """`TEXTUAL_THEME` where the user has set it."""
    if wanted := environment.get("TEXTUAL_THEME"):
        return wanted
    if is_colourless(environment):
        return "ansi-dark"
    ground = environment.get("COLORFGBG", "").rpartition(";")[2]
    shade = "light" if ground in _LIGHT_GROUNDS else "dark"
    return f"textual-{shade}" if _has_many_colours(environment) else f"ansi-{shade}"


def is_colourless(environment: Mapping[str, str]) -> bool:
    """As Textual sees it, to which an empty value is one."""
    return "NO_COLOR" in environment


def following(theme: str) -> str:
    """The next of `THEMES`, in a circle."""
    return THEMES[(THEMES.index(theme) + 1) % len(THEMES)] if theme in THEMES else THEMES[0]


def _has_many_colours(environment: Mapping[str, str]) -> bool:
    term = environment.get("TERM", "")
    return environment.get("COLORTERM") in ("truecolor", "24bit") or "256color" in term or "direct" in term
