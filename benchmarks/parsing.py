"""Lines of Claude Code's into events, beside `json.loads` of the same lines."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

from benchmarks.ground import Ground
from benchmarks.rows import Row
from scopecraft_git import plugins
from tests.agents.renew import recordings

MEGABYTES = 4
FAST_ENOUGH = 1000 / 60
"""Milliseconds for a megabyte, at 60 MB/s."""


def measure(ground: Ground) -> list[Row]:
    lines = _lines()
    size = sum(map(len, lines)) / 1e6
    parse = plugins.agent("claude").parse
    samples, floor = [], []
    for _ in range(ground.rounds):
        floor.append(_took(json.loads, lines) / size)
        samples.append(_took(parse, lines) / size)
    return [Row("1 MB of stream to events", samples, floor, max(2.0, FAST_ENOUGH / statistics.median(floor)))]


def _lines() -> list[bytes]:
    recorded = [line for path in recordings() for line in path.read_bytes().splitlines()]
    return recorded * (MEGABYTES * 1_000_000 // sum(map(len, recorded)) + 1)


def _took(read: Callable[[bytes], object], lines: list[bytes]) -> float:
    begun = time.perf_counter()
    for line in lines:
        read(line)
    return (time.perf_counter() - begun) * 1000
