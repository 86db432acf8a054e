"""`recover`."""

from __future__ import annotations

from scopecraft_git import console, recovery
from scopecraft_git.cli import context
from scopecraft_git.cli.options import Json


def recover(json: Json = False) -> None:
    """Find every session again after a crash or a restart

    Those that live are followed or ended, and what is left of ended ones is cleared away once its commits are home.
    """
    found = []
    for each in recovery.recover(context.storage(), console.problem):
        found.append(each)
        if not json:
            tell = console.changed if each.mended else console.unchanged
            tell(f"{each.session}: {each.result}")
    if json:
        console.answer_json([each._asdict() for each in found])
    elif not found:
        console.unchanged("Nothing to recover: no session lives, and nothing is left of those that have ended")
