"""The demo."""

from __future__ import annotations

from scopecraft_git.errors.base import ScopecraftError


class DemoFailedError(ScopecraftError):
    def __init__(self, step: str, reason: str) -> None:
        super().__init__(
            f"The demo stopped at '{step}': {reason}",
            "Check what it needs: git scopecraft doctor; or look at what it left: git scopecraft demo --keep",
        )
