"""Follows one session, from its start to its end, in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from signal import Signals
from typing import Any

from scopecraft_git import plugins, session_queue, sessions, worktrees
from scopecraft_git.console import safe_text
from scopecraft_git.errors import ScopecraftError
from scopecraft_git.events import Event, Finished, PermissionRequest, ToolResult
from scopecraft_git.models import Mode, Outcome, Session, SessionStatus
from scopecraft_git.monitor import ANSWERED, Monitor
from scopecraft_git.protocols import Action, Execution, Exit, Storage, Verdict
from scopecraft_git.repository import Repository
from scopecraft_git.supervisor.log import complain

GRACES = ((Signals.SIGINT, 10.0), (Signals.SIGTERM, 5.0), (Signals.SIGKILL, 10.0))
"""How a session is stopped, with the seconds each signal is given. An interrupted agent still says how it went."""
GRACE_AFTER_RESULT = 30.0
SAVE_EVERY = 0.2
IMPORT_EVERY = 1.0
STDERR_TAIL = 4096


class Follower:
    """`changed` is called when the record awaits a `save`, `ended` when the session is over."""

    def __init__(
        self, session: Session, storage: Storage, *, changed: Callable[[], object], ended: Callable[[], object]
    ) -> None:
        self.id = session.id
        self.failed = False
        """Whether it stopped following for a reason other than the session's end."""
        self._thread = threading.Thread(target=self._run, name=session.id, daemon=True)
        self._storage = storage
        self._changed, self._ended = changed, ended
        self._agent = plugins.agent(session.agent)
        self._monitor = Monitor(session, storage, self._agent, plugins.handlers())
        self._request = sessions.request(session)
        self._execution: Execution | None = None
        self._started = threading.Event()
        self._stopping = False
        self._ended_by_us = False
        self._lock = threading.RLock()
        self._saved = session
        self._saved_at = self._imported_at = 0.0

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Have the session end. Returns at once; idempotent."""
        if not self._stopping:
            self._stopping = True
            threading.Thread(target=self._stop, name=f"{self.id}-stop", daemon=True).start()

    def save(self) -> None:
        """Write the record if it changed since it was last written."""
        with self._lock:
            session = self._monitor.session
            if session != self._saved:
                self._storage.save(session)
                self._saved = session
            self._saved_at = time.monotonic()

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:  # one session's trouble must not become the others'
            complain(self.id, error)
            self._could_not(error)
        finally:
            self._started.set()
            self._ended()

    def _follow(self) -> None:
        offset = self._monitor.take_up()
        execution = self._begin()
        if execution is None:
            self._end(self._outcome(Exit(-1, "nothing of it is left where it ran", lost=True)))
            return
        self._execution = execution
        self._started.set()
        self._deliver_prompt(execution)
        self._answer(execution, list(self._monitor.unanswered.values()))
        for chunk in execution.stream(offset):
            self._digest(execution, *self._monitor.feed(chunk))
        self._digest(execution, *self._monitor.end())
        ended = execution.wait()
        home = self._import(execution)
        self._end(self._outcome(ended or Exit(-1, "its output ended and nothing tells why", lost=True)))
        if home:
            execution.release()

    def _begin(self) -> Execution | None:
        """The session's execution, found or started; None when it ran before and is gone."""
        executor = plugins.executor(self._monitor.session.executor)
        execution = executor.find(self._request)
        if execution is None:
            if self._monitor.session.started_at:
                return None
            self._become(SessionStatus.STARTING)
            repository = Repository(self._request.repository)
            tree = worktrees.at(repository, self._request.worktree)
            worktrees.guard(repository, tree, self._request.settings.worktree)
            execution = executor.start(self._request)
        if not self._monitor.session.started_at:
            self._become(SessionStatus.RUNNING, started_at=datetime.now(UTC))
            where = f"{self._request.agent} on {executor.name}"
            self._monitor.notice("started", f"Started {where}", executor=executor.name, agent=self._request.agent)
        return execution

    def _deliver_prompt(self, execution: Execution) -> None:
        session = self._monitor.session
        if session.prompt_delivered:
            return
        if prompt := sessions.prompt(session):
            self._send_when_ready(execution, self._agent.message(prompt, session.mode))
        if session.mode is Mode.AUTONOMOUS and not self._agent.keeps_input:
            execution.close_input()
        self._monitor.change(prompt_delivered=True)
        self.save()

    def _send_when_ready(self, execution: Execution, data: bytes) -> None:
        """A dialog of the agent's may want a human first; the session waits for them, however long it takes."""
        while True:
            try:
                self._send(execution, data)
            except TimeoutError as error:
                if self._monitor.session.status is not SessionStatus.WAITING:
                    self._become(SessionStatus.WAITING)
                    self._monitor.notice("waiting", str(error))
            else:
                break
        if self._monitor.session.status is SessionStatus.WAITING:
            self._become(SessionStatus.RUNNING)

    def _digest(self, execution: Execution, events: Sequence[Event], verdicts: Sequence[Verdict]) -> None:
        """What output means for the session."""
        self._answer(execution, [event for event in events if isinstance(event, PermissionRequest)])
        if any(isinstance(event, Finished) for event in events):
            self._after_result(execution)
        committed = any(isinstance(event, ToolResult) for event in events)
        if committed and time.monotonic() - self._imported_at > IMPORT_EVERY:
            self._import(execution)
        for verdict in verdicts:
            self._monitor.notice(verdict.action, verdict.reason)
            if verdict.action is Action.STOP:
                self.stop()
        if time.monotonic() - self._saved_at > SAVE_EVERY:
            self.save()
        else:
            self._changed()

    def _answer(self, execution: Execution, requests: Sequence[PermissionRequest]) -> None:
        """Allow what is asked, and record it."""
        for request in requests:
            self._send(execution, self._agent.answer(request, allow=True))
            self._monitor.notice(ANSWERED, f"Allowed {request.tool}", id=request.id, allow=True)

    def _after_result(self, execution: Execution) -> None:
        """The agent says it is done: it leaves when its input ends, and is made to if it does not."""
        if self._monitor.session.mode is Mode.AUTONOMOUS and self._agent.keeps_input:
            execution.close_input()
            timer = threading.Timer(GRACE_AFTER_RESULT, self._end_lingering)
            timer.daemon = True
            timer.start()

    def _end_lingering(self) -> None:
        if self._execution and self._execution.poll() is None:
            self._ended_by_us = True
            self._monitor.notice("lingering", f"It was done but did not leave within {GRACE_AFTER_RESULT:.0f} s")
            self._terminate(self._execution)

    def _stop(self) -> None:
        self._started.wait()
        if self._execution:
            self._monitor.notice("stopping", "Asked to stop")
            self._terminate(self._execution)

    def _terminate(self, execution: Execution) -> None:
        for signal, grace in GRACES:
            execution.terminate(signal)
            if execution.wait(grace):
                return

    def _import(self, execution: Execution) -> bool:
        """Bring commits home; whether everything is. What could not come is reported and stays where it is."""
        self._imported_at = time.monotonic()
        try:
            arrived = execution.import_commits()
        except ScopecraftError as error:
            self._monitor.notice("import_failed", error.message, hint=error.hint)
            return False
        branch = f"refs/heads/{self._request.branch}"
        for ref, commit, note in arrived:
            text = f"{ref} is at {commit[:10]}" + (f": {note}" if note else "")
            self._monitor.notice("imported", text, ref=ref, commit=commit, note=note)
            if ref == branch:
                self._monitor.change(imported_commit=commit)
        return True

    def _end(self, outcome: Outcome) -> None:
        """State first: the record, then the slot, then the worktree's lock."""
        self._monitor.notice("ended", outcome.reason, status=outcome.status, exit_code=outcome.exit_code)
        with self._lock:
            self.save()
            session = sessions.finish(self._storage, self._monitor.session, outcome)
            self._saved = self._monitor.change(**dict(session))
        session_queue.release(session.id)
        worktrees.unlock(Repository(self._request.repository), self._request.worktree, session.id)
        for asked in sessions.asked(session.id):
            sessions.answered(session.id, asked.name)

    def _outcome(self, ended: Exit) -> Outcome:
        finished = self._monitor.finished
        done = finished is not None and not finished.is_error
        status, reason = SessionStatus.FAILED, f"The agent exited with {ended.code}"
        if self._stopping:
            status, reason = SessionStatus.CANCELLED, "Stopped on request"
        elif ended.lost:
            status, reason = SessionStatus.LOST, f"Nobody saw it end: {ended.reason}"
        elif finished and finished.is_error:
            reason = f"The agent reports an error: {finished.text or finished.subtype}"
        elif ended.code == 0 or (done and self._ended_by_us):
            status, reason = SessionStatus.COMPLETED, "The agent is done"
        elif ended.reason:
            reason += f": {ended.reason}"
        code = None if ended.lost else ended.code
        return Outcome(status=status, reason=safe_text(reason), exit_code=code, stderr=self._stderr_tail())

    def _stderr_tail(self) -> str:
        try:
            written = (self._request.directory / "stderr.log").read_bytes()
        except FileNotFoundError:
            return ""
        lines = safe_text(written[-STDERR_TAIL:].decode(errors="replace")).splitlines()
        return "\n".join(lines[-20:])

    def _could_not(self, error: Exception) -> None:
        """A session that never started has failed. One that runs goes on, and is taken up again by the loop."""
        self.failed = True
        message = error.message if isinstance(error, ScopecraftError) else repr(error)
        with contextlib.suppress(ScopecraftError, OSError):
            if self._execution is not None or self._monitor.session.started_at:
                self._monitor.notice("not_followed", f"Not followed for now: {message}")
                return
            status = SessionStatus.CANCELLED if self._stopping else SessionStatus.FAILED
            self._monitor.notice("start_failed", message, hint=getattr(error, "hint", ""))
            self._end(Outcome(status=status, reason=safe_text(message), stderr=self._stderr_tail()))
            self.failed = False

    def _send(self, execution: Execution, data: bytes) -> None:
        try:
            execution.send(data)
        except BrokenPipeError as error:
            self._monitor.notice("input_refused", str(error))

    def _become(self, status: SessionStatus, **changes: Any) -> None:
        with self._lock:
            self.save()  # the transition keeps what the record on disk says
            if self._monitor.session.status is not status or changes:
                sessions.transition(self._storage, self._monitor.session, status, **changes)
                self._saved = self._monitor.change(status=status, **changes)
