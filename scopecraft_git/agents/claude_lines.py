"""Reads the lines that Claude Code writes: its JSON stream, and the transcripts of its interactive sessions.

Both hold the same messages in different envelopes; one message comes as several lines that share its id.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from scopecraft_git.agents import claude_messages, claude_notices, json_lines
from scopecraft_git.agents.claude_notices import Document
from scopecraft_git.events import Event, Finished, Notice, PermissionRequest, Unrecognized

PARTIAL = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
    }
)
"""Pieces of messages that follow whole, also when the turn is interrupted in the midst of one."""


def parse(line: bytes) -> list[Event]:
    """The events of one line. Never raises: what is not understood is `Unrecognized`, whole."""
    if not line or line.isspace():
        return []
    found = read(line)
    return [unrecognized(line)] if found is None else found


def read(line: bytes) -> list[Event] | None:
    """The events of one line, or None when it is none of Claude's."""
    try:
        document = _decode(line)
        reader = _READERS.get(document["type"]) if isinstance(document, dict) else None
        return reader(document) if reader else None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return None


def unrecognized(line: bytes) -> Unrecognized:
    return Unrecognized(raw=line.decode(errors="replace"))


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


_DECODER = json.JSONDecoder(parse_constant=lambda _: None, parse_float=_finite)


def _decode(line: bytes) -> Any:
    text = line.decode(errors="replace")
    try:
        document, end = _DECODER.raw_decode(text)
    except ValueError:
        document, end = None, 0
    if end != len(text):
        document = _DECODER.decode(text)  # which knows about white space
    return json_lines.writable(document, line)


def _partial(line: Document) -> list[Event] | None:
    return [] if line["event"]["type"] in PARTIAL else None


def _finished(line: Document) -> list[Event]:
    costs = (line.get(key) for key in ("total_cost_usd", "total_cost", "cost_usd"))
    finished = Finished(
        is_error=line.get("is_error") is not False,
        text=claude_messages.plain(line.get("result") or line.get("error") or _errors(line)),
        subtype=line.get("subtype") or "",
        cost_usd=next((cost for cost in costs if cost is not None), None),
        turns=line.get("num_turns"),
        duration_ms=line.get("duration_ms"),
    )
    usage = claude_messages.turn_usage(line)
    return [usage, finished] if usage else [finished]


def _errors(line: Document) -> str:
    """In words of ours where the CLI only says in which state an interrupt found it."""
    told = line.get("errors") or []
    aborted = str(line.get("terminal_reason")).startswith("aborted_")
    words = [each for each in told if not (aborted and each.startswith("[ede_diagnostic]"))]
    return "\n".join(words) or ("Interrupted" if aborted else "")


def _control_request(line: Document) -> list[Event] | None:
    request = line["request"]
    if request["subtype"] != "can_use_tool":
        return None
    permission = PermissionRequest(
        id=line["request_id"],
        tool=request["tool_name"],
        input=request.get("input") or {},
        call_id=request.get("tool_use_id"),
    )
    return [permission]


def _notice(describe: Callable[[Document], Notice]) -> Callable[[Document], list[Event]]:
    return lambda line: [describe(line)]


def _nothing(_line: Document) -> list[Event]:
    """A heartbeat, which is not to be taken for something said."""
    return []


_READERS: Mapping[str, Callable[[Document], list[Event] | None]] = {
    "assistant": claude_messages.assistant,
    "user": claude_messages.user,
    "attachment": claude_messages.attachment,
    "result": _finished,
    "control_request": _control_request,
    "stream_event": _partial,
    "keep_alive": _nothing,
    "system": _notice(claude_notices.system),
    "rate_limit_event": _notice(claude_notices.rate_limit),
    "control_response": _notice(claude_notices.control_response),
    "control_cancel_request": _notice(claude_notices.permission_cancelled),
    **dict.fromkeys(claude_notices.BOOKKEEPING, _notice(claude_notices.record)),
}
