"""Carries out what commands ask of a session: what is of one kind one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable

from scopecraft_git import sessions
from scopecraft_git.monitor import STOPPING
from scopecraft_git.protocols import Execution
from scopecraft_git.sessions import INTERRUPT, SEND, Asked
from scopecraft_git.supervisor import ending
from scopecraft_git.supervisor.input import Input
from scopecraft_git.supervisor.log import complain
from scopecraft_git.supervisor.permissions import APPROVE, DENY, Permissions
from scopecraft_git.supervisor.standing import Standing

STOP, PAUSE, RESUME = "stop", "pause", "resume"
GIVEN = (SEND, APPROVE, DENY, INTERRUPT)
"""What is no more than input for the agent."""
CATCHES_UP_WITHIN = 2.0
"""Seconds after which it is more urgent to read what the agent says."""


class Requests:
    """A request stays in the session's mailbox until it is carried out or void; to carry it out twice does no harm."""

    def __init__(
        self, standing: Standing, given: Input, permissions: Permissions, *, resumed: Callable[[], object]
    ) -> None:
        self._standing = standing
        self._input = given
        self._permissions = permissions
        self._resumed = resumed
        self._begun: set[str] = set()
        """Interruptions that this supervisor began."""
        self._heard: dict[str, threading.Thread] = {}
        self._last: dict[Callable[[Execution, Asked], None], threading.Thread] = {}
        self._acts: dict[str, Callable[[Execution, Asked], None]] = {
            STOP: self._stop,
            PAUSE: self._pace,
            RESUME: self._pace,
            SEND: self._send,
            INTERRUPT: self._interrupt,
            APPROVE: self._permissions.answer,
            DENY: self._permissions.answer,
        }

    def ask(self, asked: Asked) -> None:
        """Returns at once. What only a newer version understands stays unanswered."""
        with self._standing.lock:
            if asked.kind not in self._acts or asked.name in self._heard:
                return
            # Nothing waits for what is carried out in another way: a message may have to wait for `resume`.
            act = self._acts[asked.kind]
            thread = threading.Thread(target=self._carry_out, args=(asked, self._last.get(act)), daemon=True)
            self._heard[asked.name] = self._last[act] = thread
            thread.start()

    def catch_up(self) -> None:
        """Give the agent what was asked for while nobody was there, before anything that may come of it is read."""
        for asked in sessions.asked(self._standing.session.id):
            if asked.kind in GIVEN and self._standing.takes_input.is_set():
                self.ask(asked)
                self._heard[asked.name].join(CATCHES_UP_WITHIN)

    def _carry_out(self, asked: Asked, before: threading.Thread | None) -> None:
        if before:
            before.join()
        self._standing.started.wait()
        execution = self._standing.execution
        while execution is not None and not self._standing.over.is_set():
            try:
                self._acts[asked.kind](execution, asked)
                # A stop is answered by the session's end: until then whoever takes over must know of it.
                if asked.kind != STOP and not self._standing.over.is_set():
                    sessions.answered(self._standing.session.id, asked.name)
            except Exception as error:  # an executor of a plugin's may raise anything
                complain(self._standing.session.id, error)
                self._standing.over.wait(ending.TRIES_AGAIN)
            else:
                return

    def _stop(self, _execution: Execution, _asked: Asked) -> None:
        with self._standing.lock:
            if not self._standing.noticed.ending:
                self._standing.note(STOPPING, "Asked to stop")
            self._standing.have_it_leave()

    def _pace(self, execution: Execution, asked: Asked) -> None:
        if asked.kind == PAUSE:
            self._standing.pause(execution)
            return
        self._standing.resume(execution)
        self._permissions.look(execution)
        self._resumed()

    def _send(self, execution: Execution, asked: Asked) -> None:
        self._input.deliver(execution, asked)
        self._input.end_if_done(execution)

    def _interrupt(self, execution: Execution, asked: Asked) -> None:
        name = asked.data["id"]
        if name in self._begun or not self._standing.turn.was_asked(name):
            self._begun.add(name)
            self._standing.interrupt(execution, request=name)
        self._send(execution, asked)  # its predecessor's is seen to by `interrupt_again`
