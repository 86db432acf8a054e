"""Notifications of the desktop, where there is one."""

from __future__ import annotations

import contextlib
import html
import subprocess
import sys

APPLESCRIPT = ("on run argv", "display notification (item 2 of argv) with title (item 1 of argv)", "end run")
TAKES_AT_MOST = 10.0
"""Seconds."""


def show(title: str, text: str) -> None:
    """Does nothing, and says nothing, where no program or no desktop can. Both are plain text, never markup."""
    command = _osascript(title, text) if sys.platform == "darwin" else _notify_send(title, text)
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TAKES_AT_MOST,
            check=False,
        )


def _notify_send(title: str, text: str) -> list[str]:
    """Its second argument may be taken for markup."""
    return ["notify-send", "--app-name=git scopecraft", "--", title, html.escape(text, quote=False)]


def _osascript(title: str, text: str) -> list[str]:
    script = [argument for line in APPLESCRIPT for argument in ("-e", line)]
    return ["osascript", *script, "--", title, text]
