"""What a session's record says of its agent: how much it said, what it used, what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scopecraft_git.events import Event, Finished, Notice, Text, ToolCall, ToolResult, Usage
from scopecraft_git.handlers.tokens import Count
from scopecraft_git.hookspecs import hookimpl
from scopecraft_git.models import Session, ToolUse
from scopecraft_git.protocols import HandlerFactory, HandlerRequest, Verdict

LONGEST_MESSAGE = 16_000
"""Characters of the last message that the record keeps; the events keep all of it."""


class Activity:
    """Counts the agent's own texts, not those of its sub-agents, and everybody's tool calls.

    The cost is what the agent last reported for the whole session.
    A session that continues another keeps the agent's id of that one until the agent has got somewhere under a new
    one: an agent that knows nothing to continue may tell an id, too, and then the old one is what can be tried again.
    """

    name = "activity"

    def __init__(self, _request: HandlerRequest, /) -> None:
        self._messages = 0
        self._last_message: str | None = None
        self._in_pieces = False
        self._uses: dict[str, ToolUse] = {}
        self._unanswered: dict[str, str] = {}
        self._cost: float | None = None
        self._tokens = Count()
        self._errors: dict[str, int] = {}
        self._agent_session: str | None = None
        self._unproven: str | None = None

    def handle(self, session: Session, event: Event) -> Verdict | None:
        match event:
            case Text(parent_id=None) if event.text.strip() or self._in_pieces:
                self._said(event)
            case ToolCall():
                self._called(event)
            case ToolResult(is_error=failed):
                self._answered(event.id, failed=failed)
            case Usage():
                self._tokens.take(event)
            case Finished():
                self._finished(event)
            case Notice(code="record", origin="agent", data={"cost_usd": float() | int() as cost}):
                self._cost = cost
            case Notice(code="session", data={"agent_session_id": str(agent_session)}):
                self._unproven = agent_session
                if session.parent is None:
                    self._agent_session = agent_session
        self._judged(event)
        self._in_pieces = isinstance(event, Text) and event.partial is True
        return None

    def summary(self) -> Mapping[str, Any]:
        return {
            "messages": self._messages,
            "last_message": self._last_message,
            "tools_used": tuple(self._uses.values()),
            "cost_usd": self._cost,
            "tokens": self._tokens.all,
            "errors": dict(self._errors),
            **({"agent_session_id": self._agent_session} if self._agent_session else {}),
        }

    def _said(self, text: Text) -> None:
        """Pieces of one text are one message."""
        goes_on = self._in_pieces and text.partial is True
        whole = (self._last_message or "") + text.text if goes_on else text.text
        self._messages += 0 if goes_on else 1
        self._last_message = whole if len(whole) <= LONGEST_MESSAGE else whole[: LONGEST_MESSAGE - 1] + "…"

    def _judged(self, event: Event) -> None:
        """Errors are the agent's; what our own notices complain about is none of its."""
        ours = isinstance(event, Notice) and event.origin != "agent"
        if isinstance(event, ToolResult | Finished | Notice) and event.severity and not ours:
            self._errors[event.severity] = self._errors.get(event.severity, 0) + 1

    def _finished(self, finished: Finished) -> None:
        if finished.cost_usd is not None:
            self._cost = finished.cost_usd
        if self._unproven and not finished.is_error:
            self._agent_session = self._unproven

    def _called(self, call: ToolCall) -> None:
        """A call that is told twice before its result is one call."""
        if call.id and call.id in self._unanswered:
            return
        self._unanswered[call.id] = call.name
        self._count(call.name, count=1)

    def _answered(self, call_id: str, *, failed: bool) -> None:
        name = self._unanswered.pop(call_id, None)
        if name is not None and failed:
            self._count(name, errors=1)

    def _count(self, name: str, *, count: int = 0, errors: int = 0) -> None:
        before = self._uses.get(name) or ToolUse(name=name)
        self._uses[name] = ToolUse(name=name, count=before.count + count, errors=before.errors + errors)


@hookimpl
def register_monitor_handlers() -> Iterable[HandlerFactory]:
    return [Activity]
