"""How executors wait for what nobody tells them of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from scopecraft_git.protocols import Exit


def await_end(poll: Callable[[], Exit | None], timeout: float | None, *, longest: float) -> Exit | None:
    """`Execution.wait`, by looks that are at most `longest` seconds apart."""
    deadline = None if timeout is None else time.monotonic() + timeout
    for pause in pauses(longest):
        ended = poll()
        if ended or (deadline is not None and time.monotonic() >= deadline):
            break
        time.sleep(pause)
    return ended


def pauses(longest: float) -> Iterator[float]:
    """Seconds to wait between looks: what is waited for mostly comes soon, and may come in hours."""
    pause = 0.01
    while True:
        yield pause
        pause = min(pause * 1.5, longest)
