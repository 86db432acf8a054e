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
from scopecraft_git.dashboard.diff import DiffScreen
from tests.dashboard.screen import a_day, dashboard, on, shown, until

PICTURES = Path(__file__).parents[2] / "docs" / "images"
SIZES = {"board-80x24": (80, 24), "board-120x30": (120, 30)}
CHANGES = '''\
diff --git a/src/index.py b/src/index.py
--- a/src/index.py
+++ b/src/index.py
@@ -1,8 +1,11 @@
 """Finds documents by their words."""

+from collections import defaultdict
+

 class Index:
-    def __init__(self):
-        self.words = {}
+    def __init__(self) -> None:
+        self.words: defaultdict[str, set[int]] = defaultdict(set)

-    def add(self, number, text):
+    def add(self, number: int, text: str) -> None:
+        """Words are what stands between spaces, in any case."""
-        for word in text.split():
+        for word in text.casefold().split():
             self.words[word].add(number)
diff --git a/tests/test_index.py b/tests/test_index.py
new file mode 100644
--- /dev/null
+++ b/tests/test_index.py
@@ -0,0 +1,7 @@
+from src.index import Index
+
+
+def test_case_does_not_matter():
+    index = Index()
+    index.add(1, "Hello world")
+    assert index.words["hello"] == {1}
'''


def pictures() -> dict[str, str]:
    """Of sessions that are made for it, by file name. In a home that has none."""
    paths.ensure_home()
    a_day(datetime.now(UTC) - timedelta(seconds=30))
    return {f"{name}.svg": picture(size) for name, size in SIZES.items()} | {"diff-80x24.svg": picture_of_diff()}


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


def picture_of_diff() -> str:
    """What a key of the board shows, of changes that are made up."""
    taken: list[str] = []

    async def steps(pilot: Pilot[None], app: Dashboard) -> None:
        app.push_screen(DiffScreen("search-05B-0000002", lambda: CHANGES))
        await until(pilot, lambda: "2 files" in shown(app))
        await pilot.pause()
        taken.append(app.export_screenshot(title="git scopecraft dashboard"))

    on(dashboard(), steps)
    return normalised(taken[0])


def normalised(svg: str) -> str:
    """Without the number that names each picture's parts."""
    return re.sub(r"terminal-\d+-", "terminal-", svg)


@contextlib.contextmanager
def _new_home() -> Iterator[None]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
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
