"""Looks at all that a session needs, the way a session would use it.

Changes nothing but the home: its folders are made where they are missing, and the home itself to try an image in.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from scopecraft_git import config, paths, plugins, policy, supervisor
from scopecraft_git.config import Settings
from scopecraft_git.errors import HomeNotWritableError, NotARepositoryError, ScopecraftError
from scopecraft_git.models import Mode
from scopecraft_git.protocols import Agent, AgentRequest
from scopecraft_git.repository import Repository, run_git

OLDEST_GIT = (2, 36)
"""The first whose `worktree list` ends lines in NUL."""
SEEN_BY_OTHERS = 0o077


class Status(StrEnum):
    FINE = "fine"
    WARNING = "warning"
    """Something could be better; sessions start all the same."""
    WRONG = "wrong"
    SKIPPED = "skipped"


class Finding(NamedTuple):
    check: str
    status: Status
    message: str
    hint: str = ""
    """The cure, ending in a command; empty when none is needed."""


def examine(cwd: Path) -> Iterator[Finding]:
    """Check by check, as they are made; the slowest starts a container. Raises nothing."""
    settings = Settings()
    try:
        settings = _settings(cwd)
        yield Finding("settings", Status.FINE, "The settings are valid")
    except ScopecraftError as error:
        yield _wrong("settings", error)
    checks: dict[str, Callable[[Settings], Iterator[Finding]]] = {
        "git": _git,
        "home": _home,
        "policy": _policy,
        "supervisor": _supervisor,
        "autonomous": _autonomous,
        "credentials": _credentials,
        "dispatch": _dispatch,
        "plugins": _plugins,
    }
    for name, check in checks.items():
        try:
            yield from check(settings)
        except ScopecraftError as error:
            yield _wrong(name, error)
        except Exception as error:  # whoever is asked may fail in ways nobody thought of
            yield Finding(
                name, Status.WRONG, f"This could not be checked: {error!r}", "Try again: git scopecraft doctor"
            )


def _settings(cwd: Path) -> Settings:
    try:
        return config.load(Repository.discover(cwd).configured("scopecraft"))
    except NotARepositoryError:
        return config.load()


def _wrong(check: str, error: ScopecraftError) -> Finding:
    return Finding(check, Status.WRONG, error.message, error.hint)


def _git(_settings: Settings) -> Iterator[Finding]:
    upgrade = "Install a newer one: https://git-scm.com/downloads; then run git scopecraft doctor"
    if not shutil.which("git"):
        yield Finding("git", Status.WRONG, "git is not on the path", upgrade)
        return
    printed = run_git("--version").stdout.decode().strip()
    version = re.search(r"(\d+)\.(\d+)\S*", printed)
    if version and (int(version[1]), int(version[2])) >= OLDEST_GIT:
        yield Finding("git", Status.FINE, f"git {version[0]}")
    else:
        wanted = ".".join(str(part) for part in OLDEST_GIT)
        yield Finding("git", Status.WRONG, f"{printed} is older than {wanted}, which is needed", upgrade)


def _home(settings: Settings) -> Iterator[Finding]:
    home = paths.home()
    if not home.exists():
        yield _future_home(home, tries_image=settings.executor.autonomous == "docker")
    elif home.stat().st_mode & SEEN_BY_OTHERS:
        yield Finding("home", Status.WARNING, f"Others can look into {home}", f"Close it: chmod 700 '{home}'")
    else:
        paths.ensure_home()
        yield Finding("home", Status.FINE, f"Sessions are kept in {home}, for this user alone")


def _future_home(home: Path, *, tries_image: bool) -> Finding:
    above = next(folder for folder in home.parents if folder.exists())
    also = ", which is now if there is an image to try" if tries_image else ""
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        return Finding("home", Status.FINE, f"{home} will be made when first needed" + also)
    return _wrong("home", HomeNotWritableError(home, f"{above} cannot be written"))


def _policy(_settings: Settings) -> Iterator[Finding]:
    own = [each for each in policy.load().rules if each.origin != policy.BUILT_IN]
    where = f"{paths.policy_file()} has {len(own)} rules" if own else "The built-in policy judges what agents do"
    yield Finding("policy", Status.FINE, where)


def _supervisor(settings: Settings) -> Iterator[Finding]:
    unreadable: list[ScopecraftError] = []
    living = list(plugins.storage(settings.storage).sessions(active=True, onerror=unreadable.append))
    for error in unreadable:
        yield Finding("sessions", Status.WARNING, error.message, error.hint)
    if process := supervisor.process_id():
        yield Finding(
            "supervisor", Status.FINE, f"The supervisor is process {process}; sessions that live: {len(living)}"
        )
    elif living:
        message = f"The supervisor is gone, and nobody follows sessions that live: {len(living)}"
        wake = f"Bring it back: git scopecraft logs -f {living[0].id}"
        yield Finding("supervisor", Status.WARNING, message, wake)
    else:
        yield Finding("supervisor", Status.FINE, "The supervisor comes with the first session")


def _autonomous(settings: Settings) -> Iterator[Finding]:
    """The executor of unattended sessions; Docker with its engine and image only where it is the one."""
    name = settings.executor.autonomous
    program = _program(settings)
    plugins.executor(name).check(settings, [program])
    yield Finding("executor", Status.FINE, f"Unattended sessions run on {name}")
    if name != "docker":
        yield Finding("image", Status.SKIPPED, f"Docker is not looked at: executor.autonomous is {name}")
        return
    from scopecraft_git.executors import image_probe

    agent = plugins.agent(settings.agent)
    needs_login = not (settings.for_agent(agent.name).credentials or settings.docker.env)
    for found in image_probe.probe(settings, program, agent.login_files if needs_login else ()):
        bad = Status.WARNING if found.what == "login" else Status.WRONG
        status = Status.FINE if found.works else bad
        yield Finding(f"image {found.what}", status, f"{settings.docker.image}: {found.detail}", found.hint)


def _credentials(settings: Settings) -> Iterator[Finding]:
    agent = plugins.agent(settings.agent)
    files = settings.for_agent(agent.name).credentials
    for variable, text in files.items():
        yield _credential(variable, Path(text).expanduser())
    if not files and agent.login_files and settings.executor.autonomous != "docker":
        yield _own_login(agent)


def _credential(variable: str, path: Path) -> Finding:
    try:
        path.open("rb").close()
    except OSError as error:
        reason = error.strerror or str(error)
        cure = f"Write it there, for this user alone: install -D -m 600 /dev/stdin '{path}'"
        return Finding("credentials", Status.WRONG, f"{variable} cannot be read from {path}: {reason}", cure)
    if path.stat().st_mode & SEEN_BY_OTHERS:
        message = f"Others can read {variable} in {path}"
        return Finding("credentials", Status.WARNING, message, f"Close it: chmod 600 '{path}'")
    return Finding("credentials", Status.FINE, f"{variable} is read from {path}")


def _own_login(agent: Agent) -> Finding:
    if any((Path.home() / name).exists() for name in agent.login_files):
        return Finding("credentials", Status.FINE, f"The agent {agent.name} uses this user's own login")
    message = f"The agent {agent.name} has not logged in on this machine, and no token is configured"
    return Finding("credentials", Status.WARNING, message, f"Log in: {agent.name}")


def _dispatch(settings: Settings) -> Iterator[Finding]:
    """Unattended sessions do without it, so what is missing is a warning."""
    name = settings.executor.dispatch
    try:
        plugins.executor(name).check(settings, [_program(settings, Mode.DISPATCH)])
    except ScopecraftError as error:
        yield Finding("dispatch", Status.WARNING, f"git scopecraft dispatch would fail: {error.message}", error.hint)
    else:
        yield Finding("dispatch", Status.FINE, f"Sessions beside a human run in {name}")


def _plugins(_settings: Settings) -> Iterator[Finding]:
    for plugin in plugins.installed():
        if plugin.problem:
            message = f"The plugin {plugin.name} is not used: {plugin.problem}"
            cure = f"Mend it, or leave it out: export SCOPECRAFT_DISABLE_PLUGINS={plugin.name}"
            yield Finding("plugins", Status.WARNING, message, cure)


def _program(settings: Settings, mode: Mode = Mode.AUTONOMOUS) -> str:
    """What the agent's command line starts with; git stands in where that is given anew each time."""
    agent = plugins.agent(settings.agent)
    if agent.takes_command:
        return "git"
    mine = settings.for_agent(agent.name)
    return agent.argv(AgentRequest(task="doctor", mode=mode, agent_session_id="doctor", settings=mine))[0]
