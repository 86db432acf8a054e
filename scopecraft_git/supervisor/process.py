"""The supervisor's loop: adopt what runs, start what waits, pass on what was asked."""

from __future__ import annotations

import time

from scopecraft_git import config, paths, plugins, session_queue, sessions
from scopecraft_git.models import Mode, Session, SessionStatus
from scopecraft_git.supervisor.doorbell import FLUSH, WORK, Doorbell, ring, sole_supervisor
from scopecraft_git.supervisor.follower import Follower
from scopecraft_git.supervisor.log import complain

LOOKS_AGAIN = 5.0
"""Seconds after which the loop looks around without having been rung for."""
LEAVES_AFTER = 60.0
"""Seconds without anything to follow or to start."""


def main() -> None:
    paths.ensure_home()
    with sole_supervisor() as sole:
        if sole:
            Supervisor().run()


class Supervisor:
    def __init__(self) -> None:
        self.storage = plugins.storage(config.load().storage)
        self.followers: dict[str, Follower] = {}
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
        return bool(self.followers)

    def adopt(self) -> None:
        """Follow every session that nobody follows: new dispatch sessions, and all that a predecessor left."""
        self.followers = {key: follower for key, follower in self.followers.items() if follower.is_alive()}
        for session in self.storage.sessions(active=True):
            waits_in_queue = session.status is SessionStatus.QUEUED and session.mode is Mode.AUTONOMOUS
            if session.id not in self.followers and not waits_in_queue and not sessions.is_being_made(session.id):
                self.follow(session)

    def start_waiting(self) -> None:
        while session := session_queue.take(self.storage):
            self.follow(session)

    def follow(self, session: Session) -> None:
        follower = Follower(session, self.storage, changed=lambda: ring(FLUSH), ended=lambda: ring(WORK))
        self.followers[session.id] = follower
        follower.start()

    def pass_on_requests(self) -> None:
        for session_id, follower in self.followers.items():
            for request in sessions.asked(session_id):
                if request.kind == "stop":
                    follower.stop()

    def flush(self) -> None:
        for follower in list(self.followers.values()):
            follower.save()
