"""Who waits and who runs, as `queue.json` has it. Like the records, it is read without the models."""

from __future__ import annotations

import json
from typing import NamedTuple

from scopecraft_git import paths
from scopecraft_git.errors import NewerFormatError
from scopecraft_git.storage import files

_VERSION = 1


class Queue(NamedTuple):
    """Session ids, oldest first."""

    waiting: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    held: bool = False
    """While it is, nothing starts."""
    reason: str | None = None
    """Why the first session did not start when last there was a slot for it, such as want of memory."""

    @property
    def obstacle(self) -> str | None:
        """Why nothing starts though there may be slots; None when nothing is in the way."""
        return "the queue is held" if self.held else self.reason

    def position(self, session_id: str) -> int | None:
        """1 for the next to start, None for a session that does not wait."""
        return self.waiting.index(session_id) + 1 if session_id in self.waiting else None

    def without(self, session_id: str) -> Queue:
        return self._replace(
            waiting=tuple(other for other in self.waiting if other != session_id),
            running=tuple(other for other in self.running if other != session_id),
        )


def read() -> Queue | None:
    """None when it is missing or spoilt, and so to be made again from the records. Raises `NewerFormatError`."""
    try:
        document = json.loads(paths.queue_file().read_bytes())
        if document["schema_version"] > _VERSION:
            raise NewerFormatError(paths.queue_file())
        waiting, running = tuple(document["waiting"]), tuple(document["running"])
        return Queue(waiting, running, bool(document["held"]), document.get("reason"))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def snapshot() -> Queue:
    """As it is on disk; reading needs no lock. Places that only `session_queue.take` knows to be void are in it."""
    return read() or Queue()


def write(queue: Queue, *, durable: bool = False) -> None:
    """Mostly does not wait for the disk: who waits and who runs can be told from the records, the rest can not."""
    if queue != read():
        document = {"schema_version": _VERSION, **queue._asdict()}
        files.replace(paths.queue_file(), json.dumps(document, indent=2).encode() + b"\n", durable=durable)
