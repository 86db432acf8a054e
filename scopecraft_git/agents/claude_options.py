"""The options that Claude Code is started with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from scopecraft_git.errors import InvalidSettingError
from scopecraft_git.models import Mode
from scopecraft_git.protocols import AgentRequest

UNATTENDED = (
    "-p",
    "--input-format", "stream-json",
    "--output-format", "stream-json",
    "--verbose",
    "--permission-prompt-tool", "stdio",
    "--replay-user-messages",
)  # fmt: skip
EVERY_CALL_IS_ASKED_FOR: Mapping[str, Any] = {
    "permissions": {"defaultMode": "default", "ask": ["*"]},
    "disableAllHooks": True,
}
"""Seen of 2.1.330: a rule to ask wins over every rule and mode that allows, for sub-agents and MCP tools, too, but not
over the mode `dontAsk`, which a repository's settings may set, nor over a hook for `PermissionRequest`, which answers
in our place.
"""


def options(request: AgentRequest) -> list[str]:
    """Lists come before other options, since they take every word up to the next one."""
    given = list(request.settings.args)
    if request.mode is Mode.DISPATCH:
        return [*_lists(request), *_singles(request), *given]
    last, *_ = [*_taken_settings(given), "{}"]
    return [*UNATTENDED, *_lists(request), "--settings", json.dumps(_joined(last)), *_singles(request), *given]


def _lists(request: AgentRequest) -> Iterator[str]:
    lists = {
        "--allowedTools": request.allowed_tools,
        "--disallowedTools": request.disallowed_tools,
        "--mcp-config": (request.mcp_config,) if request.mcp_config else (),
    }
    for option, values in lists.items():
        if values:
            yield from (option, *values)


def _singles(request: AgentRequest) -> Iterator[str]:
    single = {
        "--model": request.settings.model,
        "--system-prompt": request.system_prompt,
        "--append-system-prompt": request.append_system_prompt,
        "--resume": request.resume,
        "--session-id": None if request.resume else request.agent_session_id,
    }
    for option, value in single.items():
        if value:
            yield from (option, value)


def _taken_settings(given: list[str]) -> Iterator[str]:
    """The values of `--settings`, taken out of `given`, the last one first: of several, the CLI obeys that alone."""
    for place in range(len(given) - 1, -1, -1):
        option, equals, value = given[place].partition("=")
        if option == "--settings" and (equals or place + 1 < len(given)):
            yield value if equals else given.pop(place + 1)
            del given[place]


def _joined(written: str) -> dict[str, Any]:
    """Ours, and the user's of `agents.claude.args`, which may allow hooks but not take a question away."""
    theirs = _document(written)
    permissions = {**_section(theirs, "permissions"), **EVERY_CALL_IS_ASKED_FOR["permissions"]}
    return {**EVERY_CALL_IS_ASKED_FOR, **theirs, "permissions": permissions}


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        reason = "--settings wants JSON there, not a file: unattended sessions have settings of their own to add"
        raise InvalidSettingError("agents.claude.args", "the user's settings", reason)
    return document


def _section(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = document.get(name)
    return section if isinstance(section, dict) else {}
