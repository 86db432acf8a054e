"""Which tool calls are allowed."""

from __future__ import annotations

from pathlib import Path

from scopecraft_git.errors.base import RefusedError, UsageError


class InvalidPolicyError(RefusedError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be used: {reason}", f"Correct it: ${{EDITOR:-vi}} '{path}'")


class NoRuleForThisError(RefusedError):
    def __init__(self, tool: str, reason: str) -> None:
        super().__init__(
            f"No rule can be made of this call of {tool}: {reason}",
            "Answer it once, without --always, or write a rule by hand; for those there are, "
            "run git scopecraft policy show",
        )


class InvalidCallError(UsageError):
    def __init__(self, text: str, reason: str) -> None:
        super().__init__(
            f"{text} is not what a tool is given: {reason}",
            'A tool\'s input is a JSON object: git scopecraft policy check -- Bash \'{"command": "git push"}\'',
        )
