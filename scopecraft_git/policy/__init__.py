"""Which tool calls are allowed: rules of the user's, then the built-in ones; the first that fits counts.

Only `SCOPECRAFT_HOME` is asked, never a repository.
"""

from __future__ import annotations

from scopecraft_git.policy.adding import always
from scopecraft_git.policy.judging import Call, Ruling
from scopecraft_git.policy.places import Scene
from scopecraft_git.policy.reading import Policy, Source, builtin, load, parse
from scopecraft_git.policy.rules import BUILT_IN, Ask, Effect, InForce, Rule

__all__ = [
    "BUILT_IN",
    "Ask",
    "Call",
    "Effect",
    "InForce",
    "Policy",
    "Rule",
    "Ruling",
    "Scene",
    "Source",
    "always",
    "builtin",
    "load",
    "parse",
]
