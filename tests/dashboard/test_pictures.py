from __future__ import annotations

import pytest

from tests.dashboard import renew


def test_the_board_looks_as_it_was_approved_to_look(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m tests.dashboard.renew` writes the pictures anew."""
    monkeypatch.delenv("NO_COLOR")
    for name, svg in renew.pictures().items():
        assert svg == (renew.PICTURES / name).read_text(encoding="utf-8"), name
