"""Which events a human wants to be told of while nobody looks: the words of `notify.on`."""

from __future__ import annotations

from scopecraft_git.events import Event, Finished, Notice, Severity, ToolResult


def of(event: Event) -> tuple[str, ...]:
    """What it is news of, the most telling first. Of what an agent's own program says, only its errors are."""
    if isinstance(event, Notice) and event.origin is None:
        return _ours(event)
    critical = isinstance(event, Notice | ToolResult | Finished) and event.severity is Severity.CRITICAL
    return ("error",) if critical else ()


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
