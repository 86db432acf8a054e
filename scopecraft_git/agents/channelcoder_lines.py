"""Reads what `channelcoder stream --parse` prints: Claude Code's output in chunks, each in a line of JSON."""

from __future__ import annotations

from scopecraft_git.agents import claude_lines, json_lines
from scopecraft_git.agents.json_lines import Document, Readers
from scopecraft_git.events import Event, Finished


def parse(line: bytes) -> list[Event]:
    """A line of Claude's beyond 64 KiB may come in several chunks, whose pieces are `Unrecognized`."""
    return json_lines.parse(line, READERS)


def _content(line: Document) -> list[Event]:
    lines = line["content"].encode(errors="replace").split(b"\n")
    return [event for each in lines for event in claude_lines.parse(each)]


def _error(line: Document) -> list[Event]:
    return [Finished(is_error=True, text=line["content"], subtype="error")]


READERS: Readers = {"content": _content, "error": _error}
