"""Screens of the agents' interactive modes, as terminals of 100 columns and more showed them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scopecraft_git import plugins

SCREENS = Path(__file__).parent / "screens"
TYPED = "Hello there\nsecond line\n\nfourth line"
BOXES = {
    "codex-ready": "Ask Codex to do anything",
    "codex-typed": TYPED,
    "codex-busy": "mid turn",
    "gemini-ready": "Type your message or @path/to/file",
    "gemini-typed": TYPED,
    "gemini-busy": "mid turn",
    "gemini-plain-ready": "Type your message or @path/to/file",
    "gemini-plain-typed": TYPED,
    "opencode-ready": 'Ask anything… "Fix a TODO in the codebase"',
    "opencode-typed": "[Pasted ~4 lines]",
    "opencode-busy": "mid turn",
    "opencode-wide": "mid turn",
    "opencode-empty": "",
}
NONE = ("codex-starting", "codex-trust", "codex-dialog", "gemini-trust", "gemini-dialog", "opencode-dialog")
"""It starts, or a dialog waits for a human."""


def boxes(name: str) -> list[str]:
    pattern = plugins.agent(name.partition("-")[0]).input_box
    assert pattern
    return [match[1] for match in re.finditer(pattern, (SCREENS / f"{name}.txt").read_text(encoding="utf-8"))]


@pytest.mark.parametrize("name", BOXES)
def test_the_input_box_holds_what_is_typed(name: str) -> None:
    (box,) = boxes(name)
    assert [line.strip(" ┃") for line in box.strip().splitlines()] == BOXES[name].splitlines()


@pytest.mark.parametrize("name", NONE)
def test_there_is_no_input_box_while_it_starts_or_a_dialog_waits(name: str) -> None:
    assert boxes(name) == []


def test_every_screen_is_looked_at() -> None:
    assert {path.stem for path in SCREENS.iterdir()} == {*BOXES, *NONE}
