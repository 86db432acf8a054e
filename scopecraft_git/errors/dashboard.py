"""What a user can fix about the dashboard."""

from __future__ import annotations

from scopecraft_git.errors.base import UsageError


class DashboardNeedsTerminalError(UsageError):
    def __init__(self) -> None:
        super().__init__(
            "The dashboard needs a terminal to be shown in and typed to, and this is none",
            "To follow all sessions as lines of JSON, run git scopecraft watch --json",
        )
