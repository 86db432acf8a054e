"""Scenes and calls as the tests of the policy make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scopecraft_git import policy
from scopecraft_git.policy import Call, Policy, Ruling, Scene

FILE = Path("policy.toml")


def scene(worktree: Path, executor: str = "local", **fields: Any) -> Scene:
    """On docker the agent sees it at /workspace."""
    seen_at = Path("/workspace") if executor == "docker" else worktree
    named = {"mode": "autonomous", "agent": "claude"} | fields
    return Scene(executor=executor, worktree=seen_at, on_host=worktree, **named)


def rules(text: str, *, builtin: bool = False) -> Policy:
    """The policy that a file with this text makes."""
    document = policy.parse(text, FILE)
    own = tuple(policy.InForce(number, str(FILE), rule) for number, rule in enumerate(document.rules, 1))
    return Policy(own + (policy.builtin() if builtin else ()), document.default.action, document.ask)


def bash(command: str, where: Scene) -> Call:
    return Call("Bash", {"command": command}, where)


def name(ruling: Ruling) -> str:
    """`action name`, without a name where no rule fits."""
    return f"{ruling.action} {ruling.rule.rule.name}" if ruling.rule else str(ruling.action)
