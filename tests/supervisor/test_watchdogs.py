from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import plugins
from scopecraft_git.config import Settings, WatchdogSettings
from scopecraft_git.models import Mode, SessionStatus
from scopecraft_git.monitor import Monitor
from scopecraft_git.storage.local import LocalStorage
from scopecraft_git.supervisor.clock import Alarm, Clock
from scopecraft_git.supervisor.watchdogs import deadlines
from tests import samples
from tests.executors.contract import until

RESULT = b'{"type":"result","is_error":false}\n'
EVERY = Settings(
    idle_minutes=10, max_minutes=60, watchdog=WatchdogSettings(first_event_minutes=2, lingering_seconds=30)
)
NONE = Settings(idle_minutes=0, max_minutes=0, watchdog=WatchdogSettings(first_event_minutes=0, lingering_seconds=0))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clock.json"


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def seconds(clock: Clock) -> int:
    return round(clock.now)


def test_a_clock_goes_on_where_it_was_by_the_time_since_the_machine_started(path: Path) -> None:
    Clock(path, None).keep()
    rewrite(path, monotonic=time.monotonic() - 600, time=time.time() + 9999, worked=5.0)
    assert seconds(Clock(path, None)) == 605


@pytest.mark.parametrize(("passed", "worked"), [(600, 605), (-9999, 5)])
def test_after_a_restart_of_the_machine_it_never_runs_backwards(path: Path, passed: int, worked: int) -> None:
    Clock(path, None).keep()
    rewrite(path, boot="another", time=time.time() - passed, worked=5.0)
    assert seconds(Clock(path, None)) == worked


@pytest.mark.parametrize(("began", "worked"), [(600, 600), (-9999, 0)])
def test_without_a_file_it_counts_from_the_start_of_the_session(path: Path, began: int, worked: int) -> None:
    clock = Clock(path, datetime.now(UTC) - timedelta(seconds=began))
    assert seconds(clock) == worked
    assert clock.spoke == pytest.approx(clock.now, abs=1)
    path.write_text("{")
    assert seconds(Clock(path, None)) == 0


def test_no_time_passes_in_a_pause_whoever_watches(path: Path) -> None:
    clock = Clock(path, None)
    clock.stand(still=True)
    clock.keep()
    stood = clock.now
    rewrite(path, monotonic=time.monotonic() - 600)
    again = Clock(path, None)
    assert again.now == stood
    again.stand(still=False)
    assert seconds(again) == 0
    assert again.spoke == pytest.approx(stood, abs=1)


def test_a_file_that_says_nothing_new_is_not_written_again(path: Path) -> None:
    clock = Clock(path, None)
    clock.keep()
    path.unlink()
    clock.keep()
    assert not path.exists()
    clock.spoke = 1.0
    clock.keep()
    assert json.loads(path.read_text())["spoke"] == 1.0


@pytest.fixture
def monitor(home: Path) -> Monitor:
    storage = LocalStorage()
    made = samples.session(status=SessionStatus.RUNNING, agent="claude")
    storage.create(made)
    return Monitor(made, storage, plugins.agent("claude"), samples.handlers(made))


@pytest.fixture
def quiet(home: Path) -> Monitor:
    """Of a session for which nothing is watched."""
    storage = LocalStorage()
    made = samples.session(status=SessionStatus.RUNNING, agent="claude")
    storage.create(made)
    return Monitor(made, storage, plugins.agent("claude"), samples.handlers(made, NONE))


def due(monitor: Monitor, path: Path, settings: Settings = EVERY) -> dict[str, float]:
    clock = Clock(path, None)
    clock.spoke, clock.done = 100.0, 50.0 if monitor.done else None
    return {deadline.code: deadline.due for deadline in deadlines(settings, clock, monitor)}


def test_what_a_session_can_still_miss(monitor: Monitor, path: Path) -> None:
    assert due(monitor, path) == {"idle": 700, "time_is_up": 3600, "no_first_event": 120}
    list(monitor.feed(RESULT))
    assert due(monitor, path) == {"idle": 700, "time_is_up": 3600, "lingering": 80}
    monitor.notice("lingering", "x", action="warn")
    monitor.notice("idle", "x", action="warn")
    assert due(monitor, path) == {"time_is_up": 3600}
    list(monitor.feed(RESULT))
    assert due(monitor, path) == {"idle": 700, "time_is_up": 3600}
    monitor.notice("stopping", "x")
    assert due(monitor, path) == {}


def test_zero_turns_them_off(quiet: Monitor, path: Path) -> None:
    list(quiet.feed(RESULT))
    assert due(quiet, path, NONE) == {}


def test_beside_a_human_only_silence_counts(monitor: Monitor, path: Path) -> None:
    monitor.change(mode=Mode.DISPATCH)
    assert due(monitor, path) == {"idle": 700}


def test_an_alarm_rings_once_at_its_earliest_time() -> None:
    rung: list[float] = []
    alarm = Alarm(lambda: rung.append(time.monotonic()))
    begun = time.monotonic()
    alarm.set(1e300)
    alarm.set(30)
    alarm.set(0.05)
    alarm.set(20)
    until(lambda: rung)
    assert rung[0] - begun < 10
    alarm.set(0)
    until(lambda: len(rung) == 2)
    alarm.turn_off()
    alarm.set(0)
    until(lambda: not any(isinstance(thread, threading.Timer) for thread in threading.enumerate()))
    assert len(rung) == 2
