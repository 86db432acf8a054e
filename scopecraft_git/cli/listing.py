"""`list`, which is typed all day and asked by prompts and status bars: it loads neither typer nor pydantic."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scopecraft_git import console, paths
from scopecraft_git.errors import ScopecraftError, SessionNotFoundError
from scopecraft_git.storage import queue, records
from scopecraft_git.storage.registry import Registry

RECENT = 10
HEADINGS = ("SESSION", "TASK", "STATUS", "WHERE", "AGE", "LAST MESSAGE")


def list_sessions(*, everything: bool = False, as_json: bool = False) -> None:
    newest = None if everything else RECENT
    found = list(_from_disk(newest) if is_local() else _from_storage(newest))
    if as_json:
        console.answer_json(found)
    elif found:
        _print_table(found)
        _warn_of_obstacle(found)
        _hint_at_questions(found)
    else:
        console.unchanged("No sessions yet")
        console.hint("To start one, run git scopecraft run TASK")


def age(time: str | None) -> str:
    """`5m` since `time`, in its largest unit."""
    if time is None:
        return "-"
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _print_table(found: list[dict[str, Any]]) -> None:
    """With the repository of each session where they are of several."""
    rows = [_row(document) for document in found]
    names = _names({document["repository"] for document in found})
    if len(names) < 2:
        console.answer_table(HEADINGS, rows)
        return
    wider = [(*row[:2], names[document["repository"]], *row[2:]) for row, document in zip(rows, found, strict=True)]
    console.answer_table((*HEADINGS[:2], "REPOSITORY", *HEADINGS[2:]), wider)


def _names(common_dirs: set[str]) -> dict[str, str]:
    """Repositories by their folder's name, or by its whole path where others are called so, too."""
    folders = {common_dir: Path(common_dir.removesuffix("/.git")) for common_dir in common_dirs}
    names = [folder.name for folder in folders.values()]
    return {key: folder.name if names.count(folder.name) == 1 else str(folder) for key, folder in folders.items()}


def _warn_of_obstacle(found: list[dict[str, Any]]) -> None:
    """Where someone waits."""
    if any(document["queue_position"] for document in found) and (obstacle := queue.snapshot().obstacle):
        console.warning(f"Nothing starts: {obstacle}")
        console.hint("To see the queue, run git scopecraft queue")


def _hint_at_questions(found: list[dict[str, Any]]) -> None:
    asking = [document["id"] for document in found if _asks(document)]
    if len(asking) == 1:
        console.hint(f"To answer it, run git scopecraft approve {asking[0]} or git scopecraft deny {asking[0]}")
    elif asking:
        console.hint("To see what they ask for, run git scopecraft approve")


def _row(document: dict[str, Any]) -> tuple[str, ...]:
    where = document["executor"] if document["mode"] == "autonomous" else f"{document['executor']}, dispatch"
    since = age(document["ended_at"] or document["started_at"] or document["created_at"])
    said = console.safe_line(_said(document), 60)
    return document["id"], document["task"], _status(document), where, since, said


def _status(document: dict[str, Any]) -> str:
    position = document["queue_position"]
    return f"{document['status']} ({position})" if position else str(document["status"])


def _said(document: dict[str, Any]) -> str:
    """The last message; of a session that lives, what it asks for, or what is the matter with it."""
    if asked := _asks(document):
        more = f" (and {len(asked) - 1} more)" if len(asked) > 1 else ""
        return f"? {asked[0]['tool']} {console.gist(asked[0]['input'])}{more}"
    if document["evidence"] and document["ended_at"] is None:
        return f"▲ {document['evidence']}"
    return document["last_message"] or ""


def _asks(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What waits for a human's word."""
    return (document["approvals"] or []) if document["ended_at"] is None else []


def is_local() -> bool:
    """Whether the records are where the built-in storage keeps them, and its registry is in order."""
    unregistered = not (paths.sessions() / "active.json").exists() and any(records.folders())
    if unregistered or "SCOPECRAFT_STORAGE" in os.environ:
        return False
    try:
        settings = json.loads(paths.config_file().read_bytes())
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False  # who needs the settings will say what is wrong with them
    return isinstance(settings, dict) and settings.get("storage", "local") == "local"


def _from_disk(newest: int | None) -> Iterator[dict[str, Any]]:
    living = Registry(paths.sessions(), records.folders).ids()
    for record in records.select(living, _read, lambda record: record["ended_at"] is not None, newest=newest):
        yield _as_document(record)


def _from_storage(newest: int | None) -> Iterator[dict[str, Any]]:
    from scopecraft_git.cli import context, output

    for session in context.storage().sessions(newest=newest, onerror=console.problem):
        yield output.as_document(session, full=True)


def _as_document(record: dict[str, Any]) -> dict[str, Any]:
    """As `output.as_document` has it."""
    document = {name: record.get(name) for name in records.FULL}
    if record["status"] != "queued" or record["mode"] != "autonomous":
        return document | {"queue_position": None}
    line = queue.snapshot()
    evidence = document["evidence"] or line.obstacle
    return document | {"evidence": evidence, "queue_position": line.position(record["id"])}


def _read(session_id: str) -> dict[str, Any] | None:
    try:
        return records.read(session_id)
    except SessionNotFoundError:
        return None
    except ScopecraftError as problem:
        console.problem(problem)
        return None
