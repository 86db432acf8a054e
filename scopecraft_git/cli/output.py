"""How sessions look on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scopecraft_git import console, paths, supervisor
from scopecraft_git.errors import FAILED, InvalidPairError
from scopecraft_git.models import Approval, Mode, Session, SessionStatus
from scopecraft_git.storage import queue

if TYPE_CHECKING:
    from scopecraft_git.storage.queue import Queue
    from scopecraft_git.submission import Draft
    from scopecraft_git.worktrees import Plan

CALL_WIDTH = 120
LAST_WORDS = 5
"""Lines of stderr that are shown of a session that failed; `show` has more."""


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """`--data K=V`, repeated."""
    for text in texts:
        if "=" not in text:
            raise InvalidPairError(text)
    return dict(text.split("=", 1) for text in texts)


def start(decide: Callable[[], Draft], *, follow: bool, dry_run: bool, as_json: bool) -> None:
    """`run`, `dispatch` and `continue`, once their options are read."""
    if not dry_run:
        paths.ensure_home()
        supervisor.wake()  # it gets ready while this process still decides
    from scopecraft_git import plugins, submission

    drafted = decide()
    warn_of_base(drafted.plan)
    if dry_run:
        _show_draft(drafted, as_json=as_json)
        return
    session = submission.submit(drafted)
    if not as_json:
        tell_worktree(drafted.plan)
        _warn_of_freedom(drafted)
    session = submission.await_start(plugins.storage(drafted.settings.storage), session, drafted.settings)
    if as_json:
        console.answer_json(as_document(session))
    else:
        _tell_start(session, follow=follow)
    if follow:
        from scopecraft_git.cli.logs import print_events

        print_events(session, follow=True, as_json=as_json)
        exit_as(session)


def as_document(session: Session, *, full: bool = False) -> dict[str, Any]:
    """With its position in the queue and, in full, why it does not start."""
    from scopecraft_git import sessions

    if session.status is not SessionStatus.QUEUED or session.mode is not Mode.AUTONOMOUS:
        return sessions.as_json(session, full=full)
    line = queue.snapshot()
    document = sessions.as_json(session, position=line.position(session.id), full=full)
    return document | ({"evidence": document["evidence"] or line.obstacle} if full else {})


def tell_end(session: Session) -> None:
    """How it ended and, where it failed, its last words; or that it has not ended yet."""
    reason = f": {session.outcome.reason}" if session.outcome else ""
    if not session.status.ended:
        console.failure(f"{session.id} is still {session.status}")
        console.hint(f"To follow it, run git scopecraft logs -f {session.id}")
    elif session.status in (SessionStatus.COMPLETED, SessionStatus.CANCELLED):
        console.changed(f"{session.id} {session.status}{reason}")
    else:
        console.failure(f"{session.id} {session.status}{reason}")
        for line in _last_words(session):
            console.progress(f"    {line}")
        console.hint(f"To see all of it, run git scopecraft show {session.id}")


def call(approval: Approval) -> str:
    """What it asks for, on one line."""
    return console.safe_line(f"{approval.tool} {console.gist(approval.input)}", CALL_WIDTH)


def tell_question(session: Session, approval: Approval) -> None:
    """That a session has begun to wait for a human's word."""
    reason = console.safe_line(approval.reason)
    console.warning(f"{session.id} asks for {call(approval)}" + (f": {reason}" if reason else ""))
    console.hint(f"To answer it, run git scopecraft approve {session.id} or git scopecraft deny {session.id}")


def short(path: Path) -> str:
    """With the user's home as `~`."""
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)


def tell_worktree(plan: Plan) -> None:
    if plan.creates_worktree:
        origin = f"{plan.branch} from {plan.base}" if plan.creates_branch else plan.branch
        console.changed(f"Created worktree @ {short(plan.path)} ({origin})")
    else:
        console.unchanged(f"Worktree @ {short(plan.path)} ({plan.branch})")


def warn_of_base(plan: Plan) -> None:
    """A branch that exists, here or on a remote, starts where it starts."""
    asked = plan.request.base
    if asked and plan.base != asked and not plan.base.endswith(f"/{asked}"):
        console.warning(f"--base {asked} is ignored: the branch {plan.branch} exists already")


def warn_of_obstacle(line: Queue) -> None:
    """Why nothing starts, if that is so, and what can be done about it."""
    if not line.obstacle:
        return
    console.warning(f"Nothing starts: {line.obstacle}")
    if line.held:
        console.hint("To go on, run git scopecraft queue release")
    else:
        console.hint("To see what uses it, run ps -eo rss,pid,args | sort -nr | head")


def _warn_of_freedom(drafted: Draft) -> None:
    if not drafted.executor.isolated and drafted.mode is Mode.AUTONOMOUS:
        console.warning(f"{drafted.executor.name} has no isolation: the agent can do whatever this user can")


def exit_as(session: Session) -> None:
    """Leave with 0 when the session completed and 1 when it ended otherwise."""
    from scopecraft_git.cli import context

    if context.storage().load(session.id).status is not SessionStatus.COMPLETED:
        sys.exit(FAILED)


def _last_words(session: Session) -> list[str]:
    return session.outcome.stderr.splitlines()[-LAST_WORDS:] if session.outcome else []


def _tell_start(session: Session, *, follow: bool) -> None:
    where = f"{session.task} on {session.executor} ({session.agent})"
    where += f", to continue {session.parent}" if session.parent else ""
    if session.status is SessionStatus.QUEUED:
        line = queue.snapshot()
        console.changed(f"Queued {where}, position {line.position(session.id) or 1}")
        warn_of_obstacle(line)
    else:
        console.changed(f"Started {where}")
    if session.mode is Mode.DISPATCH:
        console.hint(f"To sit beside it, run git scopecraft attach {session.task}")
    elif not follow:
        console.hint(f"To follow it, run git scopecraft logs -f {session.task}")


def _show_draft(drafted: Draft, *, as_json: bool) -> None:
    document = drafted.as_json()
    if as_json:
        console.answer_json(document)
        return
    width = max(len(name) for name in document)
    for name, value in document.items():
        for number, line in enumerate(_lines(name, value)):
            console.answer(f"{name if number == 0 else '':<{width}}  {line}".rstrip())


def _lines(name: str, value: Any) -> list[str]:
    if name == "argv":
        import shlex

        return [shlex.join(value)]
    if isinstance(value, list | tuple):
        return [str(part) for part in value] or ["-"]
    if isinstance(value, dict):
        return [f"{key}={part}" for key, part in value.items()] or ["-"]
    return ["-" if value is None else str(value)]
