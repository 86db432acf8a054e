from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scopecraft_git.supervisor import log

FULL = Path("/dev/full")


def said(home: Path, code: str) -> list[str]:
    """What is in the log after a process ran `code`."""
    lines = ["from scopecraft_git.supervisor import log", "log.begin()", *code.splitlines()]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)
    return [line.partition(" ")[2] for line in (home / "supervisor" / "supervisor.log").read_text().splitlines()]


def test_the_same_of_the_same_is_said_once_and_counted(home: Path) -> None:
    code = """
for about, text in [("one", "a"), ("one", "a"), ("two", "a"), ("one", "a"), ("one", "b"), ("one", "b")]:
    log.complain(about, OSError(text))
"""
    assert said(home, code) == ["one: a", "two: a", "one: the same 2 more times", "one: b"]


def test_what_a_full_disk_does_not_take_is_said_later(home: Path) -> None:
    code = """
import os
kept = os.dup(2)
full = os.open("/dev/full", os.O_WRONLY)
os.dup2(full, 2)
log.complain("one", OSError("a"))
os.dup2(kept, 2)
log.complain("one", OSError("a"))
"""
    assert said(home, code) == ["one: a"]


def test_a_bug_is_said_with_its_traceback(home: Path) -> None:
    told = said(home, "log.complain('one', ZeroDivisionError('b'))")
    assert told == ["one: ZeroDivisionError: b"]


def test_a_long_log_makes_way_for_a_new_one(home: Path) -> None:
    path = home / "supervisor" / "supervisor.log"
    path.write_text("x" * (log.LIMIT + 1))
    assert said(home, "log.complain('one', OSError('a'))") == ["one: a"]
    assert path.with_name("supervisor.log.1").stat().st_size > log.LIMIT
