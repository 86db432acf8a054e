"""Events as a person reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from scopecraft_git.console import safe_line, safe_text
from scopecraft_git.events import (
    Event,
    Finished,
    Notice,
    PermissionRequest,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Unrecognized,
    Usage,
)

RESULT_LINES = 5
WIDTH = 200


def of(event: Event) -> str:
    """An event as a person reads it; empty for what only programs want."""
    match event:
        case Text(text=text):
            return text.rstrip()
        case Reasoning(text=text):
            return f"∴ {safe_line(text, WIDTH)}"
        case ToolCall(name=name, input=given):
            return f"● {name} {safe_line(gist(given), WIDTH)}".rstrip()
        case ToolResult(text=text, is_error=failed):
            return _result(text, failed=failed)
        case Finished(is_error=failed, text=text):
            return f"{'✗' if failed else '✓'} finished" + (f": {safe_line(text, WIDTH)}" if failed else "")
        case Notice():
            return "" if _is_routine(event) else f"· {event.text}"
        case Unrecognized(raw=raw):
            return f"… {safe_line(raw, WIDTH)}"
        case Usage() | PermissionRequest():
            return ""


def _is_routine(notice: Notice) -> bool:
    """A transcript's bookkeeping, and the permission for a call that is shown itself."""
    allowed = notice.code == "permission_answered" and notice.data.get("allow") is True
    return allowed or notice.code == "record"


def gist(given: Mapping[str, object]) -> str:
    """The one value that says most, else all of it."""
    for key in ("command", "file_path", "path", "pattern", "url", "query", "description", "prompt"):
        if isinstance(value := given.get(key), str):
            return value
    return json.dumps(given) if given else ""


def _result(text: str, *, failed: bool) -> str:
    lines = safe_text(text).strip().splitlines()
    shown = [line[:WIDTH] for line in lines[:RESULT_LINES]]
    if len(lines) > RESULT_LINES:
        shown.append(f"… {len(lines) - RESULT_LINES} more lines")
    mark = "✗" if failed else "└"
    return "\n".join(f"  {mark if number == 0 else ' '} {line}" for number, line in enumerate(shown or ["(nothing)"]))
