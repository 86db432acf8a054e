"""Makes the image that agents run in: builds it, logs it in, and tries it once."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scopecraft_git.config import Settings
from scopecraft_git.errors import (
    BuildFailedError,
    DockerCommandMissingError,
    ImageMissingError,
    LoginFailedError,
    LoginNeedsTerminalError,
)
from scopecraft_git.executors import engine
from scopecraft_git.executors.engine import Engine, NotThereError

DOCKERFILE = Path(__file__).with_name("Dockerfile")
CERTIFICATES = "NODE_EXTRA_CA_CERTS"
"""Where npm is told of a certificate authority beside the public ones; the build honours it as npm itself does."""


def build(
    settings: Settings,
    *,
    base: str | None = None,
    claude_version: str | None = None,
    no_cache: bool = False,
    echo: Callable[[str], object] = print,
) -> None:
    """Build `docker.image` from the packaged Dockerfile, its user being this one (1000 for root).

    `echo` gets the engine's progress line by line. What is not given is as the Dockerfile says. A failure leaves an
    earlier image of that name as it was. Raises `BuildFailedError` and `DockerUnreachableError`.
    """
    reached = engine.chosen()
    image = settings.docker.image
    given = {"BASE": base, "CLAUDE_VERSION": claude_version}
    arguments = {name: value for name, value in given.items() if value} | _owner()
    with reached.asked("build the image"):
        progress = reached.working.build(
            fileobj=_context(),
            custom_context=True,
            tag=image,
            buildargs=arguments,
            nocache=no_cache,
            rm=True,
            forcerm=True,
            decode=True,
        )
        for message in progress:
            _report(image, message, echo)


def login(settings: Settings) -> None:
    """Run the agent in `docker.image` for a human to log in, and keep the result as that image.

    Needs a terminal. Nothing is kept when the agent exits with anything but 0. Raises `LoginNeedsTerminalError`,
    `LoginFailedError`, `ImageMissingError`, `DockerCommandMissingError`.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise LoginNeedsTerminalError
    program = shutil.which("docker")
    if program is None:
        raise DockerCommandMissingError
    reached = engine.chosen()
    image = settings.docker.image
    before = _inspect(reached, image)
    container = f"scopecraft-login-{uuid.uuid4().hex[:8]}"
    try:
        command = [program, "run", "--interactive", "--tty", "--name", container, "--entrypoint", "claude", image]
        ended = subprocess.run(command, check=False)
        if ended.returncode:
            raise LoginFailedError(image, ended.returncode)
        _keep(reached, container, image, before["Config"])
    finally:
        with contextlib.suppress(NotThereError), reached.asked("remove the container"):
            reached.working.remove_container(container, v=True, force=True)


def _owner() -> dict[str, str]:
    root = os.getuid() == 0
    return {"AGENT_UID": str(1000 if root else os.getuid()), "AGENT_GID": str(1000 if root else os.getgid())}


def _context() -> io.BytesIO:
    files = {"Dockerfile": DOCKERFILE}
    if certificates := os.environ.get(CERTIFICATES):
        files["ca-certificates.crt"] = Path(certificates)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, path in files.items():
            if path.is_file():
                tar.add(path.resolve(), name)
    archive.seek(0)
    return archive


def _report(image: str, message: dict[str, Any], echo: Callable[[str], object]) -> None:
    if "error" in message:
        raise BuildFailedError(image, str(message["error"]).strip())
    for line in str(message.get("stream") or "").splitlines():
        if line.strip():
            echo(line.rstrip())
    if "status" in message and "progress" not in message:
        echo(f"{message['status']} {message.get('id', '')}".rstrip())


def _inspect(reached: Engine, image: str) -> dict[str, Any]:
    try:
        with reached.asked(f"look at the image {image}"):
            found: dict[str, Any] = reached.api.inspect_image(image)
    except NotThereError:
        raise ImageMissingError(image) from None
    return found


def _keep(reached: Engine, container: str, image: str, config: dict[str, Any]) -> None:
    """Commit the container under the image's name; what it starts stays what the image said, not the login."""
    repository, tag = _split(image)
    # An empty list says that there is none; what is left out would be taken from the login's container.
    kept = config | {"Entrypoint": config.get("Entrypoint") or [], "Cmd": config.get("Cmd") or []}
    with reached.asked("keep the login"):
        reached.working.commit(container, repository=repository, tag=tag, conf=kept)


def _split(image: str) -> tuple[str, str]:
    """Name and tag; a colon before the last slash belongs to a registry's port."""
    name, colon, tag = image.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (image, "latest")
