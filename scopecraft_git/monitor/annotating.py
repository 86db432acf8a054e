"""Adds to events what their agent does not say: whose result it is, how long it took, how bad an error is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from scopecraft_git.events import Event, Finished, Notice, PermissionRequest, Severity, ToolCall, ToolResult
from scopecraft_git.protocols import ErrorKind

HEAD, TAIL = 500, 1500
"""Characters of an error that are looked at: a command tells what went wrong in its first or last lines."""
LONGEST_CALL = 7 * 86_400_000
"""Milliseconds; longer ones are clocks that disagree."""

Judge = Callable[[str], Severity]


def judge(kinds: Iterable[ErrorKind]) -> Judge:
    """How bad an error is by its text: as the first kind says whose pattern is in it, else a warning."""
    table = [(re.compile(kind.pattern, re.IGNORECASE), kind.severity) for kind in kinds]

    def severity(text: str) -> Severity:
        seen = text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"
        return next((severity for pattern, severity in table if pattern.search(seen)), Severity.WARNING)

    return severity


class _Call(NamedTuple):
    tool: str
    at: datetime | None
    seen: datetime | None


class Annotator:
    """One session's. It is shown every event once and in order, those of before a restart as well."""

    def __init__(self, severity: Judge) -> None:
        self._severity = severity
        self._calls: dict[str, _Call] = {}
        self._asked: dict[str, str] = {}
        self._denied: set[str] = set()

    def take(self, event: Event, seen: datetime | None) -> Event:
        """The event with what is known beyond it. `seen`: when it was written, None where nobody saw that."""
        match event:
            case ToolCall():
                self._calls.setdefault(event.id, _Call(event.name, event.at, seen))
            case ToolResult():
                return self._result(event, seen)
            case PermissionRequest(id=request, call_id=str(call)):
                self._asked[request] = call
            case Finished(is_error=True):
                return event.model_copy(update={"severity": self._severity(event.text or event.subtype)})
            case Notice():
                severity = Severity.INFO if event.code == "retry" else event.severity
                return event.model_copy(update={"origin": "agent", "severity": severity})
        return event

    def answered(self, request: str, *, allow: bool) -> None:
        """Somebody's word on a permission that was asked: what is denied by us is no trouble of the agent's."""
        call = self._asked.pop(request, None)
        if call and not allow:
            self._denied.add(call)

    def _result(self, result: ToolResult, seen: datetime | None) -> ToolResult:
        known: dict[str, object] = {}
        if call := self._calls.pop(result.id, None):
            known |= {"tool": call.tool, "duration_ms": _between(call, result.at, seen)}
        if result.is_error:
            denied = result.id in self._denied
            known["severity"] = Severity.WARNING if denied else self._severity(result.text)
        self._denied.discard(result.id)
        return result.model_copy(update=known) if known else result


def _between(call: _Call, at: datetime | None, seen: datetime | None) -> int | None:
    begun, ended = (call.at, at) if call.at and at else (call.seen, seen)
    if begun is None or ended is None:
        return None
    passed = round((ended - begun).total_seconds() * 1000)
    return passed if 0 <= passed < LONGEST_CALL else None
