"""Carries out what commands ask of a session, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable

from scopecraft_git import sessions
from scopecraft_git.monitor import STOPPING
from scopecraft_git.protocols import Execution
from scopecraft_git.sessions import Asked
from scopecraft_git.supervisor.log import complain
from scopecraft_git.supervisor.standing import Standing

STOP, PAUSE, RESUME = "stop", "pause", "resume"


class Requests:
    """A request stays in the session's mailbox until it is carried out or void; to carry it out twice does no harm."""

    def __init__(self, standing: Standing, *, resumed: Callable[[], object]) -> None:
        self._standing = standing
        self._resumed = resumed
        self._heard: dict[str, threading.Thread] = {}
        self._acts: dict[str, Callable[[Execution], None]] = {
            STOP: self._stop,
            PAUSE: self._pause,
            RESUME: self._resume,
        }

    def ask(self, asked: Asked) -> None:
        """Returns at once. What only a newer version understands stays unanswered."""
        with self._standing.lock:
            if asked.kind not in self._acts or asked.name in self._heard:
                return
            # Whoever wants it stopped does not wait for anything else.
            before = list(self._heard.values())[-1:] if asked.kind != STOP else []
            thread = threading.Thread(target=self._carry_out, args=(asked, before), daemon=True)
            self._heard[asked.name] = thread
            thread.start()

    def _carry_out(self, asked: Asked, before: list[threading.Thread]) -> None:
        for thread in before:
            thread.join()
        self._standing.started.wait()
        execution = self._standing.execution
        if execution is None or self._standing.over.is_set():
            return
        try:
            self._acts[asked.kind](execution)
            if asked.kind != STOP:  # which the session's end answers: until then whoever takes over must know of it
                sessions.answered(self._standing.session.id, asked.name)
        except Exception as error:  # an executor of a plugin's may raise anything; it is asked again
            complain(self._standing.session.id, error)
            with self._standing.lock:
                del self._heard[asked.name]

    def _stop(self, _execution: Execution) -> None:
        with self._standing.lock:
            if not self._standing.noticed.ending:
                self._standing.note(STOPPING, "Asked to stop")
            self._standing.have_it_leave()

    def _pause(self, execution: Execution) -> None:
        self._standing.pause(execution)

    def _resume(self, execution: Execution) -> None:
        with self._standing.lock:
            if self._standing.noticed.paused:
                self._standing.note("resumed", "Resumed")  # before anything that comes of it
            self._standing.settle()
        execution.resume()
        self._resumed()
