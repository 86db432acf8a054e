from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from scopecraft_git.events import LoggedEvent, Notice, ToolCall, Unrecognized
from tests.samples import logged


def test_what_is_kept_is_what_was_logged() -> None:
    for event in (None, ToolCall(id="1", name="Bash", input={"command": None}), Notice(code="retry", text="", data={})):
        assert LoggedEvent.from_json(json.loads(json.dumps(logged(3, event).as_json()))) == logged(3, event)
    assert list(logged(3).as_json()) == ["seq", "time", "offset", "kind", "text"]
    assert logged(3).as_json()["time"] == "2026-03-04T05:06:07.089Z"


def test_a_kind_of_a_newer_version_is_kept_as_it_is() -> None:
    document = logged(3).as_json() | {"kind": "smell"}
    found = LoggedEvent.from_json(document)
    assert (found.seq, found.time) == (3, logged(3).time)
    assert isinstance(found.event, Unrecognized)
    assert "smell" in found.event.raw


@pytest.mark.parametrize("field", ["seq", "time"])
def test_what_is_no_event_is_an_error(field: str) -> None:
    document = logged(3).as_json()
    del document[field]
    with pytest.raises(LookupError):
        LoggedEvent.from_json(document)


@pytest.fixture
def interrupts() -> Iterator[list[int]]:
    """Raises `KeyboardInterrupt` a moment after each time a timer is set; counts how often."""
    raised: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        raised.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    yield raised
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_an_interrupt_while_events_are_told_is_one(interrupts: list[int]) -> None:
    """What is called back from a serializer would make another error of it, which is told as a bug."""
    for times in range(1, 101):
        with pytest.raises(KeyboardInterrupt):
            tell_until_interrupted(interrupts, times)


def tell_until_interrupted(interrupts: list[int], times: int) -> None:
    event, document = logged(1), logged(1).as_json()
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    while len(interrupts) < times:
        event.as_json()
        LoggedEvent.from_json(document)
