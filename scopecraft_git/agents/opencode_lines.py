"""Reads what `opencode run --format json` prints: the parts of a message, each when it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scopecraft_git.agents.json_lines import Document, Readers, time
from scopecraft_git.events import Event, Finished, Notice, Reasoning, Text, ToolCall, ToolResult, Usage

NAMES: Mapping[str, str] = {
    "bash": "Bash",
    "read": "Read",
    "write": "Write",
    "edit": "Edit",
    "glob": "Glob",
    "grep": "Grep",
    "webfetch": "WebFetch",
    "websearch": "WebSearch",
    "task": "Task",
    "todowrite": "TodoWrite",
}
"""One name for one tool, whoever uses it: a rule of the policy is written once."""
MORE_FOLLOWS = frozenset({"tool-calls", "unknown"})
"""Why a step may have ended that is not the last."""


def _step_start(line: Document) -> list[Event]:
    return [_session(line)]


def _session(line: Document) -> Notice:
    """Told again and again, so without words: no line of its own tells it."""
    return Notice(code="session", text="", data={"agent_session_id": line["sessionID"]})


def _text(line: Document) -> list[Event]:
    return [Text(text=line["part"]["text"])]


def _reasoning(line: Document) -> list[Event]:
    return [Reasoning(text=line["part"]["text"])]


def _tool(line: Document) -> list[Event]:
    """A call is told when it is over, with its result."""
    part = line["part"]
    state = part["state"]
    lasted = state.get("time") or {}
    name = part["tool"]
    call = ToolCall(
        id=part["callID"], name=NAMES.get(name, name), input=_input(state.get("input")), at=time(lasted.get("start"))
    )
    failed = state["status"] == "error" or (state.get("metadata") or {}).get("exit") not in (None, 0)
    text = state["error"] if state["status"] == "error" else state["output"]
    return [call, ToolResult(id=part["callID"], text=text, is_error=failed, at=time(lasted.get("end")))]


def _input(given: Any) -> dict[str, Any]:
    """A path is called what it is called elsewhere."""
    return {{"filePath": "file_path"}.get(key, key): value for key, value in (given or {}).items()}


def _step_finish(line: Document) -> list[Event]:
    part = line["part"]
    usage = _usage(part)
    reason = part["reason"]
    if reason in MORE_FOLLOWS:
        return usage
    return [*usage, Finished(is_error=reason != "stop", subtype=reason, text="" if reason == "stop" else reason)]


def _usage(part: Document) -> list[Event]:
    tokens = part.get("tokens") or {}
    cache = tokens.get("cache") or {}
    counts = {
        "input_tokens": tokens.get("input") or 0,
        "output_tokens": (tokens.get("output") or 0) + (tokens.get("reasoning") or 0),
        "cache_read_tokens": cache.get("read") or 0,
        "cache_write_tokens": cache.get("write") or 0,
    }
    return [Usage(message_id=part["messageID"], **counts)] if any(counts.values()) else []


def _error(line: Document) -> list[Event]:
    error = line["error"]
    name = error.get("name") or "error"
    text = (error.get("data") or {}).get("message") or error.get("message") or name
    return [_session(line), Finished(is_error=True, text=text, subtype=name)]


READERS: Readers = {
    "step_start": _step_start,
    "text": _text,
    "reasoning": _reasoning,
    "tool_use": _tool,
    "step_finish": _step_finish,
    "error": _error,
}
