"""Reaches the Docker engine: where the user's docker command would, and the only place that imports docker-py.

The check before a session is queued speaks to the engine's socket itself: importing docker-py takes longer than
everything else that `run` does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scopecraft_git.errors import (
    DockerRefusedError,
    DockerUnreachableError,
    EngineForbiddenError,
    ImageMissingError,
    ScopecraftError,
)
from scopecraft_git.executors import documents
from scopecraft_git.executors.heartbeat import Heartbeat

PINNED = "engine.json"
DEFAULT = "unix:///var/run/docker.sock"
CHOOSES = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
"""Variables that say which engine is meant."""
PATIENCE = 15
"""Seconds for an answer. An engine waits for 10 of them itself until what it killed is dead."""
LONG_PATIENCE = 60
"""Seconds for what makes it work: to create, start and remove a container."""


class NotThereError(Exception):
    """The engine does not know the container, image or path that was asked for."""


class NotNowError(Exception):
    """The state of the container forbids it, or its name is taken."""


class Engine:
    """One engine, as the variables of `CHOOSES` name it; connected when first used."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = {name: variables[name] for name in CHOOSES if variables.get(name)}

    @cached_property
    def context(self) -> str | None:
        """Name of the docker context in force; None when an address or the default one is."""
        if "DOCKER_HOST" in self.variables:
            return None
        name = self.variables.get("DOCKER_CONTEXT") or self._configured("config.json").get("currentContext")
        return None if name in (None, "default") else str(name)

    @cached_property
    def address(self) -> str:
        if self.context is None:
            return self.variables.get("DOCKER_HOST") or DEFAULT
        folder = hashlib.sha256(self.context.encode()).hexdigest()
        found = self._configured(f"contexts/meta/{folder}/meta.json")
        try:
            return str(found["Endpoints"]["docker"]["Host"])
        except (KeyError, TypeError):
            raise DockerUnreachableError(f"context {self.context}", "there is no such docker context") from None

    @cached_property
    def api(self) -> Any:
        """docker-py's `APIClient`, whose stubs know too little of it; for what is answered at once."""
        return self._connect(PATIENCE)

    @cached_property
    def working(self) -> Any:
        """The same for what may take the engine long."""
        return self._connect(LONG_PATIENCE)

    @cached_property
    def heartbeat(self) -> Heartbeat:
        """Guards the streams that are read of it, which have no timeout of their own."""
        return Heartbeat(self._ask)

    @contextlib.contextmanager
    def asked(self, action: str) -> Iterator[None]:
        """Gives what docker-py raises the names of our errors. `action` completes "Docker refused to …"."""
        import requests
        from docker.errors import APIError, DockerException

        try:
            yield
        except APIError as error:
            if error.response is not None:
                error.response.close()  # that of a stream keeps its connection until it is read
            if error.status_code == 404:
                raise NotThereError(error.explanation) from error
            if error.status_code in (304, 409):
                raise NotNowError(error.explanation) from error
            raise DockerRefusedError(action, str(error.explanation or error)) from error
        except (requests.ConnectionError, requests.Timeout, ConnectionError, TimeoutError) as error:
            raise self._unreachable(error) from error
        except DockerException as error:
            if isinstance(_cause(error), OSError):
                raise self._unreachable(error) from error
            raise DockerRefusedError(action, str(error)) from error
        except requests.RequestException as error:
            raise DockerUnreachableError(self.address, str(error)) from error

    def require_image(self, image: str) -> None:
        """Raise `ImageMissingError` or `DockerUnreachableError` unless a container of `image` could be made."""
        if self.address.startswith("unix://"):
            status = self._status_over_socket(f"/images/{quote(image, safe='/:@')}/json")
            if status == 404:
                raise ImageMissingError(image)
            if status != 200:
                raise DockerRefusedError(f"look at the image {image}", f"status {status}")
            return
        try:
            with self.asked(f"look at the image {image}"):
                self.api.inspect_image(image)
        except NotThereError:
            raise ImageMissingError(image) from None

    def stopped_since(self, moment: datetime) -> bool:
        """Whether it was stopped and started after `moment`, its containers with it; False where it cannot be known.

        The default network is made anew at each start, except for containers that live on.
        """
        try:
            with self.asked("tell when it started"):
                if self.api.info().get("LiveRestoreEnabled"):
                    return False
                made = datetime.fromisoformat(self.api.inspect_network("bridge")["Created"])
        except (ScopecraftError, NotThereError, NotNowError, LookupError, ValueError):
            return False
        return made > moment

    def _ask(self) -> None:
        self.api.ping()

    def _connect(self, patience: int) -> Any:
        import docker
        from docker.utils import kwargs_from_env

        with self.asked("answer"):
            if self.context is None:
                named = kwargs_from_env(environment=self.variables)
                return docker.APIClient(**named, version="auto", timeout=patience)
            return docker.APIClient(self.address, version="auto", timeout=patience, tls=self._context_tls() or False)

    def _unreachable(self, error: BaseException) -> DockerUnreachableError:
        """Named after what the operating system said, from below whatever was wrapped around it."""
        found = _cause(error)
        if isinstance(found, PermissionError):
            return EngineForbiddenError(self.address)
        if isinstance(found, FileNotFoundError):
            return DockerUnreachableError(self.address, "there is no such socket")
        if isinstance(found, TimeoutError):
            return DockerUnreachableError(self.address, "it does not answer")
        strerror = found.strerror if isinstance(found, OSError) else None
        return DockerUnreachableError(self.address, (strerror or str(found)).lower())

    def _status_over_socket(self, path: str) -> int:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(PATIENCE)
                connection.connect(self.address.removeprefix("unix://"))
                connection.sendall(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
                return int(connection.makefile("rb").readline().split()[1])
        except OSError as error:
            raise self._unreachable(error) from error
        except (IndexError, ValueError):
            raise DockerUnreachableError(self.address, "what answers there is no Docker engine") from None

    def _configured(self, name: str) -> dict[str, Any]:
        """A JSON file of the docker command's configuration; empty when there is none that can be read."""
        folder = Path(self.variables.get("DOCKER_CONFIG") or Path.home() / ".docker")
        try:
            document = json.loads((folder / name).read_bytes())
        except (OSError, ValueError):
            return {}
        return document if isinstance(document, dict) else {}

    def _context_tls(self) -> Any:
        from docker.context import ContextAPI

        found = ContextAPI.get_context(self.context)
        return found.TLSConfig if found else None


@contextlib.contextmanager
def hanging_up(answer: Any) -> Iterator[None]:
    """Closes the connection of a docker-py stream or socket, whose own `close` leaves half of it open."""
    try:
        yield
    finally:
        answer._response.close()
        if taken := getattr(answer, "_sock", None):
            taken.close()


def chosen() -> Engine:
    """The engine that this process's environment names."""
    return _engine(tuple((name, os.environ[name]) for name in CHOOSES if name in os.environ))


def remember(folder: Path, engine: Engine, container: str | None = None) -> None:
    """Keep with a session which engine has its container: a later process may have another environment.

    With `container`, that is about to be started: if it is not there any more, it ran and was removed.
    """
    pinned = {**engine.variables, "DOCKER_CONTEXT": engine.context} if engine.context else engine.variables
    kept = {**pinned, "container": container} if container else pinned
    documents.write(folder / PINNED, kept)


def started(folder: Path) -> str | None:
    """The container that was started for a session, or was about to be; None when none was or it is released."""
    with contextlib.suppress(OSError, ValueError):
        container = json.loads((folder / PINNED).read_bytes()).get("container")
        return str(container) if container else None
    return None


def forget(folder: Path) -> None:
    """The session needs its engine no more."""
    (folder / PINNED).unlink(missing_ok=True)


def unreleased(folders: Path) -> set[Engine]:
    """The engines of all sessions below `folders` that have not been released."""
    return {remembered(path.parent) for path in folders.glob(f"*/{PINNED}")}


def remembered(folder: Path) -> Engine:
    """The engine that has the session's container, else the one its user's command would have reached."""
    for name in (PINNED, "environment.json"):
        with contextlib.suppress(OSError, ValueError):
            variables = json.loads((folder / name).read_bytes())
            return _engine(tuple((key, variables[key]) for key in CHOOSES if key in variables))
    return chosen()


@cache
def _engine(variables: tuple[tuple[str, str], ...]) -> Engine:
    return Engine(dict(variables))


def _cause(error: BaseException) -> BaseException:
    seen = error
    while (below := seen.__cause__ or seen.__context__) is not None:
        seen = below
    return seen
