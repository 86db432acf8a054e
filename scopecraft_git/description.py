"""Events as a person reads them: the one wording for logs, watch, dashboard and notifications.

All of it is foreign text made safe: it holds no control character but newlines, and is never markup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

from scopecraft_git.console import gist, safe_line, safe_text
from scopecraft_git.events import (
    Event,
    Finished,
    Notice,
    Reasoning,
    Severity,
    Text,
    ToolCall,
    ToolResult,
    Unrecognized,
)

__all__ = ["Style", "clock", "gist", "line", "of", "style"]
RESULT_LINES = 5
WIDTH = 200
SUB_AGENT = "┆ "
"""Before each line of what a sub-agent says and does."""
LASTED = 1000
"""Milliseconds from which on it is told how long a call took."""
_LOOKED_AT = 20 * WIDTH
"""Characters of what is cut anyway: a tool may answer with megabytes."""

Style = Literal[
    "text", "reasoning", "call", "result", "error", "critical", "finished", "notice", "permission", "dim"
]  # fmt: skip


def of(event: Event) -> str:
    """An event as a person reads it, on as many lines as it takes; empty for what only programs want."""
    match event:
        case Text(text=text):
            shown = safe_text(text).rstrip()
        case ToolResult():
            shown = _result(event)
        case _:
            shown = _said(event)
    prefix = _prefix(event)
    return "\n".join(prefix + each for each in shown.split("\n")) if shown else ""


def line(event: Event, width: int = 0) -> str:
    """`of` on one line, cut to `width` characters if that is not 0."""
    match event:
        case Text(text=text):
            said, facts = safe_line(text[:_LOOKED_AT] if width else text), ""
        case ToolResult():
            said, facts = _result_line(event)
        case _:
            said, facts = safe_line(_said(event)), ""
    if not said:
        return ""
    prefix = _prefix(event)
    room = max(1, width - len(prefix) - len(facts)) if width else 0
    return prefix + safe_line(said, room) + facts


def style(event: Event) -> Style:
    """What kind of thing it is to the eye, for colours."""
    match event:
        case ToolResult(is_error=True) | Finished(is_error=True):
            return "critical" if event.severity is Severity.CRITICAL else "error"
        case Notice():
            return _notice_style(event)
        case _:
            return _STYLES[event.kind]


_STYLES: Mapping[str, Style] = {
    "text": "text", "reasoning": "reasoning", "tool_call": "call", "tool_result": "result", "usage": "dim",
    "permission": "permission", "finished": "finished", "unrecognized": "dim",
}  # fmt: skip


class Pieces:
    """Puts texts together that came in pieces. One for each session that is shown."""

    def __init__(self) -> None:
        self._held = ""
        self._parent: str | None = None

    def take(self, event: Event) -> list[Event]:
        """What can be shown now: of a text that is not whole yet, the lines that are."""
        if not (isinstance(event, Text) and event.partial):
            return [*self.rest(), event]
        whole = self.rest() if self._held and event.parent_id != self._parent else []
        lines, newline, self._held = (self._held + event.text).rpartition("\n")
        self._parent = event.parent_id
        return [*whole, Text(text=lines, parent_id=self._parent)] if newline else whole

    def rest(self) -> list[Event]:
        """What it holds back, once nothing more comes."""
        text, self._held = self._held, ""
        return [Text(text=text, parent_id=self._parent)] if text else []


def _prefix(event: Event) -> str:
    return SUB_AGENT if getattr(event, "parent_id", None) else ""


def _said(event: Event) -> str:
    match event:
        case Reasoning(text=text):
            return f"∴ {_cut(text)}" if text.strip() else ""
        case ToolCall(name=name, input=given):
            return f"● {_cut(name)} {_cut(gist(given))}".rstrip()
        case Finished():
            return _finished(event)
        case Notice():
            return _notice(event)
        case Unrecognized(raw=raw):
            return f"… {_cut(raw)}"
        case _:  # usage, and the request for a call that is shown itself
            return ""


def _cut(text: str) -> str:
    return safe_line(text[:_LOOKED_AT], WIDTH)


def _finished(event: Finished) -> str:
    facts = [_lasted(event.duration_ms)] if event.duration_ms is not None else []
    if event.cost_usd:
        facts.append(f"${event.cost_usd:.2f}")
    told = f" ({', '.join(facts)})" if facts else ""
    return f"✗ finished{told}: {_cut(event.text or event.subtype)}" if event.is_error else f"✓ finished{told}"


# Results of tools


def _result(event: ToolResult) -> str:
    text = event.text.strip()
    lines = [_safe_cut(each) for each in text.split("\n", RESULT_LINES)[:RESULT_LINES]]
    facts = _facts(event)
    first = f"{_tool(event) if event.is_error else ''}{lines[0] or '(nothing)'}{facts}"
    more = text.count("\n") + 1 - RESULT_LINES
    rest = [*lines[1:], *([f"… {more} more lines"] if more > 0 else [])]
    return "\n".join([f"  {_mark(event)} {first}", *(f"    {each}".rstrip() for each in rest)])


def _result_line(event: ToolResult) -> tuple[str, str]:
    text = event.text.strip()
    first = _safe_cut(text.partition("\n")[0]).strip() or "(nothing)"
    more = text.count("\n")
    facts = _facts(event, *([f"{more} more line{'s' if more > 1 else ''}"] if more else []))
    return f"{_mark(event)} {_tool(event)}{first}", facts


def _safe_cut(text: str) -> str:
    return safe_text(text[:_LOOKED_AT]).rstrip()[:WIDTH]


def _mark(event: ToolResult) -> str:
    return "✗" if event.is_error else "└"


def _tool(event: ToolResult) -> str:
    return f"{_cut(event.tool)}: " if event.tool else ""


def _facts(event: ToolResult, *more: str) -> str:
    told = ["critical"] if event.severity is Severity.CRITICAL else []
    if event.duration_ms is not None and event.duration_ms >= LASTED:
        told.append(_lasted(event.duration_ms))
    told += more
    return f" ({', '.join(told)})" if told else ""


def _lasted(milliseconds: int) -> str:
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s"


# Notices

_VERDICTS = frozenset({"warn", "ask", "deny", "pause", "interrupt", "stop"})
_TROUBLE = frozenset({"not_followed", "import_failed", "start_failed", "input_refused", "message_refused"})
_SILENT = frozenset({"record", "command_lifecycle"})
"""What agents keep for themselves."""
_THEIRS = _SILENT | {"prompt"}
_MARKS = {"ask": "?", "prompt": "→", "message_delivered": "→"}
_BY = {"human": "by hand", "policy": "by the policy", "timeout": "as nobody answered", "agent": "by the agent"}


def _code(event: Notice) -> str:
    """Empty for what is one of ours only by its name: an agent's program may say anything of itself."""
    return event.code if event.origin is None or event.code in _THEIRS else ""


