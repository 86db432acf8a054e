"""Reads lines that are numbered in order: `{"seq": 1, …}`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_SEQ = re.compile(rb'\{"seq": ?(\d+)')
_NEAR = 1 << 16
_NUMBERED_WITHIN = 64


def after(path: Path, seq: int) -> Iterator[bytes]:
    """Whole lines behind the one numbered `seq`. A last line without its newline is left out."""
    with path.open("rb") as file:
        file.seek(_near(file, seq) if seq else 0)
        passed = seq == 0
        for line in file:
            passed = passed or not _is_within(line, seq)
            if passed and line.endswith(b"\n"):
                yield line


def _near(file: BinaryIO, seq: int) -> int:
    """Where a line begins that is not behind `seq`, found by halving: a long session is asked again and again."""
    low, high = 0, file.seek(0, 2)
    while high - low > _NEAR:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()
        begin = file.tell()
        if begin < high and _is_within(file.readline(_NUMBERED_WITHIN), seq):
            low = begin
        else:
            high = middle
    return low


def _is_within(line: bytes, seq: int) -> bool:
    number = _SEQ.match(line)
    return number is not None and int(number[1]) <= seq
