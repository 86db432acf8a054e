"""The user's preferences: defaults < file < git config < environment < flags.

The command line resolves them once and hands the result to whoever starts the session, so that a
session runs with the settings its user saw, not with those of a background process.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ByteSize, ConfigDict, Field, PlainSerializer, ValidationError

from scopecraft_git import paths
from scopecraft_git.errors import (
    HomeNotReadableError,
    InvalidSettingError,
    UnknownSettingError,
    UnreadableConfigError,
)

Size = Annotated[ByteSize, PlainSerializer(lambda size: size.human_readable(), when_used="json")]
"""Bytes, written as 512m or 2g."""
DEFAULT, COMMAND_LINE = "default", "command line"
GIT_CONFIG = "git config"
STORAGE_IS_EVERYWHERE = "sessions belong to the user and not to a repository; use git scopecraft config set storage"
NOT_SETTINGS = frozenset({"SCOPECRAFT_HOME", "SCOPECRAFT_SESSION", "SCOPECRAFT_DISABLE_PLUGINS"})


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class ExecutorSettings(Section):
    autonomous: str = "docker"
    """Executor of `run`: docker, local, or a plugin's."""
    dispatch: str = "tmux"
    """Executor of `dispatch`: tmux, or a plugin's."""


class WorktreeSettings(Section):
    path: str = "../{repo}.worktrees/{suffix}"
    """Where worktrees go, seen from the main worktree. `{repo}`, `{suffix}` and `{branch}` are filled in."""
    prefix: str = "feature/"
    """What a new branch's name begins with."""
    base: str | None = None
    """The default branch, where git cannot tell which it is."""


class DockerSettings(Section):
    image: str = "my-claude:authenticated"
    """Image that autonomous sessions run in."""
    network: str = "bridge"
    """Network of the container: bridge, none, host, or one of the user's own."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment of the container."""
    mounts: tuple[str, ...] = ()
    """More mounts, as `source:target` or `source:target:rw`; read-only unless they end in rw."""
    memory: str = "4g"
    """Memory limit of the container."""
    cpus: float = Field(default=2.0, gt=0)
    """How many processors' worth of time it may use."""
    pids: int = Field(default=1024, gt=0)
    """How many processes it may have."""


class TmuxSettings(Section):
    socket: str = "scopecraft"
    """Name of the tmux server's socket; `default` is the user's own server."""
    session: str = "scopecraft"
    """Name of the tmux session that gets the windows."""


class AgentSettings(Section):
    command: str | None = None
    """Program to run in place of the agent's own name."""
    args: tuple[str, ...] = ()
    """Arguments added to the agent's own."""
    model: str | None = None
    """Model to ask for."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment of this agent, on every executor."""
    credentials: dict[str, str] = Field(default_factory=dict)
    """Variable by variable, the file that holds a token or key."""


class WatchdogSettings(Section):
    """What happens to a session that does not do what it should: warn, or stop."""

    idle: Literal["warn", "pause", "interrupt", "stop"] = "warn"
    """What happens to a session that is idle."""
    first_event_minutes: float = Field(default=2.0, ge=0)
    """Minutes that an unattended agent has to say something at all; 0 for any time."""
    first_event: Literal["warn", "stop"] = "warn"
    """What happens when it does not."""
    lingering_seconds: float = Field(default=30.0, ge=0)
    """Seconds that an agent has to leave after its result; 0 for any time."""
    lingering: Literal["warn", "stop"] = "stop"
    """What happens when it does not."""


class BudgetSettings(Section):
    """What a session may use up; 0 for any amount."""

    turns: int = Field(default=0, ge=0)
    """Turns of the agent: answers of its model."""
    usd: float = Field(default=0.0, ge=0)
    """Dollars, as the agent reports them."""
    tokens: int = Field(default=0, ge=0)
    """Tokens, read and written, those from a cache not counted."""
    minutes: float = Field(default=0.0, ge=0)
    """Minutes of work, pauses not counted."""
    action: Literal["warn", "pause", "interrupt", "stop"] = "stop"
    """What happens when one of them is used up."""
    warn_at: float = Field(default=0.8, ge=0, le=1)
    """The part of it at which a warning comes; 0 for none."""


