"""The dashboard in a terminal: until there is something to see, and from a key to what it changes."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.ground import COMMAND, DEADLINE, Ground
from benchmarks.rows import Row
from scopecraft_git import __version__
from scopecraft_git.storage import files
from scopecraft_git.supervisor import keeper, presence

SESSIONS = 200
STREAMING = 10
KEYS = 60
SIZE = (40, 120)
SETTLES_IN = 2.0
"""Seconds until what is loaded behind the first screen is there."""


def measure(ground: Ground) -> list[Row]:
    home = str(ground.folder / "home-many")
    ground.in_process("fill_board", home, str(SESSIONS), str(STREAMING), str(ground.repo))
    lock = files.try_lock(presence.lock_file(Path(home)))  # a supervisor would find that nobody is at work there
    assert lock is not None
    keeper.mark(lock, 0, __version__)
    try:
        textual, painted = ground.in_turn(
            lambda: ground.timed(sys.executable, "-c", "import textual.app"), lambda: _first_paint(ground, home)
        )
        pressed = _keys(ground, home)
    finally:
        os.close(lock)
    return [
        Row("import textual", textual),
        Row(f"dashboard of {SESSIONS} sessions: first paint", painted, limit=600.0),
        Row(f"dashboard: key to screen, {STREAMING} stream", pressed, limit=50.0),
    ]


class Screen:
    """A dashboard, and what it writes to its terminal."""

    def __init__(self, ground: Ground, home: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
        environment = ground.environment | {"SCOPECRAFT_HOME": home, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self._process = subprocess.Popen(
            [COMMAND, "dashboard"],
            cwd=ground.repo,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def press(self, key: bytes) -> None:
        os.write(self._master, key)

    def read_until(self, met: Callable[[bytes], bool]) -> bytes:
        """What it wrote until that is met."""
        written, deadline = b"", time.monotonic() + DEADLINE
        while not met(written):
            if time.monotonic() > deadline:
                raise TimeoutError(written)
            written += self._read(1.0)
        return written

    def read_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._read(left)

    def close(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        os.close(self._master)

    def _read(self, seconds: float) -> bytes:
        ready, _, _ = select.select([self._master], [], [], seconds)
        return os.read(self._master, 1 << 16) if ready else b""


def _first_paint(ground: Ground, home: str) -> float:
    """Milliseconds until the first row is there."""
    begun = time.perf_counter()
    screen = Screen(ground, home)
    try:
        screen.read_until(lambda written: b"board-" in written)
        return (time.perf_counter() - begun) * 1000
    finally:
        screen.close()


def _keys(ground: Ground, home: str) -> list[float]:
    """Milliseconds from a key to the cursor's new place, while sessions write events and records."""
    writer = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.in_process", "stream_board", str(STREAMING)],
        env=ground.environment | {"SCOPECRAFT_HOME": home, "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.DEVNULL,
    )
    screen = Screen(ground, home)
    try:
        screen.read_until(lambda written: b"board-" in written)
        screen.read_for(SETTLES_IN)
        return [_key(screen, b"j" if number < KEYS // 2 else b"k") for number in range(KEYS)]
    finally:
        screen.close()
        writer.kill()
        writer.wait()


def _key(screen: Screen, key: bytes) -> float:
    screen.read_for(0.1)
    begun = time.perf_counter()
    screen.press(key)
    screen.read_until(lambda written: "›".encode() in written)
    return (time.perf_counter() - begun) * 1000
