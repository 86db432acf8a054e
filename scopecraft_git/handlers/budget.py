"""Sees to it that a session uses up no more than it may: turns, dollars, tokens, minutes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from scopecraft_git.events import Event, Finished, Notice, Reasoning, Text, ToolCall, ToolResult, Usage
from scopecraft_git.handlers.tokens import Count
from scopecraft_git.hookspecs import hookimpl
from scopecraft_git.models import Session
from scopecraft_git.protocols import Action, Deadline, HandlerFactory, HandlerRequest, Passed, Verdict


class Limit(NamedTuple):
    name: str
    most: float
    unit: str


class Turns:
    """Answers of the model, those to sub-agents aside.

    By the ids of their messages where the agent tells them; else a turn begins with the first that it says after a
    tool's result, or after its last turn was over.
    """

    def __init__(self) -> None:
        self._begun = 0
        self._messages = 0
        self._latest: str | None = None
        self._under_way = False
        self._in_message = False

    @property
    def count(self) -> int:
        return self._messages or self._begun

    def take(self, event: Event) -> bool:
        """Whether the agent is at work with that. Tokens that are told in the end are not of a message then."""
        match event:
            case Text() | Reasoning() | ToolCall():
                self._in_message = event.parent_id is None
                if self._in_message and not self._under_way:
                    self._under_way = True
                    self._begun += 1
                return True
            case Usage(message_id=str(message)) if self._in_message:
                self._in_message = False
                self._messages += message != self._latest
                self._latest = message
                return True
            case ToolResult(parent_id=None) | Finished():
                self._in_message = self._under_way = False
        return False


class Budget:
    """Warns once when most of a limit is used, and acts once when it is exceeded: who then goes on has decided to.

    What is exceeded when the agent reports that it is done stops nobody, unless it goes on. Dollars are known when it
    reports them.
    """

    name = "budget"

    def __init__(self, request: HandlerRequest, /) -> None:
        self._settings = budget = request.settings.budget
        limits = (
            Limit("turns", budget.turns, "turns"),
            Limit("usd", budget.usd, "dollars"),
            Limit("tokens", budget.tokens, "tokens"),
        )
        self._limits = [limit for limit in limits if limit.most]
        self._turns = Turns()
        self._tokens = Count()
        self._cost = 0.0
        self._warned: set[str] = set()
        self._acted: set[str] = set()

    def handle(self, session: Session, event: Event) -> Verdict | None:  # noqa: ARG002 - all it needs is in the events
        works = self._turns.take(event)
        match event:
            case Usage():
                self._tokens.take(event)
            case Finished(cost_usd=float() as cost):
                self._cost = cost
            case Notice(code="record", origin="agent", data={"cost_usd": float() | int() as cost}):
                self._cost = cost
        return self._verdict(works=works)

    def summary(self) -> Mapping[str, Any]:
        return {}

    def deadlines(self, session: Session, passed: Passed) -> Iterator[Deadline]:  # noqa: ARG002 - the same at any time
        minutes, warn_at = self._settings.minutes, self._settings.warn_at
        if not minutes:
            return
        if 0 < warn_at < 1:
            text = f"It has worked for {minutes * warn_at:g} of {minutes:g} minutes (budget.minutes)"
            yield Deadline("budget_minutes_soon", minutes * 60 * warn_at, Verdict(Action.WARN, text))
        action = Action(self._settings.action)
        yield Deadline("budget_minutes", minutes * 60, Verdict(action, f"budget.minutes = {minutes:g} is used up"))

    def _verdict(self, *, works: bool) -> Verdict | None:
        used = {"turns": self._turns.count, "usd": self._cost, "tokens": self._used_tokens()}
        for name, most, _ in self._limits:
            if works and used[name] > most and name not in self._acted:
                self._acted.add(name)
                return Verdict(
                    Action(self._settings.action), f"budget.{name} = {most:g} is used up: it is at {used[name]:g}"
                )
        for name, most, unit in self._limits:
            share = self._settings.warn_at or 1
            if used[name] >= most * share and name not in self._warned | self._acted:
                self._warned.add(name)
                return Verdict(Action.WARN, f"It has used {used[name]:g} of {most:g} {unit} (budget.{name})")
        return None

    def _used_tokens(self) -> int:
        told = self._tokens.all
        return told.input + told.output + told.cache_write if told else 0


@hookimpl
def register_monitor_handlers() -> Iterable[HandlerFactory]:
    return [Budget]
