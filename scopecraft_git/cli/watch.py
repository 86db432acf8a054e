"""`watch`: what every agent says and does, as it happens."""

from __future__ import annotations

import contextlib
import json as json_format
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from scopecraft_git import console, description, news, paths, sessions, supervisor
from scopecraft_git.cli import colours, complete, context
from scopecraft_git.cli.listing import age
from scopecraft_git.cli.moments import Since, moment
from scopecraft_git.config import NotifySettings
from scopecraft_git.description import Pieces
from scopecraft_git.errors import NotARepositoryError, ScopecraftError
from scopecraft_git.models import Session, rfc3339
from scopecraft_git.watching import Watched, Watching

OVERLAP = timedelta(seconds=2)
"""How much earlier than it was asked for it goes on: an event is stored a little after its time."""
WIDEST_NAME = 24
SessionsIfAny = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SESSION]...", help="Session ids or tasks", autocompletion=complete.living),
]


def watch(
    names: SessionsIfAny = None,
    everywhere: Annotated[bool, typer.Option("--all", help="Sessions of every repository")] = False,
    since: Since = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line")] = False,
) -> None:
    """Show what all agents say and do as it happens

    One line an event, of the sessions of this repository, also of those that start meanwhile. Sessions that are named
    are watched until they have ended. With --since, what is stored from then on comes first.
    """
    with contextlib.suppress(ScopecraftError):
        paths.ensure_home()  # or whoever comes first would be seen late
    began = datetime.now(UTC)
    named = context.sessions_called(names or [])
    watching = Watching(
        context.storage(),
        since=began if since is None else moment(since) - OVERLAP,
        named=named,
        wants=_of_repository(everywhere=everywhere),
        tick=_ensure_supervisor,
        onerror=console.problem,
    )
    if json:
        for watched in watching:
            _tell_json(watched)
        return
    lines = Lines(context.settings().notify, began)
    if since is None:
        _tell_standing(named or watching.living, lines)
    for watched in watching:
        lines.tell(watched)


def _of_repository(*, everywhere: bool) -> Callable[[Session], bool]:
    """Outside a repository, sessions of every one."""
    from scopecraft_git.repository import Repository

    try:
        common_dir = None if everywhere else Repository.discover(Path.cwd()).common_dir
    except NotARepositoryError:
        common_dir = None
    return lambda session: common_dir is None or session.repository == common_dir


def _ensure_supervisor() -> None:
    with contextlib.suppress(ScopecraftError, OSError):
        supervisor.ensure()


def _tell_standing(found: list[Session], lines: Lines) -> None:
    for session in found:
        lines.stand(session)
    if not found:
        console.unchanged("No session lives")
        console.hint("To start one, run git scopecraft run TASK")


def _tell_json(watched: Watched) -> None:
    session = watched.session
    console.answer_exactly(json_format.dumps({"session": session.id, "task": session.task} | watched.logged.as_json()))


class Lines:
    """What a human reads: time, session, event."""

    def __init__(self, notify: NotifySettings, began: datetime) -> None:
        self._notify = notify
        self._began = began
        self._names: dict[str, str] = {}
        self._width = 0
        self._pieces: defaultdict[str, Pieces] = defaultdict(Pieces)

    def tell(self, watched: Watched) -> None:
        session, logged = watched
        for event in self._pieces[session.id].take(logged.event):
            head = self._head(session, logged.time)
            if text := description.line(event, _room(head)):
                self._print(session, head, colours.of_event(event, text))
        if news.rings(logged, self._notify, self._began) and sys.stdout.isatty():
            console.ring()

    def stand(self, session: Session) -> None:
        """How it stands, before anything happens."""
        head = self._head(session, datetime.now(UTC))
        self._print(session, head, console.style(console.safe_line(_standing(session), _room(head)), "2", sys.stdout))

    def _head(self, session: Session, time: datetime) -> str:
        name = self._name(session)
        self._width = max(self._width, min(len(name), WIDEST_NAME))
        return f"{description.clock(time)} {name:<{self._width}}  "

    def _name(self, session: Session) -> str:
        """As short as it can be told from the others that are shown; what it was called once it is called always."""
        if session.id not in self._names:
            slug = sessions.slug_of(session.id)
            self._names[session.id] = session.id if slug in self._names.values() else slug
        return self._names[session.id]

    def _print(self, session: Session, head: str, text: str) -> None:
        time, _, name = head.partition(" ")
        console.answer_exactly(f"{console.style(time, '2', sys.stdout)} {colours.of_session(session.id, name)}{text}")


def _standing(session: Session) -> str:
    if session.ended_at:
        reason = f": {session.outcome.reason}" if session.outcome else ""
        return f"○ {session.status} {age(rfc3339(session.ended_at))} ago{reason}"
    if session.approvals:
        asked = session.approvals[0]
        return f"? {session.status}: {asked.tool} {description.gist(asked.input)}: {asked.reason}"
    text = f"○ {session.status} for {age(rfc3339(session.started_at or session.created_at))}"
    said = session.evidence or session.last_message
    return f"{text}: {said}" if said else text


def _room(head: str) -> int:
    """What is left of a terminal's line; a file takes any length."""
    return max(20, shutil.get_terminal_size().columns - len(head)) if sys.stdout.isatty() else 0
