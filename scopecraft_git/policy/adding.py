"""Puts a rule before all others in policy.toml, and leaves the rest of the file as it is."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from scopecraft_git import paths
from scopecraft_git.errors import HomeNotWritableError, InvalidPolicyError, NoRuleForThisError
from scopecraft_git.models import Approval, Session
from scopecraft_git.policy.judging import Call
from scopecraft_git.policy.patterns import escaped
from scopecraft_git.policy.reach import FIELDS
from scopecraft_git.policy.reading import parse, text_of
from scopecraft_git.policy.rules import Rule

CUT_AT = 2000
"""Characters of a text in an `Approval`; one of that length may not be whole."""
HEADING = """\
# Which tool calls of agents are allowed. The first rule that fits counts; after these come the built-in ones.
# To see all of them: git scopecraft policy show. What can be said here: docs/policy.md
"""
_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*(?:rules|\"rules\"|'rules')[ \t]*\]\]", re.MULTILINE)
_COMMENTS = re.compile(r"(?:^[ \t]*#[^\n]*\n)+\Z", re.MULTILINE)


def always(approval: Approval, session: Session, action: Literal["allow", "deny"], message: str = "") -> Rule:
    """Make a rule of what was just decided, for this tool and input alone, and put it first in policy.toml.

    What is allowed is allowed on the session's executor; what is denied, everywhere, for the reason `message`. On disk
    when it returns; two at once both arrive. Raises `NoRuleForThisError`, and `InvalidPolicyError` rather than change a
    file that is wrong.
    """
    table: dict[str, Any] = {"tool": escaped(approval.tool), "input": _condition(approval, action)}
    if action == "allow":
        table["executor"] = escaped(session.executor)
    else:
        table["message"] = message.strip() or "A human has denied this for good."
    table["action"] = action
    add(table, f"{'Allowed' if action == 'allow' else 'Denied'} for good in session {session.id}")
    return Rule.model_validate(table)


def add(table: Mapping[str, Any], comment: str) -> None:
    """Put a rule first. The file is made, for this user alone, where there is none."""
    path = paths.policy_file()
    paths.ensure_home()
    try:
        with _locked(path.with_name(".policy.lock")):
            text = text_of(path)
            _replace(path, _with_first(HEADING if text is None else text, table, comment, path))
    except OSError as error:
        raise HomeNotWritableError(paths.home(), error.strerror or str(error)) from error


def _condition(approval: Approval, action: str) -> dict[str, Any]:
    """The command, else the paths, else all of the input."""
    given = {name: value for name, value in approval.input.items() if value is not None}
    if Call.command_of(given):
        return {"command": _exactly(Call.command_of(given), approval, action)}
    found = {name: given[name] for name in given if name in FIELDS} or given
    if not found:
        raise NoRuleForThisError(approval.tool, "it has no input to know it by")
    return {name: _exactly(value, approval, action) for name, value in found.items()}


def _exactly(value: Any, approval: Approval, action: str) -> Any:
    if isinstance(value, dict) and any(inner is not None for inner in value.values()):
        return {name: _exactly(inner, approval, action) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        if not value or (action == "deny" and len(value) > 1) or any(isinstance(item, dict | list) for item in value):
            raise NoRuleForThisError(approval.tool, "it names several things at once")
        return [_exactly(item, approval, action) for item in value]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) >= CUT_AT:
        raise NoRuleForThisError(approval.tool, "its input is too long")
    return escaped(text)


def _with_first(text: str, table: Mapping[str, Any], comment: str, path: Path) -> str:
    """The file's text with the rule in it, once it is known to say what it said and that. Comments stay with theirs."""
    parse(text, path)
    before = tomllib.loads(text)
    wanted = before | {"rules": [dict(table), *before.get("rules", [])]}
    block = f"# {comment}\n{_written(table)}"
    for candidate in _candidates(text, block):
        with contextlib.suppress(ValueError):
            if tomllib.loads(candidate) == wanted:
                return candidate
    raise InvalidPolicyError(path, "its rules are not written as [[rules]], so that none can be put before them")


def _candidates(text: str, block: str) -> Iterator[str]:
    for header in _HEADER.finditer(text):
        above = _COMMENTS.search(text[: header.start()])
        at = above.start() if above else header.start()
        yield f"{text[:at]}{block}\n{text[at:]}"
        yield f"{text[: header.start()]}{block}\n{text[header.start() :]}"
    yield text + ("" if not text or text.endswith("\n") else "\n") + ("\n" if text.strip() else "") + block


def _written(table: Mapping[str, Any]) -> str:
    import tomlkit

    lines = ["[[rules]]\n"]
    for path, value in _leaves(table):
        single = tomlkit.document()
        single.append(tomlkit.key(list(path)), tomlkit.item(value))
        lines.append(single.as_string())
    return "".join(lines)


def _leaves(table: Mapping[str, Any], *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, *path, name)
        else:
            yield (*path, name), value


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)  # held for no longer than it takes to write a small file
        yield
    finally:
        os.close(file)


def _replace(path: Path, text: str) -> None:
    """Readers see the old or the new one, also after a crash. Where it is a link, what it leads to is replaced."""
    target = Path(os.path.realpath(path))
    new = target.with_name(f".{target.name}.new")
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(file, "wb") as writing:
            writing.write(text.encode())
            writing.flush()
            os.fsync(writing.fileno())
        new.rename(target)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
