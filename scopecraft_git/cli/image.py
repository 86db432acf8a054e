"""`image build|login`: the image that agents run in."""

from __future__ import annotations

from typing import Annotated

import typer

from scopecraft_git import console
from scopecraft_git.cli import context
from scopecraft_git.cli.commands import group

app = group("Build the image that agents run in, and log in")


@app.command()
def build(
    base: Annotated[str | None, typer.Option(metavar="IMAGE", help="Debian or Node image to start from")] = None,
    claude_version: Annotated[str | None, typer.Option(metavar="VERSION", help="Version of Claude Code")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Build every layer anew")] = False,
) -> None:
    """Build the image that agents run in"""
    from scopecraft_git.executors import image

    settings = context.settings()
    image.build(settings, base=base, claude_version=claude_version, no_cache=no_cache, echo=console.progress)
    console.changed(f"Built {settings.docker.image}")
    console.hint("To log the agent in, run git scopecraft image login")


@app.command()
def login() -> None:
    """Log the agent in, and keep the login in the image"""
    from scopecraft_git.executors import image

    settings = context.settings()
    image.login(settings)
    console.changed(f"Kept the login in {settings.docker.image}")
    console.hint("To try it, run git scopecraft doctor")
