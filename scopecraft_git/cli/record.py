"""How the fields of a session's record look to a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scopecraft_git.cli import listing
from scopecraft_git.console import gist, safe_line

WIDTH = 100


def lines(name: str, value: Any) -> list[str]:
    """One field of `output.as_document`, which has all of it in JSON."""
    if value is None or value in ([], {}):
        return ["-"]
    match name, value:
        case "tools_used", list(tools):
            return [f"{tool['name']} × {tool['count']}" + _failed(tool["errors"]) for tool in tools]
        case "approvals", list(approvals):
            return [line for approval in approvals for line in _approval(approval)]
        case "inbox", list(messages):
            return [_message(message) for message in messages]
        case "errors" | "tokens", dict(counts):
            return [", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in counts.items() if count) or "-"]
        case "outcome", dict(outcome):
            return [outcome["reason"], *outcome["stderr"].splitlines()]
        case _, float():
            return [f"{value:.6g}"]
        case _:
            return str(value).splitlines() or ["-"]


def _failed(count: int) -> str:
    return f" ({count} failed)" if count else ""


def _approval(approval: Mapping[str, Any]) -> list[str]:
    asked = f"{approval['tool']} {gist(approval['input'])}".rstrip()
    times = f"since {approval['since']}" + (f", until {approval['until']}" if approval["until"] else "")
    return [f"{approval['id']}  {times}", *(f"  {line}" for line in (*asked.splitlines(), f"({approval['reason']})"))]


def _message(message: Mapping[str, Any]) -> str:
    return f"{message['state']}, {listing.age(message['sent_at'])} ago: {safe_line(message['text'], WIDTH)}"
