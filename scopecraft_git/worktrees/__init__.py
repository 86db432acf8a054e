"""A worktree for every task: which one it is, how it is made, what would be lost with it.

`resolve` decides and creates nothing, `ensure` makes what was decided, `guard` looks again before a session starts.
"""

from __future__ import annotations

from scopecraft_git.worktrees.contents import branch_diff, changes, diff, losses
from scopecraft_git.worktrees.guards import guard, valid_branch
from scopecraft_git.worktrees.inventory import at, listing, named
from scopecraft_git.worktrees.locks import lock, unlock
from scopecraft_git.worktrees.making import ensure, made
from scopecraft_git.worktrees.removal import Cleaned, Removed, clean, remove
from scopecraft_git.worktrees.resolution import Plan, resolve

__all__ = [
    "Cleaned",
    "Plan",
    "Removed",
    "at",
    "branch_diff",
    "changes",
    "clean",
    "diff",
    "ensure",
    "guard",
    "listing",
    "lock",
    "losses",
    "made",
    "named",
    "remove",
    "resolve",
    "unlock",
    "valid_branch",
]
