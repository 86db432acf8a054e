"""Follows one session, from its start to its end, in a thread of its own.

What it knows of the session's past it knows from the stored events, the record and the requests on disk. So it may be
killed between any two steps, and the next one repeats the step that was not noted, which does no harm.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from scopecraft_git import plugins, session_queue, sessions, worktrees
from scopecraft_git.errors import HomeFullError, HomeNotWritableError, ScopecraftError
from scopecraft_git.events import Finished, ToolResult
from scopecraft_git.models import MessageState, Mode, Outcome, Session, SessionStatus
from scopecraft_git.monitor import Digest, Monitor, made
from scopecraft_git.protocols import (
    Action,
    Execution,
    Executor,
    Exit,
    HandlerRequest,
    MonitorHandler,
    Storage,
    Verdict,
)
from scopecraft_git.repository import Repository
from scopecraft_git.sessions import Asked
from scopecraft_git.supervisor import clearing, ending
from scopecraft_git.supervisor.commits import Commits
from scopecraft_git.supervisor.input import Input
from scopecraft_git.supervisor.log import complain
from scopecraft_git.supervisor.permissions import Permissions
from scopecraft_git.supervisor.requests import STOP, Requests
from scopecraft_git.supervisor.standing import Standing
from scopecraft_git.supervisor.watchdogs import Watch

SAVE_EVERY = 0.2
COMMAND = "command"
"""Something in the background that need not end, such as a server: an agent that is done waits for it in vain."""
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


class Follower:
    """`changed` is called when the record awaits a `save`, `freed` when the session's slot is another's, and `ended`
    when all is cleared away.
    """

    def __init__(
        self,
        session: Session,
        storage: Storage,
        *,
        changed: Callable[[], object],
        freed: Callable[[], object],
        ended: Callable[[], object],
    ) -> None:
        self.id = session.id
        self.failed = False
        """Whether it stopped following for a reason other than the session's end."""
        self._thread = threading.Thread(target=self._run, name=session.id, daemon=True)
        self._changed, self._freed, self._ended = changed, freed, ended
        self._agent = plugins.agent(session.agent)
        self._request = sessions.request(session)
        self._monitor = Monitor(session, storage, self._agent, self._handlers(session))
        self._standing = Standing(session, storage, self._monitor)
        self._watch = Watch(self._standing, self._request.settings)
        self._input = Input(self._standing)
        self._permissions = Permissions(self._standing, self._input)
        self._requests = Requests(self._standing, self._input, self._permissions, resumed=self._watch.set)
        self._commits = Commits(self._monitor, self._request.branch)
        self._taken_up = False

    def _handlers(self, session: Session) -> list[MonitorHandler]:
        seen_at = plugins.executor(session.executor).worktree_seen_at
        asks = self._agent.asks and session.mode is Mode.AUTONOMOUS
        request = HandlerRequest(session, self._request.settings, seen_at or session.worktree, asks)
        return made(plugins.handlers(), request)

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def ask(self, asked: Asked) -> None:
        """Carry out what was asked, and answer it then. Returns at once; to be repeated while it is unanswered."""
        self._requests.ask(asked)

    def save(self) -> None:
        """Write the record if it changed since it was last written."""
        self._standing.save()

    # From start to end

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:  # one session's trouble must not become the others'
            complain(self.id, error)
            self._could_not(error)
        finally:
            with self._standing.lock:
                self._standing.over.set()
            self._watch.end()
            self._permissions.end()
            self._standing.started.set()
            self._standing.takes_input.set()
            self._ended()

    def _follow(self) -> None:
        offset = self._monitor.take_up()
        self._taken_up = True
        executor = plugins.executor(self._monitor.session.executor)
        if outcome := self._ended_before():
            self._end(outcome)
            self._clear_away(executor)
            return
        execution = self._begin(executor)
        if isinstance(execution, Outcome):
            self._end(execution)
            return
        self._carry_on(execution)
        self._read(execution, offset)
        ended = execution.wait() or Exit(-1, "its output ended and nothing tells why", lost=True)
        home = self._commits.bring_home(execution, ended=True)
        clearing.begin(self.id)
        self._end(self._outcome(ended))
        if home:
            self._let_go(execution)

    def _ended_before(self) -> Outcome | None:
        """How the session ended, when that is noted and its record does not know it yet."""
        latest, folder = self._monitor.noticed.latest, self._request.directory
        if "ended" in latest:
            return ending.noticed_before(latest["ended"], folder)
        if "start_failed" in latest:
            return ending.never_started(SessionStatus.FAILED, latest["start_failed"].text, folder)
        return None

    def _outcome(self, ended: Exit) -> Outcome:
        standing = self._standing
        return ending.outcome(
            self._monitor, ended, self._request.directory, standing.turn if standing.is_unattended else None
        )

    def _begin(self, executor: Executor) -> Execution | Outcome:
        """The session's execution, found or started; or how it ended, when there is none any more."""
        execution = executor.find(self._request)
        if execution is None:
            if self._standing.has_started:
                lost = Exit(-1, "nothing of it is left where it ran", lost=True)
                return self._outcome(lost)
            if any(asked.kind == STOP for asked in sessions.asked(self.id)):
                return ending.never_started(SessionStatus.CANCELLED, "Stopped on request", self._request.directory)
            self._standing.become(SessionStatus.STARTING)
            repository = Repository(self._request.repository)
            tree = worktrees.at(repository, self._request.worktree)
            worktrees.guard(repository, tree, self._request.settings.worktree)
            execution = executor.start(self._request)
        where = f"{self._request.agent} on {executor.name}"
        names = {"executor": executor.name, "agent": self._request.agent}
        self._monitor.notice_once("started", f"Started {where}", **names)
        return execution

    def _carry_on(self, execution: Execution) -> None:
        """What is to be done before output is read, be the execution new or found again."""
        standing = self._standing
        standing.execution = execution
        if not standing.session.started_at:
            given = standing.session.mode is Mode.AUTONOMOUS  # the prompt, with the start
            standing.settle(started_at=datetime.now(UTC), prompt_delivered=given)
        standing.settle()
        standing.started.set()
        if standing.noticed.ending:
            standing.have_it_leave()
        elif (wanted := standing.noticed.wanted) and wanted.data.get("id") not in self._monitor.unanswered:
            standing.carry_out(Verdict(Action(wanted.data.get("action", wanted.code)), wanted.text))
        if standing.session.mode is Mode.DISPATCH and not standing.session.prompt_delivered:
            self._input.give_prompt(execution)
        standing.open_input()
        self._requests.catch_up()
        if self._monitor.done:
            self._after_result(execution)
        self._watch.begin()

    def _read(self, execution: Execution, offset: int) -> None:
        known = self._output_before()
        caught_up = False
        for chunk in itertools.chain([b""], execution.stream(offset)):
            offset += len(chunk)
            self._take(execution, self._monitor.feed(chunk))
            if chunk and offset > known:
                self._hear()
            if offset >= known and not caught_up:
                caught_up = True
                self._standing.interrupt_again(execution)
        self._take(execution, self._monitor.end())

    def _take(self, execution: Execution, digests: Iterator[Digest]) -> None:
        with self._standing.floor:
            for digest in digests:
                self._react(execution, digest)

    def _output_before(self) -> int:
        """How much output is no news. What of it nobody read yet makes events, and is."""
        try:
            return (self._request.directory / "stream.log").stat().st_size
        except FileNotFoundError:
            return 0

    def _end(self, outcome: Outcome) -> None:
        """State first: the record, then the slot, then the worktree's lock."""
        self._watch.end()
        self._input.refuse_rest()
        self._standing.finish(outcome)
        session_queue.release(self.id)
        self._freed()
        worktrees.unlock(Repository(self._request.repository), self._request.worktree, self.id)
        for asked in sessions.asked(self.id):
            if not sessions.message(asked, MessageState.REFUSED):  # which tells by itself that it came too late
                sessions.answered(self.id, asked.name)

    def _clear_away(self, executor: Executor) -> None:
        """What is left where the session ran, once its end is on record."""
        execution = executor.find(self._request)
        if execution is None:
            clearing.done(self.id)
        elif self._commits.bring_home(execution, ended=True):
            self._let_go(execution)

    def _let_go(self, execution: Execution) -> None:
        execution.release()
        clearing.done(self.id)

    def _could_not(self, error: Exception) -> None:
        """A session that never started has failed. Any other goes on, and is taken up again by the loop."""
        if self._monitor.session.status.ended:
            return
        self.failed = True
        message = error.message if isinstance(error, ScopecraftError) else repr(error)
        may_start_later = not self._taken_up or _is_for_want_of_space(error)
        with contextlib.suppress(ScopecraftError, OSError):  # met again by the next follower
            if self._standing.has_started or may_start_later:
                notice = self._taken_up and self._standing.has_started and "ended" not in self._monitor.noticed
                self._standing.tell_trouble(message, notice=notice)
                return
            self._monitor.notice_once("start_failed", message, hint=getattr(error, "hint", ""))
            self._end(ending.never_started(SessionStatus.FAILED, message, self._request.directory))
            self.failed = False

    # Output, and what it means

    def _react(self, execution: Execution, digest: Digest) -> None:
        self._permissions.look(execution)
        if any(isinstance(event, Finished) for event in digest.events):
            self._after_result(execution)
        if any(isinstance(event, ToolResult) for event in digest.events):
            self._commits.bring_some(execution)
        if digest.verdicts:
            self._standing.carry_out(max(digest.verdicts, key=lambda verdict: list(Action).index(verdict.action)))
        if digest.events:
            self._hear()
        if time.monotonic() - self._standing.saved_at > SAVE_EVERY:
            self.save()
        else:
            self._changed()

    def _hear(self) -> None:
        self._standing.hear()
        self._watch.set()

    def _after_result(self, execution: Execution) -> None:
        """The agent says it is done: it leaves when its input ends, and is made to if it does not."""
        if self._monitor.finished and self._monitor.finished.is_error:
            self._permissions.withdraw()
        self._input.end_if_done(execution)
        if self._standing.clock.done is None and self._monitor.background <= {COMMAND}:
            self._standing.clock.done = self._standing.clock.now


def _is_for_want_of_space(error: Exception) -> bool:
    kinds = (HomeFullError, HomeNotWritableError)
    return isinstance(error, kinds) or (isinstance(error, OSError) and error.errno in _NO_SPACE)
