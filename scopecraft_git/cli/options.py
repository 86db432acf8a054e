"""Arguments and options that more than one command has."""

from __future__ import annotations

from typing import Annotated

import typer

from scopecraft_git.cli import complete

SessionName = Annotated[
    str,
    typer.Argument(metavar="SESSION", help="Session id, its beginning, or a task", autocompletion=complete.sessions),
]
SessionNames = Annotated[
    list[str], typer.Argument(metavar="SESSION", help="Session ids or tasks", autocompletion=complete.sessions)
]
LivingSession = Annotated[
    str,
    typer.Argument(metavar="SESSION", help="Session id, its beginning, or a task", autocompletion=complete.living),
]
LivingSessions = Annotated[
    list[str], typer.Argument(metavar="SESSION", help="Session ids or tasks", autocompletion=complete.living)
]
TaskName = Annotated[str, typer.Argument(metavar="TASK", help="Task id, or a name", autocompletion=complete.tasks)]
Base = Annotated[str | None, typer.Option(metavar="REF", help="Start a new branch from here")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON")]
