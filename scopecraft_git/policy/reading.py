"""Reads policy.toml, and reads it again when it has changed."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from scopecraft_git import paths
from scopecraft_git.errors import InvalidPolicyError
from scopecraft_git.policy.judging import Call, Ruling, why
from scopecraft_git.policy.rules import BUILT_IN, Ask, Default, Document, Effect, InForce, Rule, Table

BUILT_IN_FILE = Path(__file__).with_name("builtin.toml")
_TABLES: dict[str, type[Table]] = {"rules": Rule, "default": Default, "ask": Ask}


class Policy(NamedTuple):
    """What is in force: the rules in their order, and what counts where none fits."""

    rules: tuple[InForce, ...]
    default: Effect
    ask: Ask

    def judge(self, call: Call) -> Ruling:
        """By the first rule that fits. Raises nothing, whatever the call holds: what cannot be judged is asked."""
        try:
            return self._first(call)
        except Exception as error:  # an agent may write anything; what is not judged must not pass for allowed
            return Ruling(Effect.ASK, None, f"It could not be judged: {error}")

    def _first(self, call: Call) -> Ruling:
        for each in self.rules:
            if (matched := why(each.rule, call)) is not None:
                reason = each.rule.message or f"{each.title} of {_name(each.origin)} says {each.rule.action}"
                return Ruling(each.rule.action, each, reason, tuple(matched))
        return Ruling(self.default, None, "No rule fits." if self.default is Effect.ALLOW else "No rule allows it.")


def load(path: Path | None = None) -> Policy:
    """The user's policy; the built-in one where they have none. Raises `InvalidPolicyError`."""
    path = path or paths.policy_file()
    return _policy(parse(text, path) if (text := text_of(path)) is not None else Document(), str(path))


@cache
def builtin() -> tuple[InForce, ...]:
    document = parse(BUILT_IN_FILE.read_text(encoding="utf-8"), BUILT_IN_FILE)
    return _placed(document.rules, BUILT_IN)


def text_of(path: Path) -> str | None:
    """What the file holds; None where there is none. Raises `InvalidPolicyError`."""
    try:
        return path.read_bytes().decode()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InvalidPolicyError(path, f"it cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InvalidPolicyError(path, f"it is not UTF-8 (byte {error.start})") from error


def parse(text: str, path: Path) -> Document:
    """Raises `InvalidPolicyError`, which says which rule and key is wrong and what was expected."""
    try:
        return Document.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise InvalidPolicyError(path, _problem(error)) from None
    except (ValueError, RecursionError) as error:
        raise InvalidPolicyError(path, f"it is no TOML: {error}") from None


class Source:
    """The policy as it now stands in its file: a rule that is added counts for the next call."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or paths.policy_file()
        self._seen: object = self
        self._policy: Policy | None = None
        self._problem = ""

    def now(self) -> tuple[Policy | None, str]:
        """The last one that could be read, None where none could, and what is wrong with the file if anything is."""
        stamp = self._stamp()
        if stamp != self._seen:
            try:
                self._policy, self._problem = load(self._path), ""
            except InvalidPolicyError as error:
                self._problem = error.message
            self._seen = stamp
        return self._policy, self._problem

    def _stamp(self) -> object:
        try:
            found = self._path.stat()
        except OSError as error:
            return error.errno
        return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _policy(document: Document, origin: str) -> Policy:
    own = _placed(document.rules, origin)
    return Policy(own + (builtin() if document.default.builtin else ()), document.default.action, document.ask)


def _placed(rules: tuple[Rule, ...], origin: str) -> tuple[InForce, ...]:
    return tuple(InForce(number, origin, rule) for number, rule in enumerate(rules, 1))


def _name(origin: str) -> str:
    return "the built-in policy" if origin == BUILT_IN else Path(origin).name


def _problem(error: ValidationError) -> str:
    """The first thing that is wrong, as whoever wrote the file would put it."""
    found = error.errors()[0]
    location = list(found["loc"])
    table = _TABLES.get(str(location[0]))
    place = ""
    if location[:1] == ["rules"] and len(location) > 1:
        place, location = f"rule {int(location[1]) + 1}: ", location[2:]
    key = ".".join(map(str, location)) or "it"
    if found["type"] == "extra_forbidden":
        known = ", ".join((table or Document).model_fields)
        return f"{place}there is no key {key}; what there is: {known}"
    return f"{place}{_expected(key, found)}"


def _expected(key: str, found: Any) -> str:
    if found["type"] == "missing":
        return f"{key} is missing: " + _or(list(Effect))
    if found["type"] in ("enum", "literal_error"):
        return f"{key} is {found['input']!r}, and must be {found['ctx']['expected']}"
    if found["type"] in ("tuple_type", "model_type", "dict_type"):
        kinds = {"tuple_type": "a list: [[rules]]", "model_type": "a table", "dict_type": "a table of fields"}
        return f"{key} must be {kinds[found['type']]}"
    return f"{key}: {found['msg'].removeprefix('Value error, ')}"


def _or(words: list[Effect]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
