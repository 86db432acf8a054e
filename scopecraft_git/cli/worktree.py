"""`worktree list|path|create|remove|clean`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from pydantic import ByteSize

from scopecraft_git import console, tasks, worktrees
from scopecraft_git.cli import complete, context, output
from scopecraft_git.cli.commands import group
from scopecraft_git.cli.options import Base, Json, TaskName
from scopecraft_git.errors import ScopecraftError, TaskNotFoundError, WorktreeNotFoundError
from scopecraft_git.models import Session, Task, Worktree
from scopecraft_git.repository import Repository

if TYPE_CHECKING:
    from scopecraft_git.cleanup import Cleaned, Cleanup
    from scopecraft_git.worktrees import Removed

app = group("List, make and remove worktrees")

Name = Annotated[
    str, typer.Argument(metavar="WORKTREE", help="Task, branch, folder or path", autocompletion=complete.worktrees)
]


class Entry(NamedTuple):
    """A worktree and what is going on in it."""

    worktree: Worktree
    session: Session | None
    changes: int | None
    """How many files are changed or untracked; None when nobody can tell."""


@app.command("list")
def list_(json: Json = False) -> None:
    """List worktrees and what goes on in them"""
    repository = Repository.discover(Path.cwd())
    living = {session.worktree: session for session in context.living(repository)}
    entries = [
        Entry(worktree, living.get(worktree.path), _count_changes(repository, worktree))
        for worktree in worktrees.listing(repository)
    ]
    if json:
        console.answer_json([_as_json(entry) for entry in entries])
    else:
        console.answer_table(("WORKTREE", "BRANCH", "SESSION", "CHANGES", "BASE", ""), map(_row, entries))


@app.command()
def path(name: Name) -> None:
    """Print where a worktree is"""
    console.answer_exactly(context.worktree_called(Repository.discover(Path.cwd()), name).path)


@app.command()
def create(
    task: TaskName,
    branch: Annotated[
        str | None, typer.Option(metavar="NAME", help="Check out this branch", autocompletion=complete.branches)
    ] = None,
    base: Base = None,
    json: Json = False,
) -> None:
    """Make a task's worktree without starting an agent"""
    repository = Repository.discover(Path.cwd())
    found = _task(task, repository)
    settings = context.settings().worktree
    plan = worktrees.resolve(repository, found.id, tasks.suffix(found), settings, branch=branch, base=base)
    output.warn_of_base(plan)
    made = worktrees.ensure(repository, plan)
    if json:
        console.answer_json(_as_json(Entry(made, None, _count_changes(repository, made))))
        return
    output.tell_worktree(plan)
    console.hint(f'To go there, run cd "$(git scopecraft worktree path {task})"')


@app.command()
def remove(
    name: Name,
    force: Annotated[bool, typer.Option("--force", "-f", help="Remove it with what only exists there")] = False,
) -> None:
    """Remove a worktree that git scopecraft made, and its branch"""
    cleanup, finished = _cleanup()
    try:
        worktree = context.worktree_called(cleanup.repository, name)
    except WorktreeNotFoundError:
        if not finished:
            raise
        return
    _tell_removed(cleanup.remove(worktree, force=force))


@app.command()
def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would happen, remove nothing")] = False,
    json: Json = False,
) -> None:
    """Remove the worktrees whose branch is merged

    One that holds anything else is kept.
    """
    cleanup, _ = _cleanup(resume=not dry_run)
    cleaned = list(cleanup.clean(dry_run=dry_run)) if json else cleanup.clean(dry_run=dry_run)
    if json:
        console.answer_json([_cleaned_as_json(each) for each in cleaned])
        return
    told = [_tell_cleaned(each, dry_run=dry_run) for each in cleaned]
    if not told:
        console.unchanged("No worktrees of git scopecraft's here")
    elif freed := sum(told):
        tell = console.unchanged if dry_run else console.changed
        tell(f"{'Would free' if dry_run else 'Freed'} {_human(freed)}")


def _cleanup(*, resume: bool = True) -> tuple[Cleanup, bool]:
    """And whether removals were finished that a killed command began."""
    from scopecraft_git.cleanup import Cleanup

    cleanup = Cleanup(Repository.discover(Path.cwd()), context.storage())
    finished = cleanup.resume() if resume else []
    for removed in finished:
        _tell_removed(removed)
    for problem in cleanup.problems:
        console.problem(problem)
    return cleanup, bool(finished)


def _tell_removed(removed: Removed) -> None:
    branch = f" and the branch {removed.branch}" if removed.branch else ""
    console.changed(f"Removed worktree @ {output.short(removed.worktree.path)}{branch}")
    for loss in removed.lost:
        console.warning(f"Lost {loss}")
    for rest in removed.left:
        console.warning(f"Left {rest}")
    if removed.backup:
        branch = removed.branch or removed.worktree.path.name
        console.hint(f"To have the branch back, run git branch {branch} {removed.backup}")


def _tell_cleaned(cleaned: Cleaned, *, dry_run: bool) -> int:
    """Returns the bytes that are free by it."""
    tell = console.changed if cleaned.goes and not dry_run else console.unchanged
    word = ("Would remove" if dry_run else "Removed") if cleaned.goes else "Keeps"
    tell(f"{word} {output.short(cleaned.worktree.path)} ({_human(cleaned.size)}): {cleaned.reason}")
    for rest in cleaned.left:
        console.warning(f"Left {rest}")
    return cleaned.size if cleaned.goes else 0


def _cleaned_as_json(cleaned: Cleaned) -> dict[str, Any]:
    return {
        "path": str(cleaned.worktree.path),
        "branch": cleaned.worktree.branch,
        "goes": cleaned.goes,
        "reason": cleaned.reason,
        "size": cleaned.size,
        "sessions": list(cleaned.sessions),
    }


def _human(size: int) -> str:
    return ByteSize(size).human_readable(separator=" ")


def _task(name: str, repository: Repository) -> Task:
    """The task's file if it has one, as an agent may work on what is just a name."""
    try:
        return tasks.find(name, repository.main_worktree)
    except TaskNotFoundError:
        return tasks.bare(name.removeprefix(context.settings_of(repository).worktree.prefix))


def _count_changes(repository: Repository, worktree: Worktree) -> int | None:
    try:
        return len(worktrees.changes(repository, worktree.path))
    except ScopecraftError:
        return None


def _row(entry: Entry) -> tuple[str, ...]:
    worktree, session, changes = entry
    counted = "?" if changes is None else str(changes) if changes else "clean"
    base = (worktree.base_commit or "-")[:10]
    who = "main" if worktree.main else "" if worktree.ours else "not ours"
    return (
        output.short(worktree.path),
        worktree.branch or f"({worktree.head[:10]})",
        session.id if session else "-",
        counted if worktree.path.is_dir() else "gone",
        base,
        who,
    )


def _as_json(entry: Entry) -> dict[str, Any]:
    worktree, session, changes = entry
    return {
        "path": str(worktree.path),
        "branch": worktree.branch,
        "head": worktree.head,
        "main": worktree.main,
        "ours": worktree.ours,
        "base_commit": worktree.base_commit,
        "locked": worktree.locked,
        "task": session.task if session else None,
        "session": session.id if session else None,
        "changes": changes,
    }
