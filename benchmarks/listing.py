"""`list`, which is typed all day."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.ground import COMMAND, Ground
from benchmarks.rows import Row
from benchmarks.starting import IMPORTS

FEW, MANY = 10, 10_000


def measure(ground: Ground) -> list[Row]:
    homes = {count: _home(ground, count) for count in (FEW, MANY)}
    floor, few, many = ground.in_turn(
        lambda: ground.timed(sys.executable, "-c", IMPORTS),
        lambda: ground.timed(COMMAND, "list", SCOPECRAFT_HOME=str(homes[FEW])),
        lambda: ground.timed(COMMAND, "list", SCOPECRAFT_HOME=str(homes[MANY])),
    )
    return [
        Row("import typer, pydantic", floor),
        Row(f"list, {FEW} ended sessions", few, floor, 1.3),
        Row(f"list, {MANY} ended sessions, to {FEW}", many, few, 1.3),
    ]


def _home(ground: Ground, ended: int) -> Path:
    home = ground.folder / f"home-{ended}"
    ground.in_process("fill", str(home), str(ended))
    return home
