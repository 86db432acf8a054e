"""Finds, reads and writes tasks: Markdown files in the repository or below the home, or just a name.

Files may come from an agent's worktree, so nothing is read through a link that leads out of the tasks' folder.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from scopecraft_git import markdown, paths
from scopecraft_git.errors import (
    AmbiguousTaskError,
    InvalidTaskNameError,
    NotAParentError,
    TaskExistsError,
    TaskNotFoundError,
    UnreadableTaskError,
    UnwritableTaskError,
)
from scopecraft_git.models import Task

REQUIRED_KEYS = ("type", "status", "area")
SECTIONS = ("Instruction", "Tasks", "Deliverable", "Log")
VERBS = (
    "implement", "add", "fix", "test", "write", "update", "refactor", "review", "design", "document",
    "create", "improve", "remove", "investigate", "research", "explore",
)  # fmt: skip
"""What a task does, as against what it is about: tasks that differ in it alone share a worktree."""

LONGEST_NAME = 200
"""Bytes. Names become parts of file, container and window names, which end at 255."""

_FILE_ENDING = ".task.md"
_OVERVIEW = "_overview.md"
_CODE = re.compile(r"(?:0[1-9]|1[0-2])[A-Z]")
_NUMBER = re.compile(r"([0-9]{2,})_(?=.)")
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
_NOT_IN_A_REF = re.compile(r"[ ~^:?*\[\\]|\.\.|@\{|\.lock$|\.$|^@$")


class Entry(NamedTuple):
    """A task's file before it is read."""

    id: str
    path: Path
    parent: str | None
    location: str
    root: Path
    """The folder that holds current, backlog and archive, without links."""


def find(name: str, main_worktree: Path) -> Task:
    """The task of this id or `parent/id`, else the only one whose id is `name` behind its number `NN_`.

    What is worked on goes before the backlog and that before the archive. Raises `TaskNotFoundError`,
    `AmbiguousTaskError` or `UnreadableTaskError`.
    """
    return _read(_find(name, main_worktree))


def listing(main_worktree: Path, *, archived: bool = False) -> list[Task]:
    """Every task: current ones, the backlog, then the archive from its newest month on; a parent before its subtasks.

    A file that cannot be read is listed too, with its `problem`.
    """
    entries = _entries(main_worktree)
    return [_read_or_report(entry) for entry in entries if archived or not entry.location.startswith("archive")]


def from_worktree(task: Task, main_worktree: Path, worktree: Path) -> Task:
    """The task as its worktree has it, where the agent may have moved it or written into it; else `task` itself."""
    if task.path and task.path.is_relative_to(_central(main_worktree).resolve()):
        return task
    root = worktree.resolve() / ".tasks"
    # The agent can replace `.tasks` as a whole, so this one is not resolved.
    here = [] if root.is_symlink() else _scan(root)
    return next((_read(entry) for entry in here if (entry.id, entry.parent) == (task.id, task.parent)), task)


def overview(task: Task) -> Task | None:
    """A subtask's parent, from where the subtask itself was read; None where nothing is written down of one."""
    if not (task.path and task.parent):
        return None
    root = task.path.parents[1 + len(task.location.split("/"))]
    entry = Entry(task.parent, task.path.with_name(_OVERVIEW), None, task.location, root)
    return _read(entry) if entry.path in _children(entry.path.parent, root) else None


def new(
    task_id: str,
    title: str,
    main_worktree: Path,
    *,
    type: str,  # noqa: A002 - the key's own name
    area: str,
    instruction: str = "",
    parent: str | None = None,
    backlog: bool = False,
) -> Task:
    """Write a task's file, whole or not at all. A subtask without a number gets the next one.

    Raises `InvalidTaskNameError`, `TaskExistsError`, and for `parent` `TaskNotFoundError` or `NotAParentError`.
    """
    bare(task_id)
    entry = _subtask(task_id, parent, main_worktree) if parent else _top_level(task_id, main_worktree, backlog=backlog)
    _write(entry, _document(title.strip() or entry.id, {"type": type, "status": "todo", "area": area}, instruction))
    return _read(entry)


def bare(name: str) -> Task:
    """A task without a file. Raises `InvalidTaskNameError` for what no branch or file can be called."""
    if reason := _objection(name):
        raise InvalidTaskNameError(name, reason)
    return Task(id=name)


