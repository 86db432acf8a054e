"""From what a user typed to a session in the queue: the straight line of the user's own process.

`draft` and `continuation` decide everything and make nothing, so a refusal leaves nothing behind and `--dry-run` can
show it all. `submit` makes it: the place in the queue, the worktree, the record.
"""

from __future__ import annotations

from scopecraft_git.submission.continuing import continuation
from scopecraft_git.submission.drafts import Draft
from scopecraft_git.submission.making import await_start, submit
from scopecraft_git.submission.ordering import Order, draft

__all__ = ["Draft", "Order", "await_start", "continuation", "draft", "submit"]
