"""`completion`: makes Tab work, also behind `git scopecraft`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="Shell to speak to")]) -> None:
    """Print a script that completes commands, tasks and sessions

    For bash, add to ~/.bashrc: source <(git scopecraft completion bash).
    For zsh, behind compinit in ~/.zshrc: source <(git scopecraft completion zsh).
    For fish, add to ~/.config/fish/config.fish: git scopecraft completion fish | source.
    """
    print(Path(__file__).with_name(f"git-scopecraft.{shell}").read_text(encoding="utf-8"), end="")
