"""`demo`: the main job, on a throw-away repository."""

from __future__ import annotations

from typing import Annotated

import typer

from scopecraft_git import console

NEXT = """
In a repository of one's own:
  {program} doctor
  {program} task new implement-auth-05A -p 'What there is to do'
  {program} run implement-auth-05A --follow"""


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave its folder behind")] = False,
) -> None:
    """Show the main job on a throw-away repository

    A scripted agent does a task in a worktree of its own. Needs neither Docker nor a network.
    """
    from scopecraft_git import demo as show

    console.answer("A throw-away repository with one task:")
    folder = show.run(console.answer, keep=keep)
    console.answer(NEXT.format(program=show.program()))
    if keep:
        console.hint(f"To look around, run cd {folder}/app && export SCOPECRAFT_HOME={folder}/.scopecraft")
