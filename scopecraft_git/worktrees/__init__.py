"""A worktree for every task: which one it is, how it is made, what would be lost with it.

`resolve` decides and creates nothing, `ensure` makes what was decided, `guard` looks again before a session starts.
"""

from __future__ import annotations

from scopecraft_git.worktrees.contents import branch_diff, changes, diff, losses, size
from scopecraft_git.worktrees.guards import guard, valid_branch
from scopecraft_git.worktrees.inventory import at, listing, named
from scopecraft_git.worktrees.locks import held_by, lock, unlock
from scopecraft_git.worktrees.making import ensure, made
from scopecraft_git.worktrees.removal import Fate, fate, refuse, remove, resume
from scopecraft_git.worktrees.resolution import Plan, resolve
from scopecraft_git.worktrees.teardown import Removed

__all__ = [
    "Fate",
    "Plan",
    "Removed",
    "at",
    "branch_diff",
    "changes",
    "diff",
    "ensure",
    "fate",
    "guard",
    "held_by",
    "listing",
    "lock",
    "losses",
    "made",
    "named",
    "refuse",
    "remove",
    "resolve",
    "resume",
    "size",
    "unlock",
    "valid_branch",
]
