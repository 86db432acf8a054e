"""The supervisor's loop: adopt what runs, start what waits, pass on what was asked."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from scopecraft_git import __version__, config, plugins, session_queue, sessions, worktrees
from scopecraft_git.console import safe_text
from scopecraft_git.errors import ScopecraftError, SessionNotFoundError
from scopecraft_git.models import Mode, Outcome, Session, SessionStatus
from scopecraft_git.repository import Repository
from scopecraft_git.supervisor import clearing, keeper, keeping, log, presence
from scopecraft_git.supervisor.doorbell import FLUSH, WORK, Doorbell, ring
from scopecraft_git.supervisor.follower import Follower
from scopecraft_git.supervisor.log import complain

FLUSH_EVERY = 0.2
"""Seconds between writings of the records that change all the time."""
TICK = 5.0
"""Seconds after which it is seen to that all is in place, and that what failed or what wants memory is tried again."""
LOOKS_AROUND = 30.0
"""Seconds after which every record is read without having been rung for."""
SHORTEST_PAUSE = 1.0
LONGEST_PAUSE = 15.0
"""Seconds before a session that could not be followed is tried again; they double from `SHORTEST_PAUSE`."""
LEAVES_AFTER = 60.0
"""Seconds without anything to follow or to start."""


def main(lock: int) -> None:
    """Supervise until it is time to leave. `lock` is the supervisor's, held since this process began."""
    log.begin()
    try:
        Supervisor(lock).run()
    except Exception as error:
        complain("the supervisor", error)
        os._exit(1)
    # Threads that follow sessions are cut off wherever they are, as a kill would: nothing waits for them.
    os._exit(0)


class Followed(NamedTuple):
    follower: Follower
    over: threading.Event
    """Set when it does nothing any more."""


class Trouble(NamedTuple):
    """A session that could not be followed."""

    times: int
    until: float


