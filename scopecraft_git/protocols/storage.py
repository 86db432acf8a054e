"""Where records and events are kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Protocol

from scopecraft_git.errors import ScopecraftError
from scopecraft_git.events import LoggedEvent
from scopecraft_git.models import Session, SessionStatus


class Storage(Protocol):
    """Keeps sessions' records and events. Safe for any number of processes; readers never block."""

    name: str

    def create(self, session: Session) -> None:
        """Keep a new record. Raises FileExistsError when the id is taken."""

    def save(self, session: Session) -> None:
        """Replace a record, whole or not at all. On disk when it returns.

        Raises `SessionNotFoundError`, and `UnreadableSessionError` rather than replace what cannot be read. To change
        a few fields of a record that others change too, use `update_status`.
        """

    def load(self, session_id: str) -> Session:
        """Raises `SessionNotFoundError`, or `UnreadableSessionError` for one that cannot be read."""

    def sessions(
        self,
        *,
        active: bool = False,
        newest: int | None = None,
        onerror: Callable[[ScopecraftError], None] | None = None,
    ) -> Iterator[Session]:
        """Records, newest first: those that have not ended and, unless `active`, the ended ones, `newest` of them.

        Costs the same however many have ended before. One that cannot be read is left out and told to `onerror`.
        """

    def ids(self) -> list[str]:
        """Every session's id, newest first, without reading records: of some `load` may find none yet."""

    def update_status(
        self,
        session_id: str,
        status: SessionStatus,
        *,
        expected: Collection[SessionStatus],
        changes: Mapping[str, Any] | None = None,
    ) -> Session:
        """Compare and swap; raises `IllegalTransitionError` when the record's status is none of `expected`.

        `changes` are fields of the record and go with it; the others keep what is on disk. Returns what then is.
        """

    def append(self, session_id: str, events: Iterable[LoggedEvent]) -> None:
        """Add events. One writer at a time per session: its supervisor.

        All or nothing when it fails; a writer that was killed leaves the first of them, or all.
        """

    def events(self, session_id: str, after: int = 0) -> Iterator[LoggedEvent]:
        """Events with a `seq` above `after`, in order. One that is half written is not there yet."""

    def delete(self, session_id: str) -> None:
        """Forget a session that never came to be. Idempotent."""
