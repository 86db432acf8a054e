"""What policy.toml may say."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from scopecraft_git.policy import patterns

BUILT_IN = "built in"


class Effect(StrEnum):
    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"
    STOP = "stop"


class Access(StrEnum):
    READ = "read"
    WRITE = "write"


def _as_globs(value: Any) -> Any:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found or not all(isinstance(text, str) and text for text in found):
        raise ValueError(f"it is a glob or a list of globs, not {value!r}")
    return tuple(found)


Globs = Annotated[tuple[str, ...], BeforeValidator(_as_globs)]


class Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class Rule(Table):
    """Every condition it has must hold. One that allows has to fit all of a call; any other, a part of it."""

    name: str = ""
    tool: Globs | None = None
    input: dict[str, Any] = Field(default_factory=dict)
    executor: Globs | None = None
    mode: Globs | None = None
    agent: Globs | None = None
    isolated: bool | None = Field(default=None, strict=True)
    path: Literal["inside", "outside"] | None = None
    location: Globs | None = None
    access: Access | None = None
    action: Effect
    message: str = ""

    @field_validator("input")
    @classmethod
    def _are_patterns(cls, given: dict[str, Any]) -> dict[str, Any]:
        list(patterns.fields(given))
        return given

    @cached_property
    def fields(self) -> tuple[patterns.Field, ...]:
        return tuple(patterns.fields(self.input))

    @cached_property
    def names(self) -> dict[str, tuple[patterns.Pattern, ...]]:
        """Patterns by what they are about: tool, executor, mode, agent."""
        about = {"tool": self.tool, "executor": self.executor, "mode": self.mode, "agent": self.agent}
        return {what: tuple(map(patterns.Pattern, globs)) for what, globs in about.items() if globs}

    def conditions(self) -> Iterator[tuple[str, Any]]:
        """As they are written."""
        for key, value in self.model_dump(
            mode="json", exclude_none=True, exclude={"name", "action", "message"}
        ).items():
            if key == "input":
                yield from ((field.name, _plain([each.text for each in field.patterns])) for field in self.fields)
            else:
                yield key, _plain(value)


def _plain(value: Any) -> Any:
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


class Default(Table):
    action: Effect = Effect.ALLOW
    """What becomes of a call that no rule fits."""
    builtin: bool = True
    """Whether the built-in rules come after one's own."""


class Ask(Table):
    timeout_minutes: float = Field(default=60.0, ge=0, le=1_000_000)
    """How long a human's word is waited for; 0 for ever."""
    answer: Literal["deny", "allow", "stop"] = "deny"
    """What then is done."""


class Document(Table):
    rules: tuple[Rule, ...] = ()
    default: Default = Default()
    ask: Ask = Ask()


class InForce(NamedTuple):
    """A rule where it stands."""

    number: int
    """From 1, among those of its origin."""
    origin: str
    """The file, or `BUILT_IN`."""
    rule: Rule

    @property
    def title(self) -> str:
        return f"rule {self.number}" + (f" ({self.rule.name})" if self.rule.name else "")
