"""Which events a human wants to be told of while nobody looks: the words of `notify.on`."""

from __future__ import annotations

from datetime import datetime

from scopecraft_git.config import NotifySettings
from scopecraft_git.events import Event, Finished, LoggedEvent, Notice, Severity, ToolResult


def of(event: Event) -> tuple[str, ...]:
    """What it is news of, the most telling first. Of what an agent's own program says, only its errors are."""
    if isinstance(event, Notice) and event.origin is None:
        return _ours(event)
    critical = isinstance(event, Notice | ToolResult | Finished) and event.severity is Severity.CRITICAL
    return ("error",) if critical else ()


def rings(logged: LoggedEvent, notify: NotifySettings, began: datetime) -> bool:
    """Whether a terminal's bell does, where somebody watches since `began`: not for what is told of before."""
    return notify.bell and logged.time >= began and not set(of(logged.event)).isdisjoint(notify.on)


def _ours(notice: Notice) -> tuple[str, ...]:
    stops = notice.code == "stop" or notice.data.get("action") == "stop"
    match notice.code:
        case "ask" | "waiting":
            return ("waiting",)
        case "ended":
            return _ENDS.get(notice.data.get("status", ""), ())
        case "idle":
            return ("stopped", "idle") if stops else ("idle",)
        case "lingering":  # it was done
            return ()
    return ("stopped",) if stops else ()


_ENDS = {"completed": ("completed",), "failed": ("failed",), "lost": ("failed",)}
