from __future__ import annotations

from rich.style import Style

from scopecraft_git.dashboard import rows, title
from scopecraft_git.dashboard.rows import Row

FOUND = [
    Row("a-1", "a-1", "waiting", cost=0.5),
    *(Row(f"b-{number}", f"b-{number}", "running", cost=0.25) for number in range(2)),
    Row("c-1", "c-1", "completed"),
    Row("/code/app", None, rows.MAIN),
]
NEEDS_ME = Style(bold=True)


def said(width: int) -> str:
    return title.line("app", FOUND, width, NEEDS_ME).plain


def test_it_says_what_needs_me_what_goes_on_and_what_it_cost() -> None:
    assert said(70).startswith("app   ◆ 1 waiting    ● 2 running   ✓ 1 completed   ")
    assert said(70).endswith("   $1.00")
    assert len(said(70)) == 70


def test_the_last_states_give_up_their_words_first() -> None:
    assert "◆ 1 waiting" in said(50)
    assert "✓ 1 completed" not in said(50)
    assert "✓ 1" in said(50)
    assert said(50).endswith("$1.00")


def test_what_waits_stands_out() -> None:
    (span,) = title.line("app", FOUND, 70, NEEDS_ME).spans
    assert title.line("app", FOUND, 70, NEEDS_ME).plain[span.start : span.end] == " ◆ 1 waiting "
