"""`python -m tests.agents.renew`: writes what every recording means beside it, as `<name>.events.jsonl`.

What it changes is to be read, line by line, before it is committed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from scopecraft_git import plugins
from scopecraft_git.events import Event

STREAMS = Path(__file__).parent / "streams"
_BESIDE = (".stdin.jsonl", ".events.jsonl")


def recordings() -> list[Path]:
    return sorted(path for path in STREAMS.glob("[0-9]*/*.jsonl") if not path.name.endswith(_BESIDE))


def expected(recording: Path) -> Path:
    return recording.with_suffix(".events.jsonl")


def events(recording: Path) -> Iterator[tuple[int, Event]]:
    """With the number of the line they come from."""
    parse = plugins.agent("claude").parse
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
    for recording in recordings():
        expected(recording).write_text(rendered(recording), encoding="utf-8")


if __name__ == "__main__":
    main()
