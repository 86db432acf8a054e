"""The containers of sessions: what they are made of, and how they are found again."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from typing import Any

from scopecraft_git import paths
from scopecraft_git.errors import DockerRefusedError, ImageMissingError, ScopecraftError
from scopecraft_git.executors import agent_home, credentials, engine, image_facts, mounts, relay, shadow
from scopecraft_git.executors.container import DockerExecution
from scopecraft_git.executors.engine import Engine, NotNowError, NotThereError
from scopecraft_git.executors.image_facts import ImageFacts
from scopecraft_git.executors.mounts import HOME, WORKSPACE, Mount
from scopecraft_git.protocols import ExecRequest

SESSION, REPOSITORY, SCOPECRAFT_HOME, LOGIN = (
    "scopecraft.session", "scopecraft.repository", "scopecraft.home", "scopecraft.login"
)  # fmt: skip
LOG: dict[str, Any] = {
    "type": "json-file",
    "config": {"max-size": "1t", "max-file": "1", "compress": "false", "mode": "blocking"},
}
"""Said in full: the engine's own defaults would be mixed in, and a log that rotates loses what was not yet read."""
INPUT = "input"
"""With the session: what the agent reads first."""
NEVER = "0001-"
"""How the time begins at which a container started that did not."""
MAKES_WAY_WITHIN = 10.0
LOOKS_AGAIN = 0.05
KILLS_GROUP = {"TINI_KILL_PROCESS_GROUP": "1"}
"""The container's init then hands a signal to the agent and to what it runs."""

logger = logging.getLogger(__name__)


def describe(request: ExecRequest) -> Mapping[str, Any]:
    limits = request.settings.docker
    return {
        "image": limits.image,
        "network": limits.network,
        "mounts": [str(mount) for mount in _mounts(request, engine.chosen())],
        "user": _user(),
        "memory": limits.memory,
        "cpus": limits.cpus,
        "pids": limits.pids,
    }


def start(request: ExecRequest) -> DockerExecution:
    reached = engine.remembered(request.directory)
    if found := _taken_over(reached, request):
        return found
    facts = image_facts.learn(reached, request.settings.docker.image)
    try:
        _prepare(reached, request, facts)
        execution = DockerExecution(reached, _create(reached, request, facts), request)
        _start(execution, facts)
    except BaseException:
        _undo(reached, request)
        raise
    _warn_of_shared_login(reached, request)
    return execution


def find(request: ExecRequest) -> DockerExecution | None:
    reached = engine.remembered(request.directory)
    try:
        with reached.asked("look for the container"):
            found = reached.api.inspect_container(_name(request))
    except NotThereError:
        started = engine.started(request.directory)
        return DockerExecution(reached, started, request) if started else None
    labels = found["Config"]["Labels"] or {}
    if labels.get(SCOPECRAFT_HOME) != _home_id():
        raise DockerRefusedError("use this name", f"the container {_name(request)} is of another SCOPECRAFT_HOME")
    if found["State"]["StartedAt"].startswith(NEVER):
        return None
    if engine.started(request.directory) != found["Id"]:
        engine.remember(request.directory, reached, found["Id"])
    return DockerExecution(reached, found["Id"], request)


def remains() -> Iterator[str]:
    """The sessions of this SCOPECRAFT_HOME that have a container. Of an engine that does not answer, none."""
    for reached in {engine.chosen(), *engine.unreleased(paths.sessions())}:
        try:
            with reached.asked("list containers"):
                found = reached.api.containers(all=True, filters={"label": f"{SCOPECRAFT_HOME}={_home_id()}"})
        except (ScopecraftError, NotThereError, NotNowError) as error:
            logger.warning("The containers of an engine are not known: %s", error)
        else:
            yield from (container["Labels"][SESSION] for container in found if SESSION in container["Labels"])


def _taken_over(reached: Engine, request: ExecRequest) -> DockerExecution | None:
    """What a start that was killed has started, or what the engine still starts for it.

    Where there is none, a container that was created and never started makes way.
    """
    deadline = time.monotonic() + MAKES_WAY_WITHIN
    while not (found := find(request)) and time.monotonic() < deadline:
        if engine.started(request.directory):
            engine.remember(request.directory, reached)
        try:
            with reached.asked("remove the container"):
                reached.working.remove_container(_name(request))  # refused for one that runs
        except NotNowError:
            time.sleep(LOOKS_AGAIN)  # it runs after all, or is being removed
        except NotThereError:
            return None
    return found


def _prepare(reached: Engine, request: ExecRequest, facts: ImageFacts) -> None:
    """Lay out on this side what the container will see."""
    engine.remember(request.directory, reached)
    for old in ("environment.json", "input.closed", "stderr.log"):
        (request.directory / old).unlink(missing_ok=True)
    _lay_out_input(request)
    shadow.prepare(request)
    agent_home.write_passwd(request.directory / "passwd", facts)
    credentials.lay_out(request)
    home = agent_home.ensure(request.worktree)
    with agent_home.usable(home):
        mounts.make_targets(_mounts(request, reached), home)


