"""`task list|show|new`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Annotated, Any

import typer

from scopecraft_git import console, markdown, tasks
from scopecraft_git.cli import complete, context, output
from scopecraft_git.cli.commands import group
from scopecraft_git.cli.options import Json
from scopecraft_git.errors import UnreadableTaskError
from scopecraft_git.models import Session, Task
from scopecraft_git.repository import Repository

UNREADABLE = "unreadable"

app = group("List, read and write tasks")

Name = Annotated[str, typer.Argument(metavar="TASK", help="Task id", autocompletion=complete.tasks)]


@app.command("list")
def list_(
    archived: Annotated[bool, typer.Option("--archived", help="With those in the archive")] = False,
    json: Json = False,
) -> None:
    """List tasks, as they stand while agents work on them"""
    repository = Repository.discover(Path.cwd())
    found = tasks.listing(repository.main_worktree, archived=archived)
    living = {session.task: session for session in context.living(repository)}
    if json:
        console.answer_json([_summary(task, living.get(task.id)) for task in found])
    elif found:
        rows = [_row(task, living.get(task.id)) for task in found]
        console.answer_table(("TASK", "STATUS", "TYPE", "AREA", "TITLE", "LOCATION"), rows)
        for task in found:
            if task.problem:
                console.warning(task.problem)
    else:
        console.unchanged("No tasks yet")
        console.hint("To write one, run git scopecraft task new implement-auth-05A")


@app.command()
def show(task: Name, json: Json = False) -> None:
    """Print a task's file, as its worktree has it"""
    repository = Repository.discover(Path.cwd())
    found = tasks.find(task, repository.main_worktree)
    if worktree := context.worktree_of(repository, found):
        found = tasks.from_worktree(found, repository.main_worktree, worktree.path)
    if not json:
        console.answer(_text(found).rstrip("\n"))
        return
    living = {session.task: session for session in context.living(repository)}
    full = {"metadata": found.metadata, "sections": found.sections}
    console.answer_json(_summary(found, living.get(found.id)) | full)


@app.command()
def new(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Id of the task, such as implement-auth-05A")],
    title: Annotated[str, typer.Option(metavar="TEXT", help="Its title")] = "",
    type: Annotated[str, typer.Option(metavar="NAME", help="What kind of work it is")] = "feature",
    area: Annotated[str, typer.Option(metavar="NAME", help="What part of the project it is about")] = "general",
    parent: Annotated[
        str | None, typer.Option(metavar="TASK", help="Make it a subtask", autocompletion=complete.tasks)
    ] = None,
    backlog: Annotated[bool, typer.Option("--backlog", help="Put it into the backlog")] = False,
    prompt: Annotated[str, typer.Option("-p", "--prompt", metavar="TEXT", help="What there is to do")] = "",
    edit: Annotated[bool, typer.Option("--edit", help="Open it in an editor")] = False,
    json: Json = False,
) -> None:
    """Write a new task's file"""
    repository = Repository.discover(Path.cwd())
    made = tasks.new(
        task,
        title,
        repository.main_worktree,
        type=type,
        area=area,
        instruction=prompt,
        parent=parent,
        backlog=backlog,
    )
    if made.path and edit:
        _edit(made.path, repository)
    if json:
        console.answer_json(_summary(made, None))
        return
    console.changed(f"Created task {made.id} @ {output.short(made.path) if made.path else '-'}")
    console.hint(f"To start an agent on it, run git scopecraft run {made.id}")


def _summary(task: Task, session: Session | None) -> dict[str, Any]:
    """`status` is what `task list` shows: a session that lives is ahead of the file."""
    return {
        "id": task.id,
        "title": task.title,
        "status": _status(task, session),
        "type": task.type,
        "area": task.area,
        "parent": task.parent,
        "location": task.location,
        "path": str(task.path) if task.path else None,
        "session": session.id if session else None,
        "problems": tasks.problems(task),
    }


def _status(task: Task, session: Session | None) -> str:
    if session:
        return session.status
    return UNREADABLE if task.problem else task.status


def _row(task: Task, session: Session | None) -> tuple[str, ...]:
    name = f"{task.parent}/{task.id}" if task.parent else task.id
    cells = (_status(task, session), task.type, task.area, task.title, task.location)
    return (name, *(cell or "-" for cell in cells))


def _text(task: Task) -> str:
    """The file again, as text: what was found and read a moment ago may be gone by now."""
    if not task.path:
        return ""
    try:
        return markdown.read(task.path, within=task.path.parent.resolve())
    except OSError as error:
        raise UnreadableTaskError(task.path, error.strerror or str(error)) from error
    except ValueError as error:
        raise UnreadableTaskError(task.path, str(error)) from error


def _edit(path: Path, repository: Repository) -> None:
    """In the editor that git would open; its command may hold arguments, so a shell reads it."""
    editors = (repository.config.get("core.editor"), os.environ.get("VISUAL"), os.environ.get("EDITOR"))
    editor = next((name for name in editors if name), "vi")
    subprocess.run(["sh", "-c", f'{editor} "$@"', editor, str(path)], check=False)
