"""Notices that a session has fallen silent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from scopecraft_git.events import Event
from scopecraft_git.hookspecs import hookimpl
from scopecraft_git.models import Session
from scopecraft_git.protocols import Action, Deadline, HandlerFactory, HandlerRequest, Passed, Verdict


class Idle:
    """A session that has said nothing for `idle_minutes` is idle until it speaks; then it can be idle again."""

    name = "idle"

    def __init__(self, request: HandlerRequest, /) -> None:
        self._minutes = request.settings.idle_minutes
        self._action = Action(request.settings.watchdog.idle)

    def handle(self, session: Session, event: Event) -> Verdict | None:  # noqa: ARG002 - silence is no event
        return None

    def summary(self) -> Mapping[str, Any]:
        return {}

    def deadlines(self, session: Session, passed: Passed) -> Iterator[Deadline]:  # noqa: ARG002 - whoever it is
        if self._minutes and "idle" not in passed.silent:
            verdict = Verdict(self._action, f"No output within idle_minutes = {self._minutes:g}")
            yield Deadline("idle", passed.spoke + self._minutes * 60, verdict)


@hookimpl
def register_monitor_handlers() -> Iterable[HandlerFactory]:
    return [Idle]
