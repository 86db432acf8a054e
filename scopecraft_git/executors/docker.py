"""Runs the agent in a container: its worktree, a copy of the refs, and nothing else of this machine.

What does it is imported when first needed: every command that names an executor loads this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scopecraft_git.config import Settings
from scopecraft_git.errors import CannotAttachError
from scopecraft_git.hookspecs import hookimpl
from scopecraft_git.models import Mode
from scopecraft_git.protocols import ExecRequest, Executor

if TYPE_CHECKING:
    from scopecraft_git.executors.container import DockerExecution


class DockerExecutor:
    name = "docker"
    modes: tuple[Mode, ...] = (Mode.AUTONOMOUS,)
    isolated = True
    worktree_seen_at: Path | None = Path("/workspace")

    def check(self, settings: Settings, _argv: Sequence[str], /) -> None:
        from scopecraft_git.executors import engine, mounts

        chosen = engine.chosen()
        mounts.wanted(settings.docker.mounts, engine=chosen.address)
        chosen.require_image(settings.docker.image)

    def describe(self, request: ExecRequest) -> Mapping[str, Any]:
        from scopecraft_git.executors import containers

        return containers.describe(request)

    def start(self, request: ExecRequest) -> DockerExecution:
        from scopecraft_git.executors import containers

        return containers.start(request)

    def find(self, request: ExecRequest) -> DockerExecution | None:
        from scopecraft_git.executors import containers

        return containers.find(request)

    def remains(self) -> Iterable[str]:
        from scopecraft_git.executors import containers

        return sorted(set(containers.remains()))

    def attach(self, request: ExecRequest) -> Sequence[str]:
        raise CannotAttachError(request.session_id, self.name)


@hookimpl
def register_executors() -> Iterable[Executor]:
    return [DockerExecutor()]
