"""The kinds of error, and the exit codes they become."""

from __future__ import annotations

from collections.abc import Sequence

FAILED, USAGE, NOT_FOUND, REFUSED, MISSING, BUG, INTERRUPTED = 1, 2, 3, 4, 5, 70, 130


class ScopecraftError(Exception):
    """Something a user can fix: a message, and a hint that says how."""

    exit_code = FAILED

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotFoundError(ScopecraftError):
    exit_code = NOT_FOUND


class RefusedError(ScopecraftError):
    exit_code = REFUSED


class MissingError(ScopecraftError):
    exit_code = MISSING


class UsageError(ScopecraftError):
    exit_code = USAGE


class AnswerNotWrittenError(ScopecraftError):
    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The answer cannot be written to where it goes: {reason}",
            "Send it elsewhere, or free some space there: df -h",
        )


def did_you_mean(near: Sequence[str]) -> str:
    return f" (did you mean {' or '.join(near)}?)" if near else ""
