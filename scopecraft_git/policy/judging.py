"""Which rule fits a call, and why."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from scopecraft_git.policy import commands, reach
from scopecraft_git.policy.commands import Script
from scopecraft_git.policy.patterns import Field, Pattern, values
from scopecraft_git.policy.places import Place, Scene, is_at
from scopecraft_git.policy.reach import Reach
from scopecraft_git.policy.rules import Access, Effect, InForce, Rule

COMMAND = ("command",)
MOST = 1000
"""Commands, and paths, that are looked at in one call; one that has more is asked."""
MOST_BASES = 8
LONGEST_COMMAND = 131_072
"""Characters; the system gives a program no longer argument."""


class Part(NamedTuple):
    """Of a call: a command of it, or all of it."""

    texts: tuple[str, ...]
    """Any of which a pattern on its command may fit."""
    reaches: tuple[Reach, ...]


class Call:
    """A tool call, and what can be told of it."""

    def __init__(self, tool: str, given: Mapping[str, Any], scene: Scene) -> None:
        self.tool, self.input, self.scene = tool, given, scene

    @cached_property
    def command(self) -> str:
        return self.command_of(self.input)

    @staticmethod
    def command_of(given: Mapping[str, Any]) -> str:
        """Empty where the tool runs none. A list of words is taken as they are written in a shell."""
        found = given.get("command")
        if isinstance(found, list) and all(isinstance(word, str) for word in found):
            return shlex.join(found)
        return found if isinstance(found, str) else ""

    @cached_property
    def script(self) -> Script:
        if len(self.command) > LONGEST_COMMAND:
            raise ValueError(f"its command is longer than {LONGEST_COMMAND} characters")
        return commands.read(self.command)

    @cached_property
    def whole(self) -> Part:
        own = islice(reach.of_input(self.tool, self.input, self.scene), MOST + 1)
        reaches = (*own, *(each for part in self._commands for each in part.reaches))
        if len(reaches) > MOST:
            raise ValueError(f"it names more than {MOST} paths")
        return Part((self.command, *self.script.pipelines) if self.command else (), reaches)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        return (self.whole, *self._commands)

    @cached_property
    def _commands(self) -> tuple[Part, ...]:
        if len(self.script.commands) > MOST:
            raise ValueError(f"it runs more than {MOST} commands")
        parts, bases = [], self.scene.bases
        for each in self.script.commands:
            parts.append(Part(each.texts, tuple(islice(reach.of_command(each, self.scene, bases), MOST + 1))))
            if moved := reach.moves_to(each, self.scene, bases[-1]):
                # Behind a subshell one is where one was, and nobody has kept where it ended.
                bases = (*dict.fromkeys((bases[0], *bases[-MOST_BASES:])), moved) if self.script.nested else (moved,)
        return tuple(parts)


def why(rule: Rule, call: Call) -> list[str] | None:
    """What of the call fits each of the rule's conditions; None when one of them does not hold."""
    told: list[str] = []
    for what, globs in rule.names.items():
        value = call.tool if what == "tool" else str(getattr(call.scene, what))
        if not _fits(globs, value):
            return None
        told.append(f"{what} is {value}")
    if rule.isolated is not None:
        if rule.isolated is not call.scene.isolated:
            return None
        told.append(f"{call.scene.executor} is {'' if rule.isolated else 'not '}isolated")
    surely = rule.action is Effect.ALLOW
    for field in rule.fields:
        if field.path != COMMAND or not call.command:
            found = _field(field, call, surely=surely)
            if found is None:
                return None
            told.append(f"{field.name} is {found}")
    reached = _all(rule, call) if surely else _any(rule, call)
    return None if reached is None else told + reached


def _fits(globs: tuple[Pattern, ...], value: str) -> bool:
    return any(glob.matches(value) for glob in globs)


def _field(field: Field, call: Call, *, surely: bool) -> str | None:
    found = values(call.input, field.path)
    fitting = [text for text in found if any(pattern.matches(text, surely=surely) for pattern in field.patterns)]
    enough = len(fitting) == len(found) if surely else True
    return fitting[0] if fitting and enough else None


def _any(rule: Rule, call: Call) -> list[str] | None:
    """Whether one part of the call fulfils what is said of commands and paths."""
    command = _command(rule)
    for part in call.parts:
        texts = [text for text in part.texts if command and _fits(command.patterns, text)]
        reached = [each for each in part.reaches if _reaches(rule, each, call.scene, surely=False)]
        if (texts or not _wants_command(rule, call)) and (reached or not _wants_path(rule)):
            return [*(f"input.command has {text}" for text in texts[:1]), *_told(rule, reached[:1])]
    return None


def _all(rule: Rule, call: Call) -> list[str] | None:
    """Whether each command and each path of the call fulfils it."""
    told: list[str] = []
    if _wants_command(rule, call):
        if not _each_command(_command(rule), call):
            return None
        told.append(f"input.command is {call.command}")
    if _wants_path(rule):
        reaches = call.whole.reaches
        known = call.script.understood or not call.command
        if not (reaches and known and all(_reaches(rule, each, call.scene, surely=True) for each in reaches)):
            return None
        told += _told(rule, reaches[:1])
    return told


def _each_command(field: Field | None, call: Call) -> bool:
    patterns = field.patterns if field else ()
    if any(pattern.literal == call.command for pattern in patterns):
        return True
    if not (call.script.understood and call.script.commands):
        return False
    # As each stands there: with sudo or a variable before it, it is another.
    return all(any(pattern.matches(each.text, surely=True) for pattern in patterns) for each in call.script.commands)


def _command(rule: Rule) -> Field | None:
    return next((field for field in rule.fields if field.path == COMMAND), None)


def _wants_command(rule: Rule, call: Call) -> bool:
    return bool(call.command) and _command(rule) is not None


def _wants_path(rule: Rule) -> bool:
    return bool(rule.path or rule.location or rule.access)


def _reaches(rule: Rule, found: Reach, scene: Scene, *, surely: bool) -> bool:
    if rule.access and found.writes is not (rule.access is Access.WRITE):
        return False
    if rule.path and found.spot.place.value != rule.path:
        return False
    return not rule.location or any(is_at(found.spot, glob, scene, surely=surely) for glob in rule.location)


def _told(rule: Rule, reached: tuple[Reach, ...] | list[Reach]) -> Iterator[str]:
    for spot, writes in reached:
        links = f" (that is {spot.real})" if spot.real != spot.written else ""
        place = {Place.INSIDE: "inside the worktree", Place.OUTSIDE: "outside the worktree"}.get(spot.place, "scratch")
        yield f"path {spot.written}{links} is {place}" + (", and written" if writes and rule.access else "")


class Ruling(NamedTuple):
    """What becomes of a call."""

    action: Effect
    rule: InForce | None
    """The first that fits; None where it is the default, or where there is no judging."""
    reason: str
    """For the human, and for the agent whose call is denied."""
    matched: tuple[str, ...] = ()
    """What of the call fits the rule, condition by condition."""
