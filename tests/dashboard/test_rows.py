from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest

from scopecraft_git.dashboard import rows, theme
from scopecraft_git.dashboard.rows import Row
from scopecraft_git.dashboard.table import columns
from scopecraft_git.dashboard.wrapping import wrapped
from tests.samples import NOW


def row(row_id: str, status: str = "running", **fields: object) -> Row:
    return Row(id=row_id, session=row_id, status=status)._replace(**fields)  # type: ignore[arg-type]


def test_those_that_are_alike_come_newest_first() -> None:
    found = [row("b-05A-0000001"), row("a-05A-0000003"), row("c-05A-0000002")]
    assert [each.id[0] for each in rows.arranged(found)] == ["a", "c", "b"]


def test_all_words_of_a_filter_must_match() -> None:
    one = row("auth-05A-0000001", task="implement-auth-05A", agent="claude", branch="feature/auth-05A")
    assert rows.matches(one, "AUTH run")
    assert not rows.matches(one, "auth paused")


def test_time_that_is_left_is_told_to_the_second() -> None:
    until = (NOW + timedelta(seconds=271)).isoformat()
    assert rows.left(until, NOW) == "4:31 left"
    assert rows.left(None) == ""
    assert rows.left((NOW + timedelta(hours=2)).isoformat(), NOW) == "2:00:00 left"
    assert rows.left((NOW - timedelta(hours=2)).isoformat(), NOW) == "0:00 left"


@pytest.mark.parametrize("width", range(20, 260, 7))
def test_columns_fill_the_width_and_state_and_task_never_go(width: int) -> None:
    shown = columns(width, everywhere=True)
    assert [column.title for column in shown][:2] == ["STATUS", "TASK"]
    assert 2 + sum(column.width + 1 for column in shown[:-1]) + shown[-1].width == max(width, 36)


def test_wide_terminals_show_all() -> None:
    assert {column.title.strip() for column in columns(200)} >= {"AGENT", "TOOLS", "COST", "AGE", "BRANCH"}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three", ["one two", "three"]),
        ("  indented text", ["  indented", "  text"]),
        ("abcdefghijklmnop", ["abcdefghij", "klmnop"]),
        ("日本語日本語", ["日本語日本", "語"]),
        ("", [""]),
    ],
)
def test_lines_are_broken_between_words_and_by_cells(text: str, lines: list[str]) -> None:
    assert wrapped(text, 10) == lines


@pytest.mark.parametrize(
    ("environment", "chosen"),
    [
        ({"TERM": "xterm-256color"}, "textual-dark"),
        ({"TERM": "xterm", "COLORTERM": "truecolor", "COLORFGBG": "0;15"}, "textual-light"),
        ({"TERM": "xterm"}, "ansi-dark"),
        ({"TERM": "linux", "COLORFGBG": "0;7"}, "ansi-light"),
        ({"TERM": "xterm", "TEXTUAL_THEME": "nord"}, "nord"),
    ],
)
def test_colours_are_those_that_the_terminal_has(environment: dict[str, str], chosen: str) -> None:
    assert theme.chosen(environment) == chosen


def test_every_theme_has_a_next() -> None:
    seen = ["textual-dark"]
    while (following := theme.following(seen[-1])) not in seen:
        seen.append(following)
    assert len(seen) == len(theme.THEMES)


def test_there_is_something_to_see_before_models_and_parsers_are_loaded() -> None:
    program = (
        "import sys; from scopecraft_git.cli import opening; from scopecraft_git.dashboard import app; "
        "from scopecraft_git.repository import Repository; from scopecraft_git.dashboard.source import Records; "
        "Records(None).look(); print(sorted({'typer', 'pydantic', 'watchdog', 'git'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"[]\n"
