"""`supervisor status|stop`."""

from __future__ import annotations

from scopecraft_git import console, supervisor
from scopecraft_git.cli.commands import group
from scopecraft_git.cli.options import Json

app = group("Look after the background process that starts and follows sessions", hidden=True)


@app.command()
def status(json: Json = False) -> None:
    """Say whether the supervisor is there, and whom it follows"""
    document = supervisor.status().as_json()
    if json:
        console.answer_json(document)
        return
    for name, value in document.items():
        console.answer(f"{name.replace('_', ' '):<12}  {_shown(value)}")


@app.command()
def stop() -> None:
    """Have the supervisor leave; sessions go on"""
    if not supervisor.stop():
        console.unchanged("There is no supervisor")
        return
    console.changed("The supervisor has left; what it started goes on")
    console.hint("The next command that needs it brings it back, such as git scopecraft logs -f SESSION")


def _shown(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value)) or "-"
        case _:
            return "-" if value is None else str(value)
