"""The terminal that the dashboard is on, which may go without a word."""

from __future__ import annotations

import os
import signal
import sys
import termios


class Terminal:
    """To be made by the main thread. Where there is none, as in a test, it cannot go."""

    def __init__(self) -> None:
        self._number = sys.__stdin__.fileno() if sys.__stdin__ and sys.__stdin__.isatty() else None
        if self._number is not None:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup` would have it stay on nothing

    def leave_with_it(self) -> None:
        """By the signal that its own process is sent: who reads and draws goes on for ever with one that is gone."""
        if self._number is None:
            return
        try:
            termios.tcgetattr(self._number)
        except termios.error:
            os.kill(os.getpid(), signal.SIGHUP)