class Supervisor:
    def __init__(self, lock: int) -> None:
        self.storage = plugins.storage(config.load().storage)
        self.followed: dict[str, Followed] = {}
        self.troubles: dict[str, Trouble] = {}
        self._lock = lock
        self._doorbell = Doorbell()
        self._told_to_leave = False
        self._failed = False
        """Whether something of the last look around failed."""
        self._is_asked = False
        """Whether something was asked that is not answered."""
        self._published: list[str] | None = None
        self._busy_at = self._looks_at = self._flushed_at = time.monotonic()
        self._flushes_at = math.inf

    # When

    def run(self) -> None:
        """Until it is told to leave, its home is gone, or there has been nothing to do for a while."""
        signal.signal(signal.SIGTERM, self._leave)
        self.attempt(self._doorbell.mend)
        self.look_around()
        keeping.begin()
        self.attempt(self.sweep)
        self.attempt(self.clear_away)
        while True:
            while self.stays():
                self.turn()
            keeper.clear(self._lock)  # from here on its end is meant
            self._doorbell.close()
            if self._told_to_leave or not self.is_at_home():
                self.flush()
                return
            self.look_around()  # somebody rang while it was leaving, and was heard by nobody
            if not self.is_busy():
                return
            keeper.mark(self._lock, os.getpid(), __version__)
            self.attempt(self._doorbell.mend)

    def stays(self) -> bool:
        idle = time.monotonic() - self._busy_at
        return not self._told_to_leave and idle < LEAVES_AFTER and self.is_at_home()

    def is_at_home(self) -> bool:
        return keeper.is_in_place(self._lock, str(presence.lock_file()))

    def turn(self) -> None:
        """Wait until there is something to do, and do it."""
        pause = min(self._looks_at, self._flushes_at) - time.monotonic()
        rung = self._doorbell.wait(max(0.0, min(pause, TICK)))
        if not self.stays():
            return
        if FLUSH in rung:
            self._flushes_at = min(self._flushes_at, self._flushed_at + FLUSH_EVERY)
        if WORK in rung or time.monotonic() >= self._looks_at:
            self.look_around()
        elif not rung or time.monotonic() >= self._flushes_at:
            self.look_after()

    def look_around(self) -> None:
        """All there is to do. A failure is logged and met again next time: other sessions need this process."""
        self._failed = False
        self.look_after()
        for step in (self.start_waiting, self.adopt, self.pass_on_requests, self.publish):
            self.attempt(step)
        now = time.monotonic()
        soon = self._failed or self._is_asked or self._queue().reason
        pause = TICK if soon else LOOKS_AROUND
        due = [trouble.until for trouble in self.troubles.values()]
        self._looks_at = max(now + SHORTEST_PAUSE, min([now + pause, *due]))
        if self.is_busy():
            self._busy_at = now

    def look_after(self) -> None:
        """What is followed already, without reading anything."""
        for step in (self.reap, self.flush, self.publish, self._doorbell.mend):
            self.attempt(step)
        self._flushed_at, self._flushes_at = time.monotonic(), math.inf
        if self.followed:
            self._busy_at = time.monotonic()

    def attempt(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception as error:
            self._failed = True
            complain(f"the supervisor, {step.__name__}", error)

    def is_busy(self) -> bool:
        """Whether it is needed; while something fails it cannot know."""
        queue = self._queue()
        return bool(self._failed or self.followed or self.troubles or (queue.waiting and not queue.held))

    def _queue(self) -> session_queue.Queue:
        try:
            return session_queue.snapshot()
        except ScopecraftError as error:  # of a newer version, whose supervisor is about to replace this one
            self._failed = True
            complain("the queue", error)
            return session_queue.Queue()

    def _leave(self, _signal: int, _frame: object) -> None:
        self._told_to_leave = True
        self._doorbell.rouse()

    # What

    def sweep(self) -> None:
        sessions.sweep(self.storage)

    def clear_away(self) -> None:
        """What a predecessor left of sessions that are over. What cannot go now waits for the next one."""
        for session_id in set(clearing.left()) - set(self.followed):
            try:
                session = self.storage.load(session_id)
            except SessionNotFoundError:
                clearing.done(session_id)
            else:
                if session.status.ended:
                    self.follow(session)

    def adopt(self) -> None:
        """Follow every session that nobody follows: new dispatch sessions, and all that a predecessor left."""
        living = [session for session in self.storage.sessions(active=True) if not self._waits_in_queue(session)]
        self.troubles = {session.id: self.troubles[session.id] for session in living if session.id in self.troubles}
        for session in living:
            due = session.id not in self.troubles or time.monotonic() >= self.troubles[session.id].until
            if due and session.id not in self.followed and not sessions.is_being_made(session.id):
                self.follow(session)

    def reap(self) -> None:
        for session_id, (follower, over) in list(self.followed.items()):
            if over.is_set() or not follower.is_alive():
                del self.followed[session_id]
                if follower.failed:
                    self.postpone(session_id)

    def start_waiting(self) -> None:
        while session := session_queue.take(self.storage):
            self.follow(session)

    def follow(self, session: Session) -> None:
        over = threading.Event()

        def ended() -> None:
            over.set()
            ring(WORK)

        try:
            follower = Follower(
                session, self.storage, changed=lambda: ring(FLUSH), freed=lambda: ring(WORK), ended=ended
            )
        except ScopecraftError as error:  # its request cannot be read, or its agent's plugin is gone
            complain(session.id, error)
            self.give_up(session, error)
        else:
            self.followed[session.id] = Followed(follower, over)
            follower.start()

    def give_up(self, session: Session, error: ScopecraftError) -> None:
        """On a session that never started. One whose agent may be at work is tried again."""
        if session.started_at:
            self.postpone(session.id)
            return
        outcome = Outcome(status=SessionStatus.FAILED, reason=safe_text(error.message))
        sessions.finish(self.storage, session, outcome)
        session_queue.release(session.id)
        worktrees.unlock(Repository(session.repository), session.worktree, session.id)

    def postpone(self, session_id: str) -> None:
        """What failed once mostly fails again: try later, and later each time."""
        now = time.monotonic()
        before = self.troubles.get(session_id)
        times = before.times + 1 if before and now - before.until < LONGEST_PAUSE else 0
        pause = min(LONGEST_PAUSE, SHORTEST_PAUSE * 2**times)
        self.troubles[session_id] = Trouble(times, now + pause)
        self._looks_at = min(self._looks_at, now + pause)

    def pass_on_requests(self) -> None:
        self._is_asked = False
        for session_id, (follower, _) in self.followed.items():
            for request in sessions.asked(session_id):
                self._is_asked = True
                follower.ask(request)

    def publish(self) -> None:
        following = sorted(self.followed)
        if following != self._published:
            presence.publish(following)
            self._published = following

    def flush(self) -> None:
        for session_id, (follower, _) in self.followed.items():
            try:
                follower.save()
            except Exception as error:  # the records of the others are to be kept all the same
                complain(session_id, error)

    def _waits_in_queue(self, session: Session) -> bool:
        return session.status is SessionStatus.QUEUED and session.mode is Mode.AUTONOMOUS
