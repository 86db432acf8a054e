"""The handlers of one session, in their order, and each kept from harming the others or the session."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

from scopecraft_git.console import safe_line
from scopecraft_git.events import Event, Notice, PermissionRequest, Severity, ToolCall
from scopecraft_git.models import Mode, Session, rfc3339
from scopecraft_git.protocols import (
    Action,
    Deadline,
    HandlerFactory,
    HandlerRequest,
    MonitorHandler,
    Passed,
    Timekeeper,
    Verdict,
)

FAILED = "handler_failed"
KEPT = frozenset({"messages", "last_message", "tools_used", "tokens", "errors", "cost_usd", "agent_session_id"})
"""Fields of the record that handlers may keep."""
LONGEST_REASON = 500
POLICY = "policy"
UNJUDGED = Verdict(Action.ASK, "The policy is not at work in this session, so nothing is allowed by it.")

T = TypeVar("T")


class Remark(NamedTuple):
    """What came of showing an event to a handler, and the notice that tells of it."""

    notice: Notice
    verdict: Verdict | None = None
    """None when the handler failed."""

    @property
    def request(self) -> str | None:
        """The id of the request for permission that it is on."""
        return self.notice.data.get("id")


def key(notice: Notice) -> tuple[str, ...]:
    """What makes it the same remark again, also after a restart."""
    return (str(notice.code), str(notice.data.get("handler")), str(notice.data.get("id")))


def hardest(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The one that is done; of several as hard, the first handler's."""
    order = list(Action)
    return max(verdicts, key=lambda verdict: order.index(verdict.action), default=None)


def made(factories: Iterable[HandlerFactory], request: HandlerRequest) -> list[MonitorHandler]:
    """One of each. One that cannot be made fails when it is first shown something."""
    return [_made(factory, request) for factory in factories]


class Handling:
    """One session's handlers. One that fails is left out, which is told once, and stays so.

    While the policy is not among them nothing is allowed by its silence: a human is asked about every call.
    """

    def __init__(self, handlers: Iterable[MonitorHandler], *, agent_asks: bool) -> None:
        """`agent_asks` as in `HandlerRequest`."""
        self._handlers = list(handlers)
        self._agent_asks = agent_asks
        self._timekeepers = [handler for handler in self._handlers if isinstance(handler, Timekeeper)]  # slow to ask
        self._summaries: dict[str, Mapping[str, Any]] = {}
        self._failures: list[Remark] = []

    def show(self, session: Session, event: Event) -> list[Remark]:
        """What they say of an event. Those that fail at it are among the remarks, in their place."""
        remarks = []
        for handler in list(self._handlers):
            verdict = self._isolated(handler, partial(_judged, handler, session, event), None)
            if verdict:
                remarks.append(Remark(_noticed(handler.name, verdict, event), verdict))
            remarks += self.failures()
        if self._wants_the_policy(session, event):
            remarks.append(Remark(_noticed("monitor", UNJUDGED, event), UNJUDGED))
        return remarks

    def _wants_the_policy(self, session: Session, event: Event) -> bool:
        """Whether nobody judges it who should. Beside a human an agent asks them itself."""
        seen = isinstance(event, ToolCall) and not self._agent_asks and session.mode is Mode.AUTONOMOUS
        return (seen or isinstance(event, PermissionRequest)) and all(each.name != POLICY for each in self._handlers)

    def summary(self, session: Session) -> dict[str, Any]:
        """The fields they keep that have changed."""
        changed: dict[str, Any] = {}
        for handler in list(self._handlers):
            kept: Mapping[str, Any] = {}
            changed |= self._isolated(handler, partial(self._summary, session, handler), kept)
        return changed

    def deadlines(self, session: Session, passed: Passed) -> list[Deadline]:
        found: list[Deadline] = []
        for handler in self._timekeepers:
            if handler in self._handlers:
                found += self._isolated(handler, partial(_deadlines, handler, session, passed), [])
        return found

    def failures(self) -> list[Remark]:
        """Those not told of yet; they count as told then."""
        told, self._failures = self._failures, []
        return told

    def leave_out(self, name: str) -> None:
        """It failed before."""
        self._handlers = [handler for handler in self._handlers if handler.name != name]

    def _isolated(self, handler: MonitorHandler, call: Callable[[], T], otherwise: T) -> T:
        try:
            return call()
        except (Exception, SystemExit) as error:  # a plugin may raise anything; it must not stop the monitor
            self._handlers.remove(handler)
            self._failures.append(Remark(_failed(handler.name, error)))
            return otherwise

    def _summary(self, session: Session, handler: MonitorHandler) -> Mapping[str, Any]:
        kept = dict(handler.summary())
        before = self._summaries.get(handler.name)
        if kept == before:
            return {}
        if strange := kept.keys() - KEPT:
            raise ValueError(f"its summary has {', '.join(sorted(strange))}, which is not for handlers to keep")
        checked = Session.model_validate(dict(session) | kept)
        self._summaries[handler.name] = kept
        return {name: getattr(checked, name) for name in kept}


