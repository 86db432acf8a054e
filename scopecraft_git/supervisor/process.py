"""The supervisor's loop: adopt what runs, start what waits, pass on what was asked."""

from __future__ import annotations

import time
from typing import NamedTuple

from scopecraft_git import config, paths, plugins, session_queue, sessions, worktrees
from scopecraft_git.console import safe_text
from scopecraft_git.errors import ScopecraftError
from scopecraft_git.models import Mode, Outcome, Session, SessionStatus
from scopecraft_git.repository import Repository
from scopecraft_git.supervisor.doorbell import FLUSH, WORK, Doorbell, ring, sole_supervisor
from scopecraft_git.supervisor.follower import Follower
from scopecraft_git.supervisor.log import complain

LOOKS_AGAIN = 5.0
"""Seconds after which the loop looks around without having been rung for."""
LONGEST_PAUSE = 300.0
"""Seconds, at most, before a session that could not be followed is tried again; they double from `LOOKS_AGAIN`."""
LEAVES_AFTER = 60.0
"""Seconds without anything to follow or to start."""


def main() -> None:
    paths.ensure_home()
    with sole_supervisor() as sole:
        if sole:
            Supervisor().run()


class Trouble(NamedTuple):
    """A session that could not be followed."""

    times: int
    until: float


class Supervisor:
    def __init__(self) -> None:
        self.storage = plugins.storage(config.load().storage)
        self.followers: dict[str, Follower] = {}
        self.troubles: dict[str, Trouble] = {}
        sessions.sweep(self.storage)

    def run(self) -> None:
        """Until there has been nothing to do for a while."""
        doorbell = Doorbell()
        busy_at = time.monotonic()
        while time.monotonic() - busy_at < LEAVES_AFTER:
            if self.look_around():
                busy_at = time.monotonic()
            while (rung := doorbell.wait(LOOKS_AGAIN)) and WORK not in rung:
                self.flush()
        doorbell.close()
        if self.look_around():  # somebody rang while it was leaving, and was heard by nobody
            self.run()

    def look_around(self) -> bool:
        """One turn of the loop; whether anything is going on. A failure is logged and met again next time."""
        try:
            self.flush()
            self.adopt()
            self.start_waiting()
            self.pass_on_requests()
        except Exception as error:  # the agents of other sessions need this process to go on
            complain("the supervisor", error)
        return bool(self.followers or self.troubles)

    def adopt(self) -> None:
        """Follow every session that nobody follows: new dispatch sessions, and all that a predecessor left."""
        self.reap()
        living = [session for session in self.storage.sessions(active=True) if not self._waits_in_queue(session)]
        self.troubles = {session.id: self.troubles[session.id] for session in living if session.id in self.troubles}
        for session in living:
            due = session.id not in self.troubles or time.monotonic() >= self.troubles[session.id].until
            if due and session.id not in self.followers and not sessions.is_being_made(session.id):
                self.follow(session)

    def reap(self) -> None:
        for session_id, follower in list(self.followers.items()):
            if not follower.is_alive():
                del self.followers[session_id]
                if follower.failed:
                    self.postpone(session_id)

    def start_waiting(self) -> None:
        while session := session_queue.take(self.storage):
            self.follow(session)

    def follow(self, session: Session) -> None:
        try:
            follower = Follower(session, self.storage, changed=lambda: ring(FLUSH), ended=lambda: ring(WORK))
        except ScopecraftError as error:  # its request cannot be read, or its agent's plugin is gone
            complain(session.id, error)
            self.give_up(session, error)
        else:
            self.followers[session.id] = follower
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
        times = self.troubles[session_id].times + 1 if session_id in self.troubles else 1
        pause = min(LONGEST_PAUSE, LOOKS_AGAIN * 2**times)
        self.troubles[session_id] = Trouble(times, time.monotonic() + pause)

    def pass_on_requests(self) -> None:
        for session_id, follower in self.followers.items():
            for request in sessions.asked(session_id):
                if request.kind == "stop":
                    follower.stop()

    def _waits_in_queue(self, session: Session) -> bool:
        return session.status is SessionStatus.QUEUED and session.mode is Mode.AUTONOMOUS

    def flush(self) -> None:
        for session_id, follower in list(self.followers.items()):
            try:
                follower.save()
            except ScopecraftError as error:
                complain(session_id, error)
