"""Judges tool calls by the policy: before they are made where the agent asks, else as they are seen.

Of an agent that asks, a call is judged as well that was made without being asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from scopecraft_git import policy
from scopecraft_git.events import Event, PermissionRequest, ToolCall, ToolResult
from scopecraft_git.hookspecs import hookimpl
from scopecraft_git.models import Mode, Session
from scopecraft_git.policy import Ask, Effect, Ruling, Scene
from scopecraft_git.protocols import Action, HandlerFactory, HandlerRequest, Verdict

BEFORE = {Effect.ASK: Action.ASK, Effect.DENY: Action.DENY, Effect.STOP: Action.STOP}
SEEN = {Effect.ASK: Action.PAUSE, Effect.DENY: Action.INTERRUPT, Effect.STOP: Action.STOP}
OTHERWISE = {"allow": None, "deny": Action.DENY, "stop": Action.STOP}


class Policy:
    """Looks at the file for every call, so that a rule counts as soon as it is written.

    What can no longer be read is told once, and the last that could be goes on. Where none ever could, a human is
    asked about everything.
    """

    name = "policy"

    def __init__(self, request: HandlerRequest, /) -> None:
        session = request.session
        self._scene = Scene(session.executor, session.mode, session.agent, request.worktree, session.worktree)
        self._asks = request.agent_asks
        self._source = policy.Source()
        self._told = ""
        self._unasked: dict[str, ToolCall] = {}
        """Calls under way that the agent has not asked about, by their ids."""

    def handle(self, session: Session, event: Event) -> Verdict | None:
        match event:
            case PermissionRequest(tool=tool, input=given):
                self._note_asked(event)
                return self._judge(tool, given, asked=True)
            case ToolCall() if self._asks:
                self._unasked[event.id] = event
            case ToolCall():
                found = self._judge(event.name, event.input, asked=False)
                by_a_human = session.mode is Mode.DISPATCH  # whom the agent itself asks
                return None if found and found.action is Action.PAUSE and by_a_human else found
            case ToolResult():
                call = self._unasked.pop(event.id, None)
                if call and not event.is_error:
                    return self._judge(call.name, call.input, asked=False)
        return None

    def summary(self) -> Mapping[str, Any]:
        return {}

    def _note_asked(self, request: PermissionRequest) -> None:
        """Whatever it then comes to. One that does not say which call it is for is known by what it asks."""
        same = (call.id for call in self._unasked.values() if (call.name, call.input) == (request.tool, request.input))
        self._unasked.pop(request.call_id or next(same, ""), None)

    def _judge(self, tool: str, given: Mapping[str, Any], *, asked: bool) -> Verdict | None:
        known, problem = self._source.now()
        if known is None:
            ruling, ask = Ruling(Effect.ASK, None, problem), Ask()
        else:
            ruling, ask = known.judge(policy.Call(tool, given, self._scene)), known.ask
        if ruling.action is Effect.ALLOW:
            return self._warning(problem)
        if asked:
            return _verdict(ruling, ask)
        return Verdict(SEEN[ruling.action], f"{ruling.reason} It was seen when it may have been done already.")

    def _warning(self, problem: str) -> Verdict | None:
        news, self._told = problem != self._told, problem
        return Verdict(Action.WARN, f"The policy as it was before goes on: {problem}") if problem and news else None


def _verdict(ruling: Ruling, ask: Ask) -> Verdict:
    action = BEFORE[ruling.action]
    if action is not Action.ASK or not ask.timeout_minutes:
        return Verdict(action, ruling.reason)
    until = datetime.now(UTC) + timedelta(minutes=ask.timeout_minutes)
    return Verdict(action, ruling.reason, until, OTHERWISE[ask.answer])


@hookimpl
def register_monitor_handlers() -> Iterable[HandlerFactory]:
    return [Policy]
