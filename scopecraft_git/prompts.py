"""What an agent is asked: put together from a task, or filled into a prompt file."""

from __future__ import annotations

import difflib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator

from scopecraft_git import markdown, templates
from scopecraft_git.errors import (
    AmbiguousPromptError,
    InvalidPromptError,
    InvalidPromptInputError,
    MissingPromptInputError,
    NothingToAskError,
    PromptNotFoundError,
)
from scopecraft_git.models import Mode, Model, Task

ASKED = ("Instruction", "Tasks", "Deliverable")
"""The sections of a task that say what to do, in the order in which an agent reads them."""

UNATTENDED = (
    "Nobody is there to answer questions while you work. Where something is undecided, choose what fits the task best, "
    "and say at the end what you chose. Commit your work to the branch that is checked out; do not push it."
)

_WHOLE = re.compile(r"[-+]?[0-9]{1,400}")
_FRACTION = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_TOOL = re.compile(r"[^\s,(]+(?:\([^)]*\))?")


def _writable(text: str) -> str:
    """Half of a surrogate pair, which JSON can spell, is no text. Bytes that were typed stay as they are."""
    try:
        text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return _utf8(text)
    return text


def _utf8(text: str) -> str:
    return text.encode(errors="replace").decode()


Utf8 = Annotated[str, AfterValidator(_utf8)]


class Prompt(Model):
    """What the agent is asked, and what a prompt file says about how: fields of `AgentRequest`."""

    text: Annotated[str, AfterValidator(_writable)]
    system_prompt: Utf8 | None = None
    append_system_prompt: Utf8 | None = None
    allowed_tools: tuple[str, ...] = ()
    disallowed_tools: tuple[str, ...] = ()
    mcp_config: str | None = None
    path: Path | None = None
    """The prompt file, if there was one."""


class Input(NamedTuple):
    """A value that a prompt file declares."""

    type: str
    required: bool
    default: Any = None


def build(task: Task, *, overview: Task | None = None, extra: str = "", mode: Mode) -> Prompt:
    """The prompt for a task, `overview` being its parent. A task that says nothing is asked `extra` and no more.

    Raises `NothingToAskError` when there is neither.
    """
    own = [f"## {name}\n\n{text}" for name in ASKED if (text := section(task, name))]
    if not own and not extra.strip():
        raise NothingToAskError(task.id)
    parts = [f"# {task.title or task.id}", f"Task: {task.id}", *own, *_context(overview)] if own or overview else []
    if extra.strip():
        parts.append(f"## Additional instructions\n\n{extra.strip()}" if parts else extra)
    return Prompt(
        text="\n\n".join(parts),
        append_system_prompt=UNATTENDED if mode is Mode.AUTONOMOUS else None,
    )


def section(task: Task, name: str) -> str:
    """A section's text, however its heading is capitalised. What precedes all headings counts as Instruction."""
    texts = {heading.casefold(): text for heading, text in task.sections.items()}
    return texts.get(name.casefold()) or (texts.get("", "") if name == "Instruction" else "")


def _context(overview: Task | None) -> list[str]:
    if overview is None:
        return []
    texts = [f"### {name}\n\n{text}" for name in ASKED if (text := section(overview, name))]
    return [f"## Parent task: {overview.title or overview.id}", *texts] if texts else []


def from_file(
    name_or_path: str,
    task: Task,
    *,
    extra: str = "",
    mode: Mode,
    data: Mapping[str, str],
    main_worktree: Path,
) -> Prompt:
    """The prompt in a file, or in the one of that name below `.tasks/.modes`, with its placeholders filled.

    `extra` goes to the end unless the file says where. Raises `PromptNotFoundError`, `AmbiguousPromptError`,
    `InvalidPromptError`, `MissingPromptInputError` and `InvalidPromptInputError`.
    """
    path, within = _locate(name_or_path, main_worktree)
    metadata, body = _read(path, within)
    values = _values(path, _inputs(path, metadata), _given(task, extra, mode), data)
    filled = {key: templates.fill(text, values) for key, text in _texts(path, metadata).items()}
    text = templates.fill(body, values)
    if extra.strip() and not templates.uses(body, "additionalInstructions"):
        text = f"{text.rstrip()}\n\n{extra}"
    if not text.strip():
        raise InvalidPromptError(path, "it asks nothing")
    return Prompt(
        text=text,
        system_prompt=filled.get("systemPrompt"),
        append_system_prompt=filled.get("appendSystemPrompt"),
        allowed_tools=_tools(path, metadata, "allowedTools"),
        disallowed_tools=_tools(path, metadata, "disallowedTools"),
        mcp_config=_mcp_config(path, metadata),
        path=path,
    )


# The file


def _locate(name_or_path: str, main_worktree: Path) -> tuple[Path, Path | None]:
    """The file, and for one that was looked up the folder it may not lead out of."""
    if os.path.isfile(name_or_path):  # noqa: PTH113 - False for what cannot be a path at all
        return Path(name_or_path).absolute(), None
    root = (main_worktree / ".tasks" / ".modes").resolve()
    known = {path.relative_to(root).as_posix().removesuffix(".md"): path for path in sorted(root.rglob("*.md"))}
    name = name_or_path.removesuffix(".md")
    found = [name] if name in known else [key for key in known if key.endswith(f"/{name}")]
    if not found:
        names = {*known, *(path.stem for path in known.values())}
        raise PromptNotFoundError(name_or_path, difflib.get_close_matches(name, sorted(names), n=3))
    if len(found) > 1:
        raise AmbiguousPromptError(name_or_path, found)
    return known[found[0]], root.parent


