"""Reads what `codex exec --json` prints: threads, turns, and the items of a turn."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from scopecraft_git.agents.json_lines import Document, Readers
from scopecraft_git.events import Event, Finished, Notice, Reasoning, Severity, Text, ToolCall, ToolResult, Usage


def _thread(line: Document) -> list[Event]:
    thread = line["thread_id"]
    return [Notice(code="session", text=f"Codex thread {thread}", data={"agent_session_id": thread})]


def _nothing(line: Document) -> list[Event]:  # noqa: ARG001 - the next lines say it
    return []


def _turn_completed(line: Document) -> list[Event]:
    """Its usage is that of the whole thread so far: one message, of which the last report counts."""
    usage = line["usage"]
    cached, written = usage.get("cached_input_tokens") or 0, usage.get("cache_write_input_tokens") or 0
    counts = Usage(
        message_id="thread",
        input_tokens=max(0, usage["input_tokens"] - cached - written),
        output_tokens=usage["output_tokens"],
        cache_read_tokens=cached,
        cache_write_tokens=written,
    )
    return [counts, Finished()]


def _turn_failed(line: Document) -> list[Event]:
    return [Finished(is_error=True, text=line["error"]["message"], subtype="turn.failed")]


def _error(line: Document) -> list[Event]:
    text = line["message"]
    if text.startswith("Reconnecting"):
        return [Notice(code="retry", text=text, severity=Severity.INFO)]
    return [Notice(code="error", text=text)]  # the turn then fails, which says how bad it is


# Items


def _started(line: Document) -> list[Event] | None:
    item = line["item"]
    kind = item["type"]
    if kind in _CALLS:
        return list(_CALLS[kind](item))
    return _todo(item) if kind == "todo_list" else [] if kind in _SAID else None


def _updated(line: Document) -> list[Event] | None:
    """Parts of what follows whole, but for the plan, of which each state counts."""
    item = line["item"]
    kind = item["type"]
    return _todo(item) if kind == "todo_list" else [] if kind in _SAID or kind in _CALLS else None


def _completed(line: Document) -> list[Event] | None:
    item = line["item"]
    kind = item["type"]
    if kind in _CALLS:
        return [_result(item, call.id) for call in _CALLS[kind](item)]
    return [_SAID[kind](item)] if kind in _SAID else [] if kind == "todo_list" else None


def _command(item: Document) -> list[ToolCall]:
    return [ToolCall(id=item["id"], name="Bash", input={"command": _unwrapped(item["command"])})]


def _unwrapped(command: str) -> str:
    """What its shell was given: Codex has every command run by one."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    return words[2] if len(words) == 3 and words[1] in {"-c", "-lc"} else command


def _changes(item: Document) -> list[ToolCall]:
    """One call for each file, so that each path can be judged."""
    kinds = {"add": "Write", "delete": "Delete"}
    return [
        ToolCall(
            id=f"{item['id']}.{number}", name=kinds.get(change["kind"], "Edit"), input={"file_path": change["path"]}
        )
        for number, change in enumerate(item["changes"])
    ]


def _mcp(item: Document) -> list[ToolCall]:
    given = item.get("arguments")
    name = f"mcp__{item['server']}__{item['tool']}"
    return [ToolCall(id=item["id"], name=name, input=given if isinstance(given, dict) else {"arguments": given})]


def _search(item: Document) -> list[ToolCall]:
    return [ToolCall(id=item["id"], name="WebSearch", input={"query": item["query"]})]


def _collab(item: Document) -> list[ToolCall]:
    given = {key: value for key, value in item.items() if key in {"prompt", "receiver_thread_ids"} and value}
    return [ToolCall(id=item["id"], name=item["tool"], input=given)]


def _result(item: Document, call_id: str) -> ToolResult:
    failed = item.get("status") in {"failed", "declined"}
    return ToolResult(id=call_id, text=_output(item), is_error=failed)


def _output(item: Document) -> str:
    if item["type"] == "command_execution":
        return str(item["aggregated_output"])
    if error := item.get("error"):
        return str(error["message"])
    if isinstance(result := item.get("result"), dict):
        return "\n".join(_plain(block) for block in result.get("content") or [])
    return "" if item.get("status") is None else str(item["status"])


def _plain(block: Any) -> str:
    text = block.get("text") if isinstance(block, dict) else None
    return text if isinstance(text, str) else json.dumps(block)


def _todo(item: Document) -> list[Event]:
    steps = item["items"]
    done = sum(step["completed"] is True for step in steps)
    following = next((step["text"] for step in steps if not step["completed"]), "")
    text = f"Plan: {done} of {len(steps)} done" + (f"; next: {following}" if following else "")
    return [Notice(code="plan", text=text, data={"items": steps})]


_CALLS: Mapping[str, Callable[[Document], list[ToolCall]]] = {
    "command_execution": _command,
    "file_change": _changes,
    "mcp_tool_call": _mcp,
    "web_search": _search,
    "collab_tool_call": _collab,
}
_SAID: Mapping[str, Callable[[Document], Event]] = {
    "agent_message": lambda item: Text(text=item["text"]),
    "plan": lambda item: Text(text=item["text"]),
    "reasoning": lambda item: Reasoning(text=item["text"]),
    "error": lambda item: Notice(code="warning", text=item["message"], severity=Severity.INFO),
}
READERS: Readers = {
    "thread.started": _thread,
    "turn.started": _nothing,
    "turn.completed": _turn_completed,
    "turn.failed": _turn_failed,
    "item.started": _started,
    "item.updated": _updated,
    "item.completed": _completed,
    "item.plan.delta": _nothing,
    "error": _error,
}
