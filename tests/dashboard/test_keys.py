from __future__ import annotations

import pytest
from textual.binding import Binding, BindingType

from scopecraft_git.dashboard import bindings
from scopecraft_git.dashboard.keys import keymap
from scopecraft_git.errors import InvalidSettingError

BOARD = [
    Binding("a", "approve", id="approve"),
    Binding("d,x", "deny", id="deny"),
    Binding("question_mark", "help", id="help"),
]
OTHER: list[BindingType] = [Binding("n", "next", id="next_file"), ("escape", "back", "Back")]


def test_keys_are_given_by_what_they_do() -> None:
    wanted = {"approve": "y, ctrl+y", "help": "f1", "next_file": "a"}
    assert keymap(wanted, BOARD, OTHER) == {"approve": "y,ctrl+y", "help": "f1", "next_file": "a"}


def test_two_may_change_places() -> None:
    assert keymap({"approve": "d", "deny": "a"}, BOARD)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"aprove": "y"}, "did you mean approve?"),
        ({"approve": "hyperspace"}, "no key 'hyperspace'"),
        ({"approve": ""}, "no key ''"),
        ({"approve": "y,,"}, "no key ''"),
        ({"approve": "cmd+y"}, "no key 'cmd+y'"),
        ({"approve": "x"}, "the key x is that of deny"),
        ({"approve": "?"}, "the key question_mark is that of help"),
        ({"deny": "y", "approve": "y"}, "the key y is that of approve"),
    ],
)
def test_what_cannot_be_is_said(wanted: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidSettingError) as raised:
        keymap(wanted, BOARD, OTHER)
    assert reason in raised.value.message
    assert "dashboard.keys." in raised.value.message


def test_no_two_of_the_dashboards_own_share_a_key() -> None:
    assert bindings.keymap({}) == {}


def test_no_two_of_them_have_one_name() -> None:
    names = [binding.id for binding in [*bindings.BOARD, *bindings.DIFF]]
    assert len(names) == len(set(names))
