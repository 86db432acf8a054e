from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.app import App
from textual.pilot import Pilot

from scopecraft_git.dashboard import patch
from scopecraft_git.dashboard.diff import FOLDED_ABOVE, DiffScreen, DiffView
from scopecraft_git.dashboard.painting import LONGEST, Painter, shown
from scopecraft_git.errors import WorkGoneError

ESCAPES = "\x1b[31mred\x1b[0m \x07 \u202e [/red] [bold]"


def added(name: str, *lines: str) -> str:
    body = "".join(f"+{line}\n" for line in lines)
    head = f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
    return f"{head}@@ -0,0 +1,{len(lines)} @@\n{body}"


def look(load: Callable[[], str], act: Callable[[Pilot[None], DiffView], Awaitable[None]]) -> None:
    """At a diff on a small screen, once it is there."""

    class Alone(App[None]):
        def on_mount(self) -> None:
            self.push_screen(DiffScreen("auth-05A", load))

    async def run() -> None:
        app = Alone()
        async with app.run_test(size=(80, 24)) as pilot:
            await app.workers.wait_for_complete()
            await pilot.pause()
            await act(pilot, app.screen.query_one(DiffView))

    asyncio.run(run())


def lines(view: DiffView) -> list[str]:
    return [view.render_line(y).text.rstrip() for y in range(view.size.height)]


def title(view: DiffView) -> str:
    return str(view.screen.query_one("#title").render())


def test_files_are_shown_with_their_numbers_and_jumped_to() -> None:
    async def act(pilot: Pilot[None], view: DiffView) -> None:
        assert title(view) == "auth-05A: 2 files, +41 -0"
        assert lines(view)[:4] == ["a.py  +1 -0", "new file mode 100644", "@@ -0,0 +1,1 @@", "     1+ x = 1"]
        await pilot.press("n")
        assert lines(view)[0] == "b.py  +40 -0"
        await pilot.press("p")
        assert lines(view)[0] == "a.py  +1 -0"

    look(lambda: added("a.py", "x = 1") + added("b.py", *["y = 2"] * 40), act)


def test_a_large_file_is_folded_until_it_is_wanted() -> None:
    async def act(pilot: Pilot[None], view: DiffView) -> None:
        assert "lines folded" in lines(view)[0]
        assert lines(view)[1] == "b.py  +1 -0"
        await pilot.press("space")
        assert lines(view)[3] == "     1+ x"
        await pilot.press("r")
        await view.app.workers.wait_for_complete()
        await pilot.pause()
        assert lines(view)[3] == "     1+ x"

    look(lambda: added("a.txt", *["x"] * (FOLDED_ABOVE + 1)) + added("b.py", "y"), act)


def test_twenty_thousand_lines_are_painted_where_they_are_seen() -> None:
    async def act(pilot: Pilot[None], view: DiffView) -> None:
        await pilot.press("space", "end")
        await pilot.pause()
        assert lines(view)[-1].endswith("value_19999 = 'text'")
        assert sum(len(painter._painted) for painter in view._painters) < 1000

    look(lambda: added("long.py", *[f"value_{number} = 'text'" for number in range(20_000)]), act)


def test_no_line_acts_on_the_terminal() -> None:
    async def act(_pilot: Pilot[None], view: DiffView) -> None:
        screen = "\n".join(lines(view))
        assert "[/red] [bold]" in screen
        assert "␛[31mred␛[0m ␇" in screen
        assert not set(screen) & {"\x1b", "\x07", "\u202e"}

    look(lambda: added(f"{ESCAPES}.py", ESCAPES), act)


def test_what_cannot_be_read_is_said() -> None:
    def load() -> str:
        raise WorkGoneError("auth-05A-1", Path("/gone"), "feature/auth-05A")

    async def act(_pilot: Pilot[None], view: DiffView) -> None:
        assert "feature/auth-05A" in title(view)

    look(load, act)


def test_no_change_is_said() -> None:
    async def act(_pilot: Pilot[None], view: DiffView) -> None:
        assert title(view) == "auth-05A: nothing has changed"

    look(lambda: "", act)


@pytest.mark.parametrize("text", ["a\tb", "\x00", "\r", "\x85", "\ud800", "x" * 5000, "ü\u2028é"])
def test_a_line_is_one_line(text: str) -> None:
    assert len(shown(text).splitlines()) == 1 or not shown(text)
    assert len(shown(text)) <= LONGEST


def test_each_side_is_coloured_for_itself() -> None:
    text = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n-x = '''\n+x = 1\n y = 2\n"
    (change,) = patch.read(text)
    painter = Painter(change, dark=True)
    numbers = [number for number, line in enumerate(change.lines) if line.text == "y = 2"]
    assert not [span for span in painter.text(numbers[0]).spans if span.start == 0]  # and in no string
