"""Tells a human what happens while nobody looks: on the desktop, and by a webhook.

The terminal's bell is not its to ring: commands that have a terminal do that.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scopecraft_git import description, news
from scopecraft_git.console import safe_line
from scopecraft_git.events import Event, Notice
from scopecraft_git.handlers import desktop, webhook
from scopecraft_git.hookspecs import hookimpl
from scopecraft_git.models import Session, rfc3339
from scopecraft_git.protocols import HandlerFactory, HandlerRequest, Verdict

LONGEST_TEXT = 200
"""Characters of an event that leave the machine."""


class Notify:
    """Tells each event once, also when the supervisor is killed meanwhile.

    What has been told is kept as a number: that of the last event, counted as they are handled, which is told or never
    will be. One that was killed in the very middle is told again, under the name of the first delivery.
    """

    name = "notify"

    def __init__(self, request: HandlerRequest, /) -> None:
        self._settings = request.settings.notify
        self._wanted = bool(self._settings.on and (self._settings.desktop or self._settings.webhook.url))
        self._mark = request.session.path / "notified.json"
        self._told = _number(self._mark) if self._wanted else 0
        self._number = 0
        self._errands = Errands()

    def handle(self, session: Session, event: Event) -> Verdict | None:
        if self._wanted:
            self._number += 1
            topic = next((topic for topic in news.of(event) if topic in self._settings.on), None)
            if topic and self._number > self._told:
                document = _document(topic, session, event, self._number)
                self._errands.add(lambda number=self._number: self._tell(number, document))  # type: ignore[misc]
        return None

    def summary(self) -> Mapping[str, Any]:
        return {}

    def _tell(self, number: int, document: dict[str, str]) -> None:
        """Whatever becomes of it, it is done then: nobody is helped by hearing tomorrow what waited today."""
        if self._settings.desktop:
            desktop.show(f"{document['session']}: {document['event']}", document["text"])
        if self._settings.webhook.url:
            try:
                webhook.post(self._settings.webhook, document["delivery"], document)
            except webhook.NotPostedError as error:
                _complain(f"{document['session']}: not told of {document['event']}: {error}")
        _keep(self._mark, number)


class Errands:
    """What takes a while, one after the other, in a thread that is there while there is something to do."""

    def __init__(self) -> None:
        self._waiting = deque[Callable[[], None]]()
        self._lock = threading.Lock()
        self._under_way = False

    def add(self, errand: Callable[[], None]) -> None:
        """Returns at once."""
        with self._lock:
            self._waiting.append(errand)
            if not self._under_way:
                self._under_way = True
                threading.Thread(target=self._run, name="notify", daemon=True).start()

    def _run(self) -> None:
        while errand := self._next():
            try:
                errand()
            except Exception as error:  # whatever it is, the next one is to be told
                _complain(f"not told: {error!r}")

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            self._under_way = bool(self._waiting)
            return self._waiting.popleft() if self._waiting else None


def _document(topic: str, session: Session, event: Event, number: int) -> dict[str, str]:
    """What a human is told: no inputs, no outputs, and of texts no more than their beginning."""
    status = topic if topic in ("waiting", "idle") else session.status.value
    if isinstance(event, Notice) and event.code == "ended":
        status = str(event.data.get("status", status))
    return {
        "event": topic,
        "delivery": str(uuid.uuid5(uuid.NAMESPACE_OID, f"scopecraft {session.id} {number}")),
        "time": rfc3339(datetime.now(UTC)),
        "session": session.id,
        "task": session.task,
        "status": status,
        "mode": session.mode.value,
        "agent": session.agent,
        "executor": session.executor,
        "repository": session.repository.parent.name,
        "branch": session.branch,
        "text": description.line(event, LONGEST_TEXT),
    }


def _number(mark: Path) -> int:
    try:
        return int(json.loads(mark.read_bytes())["told"])
    except (OSError, ValueError, LookupError, TypeError):
        return 0


def _keep(mark: Path, number: int) -> None:
    """A folder that is gone, or a disk that is full, means no more than that something may be told twice."""
    new = mark.with_name(".notified.json.new")
    with contextlib.suppress(OSError):
        new.write_text(json.dumps({"told": number}))
        new.replace(mark)


def _complain(text: str) -> None:
    """To the supervisor's log, which is its stderr."""
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with contextlib.suppress(OSError, ValueError):
        print(f"{when} {safe_line(text)}", file=sys.stderr, flush=True)


@hookimpl
def register_monitor_handlers() -> Iterable[HandlerFactory]:
    return [Notify]
