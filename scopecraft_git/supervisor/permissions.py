"""Answers what an agent asks before it calls a tool: by the handlers' verdicts, a human's word, or when time is up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from scopecraft_git import plugins, sessions
from scopecraft_git.events import PermissionRequest
from scopecraft_git.monitor import ANSWERED
from scopecraft_git.protocols import Action, Execution, Verdict
from scopecraft_git.sessions import Asked
from scopecraft_git.supervisor import ending
from scopecraft_git.supervisor.clock import Alarm
from scopecraft_git.supervisor.input import Input
from scopecraft_git.supervisor.log import complain
from scopecraft_git.supervisor.standing import Standing

APPROVE, DENY = "approve", "deny"
REFUSALS = (Action.DENY, Action.PAUSE, Action.INTERRUPT, Action.STOP)
LOOKS_AT_THE_TIME = 30.0
"""Seconds, at most, between looks at a clock that may be set or, with the machine, have slept."""
ALLOWED = Verdict(Action.WARN, "")


class Permissions:
    """To each request one answer, noted when it was given. One that may not have been heard is given again."""

    def __init__(self, standing: Standing, given: Input) -> None:
        self._standing = standing
        self._input = given
        self._agent = plugins.agent(standing.session.agent)
        self._alarm = Alarm(self._ring)

    def end(self) -> None:
        self._alarm.turn_off()

    def look(self, execution: Execution) -> None:
        """Answer all that nobody's word is waited for. Cheap when nothing is asked."""
        standing = self._standing
        with standing.floor:
            if standing.noticed.paused or not standing.monitor.unanswered:
                return
            for request in list(standing.monitor.unanswered.values()):
                self._judge(execution, request, standing.monitor.judged.get(request.id, ALLOWED))
            self._wait_for_a_word()
            standing.settle()
            self._input.end_if_done(execution)

    def withdraw(self) -> None:
        """The agent's turn was ended while it asked: it has no use for answers."""
        with self._standing.floor:
            for request in list(self._standing.monitor.unanswered.values()):
                self._note(request, allow=False, by="agent", text=f"Withdrawn: {request.tool}")

    def answer(self, execution: Execution, asked: Asked) -> None:
        """A human's word. Void when nothing of that name waits for it any more."""
        standing = self._standing
        standing.takes_input.wait()
        with standing.floor:
            request = standing.monitor.unanswered.get(asked.data["id"])
            if request is not None and not standing.over.is_set():
                message = asked.data.get("message", "")
                self._say(execution, request, allow=asked.kind == APPROVE, by="human", message=message)
                self.look(execution)
                standing.settle()

    def _judge(self, execution: Execution, request: PermissionRequest, verdict: Verdict) -> None:
        if verdict.action is Action.ASK:
            if self._is_time_up(request.id):
                otherwise = verdict.otherwise or Action.WARN
                self._follow(execution, request, Verdict(otherwise, "Nobody answered in time"), "timeout")
        elif verdict.action is Action.PAUSE and not self._standing.noticed.ending:
            self._standing.carry_out(verdict)  # whoever resumes it agrees to the call
        else:
            self._follow(execution, request, verdict, "policy")

    def _follow(self, execution: Execution, request: PermissionRequest, verdict: Verdict, by: str) -> None:
        refused = verdict.action in REFUSALS
        if verdict.action is Action.STOP:
            self._standing.carry_out(verdict)
        message = verdict.reason if refused or by == "timeout" else ""
        self._say(execution, request, allow=not refused, by=by, message=message)
        if verdict.action is Action.INTERRUPT:
            self._standing.carry_out(verdict)

    def _say(self, execution: Execution, request: PermissionRequest, *, allow: bool, by: str, message: str) -> None:
        answer = self._agent.answer(request, allow=allow, message=message)
        while not self._standing.over.is_set() and self._input.send(execution, answer):
            continue
        text = f"{'Allowed' if allow else 'Denied'} {request.tool}"
        self._note(request, allow=allow, by=by, text=text, **({"message": message} if message else {}))

    def _note(self, request: PermissionRequest, *, allow: bool, by: str, text: str, **data: Any) -> None:
        self._standing.note(ANSWERED, text, id=request.id, allow=allow, by=by, **data)

    # Time

    def _is_time_up(self, request_id: str) -> bool:
        """And nobody has given an answer that is not carried out yet."""
        due = [each.until for each in self._standing.monitor.approvals if each.id == request_id and each.until]
        if not due or due[0] > datetime.now(UTC):
            return False
        asked = sessions.asked(self._standing.session.id)
        return all(each.kind not in (APPROVE, DENY) or each.data.get("id") != request_id for each in asked)

    def _wait_for_a_word(self) -> None:
        if due := [approval.until for approval in self._standing.monitor.approvals if approval.until]:
            left = (min(due) - datetime.now(UTC)).total_seconds()
            self._alarm.set(min(max(left, 0.1), LOOKS_AT_THE_TIME))

    def _ring(self) -> None:
        execution = self._standing.execution
        if execution is None or self._standing.over.is_set():
            return
        try:
            self.look(execution)
        except Exception as error:  # an executor of a plugin's may raise anything
            complain(self._standing.session.id, error)
            self._alarm.set(ending.TRIES_AGAIN)
