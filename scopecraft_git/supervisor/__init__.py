"""The background process that starts and follows sessions.

One per SCOPECRAFT_HOME, started by the first command that needs it. It holds nothing that is not on disk: killed at
any instant, the agents live on, and the next one carries on from what is stored.
"""

from scopecraft_git.supervisor.doorbell import process_id, wake

__all__ = ["process_id", "wake"]
