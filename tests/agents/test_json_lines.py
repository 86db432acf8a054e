from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopecraft_git.agents import json_lines
from scopecraft_git.events import Event, Notice, Text, Unrecognized

READERS: json_lines.Readers = {
    "text": lambda line: [Text(text=line["text"])],
    "half": lambda line: None,  # noqa: ARG005 - a reader that does not know what it reads
    "": lambda line: [Text(text=line["plain"])],
}


def parse(line: bytes | dict[str, Any]) -> list[Event]:
    return json_lines.parse(json.dumps(line).encode() if isinstance(line, dict) else line, READERS)


def test_a_line_is_read_by_its_type_or_as_one_without() -> None:
    assert parse({"type": "text", "text": "hi"}) == [Text(text="hi")]
    assert parse({"plain": "hi"}) == [Text(text="hi")]


@pytest.mark.parametrize(
    "line",
    [
        b"npm warn deprecated",
        b"[1]",
        b"{",
        b'{"type": "new"}',
        b'{"type": "half"}',
        b'{"type": "text"}',
        b'{"type": "text", "text": 1}',
        b'{"type": ["text"]}',
        b"[" * 100_000,
        b"\x1b[93mcoloured\x1b[0m",
        b"\xff\xfe",
    ],
)
def test_what_no_reader_understands_is_kept_whole(line: bytes) -> None:
    assert parse(line) == [Unrecognized(raw=line.decode(errors="replace"))]


@pytest.mark.parametrize("line", [b"\x1b[2J\x1b[H", b"\x1b[?25l spinning", b"\x1b[10;2Hhere", b"\x1b[Kgone"])
def test_what_is_drawn_on_a_screen_is_no_event_of_its_own(line: bytes) -> None:
    assert parse(line) == [Notice(code="record", text="drawn on the screen")]


def test_an_empty_line_says_nothing() -> None:
    assert parse(b"") == parse(b" \r") == []


def test_half_of_a_surrogate_pair_and_an_infinite_number_can_be_written_afterwards() -> None:
    (event,) = parse(b'{"type": "text", "text": "\\ud800!", "cost": 1e999, "more": NaN}')
    assert event == Text(text="?!")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_no_value_is_too_odd(value: Any) -> None:
    (event,) = parse({"type": "text", "text": value})
    event.model_dump_json()


@pytest.mark.parametrize("told", ["2026-03-04T05:06:07.089Z", "2026-03-04T06:06:07.089+01:00", 1772600767089])
def test_a_time_is_read_in_either_form(told: str | int) -> None:
    assert json_lines.time(told) == datetime(2026, 3, 4, 5, 6, 7, 89000, tzinfo=UTC)


@pytest.mark.parametrize("told", [None, "", "soon", "2026-03-04T05:06:07", 10**30, [], 0])
def test_what_is_no_time_is_none(told: Any) -> None:
    assert json_lines.time(told) is None