class _Unmade:
    """Stands for a handler that could not be made."""

    def __init__(self, name: str, error: BaseException) -> None:
        self.name = name
        self._error = error

    def handle(self, session: Session, event: Event) -> Verdict | None:  # noqa: ARG002 - whatever it is
        raise self._error

    def summary(self) -> Mapping[str, Any]:
        return {}


def _made(factory: HandlerFactory, request: HandlerRequest) -> MonitorHandler:
    try:
        handler = factory(request)
        if handler.name != factory.name:
            raise ValueError(f"it calls itself {handler.name!r}")
    except (Exception, SystemExit) as error:
        return _Unmade(factory.name, error)
    return handler


def _judged(handler: MonitorHandler, session: Session, event: Event) -> Verdict | None:
    return _checked(handler.handle(session, event))


def _checked(verdict: Any) -> Verdict | None:
    """As it is meant. Raises for what is no verdict."""
    if verdict is None:
        return None
    if not isinstance(verdict, Verdict) or not isinstance(verdict.reason, str):
        raise TypeError(f"{verdict!r} is no verdict")
    if verdict.until is not None and not (isinstance(verdict.until, datetime) and verdict.until.tzinfo):
        raise TypeError(f"until is {verdict.until!r}, which is no time with a time zone")
    action, otherwise = Action(verdict.action), None if verdict.otherwise is None else Action(verdict.otherwise)
    if otherwise in (Action.ASK, Action.PAUSE):
        return Verdict(action, verdict.reason)  # a human decides then, too
    return verdict._replace(action=action, otherwise=otherwise)


def _deadlines(handler: Timekeeper, session: Session, passed: Passed) -> Sequence[Deadline]:
    return [_due(deadline) for deadline in handler.deadlines(session, passed)]


def _due(deadline: object) -> Deadline:
    if not isinstance(deadline, Deadline) or not isinstance(deadline.code, str) or not math.isfinite(deadline.due):
        raise TypeError(f"{deadline!r} is no deadline")
    if verdict := _checked(deadline.verdict):
        return deadline._replace(verdict=verdict)
    raise TypeError(f"the deadline {deadline.code} has no verdict")


def _noticed(handler: str, verdict: Verdict, event: Event) -> Notice:
    data: dict[str, Any] = {"handler": handler}
    if isinstance(event, PermissionRequest):
        data["id"] = event.id
    if verdict.until:
        data["until"] = rfc3339(verdict.until)
    if verdict.otherwise:
        data["otherwise"] = verdict.otherwise
    return Notice(code=verdict.action, text=verdict.reason, data=data)


def _failed(handler: str, error: BaseException) -> Notice:
    said = _said(error)
    text = f"The handler {handler} was left out: {said}"
    return Notice(code=FAILED, text=text, data={"handler": handler, "error": said}, severity=Severity.WARNING)


def _said(error: BaseException) -> str:
    try:
        return safe_line(f"{type(error).__name__}: {error}", LONGEST_REASON)
    except Exception:  # a plugin's exception may fail at saying what it is
        return type(error).__name__
