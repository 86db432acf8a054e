"""Sessions and the queue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scopecraft_git.errors.base import NotFoundError, RefusedError, ScopecraftError, UsageError, did_you_mean


class SessionNotFoundError(NotFoundError):
    def __init__(self, selector: str, near: Sequence[str] = ()) -> None:
        super().__init__(
            f"No session is called {selector}{did_you_mean(near)}",
            "To see the sessions, run git scopecraft list --all",
        )


class AmbiguousSessionError(RefusedError):
    def __init__(self, selector: str, candidates: Sequence[str]) -> None:
        super().__init__(
            f"{selector} could be any of {', '.join(candidates)}",
            f"Give more of the id: git scopecraft show {candidates[0]}",
        )


class UnreadableSessionError(ScopecraftError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The record {path} cannot be read: {reason}",
            f"It was left as it is. To set the session aside: mv '{path.parent}' '{path.parent}.broken'",
        )


class IllegalTransitionError(RefusedError):
    def __init__(self, session: str, status: str, wanted: str) -> None:
        super().__init__(
            f"The session {session} is {status}, which cannot become {wanted}",
            f"To see how it stands, run git scopecraft show {session}",
        )


class SessionEndedError(RefusedError):
    def __init__(self, session: str, status: str) -> None:
        super().__init__(
            f"The session {session} has ended ({status})",
            f"To see what it did, run git scopecraft logs {session}",
        )


class SessionQueuedError(RefusedError):
    def __init__(self, session: str) -> None:
        super().__init__(
            f"The session {session} waits in the queue and is not at work yet",
            f"Take it out: git scopecraft stop {session}; or have nothing start for now: git scopecraft queue hold",
        )


class SessionStoppingError(RefusedError):
    def __init__(self, session: str) -> None:
        super().__init__(
            f"The session {session} is being stopped",
            f"To see how it ends, run git scopecraft wait {session}",
        )


class QueueFullError(RefusedError):
    def __init__(self, waiting: int, maximum: int) -> None:
        wait = "session waits" if waiting == 1 else "sessions wait"
        super().__init__(
            f"The queue is full: {waiting} {wait} and the limit is {maximum}",
            "See who waits: git scopecraft queue; or allow more: git config --global scopecraft.max-waiting 20",
        )


class NotWaitingError(RefusedError):
    def __init__(self, session: str, status: str) -> None:
        super().__init__(
            f"The session {session} is {status} and does not wait in the queue",
            f"To end it, run git scopecraft stop {session}",
        )


class SupervisorSilentError(ScopecraftError):
    def __init__(self, session: str, log: Path) -> None:
        super().__init__(
            f"The supervisor did not take up the session {session}; it stays in the queue",
            f"See what the supervisor says: cat {log}",
        )


class SupervisorStaysError(ScopecraftError):
    def __init__(self, process: int) -> None:
        super().__init__(
            f"The supervisor is still there (process {process}), though it was told to leave and then killed",
            f"See what it does: ps -f -p {process}",
        )


class StartFailedError(ScopecraftError):
    def __init__(self, session: str, reason: str) -> None:
        super().__init__(
            f"The session {session} did not start: {reason}",
            f"To see all of it, run git scopecraft show {session}",
        )


class InvalidTimeError(UsageError):
    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text!r} is neither a span of time, such as 10m, nor a time, such as 2026-03-04T05:06:07Z",
            "Give one of them, such as --since 2h; to see what all did since then, run git scopecraft watch --since 2h",
        )