def _read(path: Path, within: Path | None) -> tuple[dict[str, Any], str]:
    try:
        return markdown.front_matter(markdown.read(path, within))
    except OSError as error:
        raise InvalidPromptError(path, error.strerror or str(error)) from error
    except ValueError as error:
        raise InvalidPromptError(path, str(error)) from error


def _texts(path: Path, metadata: Mapping[str, Any]) -> dict[str, str]:
    texts = {key: metadata.get(key) for key in ("systemPrompt", "appendSystemPrompt")}
    for key, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise InvalidPromptError(path, f"{key} is not text")
    return {key: text for key, text in texts.items() if text}


def _tools(path: Path, metadata: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list, or names in one line as the agent's own command line takes them."""
    tools = metadata.get(key) or []
    if isinstance(tools, str):
        return tuple(_TOOL.findall(tools))
    if isinstance(tools, list) and all(isinstance(tool, str) for tool in tools):
        return tuple(tools)
    raise InvalidPromptError(path, f"{key} is not a list of tools")


def _mcp_config(path: Path, metadata: Mapping[str, Any]) -> str | None:
    """A file's name or JSON, as the agent takes it."""
    config = metadata.get("mcpConfig")
    if config is None or isinstance(config, str):
        return config
    if isinstance(config, dict):
        return json.dumps(config)
    raise InvalidPromptError(path, "mcpConfig is neither a file's name nor a mapping")


# Its input


def _inputs(path: Path, metadata: Mapping[str, Any]) -> dict[str, Input]:
    declared = metadata.get("input") or {}
    if not isinstance(declared, dict):
        raise InvalidPromptError(path, "input is not a mapping of names to types")
    return dict(_declarations(declared))


def _declarations(declared: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Input]]:
    """`name: type`, `name?: type`, or a mapping with type, default and required; a mapping without a type nests."""
    for key, value in declared.items():
        name, optional = prefix + key.removesuffix("?"), key.endswith("?")
        if not isinstance(value, dict):
            yield name, Input(value if isinstance(value, str) else "string", required=not optional)
        elif isinstance(value.get("type"), str):
            default = value.get("default")
            required = bool(value.get("required", not value.get("optional"))) and not optional
            yield name, Input(value["type"], required, default)
        else:
            yield from _declarations(value, f"{name}.")


def _given(task: Task, extra: str, mode: Mode) -> dict[str, Any]:
    """What every prompt file can count on; only a parent may be missing."""
    return {
        "taskId": task.id,
        "parentId": task.parent,
        "taskInstruction": section(task, "Instruction"),
        "additionalInstructions": extra,
        "mode": mode.value,
    }


def _values(
    path: Path, inputs: Mapping[str, Input], given: Mapping[str, Any], data: Mapping[str, str]
) -> dict[str, Any]:
    """Values by dotted name, nested: from `--data`, else known of the task, else the input's default."""
    values: dict[str, Any] = {}
    for name in {**given, **inputs, **data}:
        declared = inputs.get(name) or Input("any", required=False)
        value = given.get(name)
        if name in data:
            value = _typed(path, name, data[name], declared.type)
        elif value is None:
            value = declared.default
        if value is None and declared.required:
            raise MissingPromptInputError(path, name)
        _put(path, values, name, value)
    return values


def _put(path: Path, values: dict[str, Any], name: str, value: Any) -> None:
    *outer, last = name.split(".")
    for part in outer:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise InvalidPromptInputError(path, name, f"{part} has a value of its own")
    values[last] = value


def _typed(path: Path, name: str, text: str, wanted: str) -> Any:
    try:
        return _convert(text, wanted.lower())
    except ValueError as error:
        raise InvalidPromptInputError(path, name, str(error)) from None


def _convert(text: str, wanted: str) -> Any:
    """`--data` as a declared type says; a type that is not known takes any text."""
    if wanted in ("number", "integer", "float"):
        return _number(text, whole=wanted == "integer")
    if wanted in ("boolean", "bool"):
        return _boolean(text.lower())
    if wanted == "any":
        return _boolean(text) if text in ("true", "false") else text
    if wanted == "object":
        return _json(text, dict)
    if wanted == "array" or wanted.endswith("[]"):
        item = wanted.removesuffix("[]") if wanted != "array" else "string"
        return _json(text, list) if text.startswith("[") else [_convert(part, item) for part in text.split(",")]
    return text


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("it is neither true nor false")
    return text == "true"


def _number(text: str, *, whole: bool) -> int | float:
    if _WHOLE.fullmatch(text):
        return int(text)
    if not whole and _FRACTION.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    raise ValueError("it is not a whole number" if whole else "it is not a number")


def _json(text: str, kind: type[dict[str, Any]] | type[list[Any]]) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, kind):
        return value
    raise ValueError(f"it is not a JSON {'object' if kind is dict else 'array'}")
