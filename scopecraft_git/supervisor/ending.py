"""How sessions end: what is said of them, and how an agent is made to leave."""

from __future__ import annotations

import threading
from pathlib import Path
from signal import Signals

from scopecraft_git.console import safe_text
from scopecraft_git.events import Finished, Notice
from scopecraft_git.models import Outcome, SessionStatus
from scopecraft_git.monitor import STOPPING, Monitor
from scopecraft_git.protocols import Action, Execution, Exit
from scopecraft_git.supervisor.log import complain
from scopecraft_git.supervisor.turn import Turn

GRACES = ((Signals.SIGINT, 10.0), (Signals.SIGTERM, 5.0), (Signals.SIGKILL, 10.0))
"""How a session is stopped, with the seconds each signal is given. An interrupted agent still says how it went."""
TRIES_AGAIN = 5.0
"""Seconds after which an agent that could not be signalled is tried again."""
STDERR_TAIL = 4096


def outcome(monitor: Monitor, ended: Exit, folder: Path, turn: Turn | None = None) -> Outcome:
    """What became of a session whose process is gone: why we ended it, what the agent said, its exit code, in order.

    `turn` is of an agent that leaves when its turn was interrupted and it was told nothing else.
    """
    status, reason = _judged(monitor, ended, turn or Turn())
    code = None if ended.lost else ended.code
    return Outcome(status=status, reason=safe_text(reason), exit_code=code, stderr=last_words(folder))


def noticed_before(notice: Notice, folder: Path) -> Outcome:
    """What an `ended` that is stored already says, though the record does not."""
    status, code = SessionStatus(notice.data["status"]), notice.data.get("exit_code")
    return Outcome(status=status, reason=notice.text, exit_code=code, stderr=last_words(folder))


def never_started(status: SessionStatus, reason: str, folder: Path) -> Outcome:
    return Outcome(status=status, reason=safe_text(reason), stderr=last_words(folder))


def last_words(folder: Path) -> str:
    """The end of what the agent wrote to its stderr."""
    try:
        with (folder / "stderr.log").open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - STDERR_TAIL))
            written = file.read()
    except FileNotFoundError:
        return ""
    return "\n".join(safe_text(written.decode(errors="replace")).splitlines()[-20:])


def end(execution: Execution) -> bool:
    """Signal an agent, one that is paused as well, for as long as `GRACES` say. Whether it is gone."""
    for signal, grace in GRACES:
        execution.resume()
        execution.terminate(signal)
        if execution.wait(grace):
            return True
    return False


def make_leave(execution: Execution, over: threading.Event) -> None:
    """`end` an agent, again and again until it is gone or nobody follows it any more."""
    while not over.is_set():
        try:
            if end(execution):
                return
        except Exception as error:  # an executor of a plugin's may raise anything
            complain("stopping a session", error)
        over.wait(TRIES_AGAIN)


def _judged(monitor: Monitor, ended: Exit, turn: Turn) -> tuple[SessionStatus, str]:
    finished, ending = monitor.finished, monitor.noticed.ending
    if ending and ending.code != "lingering":
        return _ended_by_us(ending)
    done = finished is not None and monitor.done
    if ended.lost and not done:
        return SessionStatus.LOST, f"Nobody saw it end: {ended.reason}"
    cut_short = turn.interrupting or (turn.interrupted if monitor.done else None)
    unseen = f"; nobody saw it end: {ended.reason}" if ended.lost else ""
    if cut_short:
        by = cut_short.data.get("by")
        return SessionStatus.CANCELLED, (f"Interrupted: {by}" if by else "Interrupted on request") + unseen
    if finished and finished.is_error:
        return SessionStatus.FAILED, _error(finished) + unseen
    if ended.code == 0 or (done and (ending or ended.lost)):
        return SessionStatus.COMPLETED, "The agent is done" + unseen
    return SessionStatus.FAILED, f"The agent exited with {ended.code}" + (f": {ended.reason}" if ended.reason else "")


def _ended_by_us(ending: Notice) -> tuple[SessionStatus, str]:
    if ending.code == STOPPING:
        return SessionStatus.CANCELLED, "Stopped on request"
    if ending.code == Action.STOP:
        return SessionStatus.CANCELLED, f"Stopped: {ending.text}"
    return SessionStatus.FAILED, ending.text


def _error(finished: Finished) -> str:
    return f"The agent reports an error: {finished.text or finished.subtype}"
