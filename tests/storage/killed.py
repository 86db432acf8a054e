"""Ends the local backend at each of its lines in turn, and looks at what is left. Run as a program of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from scopecraft_git import paths
from scopecraft_git.errors import SessionNotFoundError
from scopecraft_git.models import Session, SessionStatus
from scopecraft_git.storage import files, local, registry
from scopecraft_git.storage.local import LocalStorage
from tests.samples import logged, session

KILLED = 9
WATCHED = frozenset({files.__file__, local.__file__, registry.__file__})
OTHER = "auth-05A-0000000"


def main() -> None:
    storage = LocalStorage()
    storage.create(session(OTHER))
    kills = 0
    for act in (create, run, finish, append, delete):
        line = 0
        while killed_at(line, act(storage)):
            check(storage, act.__name__)
            line += 1
        check(storage, act.__name__)
        kills += line
    print(kills)


def create(storage: LocalStorage) -> Callable[[], object]:
    try:
        storage.load(session().id)
    except SessionNotFoundError:
        return lambda: storage.create(session())
    return lambda: None


def run(storage: LocalStorage) -> Callable[[], object]:
    return lambda: storage.update_status(
        session().id, SessionStatus.RUNNING, expected=set(SessionStatus), changes={"messages": 5}
    )


def finish(storage: LocalStorage) -> Callable[[], object]:
    return lambda: storage.update_status(session().id, SessionStatus.COMPLETED, expected=set(SessionStatus))


def append(storage: LocalStorage) -> Callable[[], object]:
    last = max((event.seq for event in storage.events(session().id)), default=0)
    return lambda: storage.append(session().id, [logged(last + 1), logged(last + 2)])


def delete(storage: LocalStorage) -> Callable[[], object]:
    return lambda: storage.delete(session().id)


def killed_at(line: int, act: Callable[[], object]) -> bool:
    """Whether a child that dies before it executes this line of the backend got that far."""
    child = os.fork()
    if not child:
        sys.settrace(_Fuse(line).trace)
        act()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, KILLED), code
    return code == KILLED


class _Fuse:
    def __init__(self, line: int) -> None:
        self._left = line

    def trace(self, frame: FrameType, event: str, _arg: Any) -> Any:
        if frame.f_code.co_filename not in WATCHED:
            return None
        if event == "line":
            self._left -= 1
            if self._left < 0:
                os._exit(KILLED)
        return self.trace


def check(storage: LocalStorage, act: str) -> None:
    """Everything can be read; who lives is active; events have no gaps; the next write will do."""
    listed: dict[str, Session] = {}
    for each in storage.sessions(onerror=_raise):
        listed[each.id] = each
    active = [each.id for each in storage.sessions(active=True, onerror=_raise)]
    assert active == [each.id for each in listed.values() if not each.status.ended], (act, active)
    assert OTHER in listed, act
    found = listed.get(session().id)
    assert found is not None or act in ("create", "delete"), act
    if found:
        assert found.messages == (0 if found.status is SessionStatus.QUEUED else 5), act
        numbers = [event.seq for event in storage.events(found.id)]
        assert numbers == list(range(1, len(numbers) + 1)), act
    elif paths.session(session().id).exists():
        assert not (paths.session(session().id) / "metadata.json").exists(), act


def _raise(error: Exception) -> None:
    raise error


if __name__ == "__main__":
    main()
