"""Pictures of the dashboard. `python -m tests.dashboard.renew` writes them anew, and they are to be looked at."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from textual.pilot import Pilot

from scopecraft_git import paths
from scopecraft_git.dashboard.app import Dashboard
from tests.dashboard.screen import a_day, dashboard, on, shown, until

PICTURES = Path(__file__).parents[2] / "docs" / "images"
SIZES = {"board-80x24": (80, 24), "board-140x40": (140, 40)}


def pictures() -> dict[str, str]:
    """Of sessions that are made for it, by file name. In a home that has none."""
    paths.ensure_home()
    a_day(datetime.now(UTC) - timedelta(seconds=30))
    return {f"{name}.svg": picture(size) for name, size in SIZES.items()}


def picture(size: tuple[int, int]) -> str:
    """The board, with the second session selected and its last event seen."""
    taken: list[str] = []

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        await pilot.press("down")
        await until(pilot, lambda: "I mend it." in shown(app) and "Help" in shown(app))
        await pilot.pause()
        taken.append(app.export_screenshot(title="git scopecraft dashboard"))

    on(dashboard(), steps, size)
    return normalised(taken[0])


def normalised(svg: str) -> str:
    """Without the number that names each picture's parts."""
    return re.sub(r"terminal-\d+-", "terminal-", svg)


@contextlib.contextmanager
def _new_home() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SCOPECRAFT_HOME"] = folder
        os.environ.pop("NO_COLOR", None)
        yield


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with _new_home():
        for name, svg in pictures().items():
            (PICTURES / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
