"""The dashboard as lines, as a screen reader has it."""

from __future__ import annotations

import io

import pytest

from scopecraft_git.dashboard.plain import Conversation
from scopecraft_git.dashboard.source import Records
from scopecraft_git.events import Text
from scopecraft_git.models import SessionStatus
from scopecraft_git.storage.local import LocalStorage
from tests.dashboard import screen
from tests.dashboard.screen import asks, keep
from tests.dashboard.test_app import HOSTILE, TRACES, WAITING, asked, change
from tests.samples import NOW

pytestmark = pytest.mark.usefixtures("alone")


def said(capsys: pytest.CaptureFixture[str], *typed: str) -> str:
    """What it says to what is typed, until there is nothing more to type."""
    lines = io.StringIO("".join(f"{line}\n" for line in typed))
    Conversation(Records(screen.REPOSITORY), LocalStorage(), screen.REPOSITORY, lines=lines).hold()
    printed = capsys.readouterr()
    return printed.out + printed.err


def test_rows_are_numbered_lines_and_those_that_wait_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    screen.a_day()
    first, second, *_ = said(capsys, "quit").splitlines()
    assert first.startswith("1. waiting: implement-login-05A, claude on docker, 7 tool calls, $0.42, ")
    assert first.endswith("asks: Bash git push origin feature/auth-05A A push leaves the machine.")
    assert second.startswith("2. running: implement-search-05B")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("approve 1", ("approve", {"id": "call-1"})),
        ("deny 1 not today", ("deny", {"id": "call-1", "message": "not today"})),
        ("send 1 look again", ("send", {"text": "look again"})),
        ("interrupt 1", ("interrupt", {"text": ""})),
        ("pause 1", ("pause", {})),
        ("resume 1", ("resume", {})),
        ("stop 1", ("stop", {})),
    ],
)
def test_what_is_typed_is_done(
    capsys: pytest.CaptureFixture[str], line: str, wanted: tuple[str, dict[str, str]]
) -> None:
    keep("auth-05A-0000001", **WAITING, agent="claude", approvals=(asks(),))
    said(capsys, line)
    assert asked("auth-05A-0000001") == [wanted]


def test_what_changes_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    keep("auth-05A-0000001", **WAITING, approvals=(asks(),))
    records = Records(screen.REPOSITORY)
    talk = Conversation(records, LocalStorage(), screen.REPOSITORY, lines=io.StringIO())
    talk._look()
    talk._list()
    capsys.readouterr()
    talk._tell_changes()
    assert capsys.readouterr().out == ""
    change("auth-05A-0000001", status=SessionStatus.FAILED, ended_at=NOW)
    talk._look()
    talk._tell_changes()
    assert capsys.readouterr().out.startswith("1. failed: implement-auth-05A")


@pytest.mark.parametrize("line", ["dance", "approve", "approve 7", "send 1", "approve 1"])
def test_what_is_not_understood_says_what_is(capsys: pytest.CaptureFixture[str], line: str) -> None:
    keep("auth-05A-0000001", status=SessionStatus.RUNNING, started_at=NOW)
    printed = said(capsys, line)
    assert "✗" in printed
    assert "↳ For what can be typed: help" in printed
    assert asked("auth-05A-0000001") == []


def test_an_error_is_told_with_its_hint(capsys: pytest.CaptureFixture[str]) -> None:
    keep("auth-05A-0000001", status=SessionStatus.RUNNING, started_at=NOW, agent="command")
    assert "↳" in said(capsys, "send 1 hello")


def test_foreign_text_is_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    keep("auth-05A-0000001", Text(text=HOSTILE), **WAITING | {"task": HOSTILE}, approvals=(asks(command=HOSTILE),))
    printed = said(capsys, "events 1", "call 1", "help")
    assert "[/red]" in printed
    assert not [trace for trace in TRACES if trace in printed]


def test_nothing_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    screen.a_day()
    assert not set("─│█▌┌└") & set(said(capsys, "list", "help"))
