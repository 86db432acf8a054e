"""Executors, agents, and what they need of the machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scopecraft_git.errors.base import MissingError, RefusedError, ScopecraftError, UsageError


class ExecutorUnavailableError(MissingError):
    """Raised by `Executor.check`; `hint` says how to make the executor available."""


class DockerUnreachableError(ExecutorUnavailableError):
    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            f"Docker is not reachable at {address} ({reason})",
            "Start Docker: sudo systemctl start docker; or run without isolation: "
            "git scopecraft run TASK --executor local",
        )


class ImageMissingError(ExecutorUnavailableError):
    def __init__(self, image: str) -> None:
        super().__init__(
            f"The image {image} does not exist on this engine",
            "Build it and log in: git scopecraft image build && git scopecraft image login",
        )


class DockerRefusedError(ScopecraftError):
    def __init__(self, action: str, reason: str) -> None:
        super().__init__(
            f"Docker refused to {action}: {reason}",
            "To check the engine and the image, run git scopecraft doctor",
        )


class EngineForbiddenError(DockerUnreachableError):
    """The engine's socket is there, and this user may not speak to it."""

    def __init__(self, address: str) -> None:
        super().__init__(address, "permission denied")
        self.hint = "Join the group docker, then log in again: sudo usermod -aG docker $USER"


class LoginNeedsTerminalError(UsageError):
    def __init__(self) -> None:
        super().__init__(
            "The login asks questions, and this is no terminal to ask them in",
            "Run it in a terminal: git scopecraft image login",
        )


class LoginFailedError(ScopecraftError):
    def __init__(self, image: str, code: int) -> None:
        super().__init__(
            f"The login ended with exit code {code}; {image} is as it was",
            "Try again: git scopecraft image login",
        )


class AgentHomeError(RefusedError):
    """An agent left something in its home that takes the place of a folder or file of ours."""

    def __init__(self, home: Path, reason: str) -> None:
        super().__init__(
            f"{home}, the home of the agents of this worktree, cannot be used: {reason}",
            f"Set it aside; its transcripts and login go with it: mv '{home}' '{home}.old'",
        )


class AgentHomeStaysError(ScopecraftError):
    """Something in it belongs to another user."""

    def __init__(self, home: Path, reason: str) -> None:
        super().__init__(
            f"{home}, the home of the agents of this worktree, could not be removed: {reason}",
            f"Remove it: sudo rm -rf '{home}'",
        )


class DockerCommandMissingError(MissingError):
    def __init__(self) -> None:
        super().__init__(
            "The docker command is not on the path, and the login needs it for its terminal",
            "Install it: sudo apt install docker-cli || sudo apt install docker.io",
        )


class BuildFailedError(ScopecraftError):
    def __init__(self, image: str, reason: str) -> None:
        super().__init__(
            f"The image {image} could not be built: {reason}",
            "The lines above say where; to start afresh, run git scopecraft image build --no-cache",
        )


class MountMissingError(MissingError):
    def __init__(self, source: Path) -> None:
        super().__init__(
            f"docker.mounts names {source}, which does not exist",
            f"Make it, or take it out of the settings: mkdir -p '{source}'",
        )


class ForbiddenMountError(RefusedError):
    def __init__(self, source: str, reason: str) -> None:
        super().__init__(
            f"docker.mounts names {source}, which is never mounted: {reason}",
            "Name a narrower folder: git scopecraft config show docker.mounts",
        )


class TmuxMissingError(ExecutorUnavailableError):
    def __init__(self) -> None:
        super().__init__(
            "tmux is not installed, and a dispatch session needs it",
            "Install it (apt install tmux, brew install tmux), or run unattended: git scopecraft run TASK",
        )


class AgentMissingError(MissingError):
    def __init__(self, agent: str, program: str) -> None:
        super().__init__(
            f"The agent {agent} needs the program {program}, which is not on the path",
            f"Install it, or name it: git config --global scopecraft.agents.{agent}.command /path/to/{program}",
        )


class AgentCommandMissingError(UsageError):
    def __init__(self, task: str) -> None:
        super().__init__(
            "The agent command runs what is given after --, and nothing was",
            f"Give it: git scopecraft run {task} --agent command -- ./agent.sh",
        )


class CommandNotTakenError(UsageError):
    def __init__(self, agent: str, task: str) -> None:
        super().__init__(
            f"The agent {agent} takes no command after --",
            f"To run a command of one's own: git scopecraft run {task} --agent command -- ./agent.sh",
        )


class PromptOptionNotTakenError(RefusedError):
    """What a prompt file forbids or needs, and an agent cannot be told."""

    def __init__(self, agent: str, options: Sequence[str], task: str) -> None:
        super().__init__(
            f"The agent {agent} cannot be told {' and '.join(options)}, which the prompt file sets",
            f"Leave it out of the prompt file, or have Claude Code do it: git scopecraft run {task} --agent claude",
        )


class WrongModeError(UsageError):
    def __init__(self, executor: str, mode: str, task: str) -> None:
        other = "run" if mode == "dispatch" else "dispatch"
        super().__init__(
            f"The executor {executor} has no {mode} mode",
            f"Choose another with --executor, or run git scopecraft {other} {task}",
        )


class CannotAttachError(RefusedError):
    def __init__(self, session: str, executor: str) -> None:
        super().__init__(
            f"The session {session} runs on {executor}, which has no screen to attach to",
            f"Follow it instead: git scopecraft logs -f {session}",
        )


class AttachNeedsTerminalError(UsageError):
    def __init__(self, session: str) -> None:
        super().__init__(
            f"The window of {session} needs a terminal to be shown in, and this is none",
            f"Attach from a terminal, or follow it here: git scopecraft logs -f {session}",
        )


class WindowGoneError(RefusedError):
    def __init__(self, session: str) -> None:
        super().__init__(
            f"The session {session} has no window any more; it was closed, or the tmux server has ended",
            f"To see what it did, run git scopecraft logs {session}",
        )


class CredentialsUnreadableError(MissingError):
    def __init__(self, variable: str, path: Path, reason: str) -> None:
        super().__init__(
            f"The credential {variable} cannot be read from {path}: {reason}",
            f"Write it there, for this user alone: install -D -m 600 /dev/stdin '{path}'",
        )
