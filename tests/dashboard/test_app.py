"""The whole dashboard by its keys, on a screen that is not there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from textual.pilot import Pilot

from scopecraft_git import paths, sessions
from scopecraft_git.config import Settings
from scopecraft_git.dashboard import approvals
from scopecraft_git.dashboard.app import Dashboard
from scopecraft_git.dashboard.reading import LONGEST
from scopecraft_git.events import LoggedEvent, Notice, Text, ToolCall, ToolResult
from scopecraft_git.models import Approval, Mode, SessionStatus
from scopecraft_git.storage import records
from scopecraft_git.storage.local import LocalStorage
from tests.dashboard import screen
from tests.dashboard.screen import asks, dashboard, keep, on, shown, until
from tests.samples import NOW, logged

pytestmark = pytest.mark.usefixtures("alone")
RUNNING = {"status": SessionStatus.RUNNING, "started_at": NOW}
WAITING = {"status": SessionStatus.WAITING, "started_at": NOW}


def asked(session_id: str) -> list[tuple[str, dict[str, Any]]]:
    """What is to be done with it, without the ids that are new each time."""
    found = [(each.kind, dict(each.data)) for each in sessions.asked(session_id)]
    return [
        (kind, {name: value for name, value in data.items() if (kind, name) not in NEW_IDS}) for kind, data in found
    ]


NEW_IDS = {("send", "id"), ("interrupt", "id")}


def selected(app: Dashboard) -> str:
    row = app.table.row
    assert row
    return row.id


def change(session_id: str, **fields: Any) -> None:
    storage = LocalStorage()
    storage.save(storage.load(session_id).model_copy(update=fields))


def type_into(text: str) -> list[str]:
    return ["space" if letter == " " else letter for letter in text]


def test_those_that_wait_come_first_and_those_that_ended_last() -> None:
    screen.a_day()

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        states = [row.status for row in app.table.rows]
        assert states == ["waiting", "running", "paused", "queued", "failed", "completed"]

    on(dashboard(), steps)


def test_the_selection_stays_on_its_session_when_another_jumps_over_it() -> None:
    keep("old-05A-0000001", **RUNNING)
    keep("new-05A-0000002", **RUNNING)

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        assert selected(app) == "new-05A-0000002"
        change("old-05A-0000001", status=SessionStatus.WAITING, approvals=(asks(),))
        await until(pilot, lambda: app.table.rows[0].id == "old-05A-0000001")
        assert selected(app) == "new-05A-0000002"

    on(dashboard(), steps)


def test_a_session_that_begins_and_one_that_ends_are_seen() -> None:
    keep("old-05A-0000001", **RUNNING)

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        keep("new-05A-0000002", **RUNNING)
        await until(pilot, lambda: "new-05A-0000002" in [row.id for row in app.table.rows])
        change("old-05A-0000001", status=SessionStatus.FAILED, ended_at=NOW)
        await until(pilot, lambda: "✗ failed" in shown(app))

    on(dashboard(), steps)


def test_a_filter_is_heeded_as_it_is_typed_and_gone_with_escape() -> None:
    screen.a_day()

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.press("slash", *type_into("doc p"))
        assert [row.task for row in app.table.rows] == ["write-docs-05C"]
        await pilot.press("enter", "escape")
        assert len(app.table.rows) == 6

    on(dashboard(), steps)


def test_the_order_can_be_another() -> None:
    screen.a_day()

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.press("o")
        tasks = [row.task for row in app.table.rows]
        assert tasks == sorted(tasks)
        await pilot.press("o", "o")
        assert app.table.rows[0].task == "implement-search-05B"
        await until(pilot, lambda: "by cost" in shown(app))

    on(dashboard(), steps, (120, 30))


def test_events_of_the_selected_session_come_as_they_are_written() -> None:
    keep("auth-05A-0000001", Text(text="First."), **RUNNING)

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        await until(pilot, lambda: "First." in shown(app))
        LocalStorage().append("auth-05A-0000001", [logged(2, ToolCall(id="1", name="Bash", input={"command": "ls"}))])
        await until(pilot, lambda: "● Bash ls" in shown(app))

    on(dashboard(), steps)


def test_who_scrolls_up_stays_there_and_gets_what_was_before() -> None:
    keep("auth-05A-0000001", *(Text(text=f"text {number}") for number in range(1, 1001)), **RUNNING)

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        await until(pilot, lambda: "text 1000" in shown(app))
        assert "text 600\n" not in app.transcript.text
        await pilot.press("enter", "home")
        await until(pilot, lambda: "text 600\n" in app.transcript.text)
        above = app.transcript.scroll_offset.y
        LocalStorage().append("auth-05A-0000001", [logged(1001, Text(text="the newest"))])
        await until(pilot, lambda: "the newest" in app.transcript.text)
        assert app.transcript.scroll_offset.y == above
        assert "the newest" not in shown(app)
        await pilot.press("end")
        await until(pilot, lambda: "the newest" in shown(app))

    on(dashboard(), steps)


@pytest.mark.parametrize(
    ("keys", "kind", "data"),
    [
        (["a"], "approve", {"id": "call-1"}),
        (["d"], "deny", {"id": "call-1", "message": ""}),
        (["D", *type_into("no"), "enter"], "deny", {"id": "call-1", "message": "no"}),
    ],
)
def test_one_key_answers_what_is_shown(
    monkeypatch: pytest.MonkeyPatch, keys: list[str], kind: str, data: dict[str, str]
) -> None:
    monkeypatch.setattr(approvals, "SETTLES", 0)
    keep("auth-05A-0000001", **WAITING, approvals=(asks(),))

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        assert "asks for Bash" in shown(app)
        assert "A push leaves the machine." in shown(app)
        await pilot.press(*keys)
        await until(pilot, lambda: asked("auth-05A-0000001") == [(kind, data)])
        assert "asks for Bash" not in shown(app)

    on(dashboard(), steps)


def test_a_key_pressed_as_another_call_comes_up_answers_neither() -> None:
    keep("auth-05A-0000001", **WAITING, approvals=(asks("call-1", "make"), asks("call-2", "rm -r build")))
    app = dashboard()
    clock = Clock()
    app_queue = approvals.Queue(clock)

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        app.panel.queue = app_queue
        app._draw()
        clock.now = 1.0
        await pilot.press("a", "a")
        await until(pilot, lambda: asked("auth-05A-0000001") == [("approve", {"id": "call-1"})])
        assert "rm -r build" in shown(app)
        clock.now = 2.0
        await pilot.press("d")
        await until(pilot, lambda: len(asked("auth-05A-0000001")) == 2)
        assert asked("auth-05A-0000001")[1][1]["id"] == "call-2"

    on(app, steps)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_call_that_is_shown_stays_when_an_older_one_comes_up() -> None:
    keep("auth-05A-0000001", **WAITING, approvals=(asks("call-2", "make", since=screen.later(60)),))
    keep("cache-05A-0000002", **RUNNING)

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        assert "make" in shown(app)
        change("cache-05A-0000002", status=SessionStatus.WAITING, approvals=(asks("call-1", "rm -r build"),))
        await until(pilot, lambda: "2 of 2" in shown(app))
        assert app.panel.queue.shown
        assert app.panel.queue.shown.id == "call-2"
        await pilot.press("right_square_bracket")
        assert app.panel.queue.shown.id == "call-1"

    on(dashboard(), steps)


def test_keys_step_in() -> None:
    keep("auth-05A-0000001", **RUNNING, agent="claude")
    wanted: list[tuple[str, dict[str, str]]] = [
        ("send", {"text": "h"}),
        ("interrupt", {"text": ""}),
        ("interrupt", {"text": "n"}),
        ("pause", {}),
        ("resume", {}),
        ("stop", {}),
    ]

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        for number, keys in enumerate(["s h enter", "i enter", "i n enter", "p"], 1):
            await pilot.press(*keys.split())
            await until(pilot, lambda n=number: len(asked("auth-05A-0000001")) == n)  # type: ignore[misc]
        change("auth-05A-0000001", status=SessionStatus.PAUSED)
        await until(pilot, lambda: app.table.rows[0].status == "paused")
        for number, keys in enumerate(["p", "x y"], 5):
            await pilot.press(*keys.split())
            await until(pilot, lambda n=number: len(asked("auth-05A-0000001")) == n)  # type: ignore[misc]
        assert asked("auth-05A-0000001") == wanted

    on(dashboard(), steps)


def test_what_is_left_is_not_done() -> None:
    keep("auth-05A-0000001", **RUNNING, agent="claude")

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        for keys in ("s h escape", "i escape", "x n escape"):
            await pilot.press(*keys.split())
        await pilot.press("p")
        await until(pilot, lambda: asked("auth-05A-0000001"))
        assert asked("auth-05A-0000001") == [("pause", {})]

    on(dashboard(), steps)


def test_what_cannot_be_done_is_told_with_what_to_do_instead() -> None:
    keep("auth-05A-0000001", **RUNNING, agent="command")

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.press("s", "h", "enter")
        await until(pilot, lambda: "✗" in shown(app))
        assert "↳" in shown(app)
        assert asked("auth-05A-0000001") == []

    on(dashboard(), steps)


def test_an_answer_that_cannot_be_given_has_the_call_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approvals, "SETTLES", 0)
    monkeypatch.setenv("SCOPECRAFT_SESSION", "auth-05A-0000001")
    keep("auth-05A-0000001", **WAITING, approvals=(asks(),))

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.press("a")
        await until(pilot, lambda: "✗" in shown(app) and "asks for Bash" in shown(app))

    on(dashboard(), steps)


def test_keys_that_mean_nothing_now_are_not_offered() -> None:
    keep("auth-05A-0000001", status=SessionStatus.COMPLETED, started_at=NOW, ended_at=NOW)

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        await until(pilot, lambda: "Send" in shown(app))
        footer = shown(app).splitlines()[-1]
        assert "Interrupt" not in footer
        assert "Stop" not in footer

    on(dashboard(), steps)


@pytest.mark.parametrize(("settings", "times"), [({}, 1), ({"bell": False}, 0), ({"on": ["idle"]}, 0)])
def test_the_bell_rings_for_what_begins_to_wait(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], times: int
) -> None:
    keep("auth-05A-0000001", Notice(code="ask", text="before it was opened"), **RUNNING)
    now = datetime.now(UTC) + timedelta(minutes=1)
    rung: list[int] = []
    monkeypatch.setattr(Dashboard, "bell", lambda _: rung.append(1))

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        asks = LoggedEvent(seq=2, time=now, offset=None, event=Notice(code="ask", text="A push"))
        LocalStorage().append("auth-05A-0000001", [asks, logged(3, Text(text="I wait"))])
        await until(pilot, lambda: "I wait" in shown(app) and len(rung) >= times)
        assert len(rung) == times

    on(dashboard(settings=Settings.model_validate({"notify": settings})), steps)


def test_only_a_session_in_a_window_can_be_gone_to_and_all_keys_fit() -> None:
    keep("auth-05A-0000001", **RUNNING)
    keep("cache-05A-0000002", **RUNNING, mode=Mode.DISPATCH)

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        await until(pilot, lambda: "t Attach" in shown(app) and "q Quit" in shown(app))
        assert selected(app) == "cache-05A-0000002"
        await pilot.press("down")
        await until(pilot, lambda: "Attach" not in shown(app))

    on(dashboard(), steps)


def test_a_session_that_vanishes_leaves_its_place_to_the_next() -> None:
    keep("auth-05A-0000001", Text(text="I am still here."), **RUNNING)
    keep("gone-05A-0000002", Text(text="Soon I am gone."), **RUNNING)

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        await until(pilot, lambda: "Soon I am gone." in shown(app))
        paths.session("gone-05A-0000002").rename(paths.home() / "gone")  # at once, whoever looks into it
        await until(pilot, lambda: "I am still here." in shown(app))
        assert selected(app) == "auth-05A-0000001"
        assert "gone-05A" not in shown(app)

    on(dashboard(), steps)


def test_what_is_typed_outlives_a_smaller_terminal() -> None:
    keep("auth-05A-0000001", **WAITING, agent="claude", approvals=(asks(),))

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.press("s", "h")
        await pilot.resize_terminal(40, 12)
        await pilot.press("i", "enter")
        await until(pilot, lambda: asked("auth-05A-0000001") == [("send", {"text": "hi"})])
        assert all(len(line) <= 40 for line in shown(app).splitlines())

    on(dashboard(), steps)


def test_an_answer_given_elsewhere_in_the_meantime_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approvals, "SETTLES", 0)
    keep("auth-05A-0000001", **WAITING, approvals=(asks(),))

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.press("D", "n", "o")
        change("auth-05A-0000001", status=SessionStatus.RUNNING, approvals=())
        await until(pilot, lambda: app.panel.queue.shown is None)
        await pilot.press("enter")
        await until(pilot, lambda: "✗" in shown(app) and "↳" in shown(app))
        assert asked("auth-05A-0000001") == []

    on(dashboard(), steps)


def test_who_has_no_session_yet_sees_how_to_start_one() -> None:
    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        await until(pilot, lambda: "git scopecraft run fix-typo -p 'Mend the spelling in README.md'" in shown(app))

    on(dashboard(), steps)


def test_an_event_of_a_megabyte_is_cut_and_keys_go_on() -> None:
    keep("auth-05A-0000001", Text(text="語" * 1_000_000), **RUNNING)

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        await until(pilot, lambda: "git scopecraft logs shows all of it" in shown(app))
        assert len(app.transcript.text) < 2 * LONGEST

    on(dashboard(), steps)


HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x9b2J[/red][bold]\u202egnp.exe[@click=app.quit]x[/]"
TRACES = ("\x1b", "\x9b", "\x07", "\u202e")


def test_foreign_text_is_neither_obeyed_nor_markup() -> None:
    call = Approval(id="c", tool=f"Bash{HOSTILE}", input={f"k{HOSTILE}": HOSTILE}, reason=HOSTILE, since=NOW)
    keep(
        "auth-05A-0000001",
        Text(text=HOSTILE),
        ToolCall(id="1", name=HOSTILE, input={"command": HOSTILE}),
        ToolResult(id="1", text=HOSTILE, is_error=True),
        **WAITING | {"task": HOSTILE, "branch": HOSTILE, "agent": HOSTILE, "executor": HOSTILE},
        last_message=HOSTILE,
        approvals=(call,),
        evidence=HOSTILE,
    )

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        await until(pilot, lambda: "└" in shown(app) or "✗" in shown(app))
        for keys in ([], ["e"], ["escape", "A"], ["escape", "s"], ["escape", "D"], ["escape", "slash"]):
            await pilot.press(*keys)
            await pilot.pause()
            assert not [trace for trace in TRACES if trace in shown(app)]
            assert "[/red]" in shown(app)
        app.notify(f"✗ {HOSTILE}", markup=False)
        await pilot.pause()

    on(dashboard(), steps, (140, 40))


def test_two_hundred_sessions_are_shown_and_one_can_go_through_them() -> None:
    screen.keep_many(200, **RUNNING)

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        assert len(app.table.rows) == 200
        await pilot.press("end")
        assert selected(app) == "auth-05A-0000000"
        assert shown(app).count("● running") < 20
        await pilot.press("pageup", "up")
        assert "auth-05A-0000002" < selected(app) < "auth-05A-0000020"
        assert any(line.startswith("›") for line in shown(app).splitlines())

    on(dashboard(), steps)


def test_a_record_that_cannot_be_read_is_named_and_the_rest_shown() -> None:
    keep("auth-05A-0000001", **RUNNING)
    keep("torn-05A-0000002", **RUNNING)

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        records.path_of("torn-05A-0000002").write_text("{")
        await until(pilot, lambda: "torn-05A-0000002" in shown(app) and "✗" in shown(app))
        await until(pilot, lambda: [row.id for row in app.table.rows] == ["auth-05A-0000001"])

    on(dashboard(), steps)


def test_a_session_without_anyone_to_follow_it_says_so() -> None:
    keep("auth-05A-0000001", **RUNNING)

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        change("auth-05A-0000001", evidence="not followed since 12:00: the engine is away")
        await until(pilot, lambda: "▲ not followed since 12:00" in shown(app))
        change("auth-05A-0000001", evidence=None, last_message="I go on")
        await until(pilot, lambda: "I go on" in shown(app))

    on(dashboard(), steps, (120, 24))


def test_keys_are_those_of_the_settings() -> None:
    keep("auth-05A-0000001", **RUNNING)

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.press("f2")
        await until(pilot, lambda: [kind for kind, _ in asked("auth-05A-0000001")] == ["pause"])
        await pilot.press("question_mark")
        await until(pilot, lambda: "[pause]" in shown(app))
        assert next(line for line in shown(app).splitlines() if "[pause]" in line).strip().startswith("f2")

    settings = Settings.model_validate({"dashboard": {"keys": {"pause": "f2"}}})
    on(dashboard(settings=settings), steps, (100, 40))


@pytest.mark.parametrize("size", [(40, 12), (200, 50)])
def test_every_size_has_the_state_and_the_task(size: tuple[int, int]) -> None:
    screen.a_day()

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        lines = shown(app).splitlines()
        assert any("◆ waiting" in line and "implement-login-05A"[: size[0] - 20] in line for line in lines)
        assert all(len(line) <= size[0] for line in lines)

    on(dashboard(), steps, size)


def test_a_bug_in_a_thread_ends_the_screen_and_is_kept() -> None:
    def broken() -> Any:
        raise RuntimeError("a bug")

    app = dashboard()
    app._watch._opening = broken

    async def wait(check: Callable[[], object]) -> None:
        async with app.run_test() as pilot:
            await until(pilot, check)

    import asyncio

    asyncio.run(wait(lambda: app.broken))
    assert isinstance(app.broken, RuntimeError)
