from __future__ import annotations

import pytest

from tests.cli import renew
from tests.conftest import Scopecraft


def test_every_help_page_is_as_it_was_approved() -> None:
    """`python -m tests.cli.renew` writes them anew."""
    approved = {path.name: path.read_text(encoding="utf-8") for path in renew.PAGES.iterdir()}
    assert renew.pages() == approved


def test_the_command_prints_its_page(scopecraft: Scopecraft) -> None:
    shown = scopecraft("task", "new", "-h", env={"COLUMNS": "80"})
    assert shown.code == 0
    assert shown.stdout == (renew.PAGES / "git-scopecraft-task-new.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("task", "nonsense"),
        ("task", "show"),
        ("task", "list", "--nonsense"),
        ("worktree", "remove"),
        ("config", "set", "agent"),
        ("completion", "tcsh"),
        ("run", "x", "--mode", "sideways"),
    ],
    ids=" ".join,
)
def test_what_is_not_understood_exits_2(scopecraft: Scopecraft, arguments: tuple[str, ...]) -> None:
    refused = scopecraft(*arguments)
    assert (refused.code, refused.stdout) == (2, "")
    assert refused.stderr
    assert "Traceback" not in refused.stderr


def test_version(scopecraft: Scopecraft) -> None:
    shown = scopecraft("--version")
    assert (shown.code, shown.stderr) == (0, "")
    assert shown.stdout.startswith("git-scopecraft 0.")


def test_help_is_short_and_has_no_full_stop() -> None:
    for name, page in renew.pages().items():
        first = page.split("\n\n")[1].strip()
        assert not first.endswith("."), name
        assert "...\n" not in page.partition("Commands:")[2], name
