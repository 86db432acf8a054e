"""Reads what the Gemini CLI prints with `--output-format stream-json`, and the records of its interactive sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scopecraft_git.agents.json_lines import Document, Readers, time
from scopecraft_git.events import Event, Finished, Notice, Reasoning, Severity, Text, ToolCall, ToolResult, Usage

NAMES: Mapping[str, str] = {
    "run_shell_command": "Bash",
    "read_file": "Read",
    "write_file": "Write",
    "replace": "Edit",
    "glob": "Glob",
    "grep_search": "Grep",
    "search_file_content": "Grep",
    "web_fetch": "WebFetch",
    "google_web_search": "WebSearch",
}
"""One name for one tool, whoever uses it: a rule of the policy is written once."""


def _init(line: Document) -> list[Event]:
    data = {"agent_session_id": line["session_id"], "model": line.get("model")}
    return [Notice(code="session", text=f"Gemini CLI with {line.get('model')}", data=data)]


def _message(line: Document) -> list[Event]:
    """The answer comes in pieces as the model writes it."""
    if line["role"] == "user":
        return [Notice(code="prompt", text=line["content"])]
    return [Text(text=line["content"], partial=True if line.get("delta") else None)]


def _tool_use(line: Document) -> list[Event]:
    return [_call(line["tool_id"], line["tool_name"], line.get("parameters"), line)]


def _tool_result(line: Document) -> list[Event]:
    error = line.get("error") or {}
    text = line.get("output") or error.get("message") or ""
    failed = line["status"] != "success"
    return [ToolResult(id=line["tool_id"], text=text, is_error=failed, at=time(line.get("timestamp")))]


def _call(call_id: str, name: str, given: Any, line: Document) -> ToolCall:
    return ToolCall(id=call_id, name=NAMES.get(name, name), input=given or {}, at=time(line.get("timestamp")))


def _error(line: Document) -> list[Event]:
    text = line["message"] if "message" in line else _plain(line["content"])
    return [Notice(code="error", text=text, severity=Severity.WARNING)]


def _result(line: Document) -> list[Event]:
    """Totals of the whole session: one message."""
    stats = line.get("stats") or {}
    failed = line["status"] != "success"
    error = line.get("error") or {}
    finished = Finished(
        is_error=failed,
        text=error.get("message") or "",
        subtype=error.get("type") or line["status"],
        duration_ms=stats.get("duration_ms") or None,
    )
    cached = stats.get("cached") or 0
    counts = {
        "input_tokens": max(0, (stats.get("input_tokens") or 0) - cached),
        "output_tokens": stats.get("output_tokens") or 0,
        "cache_read_tokens": cached,
    }
    return [Usage(message_id="session", **counts), finished] if any(counts.values()) else [finished]


# Records


def _asked(line: Document) -> list[Event]:
    """What a human said. Results of tools, which come as such too, are told with their calls."""
    text = _plain(line["content"])
    return [Notice(code="prompt", text=text)] if text else []


def _answered(line: Document) -> list[Event]:
    """A message is recorded as the model wrote it, and again with each of its calls."""
    if calls := line.get("toolCalls"):
        return [event for call in calls for event in _recorded_call(call)]
    said: list[Event] = [Reasoning(text=_thought(thought)) for thought in line.get("thoughts") or []]
    if text := _plain(line["content"]):
        said.append(Text(text=text))
    return [*said, *_tokens(line)]


def _recorded_call(call: Document) -> list[Event]:
    failed = call.get("status") != "success"
    at = time(call.get("timestamp"))
    result = ToolResult(id=call["id"], text=_answer(call.get("result")), is_error=failed, at=at)
    return [_call(call["id"], call["name"], call.get("args"), {}), result]


def _answer(result: Any) -> str:
    parts = [part["functionResponse"]["response"] for part in result or [] if "functionResponse" in part]
    return "\n".join(str(part.get("output") or part.get("error") or "") for part in parts)


def _thought(thought: Document) -> str:
    return ": ".join(words for words in (thought.get("subject"), thought.get("description")) if words)


def _tokens(line: Document) -> list[Event]:
    tokens = line.get("tokens")
    if not tokens:
        return []
    cached = tokens.get("cached") or 0
    output = (tokens.get("output") or 0) + (tokens.get("thoughts") or 0)
    counts = Usage(
        message_id=line["id"],
        input_tokens=max(0, (tokens.get("input") or 0) - cached),
        output_tokens=output,
        cache_read_tokens=cached,
    )
    return [counts]


def _plain(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if "text" in part)


def _kept(line: Document) -> list[Event] | None:
    """The head of a record, and changes to what it says of the session as a whole."""
    if "sessionId" in line:
        session = line["sessionId"]
        return [Notice(code="session", text=f"Gemini CLI session {session}", data={"agent_session_id": session})]
    return [] if "$set" in line or "$rewindTo" in line else None


def _told(line: Document) -> list[Event]:
    return [Notice(code="record", text=_plain(line["content"]))]


READERS: Readers = {
    "init": _init,
    "message": _message,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "error": _error,
    "result": _result,
    "user": _asked,
    "gemini": _answered,
    "info": _told,
    "warning": _told,
    "": _kept,
}