def problems(task: Task) -> list[str]:
    """What a complete task file has and this one lacks, one phrase each. A task without a file lacks nothing."""
    if task.problem or not task.path:
        return [task.problem] if task.problem else []
    keys = [f"it has no {key}" for key in REQUIRED_KEYS if not getattr(task, key)]
    there = {name.casefold() for name in task.sections}
    sections = [f"it has no section {name}" for name in SECTIONS if name.casefold() not in there]
    return [*([] if task.title else ["it has no title"]), *keys, *sections]


def environment_id(task: Task) -> str:
    """Whose worktree the task is done in: its parent's, or its own."""
    return task.parent or task.id


def suffix(task: Task) -> str:
    """What the task's worktree and branch are called: its environment's id without a leading verb."""
    environment = environment_id(task)
    verb, _, rest = environment.partition("-")
    rest = rest.lstrip("-.")
    return rest if verb.lower() in VERBS and rest and not _CODE.fullmatch(rest) else environment


# Where the files are


def _central(main_worktree: Path) -> Path:
    """The folder below the home that belongs to this repository."""
    return paths.home() / "projects" / _encoded(main_worktree) / "tasks"


def _encoded(path: Path) -> str:
    parts = [re.sub("[^a-zA-Z0-9-]", _underscores, part) for part in path.absolute().parts[1:]]
    return "-".join(parts).lower()