class WebhookSettings(Section):
    """Where what a human should know is posted, as JSON."""

    url: str | None = Field(default=None, pattern=r"^https?://[^\s/]\S*$")
    """An http or https address."""
    secret_file: str | None = None
    """File whose content signs each post: HMAC-SHA256 of the body, in X-Scopecraft-Signature."""
    attempts: int = Field(default=5, ge=1)
    """How often a post is tried, with growing pauses."""
    timeout_seconds: float = Field(default=10.0, gt=0)
    """Seconds that each of them may take."""


class NotifySettings(Section):
    """How a human is told of what happens while nobody looks."""

    on: tuple[Literal["waiting", "idle", "stopped", "failed", "completed", "error"], ...] = (
        "waiting",
        "idle",
        "stopped",
        "failed",
    )
    """What is told."""
    bell: bool = True
    """Ring the terminal's bell, where one of ours is open."""
    desktop: bool = False
    """Show a notification of the desktop."""
    webhook: WebhookSettings = WebhookSettings()


class DashboardSettings(Section):
    keys: dict[str, str] = Field(default_factory=dict)
    """Keys by what they do, such as `{"approve": "y"}`; the dashboard's help lists the names."""


class Settings(Section):
    max_running: int = Field(default=3, ge=1)
    """How many autonomous sessions run at a time."""
    max_waiting: int = Field(default=10, ge=0)
    """How many more may wait in the queue."""
    min_free_memory: Size = ByteSize(512 << 20)
    """Free memory below which the queue starts nothing, such as 512m or 2g."""
    max_minutes: float = Field(default=0.0, ge=0)
    """Minutes of work after which an unattended session is stopped, pauses not counted; 0 for no limit."""
    idle_minutes: float = Field(default=10.0, ge=0)
    """Minutes of silence after which a session counts as idle; 0 for never."""
    watchdog: WatchdogSettings = WatchdogSettings()
    budget: BudgetSettings = BudgetSettings()
    notify: NotifySettings = NotifySettings()
    dashboard: DashboardSettings = DashboardSettings()
    executor: ExecutorSettings = ExecutorSettings()
    agent: str = "claude"
    """Agent that does the tasks."""
    storage: str = "local"
    """Backend that keeps the sessions' records."""
    worktree: WorktreeSettings = WorktreeSettings()
    docker: DockerSettings = DockerSettings()
    tmux: TmuxSettings = TmuxSettings()
    agents: dict[str, AgentSettings] = Field(default_factory=dict)
    plugins: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings of plugins, by plugin."""

    def for_agent(self, name: str) -> AgentSettings:
        return self.agents.get(name) or AgentSettings()


class Layer(NamedTuple):
    origin: str
    """Where it came from, in the user's words."""
    values: dict[str, Any]


