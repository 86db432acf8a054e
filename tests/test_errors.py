from __future__ import annotations

import re
from pathlib import Path

from scopecraft_git import errors
from tests.cli import renew


def test_every_error_says_what_it_was_approved_to_say() -> None:
    """`python -m tests.cli.renew` writes them anew."""
    assert "\n".join(map(renew.rendered, renew.every_error())) == renew.ERRORS.read_text(encoding="utf-8")


def test_one_session_waits() -> None:
    assert errors.QueueFullError(1, 1).message == "The queue is full: 1 session waits and the limit is 1"


def test_a_home_that_cannot_be_written_is_not_offered_again() -> None:
    usual = Path.home() / ".scopecraft"
    for home in (usual, usual.with_name("other")):
        hint = errors.HomeNotWritableError(home, "permission denied").hint
        assert "SCOPECRAFT_HOME=/" in hint
        assert not hint.endswith(str(home))


def test_every_hint_holds_something_to_type() -> None:
    silent = [
        type(error).__name__ for error in renew.every_error() if not re.search(r"(: |\brun |\bgit |--)\S", error.hint)
    ]
    assert silent == []
