"""What the keys do to sessions. Each call may take a while, and raises the `ScopecraftError` that says why not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scopecraft_git.dashboard.rows import Ask, Row
from scopecraft_git.errors import UnknownApprovalError

if TYPE_CHECKING:
    from scopecraft_git.models import Approval, Session
    from scopecraft_git.protocols import Storage


def approve(storage: Storage, ask: Ask, *, always: bool = False) -> str:
    from scopecraft_git import intervention

    session = storage.load(ask.session)
    intervention.approve(storage, session, _approval(session, ask), always=always)
    return f"Approved {ask.tool} of {ask.session}{', and those like it' if always else ''}"


def deny(storage: Storage, ask: Ask, message: str = "", *, always: bool = False) -> str:
    from scopecraft_git import intervention

    session = storage.load(ask.session)
    intervention.deny(storage, session, _approval(session, ask), message=message, always=always)
    return f"Denied {ask.tool} of {ask.session}{', and those like it' if always else ''}"


def send(storage: Storage, session: str, text: str) -> str:
    from scopecraft_git import intervention

    intervention.send(storage, storage.load(session), text)
    return f"Sent to {session}"


def interrupt(storage: Storage, session: str, text: str) -> str:
    from scopecraft_git import intervention

    intervention.interrupt(storage, storage.load(session), text)
    return f"Asked {session} to interrupt its turn"


def pause(storage: Storage, session: str) -> str:
    from scopecraft_git import intervention

    intervention.pause(storage, storage.load(session))
    return f"Asked {session} to pause"


def resume(storage: Storage, session: str) -> str:
    from scopecraft_git import intervention

    intervention.resume(storage, storage.load(session))
    return f"Asked {session} to go on"


def stop(storage: Storage, session: str) -> str:
    from scopecraft_git import intervention

    intervention.stop(storage, storage.load(session))
    return f"Asked {session} to stop"


def go_on(storage: Storage, session: str, text: str) -> str:
    """A session of its own, which continues one that has ended."""
    from scopecraft_git import submission

    made = submission.submit(submission.continuation(storage, storage.load(session), text))
    return f"{made.id} goes on from {session}"


def attach_command(storage: Storage, session: str) -> Sequence[str]:
    """What shows the agent's terminal."""
    from scopecraft_git import plugins, sessions
    from scopecraft_git.errors import SessionEndedError

    loaded = storage.load(session)
    if loaded.status.ended:
        raise SessionEndedError(loaded.id, loaded.status)
    return plugins.executor(loaded.executor).attach(sessions.request(loaded))


def diff(storage: Storage, row: Row) -> str:
    """What changed, in git's format: of a session since it began, of a worktree without one since its own base."""
    from scopecraft_git.sessions import changes

    if row.session:
        return changes.diff(storage.load(row.session))
    return changes.worktree_diff(Path(row.repository), Path(row.worktree))


def _approval(session: Session, ask: Ask) -> Approval:
    """The one that was shown, and no other: an id that only begins like it is another's."""
    from scopecraft_git import intervention

    found = intervention.approval(session, ask.id)
    if found.id != ask.id:
        raise UnknownApprovalError(session.id, ask.id, [each.id for each in session.approvals])
    return found