def _lay_out_input(request: ExecRequest) -> None:
    private = os.open(request.directory / INPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(private, "wb") as file:
        file.write(request.input)
    if request.input_ends:
        (request.directory / "input.closed").touch()


def _create(reached: Engine, request: ExecRequest, facts: ImageFacts) -> str:
    """The id of a new container."""
    try:
        with reached.asked("create the container"):
            config = _config(reached, request, facts.id)
            try:
                with reached.asked("create the container"):
                    created = reached.working.create_container_from_config(config, _name(request))
            except NotNowError:  # made just now, for one who was killed meanwhile
                reached.working.remove_container(_name(request))  # refused for one that runs
                created = reached.working.create_container_from_config(config, _name(request))
    except NotThereError:
        raise ImageMissingError(request.settings.docker.image) from None
    except NotNowError as error:
        raise DockerRefusedError("create the container", str(error)) from error
    return str(created["Id"])


def _start(execution: DockerExecution, facts: ImageFacts) -> None:
    reached, request = execution.engine, execution.request
    home = agent_home.of(request.worktree)
    with agent_home.usable(home):
        agent_home.bring_login(home, request.login_files, reached, facts, execution.container)
    engine.remember(request.directory, reached, execution.container)
    try:
        with reached.asked("start the container"):
            reached.working.start(execution.container)
    except (NotThereError, NotNowError) as error:
        raise DockerRefusedError("start the container", str(error)) from error


def _undo(reached: Engine, request: ExecRequest) -> None:
    """Leave nothing of a start that failed; all of it where the engine is away, for its container may run yet."""
    engine.remember(request.directory, reached)
    try:
        with contextlib.suppress(NotThereError), reached.asked("remove the container"):
            reached.working.remove_container(_name(request), v=True, force=True)
    except (ScopecraftError, NotNowError) as error:
        logger.warning("The container %s may be left: %s", _name(request), error)
        return
    credentials.clear(request)
    shutil.rmtree(request.directory / "git", ignore_errors=True)
    for name in ("given-refs", "passwd", INPUT, "input.closed", shadow.MASK, shadow.LINK):
        (request.directory / name).unlink(missing_ok=True)
    engine.forget(request.directory)


def _mounts(request: ExecRequest, reached: Engine) -> list[Mount]:
    own = [
        *shadow.mounts(request),
        Mount(agent_home.of(request.worktree), HOME, read_only=False),
        Mount(request.directory / "passwd", "/etc/passwd"),
        Mount(request.directory / INPUT, relay.FIRST),
        *credentials.mounts(request),
    ]
    wanted = request.settings.docker.mounts
    return own + mounts.wanted(wanted, engine=reached.address, repository=request.repository)


def _config(reached: Engine, request: ExecRequest, image: str) -> dict[str, Any]:
    limits = request.settings.docker
    host = reached.api.create_host_config(
        mounts=[mount.as_docker() for mount in _mounts(request, reached)],
        network_mode=limits.network,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        init=True,
        mem_limit=limits.memory,
        memswap_limit=limits.memory,
        nano_cpus=int(limits.cpus * 1e9),
        pids_limit=limits.pids,
        log_config=LOG,
    )
    environment = {"TERM": "dumb", "LANG": "C.UTF-8"} | limits.env | request.environment | {"HOME": HOME} | KILLS_GROUP
    config: dict[str, Any] = reached.api.create_container_config(
        image,
        list(request.argv),
        entrypoint=["/bin/sh", "-c", relay.script(ends=request.input_ends), "scopecraft"],
        user=_user(),
        working_dir=WORKSPACE,
        detach=True,
        stdin_open=True,
        tty=False,
        environment=environment,
        labels=_labels(request),
        host_config=host,
    )
    return config


def _labels(request: ExecRequest) -> dict[str, str]:
    own = {SESSION: request.session_id, REPOSITORY: str(request.repository), SCOPECRAFT_HOME: _home_id()}
    return own if request.credentials or not request.login_files else {**own, LOGIN: request.agent}


def _warn_of_shared_login(reached: Engine, request: ExecRequest) -> None:
    if LOGIN not in _labels(request) or not agent_home.uses_image_login(agent_home.of(request.worktree)):
        return
    same = [f"{SCOPECRAFT_HOME}={_home_id()}", f"{LOGIN}={request.agent}"]
    try:
        with reached.asked("list containers"):
            running = reached.api.containers(filters={"label": same, "status": "running"})
    except (ScopecraftError, NotThereError, NotNowError):
        return  # it runs: that nobody can be warned is no failure of its start
    if len(running) > 1:
        logger.warning(
            "%d sessions share the login of %s; when one renews it, the others may be logged out. Give each a token: "
            'git config --global scopecraft.agents.%s.credentials \'{"VARIABLE": "FILE"}\'',
            len(running),
            request.settings.docker.image,
            request.agent,
        )


def _name(request: ExecRequest) -> str:
    return f"scopecraft-{request.session_id}"


def _user() -> str:
    return f"{os.getuid()}:{os.getgid()}"


def _home_id() -> str:
    """Which SCOPECRAFT_HOME a container belongs to."""
    return hashlib.sha256(os.fsencode(paths.home())).hexdigest()[:16]
