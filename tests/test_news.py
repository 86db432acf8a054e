from __future__ import annotations

from typing import Any

import pytest

from scopecraft_git import news
from scopecraft_git.events import Event, Finished, Notice, Severity, Text, ToolResult


def notice(code: str, **data: Any) -> Notice:
    return Notice(code=code, text="x", data=data)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (notice("ask", id="r1"), ("waiting",)),
        (notice("waiting"), ("waiting",)),
        (notice("idle", action="warn"), ("idle",)),
        (notice("idle", action="stop"), ("stopped", "idle")),
        (notice("stop", handler="policy"), ("stopped",)),
        (notice("time_is_up", action="stop"), ("stopped",)),
        (notice("budget_minutes", action="pause"), ()),
        (notice("lingering", action="stop"), ()),
        (notice("stopping"), ()),
        (notice("ended", status="failed"), ("failed",)),
        (notice("ended", status="lost"), ("failed",)),
        (notice("ended", status="completed"), ("completed",)),
        (notice("ended", status="cancelled"), ()),
        (notice("imported"), ()),
        (Text(text="failed"), ()),
        (ToolResult(id="1", text="x", is_error=True, severity=Severity.CRITICAL), ("error",)),
        (ToolResult(id="1", text="x", is_error=True, severity=Severity.WARNING), ()),
        (Finished(is_error=True, severity=Severity.CRITICAL), ("error",)),
    ],
)
def test_what_a_human_wants_to_know(event: Event, expected: tuple[str, ...]) -> None:
    assert news.of(event) == expected


@pytest.mark.parametrize("code", ["ask", "waiting", "idle", "stop", "ended"])
def test_an_agent_cannot_make_it_up(code: str) -> None:
    said = Notice(code=code, text="x", data={"status": "completed", "action": "stop"}, origin="agent")
    assert news.of(said) == ()
    assert news.of(said.model_copy(update={"severity": Severity.CRITICAL})) == ("error",)