def load(git_config: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """The settings in force. An unknown key or a value of the wrong shape is an error that names its origin."""
    merged: dict[str, Any] = {}
    for layer in layers(git_config or {}, flags or {}):
        _validate(layer)
        if layer.origin == GIT_CONFIG and "storage" in layer.values:
            raise InvalidSettingError("storage", layer.origin, STORAGE_IS_EVERYWHERE)
        merged = _merge(merged, layer.values)
    return Settings.model_validate(merged)


class Setting(NamedTuple):
    """One value in force, and where it was set."""

    key: str
    value: Any
    origin: str


def explain(git_config: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> list[Setting]:
    """Every setting in force. Raises what `load` raises."""
    origins: dict[str, str] = {}
    for layer in layers(git_config, flags or {}):
        origins |= dict.fromkeys((key for key, _ in flatten(layer.values)), layer.origin)
    values = load(git_config, flags).model_dump(mode="json")
    return [Setting(key, value, origins.get(key, DEFAULT)) for key, value in flatten(values)]


def with_setting(key: str, text: str) -> dict[str, Any]:
    """What the preferences file holds once `key` is set. Raises what is wrong with it."""
    require_known(key, COMMAND_LINE)
    values: Any = _decode(text)
    if key.startswith("plugins."):
        values = _as_json(text)  # whose type nobody here knows
    for part in reversed(key.split(".")):
        values = {part: values}
    _validate(Layer(COMMAND_LINE, values))
    document = _merge(_file_values(), values)
    _validate(Layer(str(paths.config_file()), document))
    return Settings.model_validate(document).model_dump(mode="json", exclude_unset=True)


def without_setting(key: str) -> dict[str, Any] | None:
    """What the preferences file holds once `key` is gone; None when it is not there. Wrong settings can go, too."""
    document = _file_values()
    sections = [document]
    *outer, last = key.split(".")
    for part in outer:
        inner = sections[-1].get(part)
        if not isinstance(inner, dict):
            return None
        sections.append(inner)
    if last not in sections[-1]:
        return None
    del sections[-1][last]
    for section, part in zip(reversed(sections[:-1]), reversed(outer), strict=True):
        if not section[part]:
            del section[part]
    return document


def require_known(key: str, origin: str) -> None:
    """Raises `UnknownSettingError` for what is neither a setting nor a section of them."""
    kind: Any = Settings
    for part in key.split("."):
        if isinstance(kind, type) and issubclass(kind, Section):
            kind = kind.model_fields[part].annotation if part in kind.model_fields else None
        elif get_origin(kind) is dict and part:
            kind = get_args(kind)[1]
        elif kind is not Any:
            kind = None
        if kind is None:
            raise UnknownSettingError(key, origin, _near(key))


def layers(git_config: Mapping[str, str], flags: Mapping[str, Any]) -> list[Layer]:
    """What was set where, weakest first."""
    found = [
        Layer(str(paths.config_file()), _file_values()),
        Layer(GIT_CONFIG, _git_values(git_config)),
        Layer("environment", _environment_values()),
        Layer("flag", dict(flags)),
    ]
    return [layer for layer in found if layer.values]


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`{"docker": {"image": "x"}}` as `("docker.image", "x")`."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _merge(weaker: dict[str, Any], stronger: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(weaker)
    for key, value in stronger.items():
        mine = merged.get(key)
        both = isinstance(mine, dict) and isinstance(value, Mapping)
        merged[key] = _merge(mine, value) if both else value  # type: ignore[arg-type]
    return merged


def _validate(layer: Layer) -> None:
    """Each layer by itself, so that an error can say which one it was."""
    try:
        Settings.model_validate(layer.values)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            raise UnknownSettingError(key, layer.origin, _near(key)) from None
        raise InvalidSettingError(key, layer.origin, _reason(problem["type"], problem["msg"])) from None


def _near(key: str) -> list[str]:
    """Settings that may be meant: called almost that, or exactly that in some section."""
    known = [name for name, _ in flatten(Settings().model_dump())]
    inside = [name for name in known if name.endswith(f".{key}")]
    return inside[:3] or difflib.get_close_matches(key, known, n=1)


def _reason(kind: str, message: str) -> str:
    """pydantic speaks of classes and tuples; whoever writes a setting knows neither."""
    words = {
        "model_type": "it is a section of settings, not a value",
        "dict_type": 'it is a JSON object, such as \'{"NAME": "value"}\'',
        "tuple_type": 'it is a JSON list, such as \'["one", "two"]\'',
    }
    return words.get(kind, message)


def _as_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _file_values() -> dict[str, Any]:
    path = paths.config_file()
    try:
        document = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except PermissionError as error:
        raise HomeNotReadableError(path, str(error.strerror)) from error
    except (OSError, ValueError) as error:
        raise UnreadableConfigError(path, str(error)) from error
    if not isinstance(document, dict):
        raise UnreadableConfigError(path, "it holds no JSON object")
    return document


def _git_values(entries: Mapping[str, str]) -> dict[str, Any]:
    """`scopecraft.docker.image` and `scopecraft.max-running`: git allows no underscore in the last part."""
    values: dict[str, Any] = {}
    for name, text in entries.items():
        *sections, key = name.split(".")[1:]
        spelt = {field.replace("_", ""): field for field in Settings.model_fields}
        target = values
        for section in sections:
            target = target.setdefault(section, {})
        plain = key.replace("-", "").lower()
        target[spelt.get(plain, key) if not sections else key] = _decode(text)
    return values


def _decode(text: str) -> Any:
    """Lists and objects are written as JSON wherever a value can only be a string."""
    return _as_json(text) if text[:1] in ("[", "{") else text


def _environment_values() -> dict[str, Any]:
    if not any(name.startswith("SCOPECRAFT_") and name not in NOT_SETTINGS for name in os.environ):
        return {}
    # Imported only where there is something to read: it costs as much as the rest of a command.
    from pydantic_settings import BaseSettings, EnvSettingsSource
    from pydantic_settings.exceptions import SettingsError

    class Environment(Settings, BaseSettings):  # type: ignore[misc]
        pass

    source = EnvSettingsSource(Environment, env_prefix="SCOPECRAFT_", env_nested_delimiter="__")
    try:
        return source()
    except SettingsError as error:
        raise InvalidSettingError("SCOPECRAFT_*", "environment", str(error)) from error