def _underscores(character: re.Match[str]) -> str:
    """One for each UTF-16 unit, as in the folders that exist already."""
    return "_" * (len(character[0].encode("utf-16-le", "surrogatepass")) // 2)


def _entries(main_worktree: Path) -> Iterator[Entry]:
    """Every task's file in both layouts, ordered as in `listing`; where both have an id, the repository's is first."""
    found = [entry for root in (main_worktree / ".tasks", _central(main_worktree)) for entry in _scan(root.resolve())]
    yield from sorted(found, key=_rank)


def _rank(entry: Entry) -> tuple[int, int]:
    """Orders current, backlog, and the archive's months from the newest on."""
    state, _, month = entry.location.partition("/")
    return ("current", "backlog", "archive").index(state), -int(month.replace("-", "") or 0)


def _scan(root: Path) -> Iterator[Entry]:
    months = [f"archive/{path.name}" for path in _children(root / "archive", root) if _MONTH.fullmatch(path.name)]
    for location in ("current", "backlog", *months):
        for path in _children(root / location, root):
            if path.name.endswith(_FILE_ENDING):
                yield Entry(_id(path), path, None, location, root)
            elif path.is_dir():
                yield from _family(path, location, root)


def _family(folder: Path, location: str, root: Path) -> Iterator[Entry]:
    """A parent and its subtasks."""
    children, parent = _children(folder, root), _id(folder)
    yield from (Entry(parent, path, None, location, root) for path in children if path.name == _OVERVIEW)
    for path in children:
        if path.name.endswith(_FILE_ENDING):
            yield Entry(_id(path), path, parent, location, root)


def _children(folder: Path, root: Path) -> list[Path]:
    """What lies in a folder, by name; nothing when it is missing or itself a link that leads out of `root`."""
    try:
        inside = folder.resolve().is_relative_to(root)
        return sorted(path for path in folder.iterdir() if path.name[0] != ".") if inside else []
    except OSError:
        return []


def _id(path: Path) -> str:
    """The id in a file's or folder's name, as text even if the name is not."""
    return os.fsencode(path.name.removesuffix(_FILE_ENDING)).decode("utf-8", "replace")


def _find(name: str, main_worktree: Path) -> Entry:
    entries = list(_entries(main_worktree))
    rules: tuple[Callable[[Entry], str], ...] = (_selector, _own_id, _without_number)
    for rule in rules:
        if found := [entry for entry in entries if rule(entry) == name]:
            return _only(name, found)
    names = {rule(entry): None for rule in rules[1:] for entry in entries}
    raise TaskNotFoundError(name, difflib.get_close_matches(name, names, n=3))


def _selector(entry: Entry) -> str:
    """What names this one even where two parents have subtasks of one id."""
    return f"{entry.parent}/{entry.id}" if entry.parent else entry.id


def _own_id(entry: Entry) -> str:
    return entry.id


def _without_number(entry: Entry) -> str:
    return _NUMBER.sub("", entry.id, count=1)


def _only(name: str, found: list[Entry]) -> Entry:
    """The one that goes before the others, unless another stands beside it."""
    first, *others = found
    beside = {_selector(entry) for entry in others if (entry.location, entry.root) == (first.location, first.root)}
    if beside - {_selector(first)}:
        raise AmbiguousTaskError(name, sorted({_selector(first), *beside}))
    return first


# What is in them


def _read(entry: Entry) -> Task:
    try:
        document = markdown.parse(markdown.read(entry.path, within=entry.root))
    except OSError as error:
        raise UnreadableTaskError(entry.path, error.strerror or str(error)) from error
    except ValueError as error:
        raise UnreadableTaskError(entry.path, str(error)) from error
    known = {key: _as_text(document.metadata.get(key)) for key in REQUIRED_KEYS}
    return Task(
        id=entry.id,
        title=document.title,
        path=entry.path,
        parent=entry.parent,
        location=entry.location,
        metadata=document.metadata,
        sections=document.sections,
        **known,
    )


def _as_text(value: object) -> str:
    return "" if value is None else str(value)


def _read_or_report(entry: Entry) -> Task:
    try:
        return _read(entry)
    except UnreadableTaskError as error:
        return Task(id=entry.id, path=entry.path, parent=entry.parent, location=entry.location, problem=error.message)


# Writing new ones


def _objection(name: str) -> str:
    """Why this cannot be a task's name; empty if it can."""
    forbidden = _NOT_IN_A_REF.search(name)
    objections = {
        "it is empty": not name,
        "it holds characters that cannot be seen": not name.isprintable(),
        "it holds a slash": "/" in name,
        f"it starts with {name[:1]}": name.startswith(("-", ".")),
        f"it is longer than {LONGEST_NAME} bytes": len(name.encode("utf-8", "replace")) > LONGEST_NAME,
        f"no branch could be called that ({forbidden[0] if forbidden else ''})": bool(forbidden),
    }
    return next((reason for reason, applies in objections.items() if applies), "")


def _top_level(task_id: str, main_worktree: Path, *, backlog: bool) -> Entry:
    for taken in _entries(main_worktree):
        if taken.id == task_id:
            raise TaskExistsError(task_id, taken.path)
    root = _root_for_new(main_worktree).resolve()
    location = "backlog" if backlog else "current"
    return Entry(task_id, root / location / f"{task_id}{_FILE_ENDING}", None, location, root)


def _root_for_new(main_worktree: Path) -> Path:
    """The repository, unless tasks live below the home only."""
    here, central = main_worktree / ".tasks", _central(main_worktree)
    in_use = any((here / state).is_dir() for state in ("current", "backlog", "archive"))
    return here if in_use or not central.is_dir() else central


def _subtask(task_id: str, parent: str, main_worktree: Path) -> Entry:
    overview = _find(parent, main_worktree)
    if overview.path.name != _OVERVIEW:
        raise NotAParentError(overview.id, overview.path)
    folder = overview.path.parent
    subtasks = [entry for entry in _entries(main_worktree) if entry.parent and entry.path.parent == folder]
    for taken in subtasks:
        if task_id in (taken.id, _without_number(taken)):
            raise TaskExistsError(taken.id, taken.path)
    numbered = task_id if _NUMBER.match(task_id) else f"{_next_number(subtasks):02}_{task_id}"
    return Entry(numbered, folder / f"{numbered}{_FILE_ENDING}", overview.id, overview.location, overview.root)


def _next_number(subtasks: Iterable[Entry]) -> int:
    numbers = [int(number[1]) for entry in subtasks if (number := _NUMBER.match(entry.id))]
    return max(numbers, default=0) + 1


def _document(title: str, metadata: dict[str, str], instruction: str) -> str:
    import yaml

    front_matter = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)
    texts = dict.fromkeys(SECTIONS, "") | {"Instruction": instruction.strip()}
    sections = [f"## {name}\n{text}\n" if text else f"## {name}\n" for name, text in texts.items()]
    return "\n".join([f"# {' '.join(title.split())}\n", f"---\n{front_matter}---\n", *sections])


def _write(entry: Entry, text: str) -> None:
    """Written beside its place and linked into it: never half there, and never over another."""
    folder = entry.path.parent
    draft = folder / f".{secrets.token_hex(4)}.{entry.path.name}"
    if not folder.resolve().is_relative_to(entry.root):
        raise UnwritableTaskError(entry.path, f"{folder} is a link that leads out of {entry.root.name}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with draft.open("x", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _link(draft, entry)
    except OSError as error:
        raise UnwritableTaskError(entry.path, error.strerror or str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def _link(draft: Path, entry: Entry) -> None:
    try:
        os.link(draft, entry.path)
    except FileExistsError:
        raise TaskExistsError(entry.id, entry.path) from None
