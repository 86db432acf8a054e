"""The background process that starts and follows sessions.

One per SCOPECRAFT_HOME, started by the first command that needs it. It holds nothing that is not on disk: killed at
any instant, the agents live on, and the next one carries on from what is stored. It is brought back by its keeper,
a small process that it brings back in turn.
"""

from scopecraft_git.supervisor.dismissal import stop
from scopecraft_git.supervisor.presence import Status, process_id, status
from scopecraft_git.supervisor.waking import attended, ensure, wake

__all__ = ["Status", "attended", "ensure", "process_id", "status", "stop", "wake"]
