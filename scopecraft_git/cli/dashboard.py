"""`dashboard`: everything on one screen."""

from __future__ import annotations

from typing import Annotated

import typer

from scopecraft_git.cli import opening


def dashboard(
    all_: Annotated[bool, typer.Option("--all", "-a", help="Of every repository")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Lines to read and type, as for a screen reader")] = False,
) -> None:
    """Show every worktree and session on one screen, and step in

    With ? for the keys. What waits for an answer is shown first.
    """
    opening.open_dashboard(everything=all_, plain=plain)