def _notice(event: Notice) -> str:
    """Silent where another event says it: the permission for a call that is shown, the denial that was carried out."""
    code = _code(event)
    if code in _SILENT or _is_routine(code, event.data):
        return ""
    words = safe_line(_WORDED.get(code, _plain)(event)[:_LOOKED_AT])
    return f"{_notice_mark(event)} {words}" if words else ""


def _is_routine(code: str, data: Mapping[str, object]) -> bool:
    if code == "permission_answered":
        return data.get("allow") is True and data.get("by", "policy") == "policy"
    return code == "deny" and "id" in data


def _notice_mark(event: Notice) -> str:
    code = _code(event)
    if code == "ended":
        return "✓" if event.data.get("status") in ("completed", "cancelled") else "✗"
    if code in _MARKS:
        return _MARKS[code]
    if event.severity is Severity.CRITICAL:
        return "✗"
    is_ours = code in _VERDICTS | _TROUBLE or (event.origin is None and "action" in event.data)
    return "▲" if is_ours or event.severity is Severity.WARNING else "·"


def _notice_style(event: Notice) -> Style:
    if _code(event) in ("ask", "permission_answered"):
        return "permission"
    match _notice_mark(event):
        case "✗":
            return "critical" if event.severity is Severity.CRITICAL else "error"
        case "▲":
            return "error"
        case "✓":
            return "finished"
    return "dim" if event.severity is Severity.INFO or not _notice(event) else "notice"


def _plain(event: Notice) -> str:
    return event.text


def _verdict(event: Notice) -> str:
    handler = event.data.get("handler")
    return f"{handler}: {event.text}" if handler else event.text


def _asked(event: Notice) -> str:
    text = f"Waits for approve or deny: {event.text}"
    until = event.data.get("until")
    if not isinstance(until, str):
        return text
    return f"{text} ({event.data.get('otherwise') or 'allow'} at {clock(until)} without an answer)"


def _answered(event: Notice) -> str:
    by = event.data.get("by")
    text = " ".join([event.text, *([_BY.get(by, by)] if isinstance(by, str) else [])])
    message = event.data.get("message")
    return f"{text}: {message}" if message and by != "timeout" else text


def _delivered(event: Notice) -> str:
    return f"Given to the agent: {safe_line(str(event.data.get('text') or event.text), WIDTH)}"


def _prompt(event: Notice) -> str:
    text = safe_line(event.text, WIDTH)
    return f"Taken up by the agent: {text}" if event.data.get("message_id") else text


def _refused(event: Notice) -> str:
    return f"Not given to the agent, which takes no more: {event.data.get('text') or event.text}"


def _interrupting(event: Notice) -> str:
    return event.text or "Interrupting what the agent does"


def _paused(event: Notice) -> str:
    by = event.data.get("by")
    return f"{event.text or 'Paused'}: {by}" if by and by != "human" else event.text or "Paused"


def _ended(event: Notice) -> str:
    status = event.data.get("status")
    return f"{status}: {event.text}" if status else event.text


_WORDED: Mapping[str, Callable[[Notice], str]] = {
    **dict.fromkeys(_VERDICTS, _verdict),
    "ask": _asked,
    "permission_answered": _answered,
    "message_delivered": _delivered,
    "message_refused": _refused,
    "prompt": _prompt,
    "interrupting": _interrupting,
    "paused": _paused,
    "ended": _ended,
}


def clock(time: str | datetime) -> str:
    """`15:04:05` where the reader is; foreign text that is no time stays as it is."""
    try:
        moment = datetime.fromisoformat(time) if isinstance(time, str) else time
        return f"{moment.astimezone():%H:%M:%S}"
    except (ValueError, OverflowError):
        return str(time)
