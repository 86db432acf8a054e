"""`run`, `dispatch` and `continue`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scopecraft_git.cli import complete, context, output
from scopecraft_git.cli.options import Base, Json, SessionName, TaskName
from scopecraft_git.models import Mode

Command = Annotated[list[str] | None, typer.Argument(metavar="-- ARGV", help="Command of --agent command")]
Prompt = Annotated[str, typer.Option("-p", "--prompt", metavar="TEXT", help="Add this to what is asked")]
PromptFile = Annotated[str | None, typer.Option(metavar="FILE", help="Ask with a prompt file, by path or name")]
Data = Annotated[list[str] | None, typer.Option(metavar="K=V", help="Fill in an input of the prompt file")]
Executor = Annotated[
    str | None,
    typer.Option("--executor", "-e", metavar="NAME", help="Where it runs", autocompletion=complete.executors),
]
Agent = Annotated[
    str | None, typer.Option("--agent", "-a", metavar="NAME", help="Who does it", autocompletion=complete.agents)
]
Model = Annotated[str | None, typer.Option("--model", "-m", metavar="NAME", help="Model to ask the agent for")]
Branch = Annotated[
    str | None, typer.Option(metavar="NAME", help="Work on this branch", autocompletion=complete.branches)
]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Show what it does until it ends")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would happen, create nothing")]


def run(
    task: TaskName,
    command: Command = None,
    prompt: Prompt = "",
    prompt_file: PromptFile = None,
    data: Data = None,
    mode: Annotated[Mode, typer.Option(help="Unattended, or beside a human")] = Mode.AUTONOMOUS,
    executor: Executor = None,
    agent: Agent = None,
    model: Model = None,
    branch: Branch = None,
    base: Base = None,
    follow: Follow = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Start an agent on a task

    The task gets a worktree and a branch of its own. Unattended sessions wait in a queue for their turn.
    """
    from scopecraft_git import submission

    order = submission.Order(
        task=task,
        mode=mode,
        command=tuple(command or ()),
        prompt=prompt,
        prompt_file=prompt_file,
        data=output.pairs(data or []),
        executor=executor,
        agent=agent,
        model=model,
        branch=branch,
        base=base,
    )
    output.start(lambda: submission.draft(order, Path.cwd()), follow=follow, dry_run=dry_run, as_json=json)


def dispatch(
    task: TaskName,
    command: Command = None,
    prompt: Prompt = "",
    prompt_file: PromptFile = None,
    data: Data = None,
    executor: Executor = None,
    agent: Agent = None,
    model: Model = None,
    branch: Branch = None,
    base: Base = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Open an agent on a task in a tmux window, to work beside it"""
    run(
        task,
        command=command,
        prompt=prompt,
        prompt_file=prompt_file,
        data=data,
        mode=Mode.DISPATCH,
        executor=executor,
        agent=agent,
        model=model,
        branch=branch,
        base=base,
        dry_run=dry_run,
        json=json,
    )


def continue_(
    session: SessionName,
    prompt: Annotated[str, typer.Option("-p", "--prompt", metavar="TEXT", help="What to do next")] = "",
    follow: Follow = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Go on with a session that has ended

    The agent remembers it, and works in the same worktree, on the same branch and as it did before. Settings are those
    of now.
    """
    from scopecraft_git import submission

    parent = context.session(session)
    output.start(
        lambda: submission.continuation(context.storage(), parent, prompt),
        follow=follow,
        dry_run=dry_run,
        as_json=json,
    )
