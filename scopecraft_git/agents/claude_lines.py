"""Reads the lines that Claude Code writes: its JSON stream, and the transcripts of its interactive sessions.

Both hold the same messages in different envelopes; one message comes as several lines that share its id.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

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

Document = Mapping[str, Any]

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
"""Pieces of messages that follow whole."""
BOOKKEEPING = frozenset(
    {
        "agent-name",
        "ai-title",
        "api-request",
        "api-request-blob",
        "api-request-shape",
        "atis-latch",
        "attachment",
        "cost-state",
        "custom-title",
        "file-history-delta",
        "file-history-snapshot",
        "last-prompt",
        "mode",
        "permission-mode",
        "progress",
        "queue-operation",
        "summary",
        "tools-used",
    }
)
"""What a transcript holds for the CLI's own use."""
_MAY_HOLD_SURROGATES = re.compile(rb"\\u[dD][89a-fA-F]")


def parse(line: bytes) -> list[Event]:
    """The events of one line. Never raises: what is not understood is `Unrecognized`, whole."""
    if not line.strip():
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


def _decode(line: bytes) -> Any:
    document = json.loads(
        line.decode(errors="replace"), parse_constant=lambda _: None, parse_float=lambda digits: _finite(float(digits))
    )
    return _without_surrogates(document) if _MAY_HOLD_SURROGATES.search(line) else document


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _without_surrogates(value: Any) -> Any:
    """Half of a surrogate pair is legal in JSON, and cannot be written as UTF-8."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


# Messages


def _assistant(line: Document) -> list[Event]:
    message = line["message"]
    parent = line.get("parent_tool_use_id")
    events: list[Event] = [_block(block, parent) for block in _blocks(message["content"])]
    usage = _usage(message)
    return [*events, usage] if usage else events


def _user(line: Document) -> list[Event]:
    parent = line.get("parent_tool_use_id")
    return [_input(block, parent) for block in _blocks(line["message"]["content"])]


def _blocks(content: Any) -> list[Document]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise TypeError(type(content))
    return content


def _block(block: Document, parent: str | None) -> Event:
    match block["type"]:
        case "text":
            return Text(text=block["text"], parent_id=parent)
        case "thinking":
            return Reasoning(text=block["thinking"], parent_id=parent)
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            return ToolCall(id=block["id"], name=block["name"], input=block.get("input") or {}, parent_id=parent)
        case kind if kind.endswith("tool_result"):
            return _result_block(block, parent)
    return Unrecognized(raw=json.dumps(block))


def _input(block: Document, parent: str | None) -> Event:
    """What a `user` line holds: results of tools, and what somebody asked, which the agent did not say."""
    if block["type"] == "text":
        return Notice(code="prompt", text=block["text"])
    return _block(block, parent)


def _result_block(block: Document, parent: str | None) -> ToolResult:
    return ToolResult(
        id=block["tool_use_id"],
        text=_plain(block.get("content")),
        is_error=block.get("is_error") is True,
        parent_id=parent,
    )


def _plain(content: Any) -> str:
    """A tool's result as text: a string, or blocks of which some are images."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(_plain_block(block) for block in content)
    return json.dumps(content)


def _plain_block(block: Any) -> str:
    if isinstance(block, dict) and isinstance(text := block.get("text"), str):
        return text
    if isinstance(block, dict) and isinstance(kind := block.get("type"), str):
        return f"[{kind}]"
    return json.dumps(block)


def _usage(message: Document) -> Usage | None:
    usage = message.get("usage")
    if not usage:
        return None
    counts = {
        "input_tokens": usage.get("input_tokens") or 0,
        "output_tokens": usage.get("output_tokens") or 0,
        "cache_read_tokens": usage.get("cache_read_input_tokens") or 0,
        "cache_write_tokens": usage.get("cache_creation_input_tokens") or 0,
    }
    return Usage(message_id=message.get("id"), **counts) if any(counts.values()) else None


def _partial(line: Document) -> list[Event] | None:
    return [] if line["event"]["type"] in PARTIAL else None


# The session


def _system(line: Document) -> list[Event]:
    describe = _SYSTEM.get(line["subtype"])
    return [describe(line) if describe else Notice(code=line["subtype"], text=_described(line), data=_rest(line))]


def _init(line: Document) -> Notice:
    data = {
        "agent_session_id": line.get("session_id"),
        "model": line.get("model"),
        "version": line.get("claude_code_version"),
    }
    return Notice(code="session", text=f"Claude Code {data['version'] or ''} with {data['model']}", data=data)


def _retry(line: Document) -> Notice:
    why = " ".join(str(line[key]) for key in ("error_status", "error") if line.get(key))
    text = f"Trying again after {why or 'an error'} ({line.get('attempt')} of {line.get('max_retries')})"
    return Notice(code="retry", text=text, data=_rest(line))


def _background(line: Document) -> Notice:
    tasks = [{"id": task["task_id"], "type": task["task_type"], "text": task["description"]} for task in line["tasks"]]
    under_way = ", ".join(task["text"] for task in tasks) or "nothing"
    return Notice(code="background", text=f"In the background: {under_way}", data={"tasks": tasks})


def _described(line: Document) -> str:
    """The most telling of what a system line says, and the kind it is of."""
    told = [line.get(key) for key in ("status", "content", "message", "summary", "description", "error")]
    words = ": ".join(word for word in told if isinstance(word, str) and word)
    kind = line["subtype"].replace("_", " ")
    return f"{kind}: {words}" if words else kind


def _rest(line: Document) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in {"type", "subtype", "uuid", "session_id"}}


def _finished(line: Document) -> list[Event]:
    costs = (line.get(key) for key in ("total_cost_usd", "total_cost", "cost_usd"))
    finished = Finished(
        is_error=line.get("is_error") is not False,
        text=_plain(line.get("result") or line.get("error") or "\n".join(line.get("errors") or [])),
        subtype=line.get("subtype") or "",
        cost_usd=next((cost for cost in costs if cost is not None), None),
        turns=line.get("num_turns"),
        duration_ms=line.get("duration_ms"),
    )
    return [finished]


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


def _control_response(line: Document) -> list[Event]:
    response = line["response"]
    text = f"The agent answered {response['request_id']}: {response.get('error') or response['subtype']}"
    return [Notice(code="control", text=text, data=dict(response))]


def _bookkeeping(line: Document) -> list[Event]:
    text = line.get("summary") or line.get("title") or line["type"].replace("-", " ")
    cost = line.get("totalCostUSD")
    return [Notice(code="record", text=text, data={} if cost is None else {"cost_usd": cost})]


_SYSTEM: Mapping[str, Callable[[Document], Notice]] = {
    "init": _init,
    "api_retry": _retry,
    "background_tasks_changed": _background,
}
_READERS: Mapping[str, Callable[[Document], list[Event] | None]] = {
    "assistant": _assistant,
    "user": _user,
    "system": _system,
    "result": _finished,
    "control_request": _control_request,
    "control_response": _control_response,
    "stream_event": _partial,
    **dict.fromkeys(BOOKKEEPING, _bookkeeping),
}
