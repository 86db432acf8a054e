"""What was said: messages of Claude Code's stream and transcripts, block by block."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from scopecraft_git.agents.claude_notices import Document, record
from scopecraft_git.events import Event, Notice, Reasoning, Text, ToolCall, ToolResult, Unrecognized, Usage

STREAMED, TRANSCRIBED = "session_id", "isSidechain"
"""Marks of lines; a transcript's may have both. In the stream a message's lines are written before its end, with a
count of output tokens that means nothing: the turn's `result` has them.
"""
NOBODYS = ("isMeta", "isSynthetic", "isCompactSummary", "isSidechain", "parent_tool_use_id")
"""Marks of a `user` line whose text the program wrote itself, or one agent to another."""
_COMMAND = re.compile(r"\s*<command-name>(.*?)</command-name>(?:.*<command-args>(.*?)</command-args>)?", re.DOTALL)
_TAG = re.compile(r"<(status|summary|task-id|tool-use-id)>(.*?)</\1>", re.DOTALL)


def assistant(line: Document) -> list[Event]:
    message = line["message"]
    content = message["content"]
    parent, at = _parent(line), _time(line)
    if isinstance(content, str):
        events: list[Event] = [Text(text=content, parent_id=parent)]
    else:
        events = [_block(block, parent, at) for block in _blocks(content)]
    if usage := _usage(line, message):
        events.append(usage)
    return events


def user(line: Document) -> list[Event]:
    """Results of tools, and what the agent was told."""
    content = line["message"]["content"]
    if isinstance(content, str):
        return [_told(line, content)]
    parent, at = _parent(line), _time(line)
    return [_input(line, block, parent, at) for block in _blocks(content)]


def attachment(line: Document) -> list[Event]:
    """In a transcript, what the CLI put beside the messages: also what it was told in mid-turn, when it took it up."""
    attached = line.get("attachment") or {}
    if attached.get("type") != "queued_command":
        return [record(line)]
    text = plain(attached["prompt"])
    return [_notification(text) or _prompt(text, attached.get("source_uuid"))]


def turn_usage(result: Document) -> Usage | None:
    """Output tokens of a turn's messages; see `STREAMED`."""
    output = (result.get("usage") or {}).get("output_tokens")
    return Usage(message_id=result.get("uuid"), output_tokens=output) if output else None


def plain(content: Any) -> str:
    """A tool's result as text: a string, or blocks of which some are images."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, list):
        return "\n".join(_plain_block(block) for block in content)
    return json.dumps(content)


def _plain_block(block: Any) -> str:
    if isinstance(block, dict) and isinstance(text := block.get("text"), str):
        return text
    if isinstance(block, dict) and isinstance(kind := block.get("type"), str):
        return f"[{kind}]"
    return json.dumps(block)


def _blocks(content: Any) -> list[Document]:
    if not isinstance(content, list):
        raise TypeError(type(content))
    return content


def _parent(line: Document) -> str | None:
    """Whose sub-agent it is: the stream names the call that made it, a sub-agent's own transcript the sub-agent."""
    if line.get("isSidechain"):
        parent: str | None = line.get("agentId") or line["sessionId"]
        return parent
    return line.get("parent_tool_use_id")


def _time(line: Document) -> datetime | None:
    try:
        at = datetime.fromisoformat(line["timestamp"])
    except (KeyError, TypeError, ValueError):
        return None
    return at if at.tzinfo else None


def _block(block: Document, parent: str | None, at: datetime | None) -> Event:
    match block["type"]:
        case "text":
            return Text(text=block["text"], parent_id=parent)
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            return ToolCall(id=block["id"], name=block["name"], input=block.get("input") or {}, parent_id=parent, at=at)
        case "thinking":
            return Reasoning(text=block["thinking"], parent_id=parent)
        case kind if kind.endswith("tool_result"):
            return _result(block, parent, at)
    return Unrecognized(raw=json.dumps(block))


def _result(block: Document, parent: str | None, at: datetime | None) -> ToolResult:
    return ToolResult(
        id=block["tool_use_id"],
        text=plain(block.get("content")),
        is_error=block.get("is_error") is True,
        parent_id=parent,
        at=at,
    )


def _usage(line: Document, message: Document) -> Usage | None:
    usage = message.get("usage")
    if not usage:
        return None
    read = usage.get("input_tokens") or 0
    unfinished = STREAMED in line and TRANSCRIBED not in line
    written = 0 if unfinished else usage.get("output_tokens") or 0
    cached = usage.get("cache_read_input_tokens") or 0
    kept = usage.get("cache_creation_input_tokens") or 0
    if not (read or written or cached or kept):
        return None
    return Usage(
        message_id=message.get("id"),
        input_tokens=read,
        output_tokens=written,
        cache_read_tokens=cached,
        cache_write_tokens=kept,
    )


def _input(line: Document, block: Document, parent: str | None, at: datetime | None) -> Event:
    match block["type"]:
        case "tool_result":
            return _result(block, parent, at)
        case "text":
            return _told(line, block["text"])
        case "image" | "document" as kind:
            return _told(line, f"[{kind}]")
    return _block(block, parent, at)


def _told(line: Document, text: str) -> Notice:
    if text.startswith("[Request interrupted"):
        return Notice(code="interrupted", text=text.strip("[]"))
    if notification := _notification(text):
        return notification
    if any(line.get(mark) for mark in NOBODYS) or line.get("promptSource") == "system" or text.startswith("<local-"):
        return Notice(code="record", text=text, data={"type": "user"})
    return _prompt(text, line.get("uuid"))


def _prompt(text: str, message_id: str | None) -> Notice:
    if command := _COMMAND.match(text):
        text = " ".join(part for part in command.groups() if part)
    return Notice(code="prompt", text=text, data={"message_id": message_id} if message_id else {})


def _notification(text: str) -> Notice | None:
    """What the CLI tells the agent of a task in the background; the stream has a line of its own for it."""
    if not text.startswith("<task-notification>"):
        return None
    told = {name.replace("-", "_"): value for name, value in _TAG.findall(text)}
    return Notice(code="task_notification", text=told.get("summary") or text, data=told)
