from __future__ import annotations

import pytest

from scopecraft_git.config import Settings, WatchdogSettings
from scopecraft_git.events import Text
from scopecraft_git.handlers.idle import Idle, register_monitor_handlers
from scopecraft_git.protocols import Action, Deadline, Passed, Verdict
from tests.samples import handler_request, session

PASSED = Passed(now=700.0, spoke=100.0, silent=frozenset())


def deadlines(settings: Settings, passed: Passed = PASSED) -> list[Deadline]:
    return list(Idle(handler_request(settings=settings)).deadlines(session(), passed))


@pytest.mark.parametrize("action", ["warn", "pause", "interrupt", "stop"])
def test_silence_has_a_limit_counted_from_the_last_word(action: str) -> None:
    settings = Settings.model_validate({"idle_minutes": 10, "watchdog": {"idle": action}})
    verdict = Verdict(Action(action), "No output within idle_minutes = 10")
    assert deadlines(settings) == [Deadline("idle", 700.0, verdict)]


def test_it_is_told_once_in_a_silence() -> None:
    assert deadlines(Settings(), PASSED._replace(silent=frozenset({"idle"}))) == []
    assert len(deadlines(Settings(), PASSED._replace(silent=frozenset({"imported"})))) == 1


def test_zero_turns_it_off() -> None:
    assert deadlines(Settings(idle_minutes=0, watchdog=WatchdogSettings(idle="stop"))) == []


def test_it_is_registered() -> None:
    (factory,) = register_monitor_handlers()
    made = factory(handler_request())
    assert (factory.name, made.name, made.summary()) == ("idle", "idle", {})
    assert made.handle(session(), Text(text="x")) is None
