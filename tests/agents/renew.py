"""`python -m tests.agents.renew`: writes what every recording means beside it, as `<name>.events.jsonl`.

What it changes is to be read, line by line, before it is committed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from scopecraft_git import plugins
from scopecraft_git.events import Event
from scopecraft_git.protocols import Agent

STREAMS = Path(__file__).parent / "streams"
_BESIDE = (".stdin.jsonl", ".events.jsonl")


def recordings(folders: str = "[0-9]*") -> list[Path]:
    """Claude Code's, whose folders are named by its version alone, or others: `codex-*`, `*` for all."""
    return sorted(path for path in STREAMS.glob(f"{folders}/*.jsonl") if not path.name.endswith(_BESIDE))


def agent(recording: Path) -> Agent:
    name, dash, _ = recording.parent.name.partition("-")
    return plugins.agent(name if dash else "claude")


def expected(recording: Path) -> Path:
    return recording.with_suffix(".events.jsonl")


def events(recording: Path) -> Iterator[tuple[int, Event]]:
    """With the number of the line they come from."""
    parse = agent(recording).parse
    for number, line in enumerate(recording.read_bytes().split(b"\n"), 1):
        for event in parse(line):
            yield number, event


def rendered(recording: Path) -> str:
    """What is as it is by default is left out."""
    found = (
        {"line": number, "kind": event.kind} | event.model_dump(mode="json", exclude_defaults=True)
        for number, event in events(recording)
    )
    return "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in found)


def main() -> None:
    for recording in recordings("*"):
        expected(recording).write_text(rendered(recording), encoding="utf-8")


if __name__ == "__main__":
    main()
