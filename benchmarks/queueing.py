"""Into the queue, and out of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.ground import COMMAND, Ground, until
from benchmarks.rows import Row

SAMPLES = 60
CHAIN = 8
ONE_AT_A_TIME = {"SCOPECRAFT_MAX_RUNNING": "1"}


def measure(ground: Ground) -> list[Row]:
    own = {"SCOPECRAFT_HOME": str(ground.folder / "home-without-supervisor")}
    return [
        Row("enqueue to durable, in process", ground.in_process("enqueue", str(SAMPLES), **own), limit=10.0),
        Row("take with 10 waiting, in process", ground.in_process("take", str(SAMPLES), **own), limit=10.0),
        Row("a freed slot to the next start", _freed(ground), limit=50.0),
    ]


def _freed(ground: Ground) -> list[float]:
    """From the end of each session of a chain, as its record has it, until the next one is seen to be starting."""
    ground.call(COMMAND, "queue", "hold")
    for _ in range(CHAIN):
        ground.start("local", "sleep 0.1", **ONE_AT_A_TIME)
    waiting = json.loads(ground.call(COMMAND, "queue", "--json"))["waiting"]
    ground.call(COMMAND, "queue", "release")
    records = [ground.home / "sessions" / session / "metadata.json" for session in waiting]
    starts = [until(partial(_has_begun, record), pause=0.0005) for record in records]
    ground.call(COMMAND, "wait", *waiting)
    ends = [datetime.fromisoformat(_read(record)["ended_at"]) for record in records]
    return [(start - end).total_seconds() * 1000 for end, start in zip(ends[:-1], starts[1:], strict=True)]


def _has_begun(record: Path) -> datetime | None:
    return datetime.now(UTC) if _read(record)["status"] != "queued" else None


def _read(record: Path) -> Any:
    return json.loads(record.read_bytes())
