"""Why a session cannot be told, interrupted or answered."""

from __future__ import annotations

from collections.abc import Sequence

from scopecraft_git.errors.base import NotFoundError, RefusedError, UsageError


class EmptyMessageError(UsageError):
    def __init__(self, session: str) -> None:
        super().__init__(
            "There is nothing to tell the agent: the message is empty",
            f"Give it: git scopecraft send {session} 'Use tabs'",
        )


class MessageTooLateError(RefusedError):
    def __init__(self, session: str, status: str) -> None:
        super().__init__(
            f"The session {session} has ended ({status}), and nobody is left to tell",
            f"Go on with it: git scopecraft continue {session} -p 'What to do next'",
        )


class MessageRefusedError(RefusedError):
    def __init__(self, session: str) -> None:
        super().__init__(
            f"The agent of {session} took no more input, and has not got the message",
            f"Once it has ended, go on with it: git scopecraft continue {session} -p 'What to do next'",
        )


class CannotSendError(RefusedError):
    def __init__(self, session: str, agent: str, *, resumes: bool) -> None:
        later = f"Say it once it has ended: git scopecraft continue {session} -p 'What to do next'"
        super().__init__(
            f"The agent {agent} reads its prompt and nothing after it, so {session} takes no messages",
            later if resumes else f"Wait for its end, or end it: git scopecraft stop {session}",
        )


class CannotInterruptError(RefusedError):
    def __init__(self, session: str, agent: str) -> None:
        super().__init__(
            f"The agent {agent} cannot end its turn and live on, so {session} can only be ended as a whole",
            f"To end it, run git scopecraft stop {session}",
        )


class SessionPausedError(RefusedError):
    def __init__(self, session: str) -> None:
        super().__init__(
            f"The session {session} is paused, and notices nothing until it goes on",
            f"Have it go on first: git scopecraft resume {session}",
        )


class NothingToApproveError(RefusedError):
    def __init__(self, session: str, status: str) -> None:
        super().__init__(
            f"The session {session} is {status} and asks for nothing",
            "To see who does, run git scopecraft approve",
        )


class UnknownApprovalError(NotFoundError):
    def __init__(self, session: str, approval: str, approvals: Sequence[str]) -> None:
        super().__init__(
            f"The session {session} asks for nothing that is called {approval}, but for {', '.join(approvals)}",
            f"To see what that is, run git scopecraft show {session}",
        )


class AmbiguousApprovalError(RefusedError):
    def __init__(self, session: str, approvals: Sequence[str]) -> None:
        super().__init__(
            f"The session {session} asks for more than one thing: {', '.join(approvals)}",
            f"Name one of them; to see what they are, run git scopecraft show {session}",
        )


class AlreadyAnsweredError(RefusedError):
    def __init__(self, session: str, reason: str) -> None:
        super().__init__(
            f"This word came too late for {session}: {reason}",
            f"To see what it does now, run git scopecraft logs {session}",
        )


class AgentMayNotApproveError(RefusedError):
    """`typed_in` is the session that the command was typed in."""

    def __init__(self, session: str, typed_in: str) -> None:
        super().__init__(
            f"This was typed within the session {typed_in}, and agents answer no requests",
            f"Answer it in a terminal outside of it: git scopecraft approve {session}",
        )
