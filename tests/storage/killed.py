"""Has the local backend die or fail at every step, and looks at what is left. Run as a program of its own.

It dies before each line of its own code and before each system call that changes the disk; each of those calls fails,
once or from there on, as on a disk that is full, broken or read-only.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from scopecraft_git import paths, sessions
from scopecraft_git.errors import HomeFullError, HomeNotWritableError
from scopecraft_git.models import SessionStatus
from scopecraft_git.storage import files, local, registry
from scopecraft_git.storage.local import LocalStorage
from tests.fuses import KILLED, Fuse, LineFuse
from tests.samples import exec_request, logged, session
from tests.storage.faults import Countdown

DONE, FULL, NOT_WRITABLE, OTHER = 0, 3, 4, 5
WATCHED = frozenset({files.__file__, local.__file__, registry.__file__})
NEIGHBOUR = "auth-05A-0000000"
STORAGE = LocalStorage()


class Fault(NamedTuple):
    error: int
    sticky: bool
    told_as: int


FAULTS = (
    Fault(errno.ENOSPC, sticky=False, told_as=FULL),
    Fault(errno.ENOSPC, sticky=True, told_as=FULL),
    Fault(errno.EIO, sticky=True, told_as=NOT_WRITABLE),
)


class Act(NamedTuple):
    do: Callable[[], object]
    before: Callable[[], object] = lambda: None
    between: Callable[[], object] | None = None
    """A state that is neither the old nor the new one, and that one who was killed may leave."""
    by_line: bool = False
    """Whether it dies at lines, too; the others pass by the same ones."""


def main() -> None:
    """Prints how often it died at a line, died at a call, and met a fault."""
    counts = [0, 0, 0]
    memory = Path("/dev/shm")  # a thousand times on a disk would take minutes
    with tempfile.TemporaryDirectory(prefix="scopecraft-killed-", dir=memory if memory.is_dir() else None) as folder:
        for act in ACTS:
            bench = Bench(Path(folder), act)
            counts[0] += bench.kill(fuse) if act.by_line else 0
            counts[1] += (calls := bench.kill(Countdown))
            counts[2] += sum(bench.fail(calls, fault) for fault in FAULTS)
    print(*counts)


# What is done


def create() -> None:
    STORAGE.create(session())


def make() -> None:
    """As `run` does, with the folder and the mark of its maker."""
    with sessions.reserved_id(STORAGE, "made") as session_id:
        made = session(session_id)
        sessions.create(STORAGE, made, "Do it", exec_request(made))


def run() -> None:
    changes = {"messages": 5}
    STORAGE.update_status(session().id, SessionStatus.RUNNING, expected=set(SessionStatus), changes=changes)


def save() -> None:
    STORAGE.save(session(messages=7))


def finish() -> None:
    STORAGE.update_status(session().id, SessionStatus.COMPLETED, expected=set(SessionStatus))


def append() -> None:
    there = {event.seq for event in STORAGE.events(session().id)}
    STORAGE.append(session().id, [logged(seq) for seq in (2, 3) if seq not in there])


def with_an_event() -> None:
    create()
    STORAGE.append(session().id, [logged(1)])


def with_half_an_event() -> None:
    with_an_event()
    with (paths.session(session().id) / "events.jsonl").open("a") as file:
        file.write('{"seq": 2, "ti')


def without_registry() -> None:
    (paths.sessions() / "active.json").unlink()


def with_the_first_event() -> None:
    create()
    STORAGE.append(session().id, [logged(2)])


def with_one_of_two_events() -> None:
    with_an_event()
    STORAGE.append(session().id, [logged(2)])


def delete() -> None:
    STORAGE.delete(session().id)


def ask() -> None:
    sessions.ask(session().id, "stop")


ACTS = (
    Act(create, by_line=True),
    Act(create, before=without_registry),
    Act(make),
    Act(run, before=create, by_line=True),
    Act(save, before=create),
    Act(finish, before=create, by_line=True),
    Act(append, before=create, between=with_the_first_event, by_line=True),
    Act(append, before=with_an_event, between=with_one_of_two_events),
    Act(append, before=with_half_an_event, between=with_one_of_two_events),
    Act(delete, before=with_an_event, by_line=True),
    Act(ask, before=create),
)


# How it is disturbed


def fuse(at: int) -> LineFuse:
    return LineFuse(WATCHED, at, once=True)


class Bench:
    """One act and the homes it is done in, each a copy of the same."""

    def __init__(self, folder: Path, act: Act) -> None:
        self._folder = folder
        self._act = act
        self._old, self._new = self._state(act.before), self._state(act.before, act.do)
        self._between = self._state(act.between) if act.between else None
        assert self._old != self._new, act

    def kill(self, disturbance: Callable[[int], Fuse]) -> int:
        """Before every step in turn; how many there were."""
        at = 0
        while self._done_by_child(disturbance(at)) == KILLED:
            self._check(f"killed by {disturbance.__name__} at {at}", self._old, self._new, self._between)
            at += 1
        self._check("done", self._new)
        return at

    def fail(self, calls: int, fault: Fault) -> int:
        """At every system call in turn; how often it was told."""
        told = 0
        for at in range(calls):
            code = self._done_by_child(Countdown(at, fault.error, sticky=fault.sticky))
            assert code in (DONE, fault.told_as), (self._act, code)
            told += code != DONE
            # What was half written cannot be taken back where nothing can be changed any more.
            between = [self._between] if fault.told_as == NOT_WRITABLE else []
            if code == FULL:
                assert not self._litter(), (self._act, fault, at)
            self._check(f"{fault} at {at}", self._new, *([self._old, *between] if code else []))
        return told

    def _litter(self) -> list[Path]:
        """What takes space for nothing."""
        folders = [each for each in paths.sessions().iterdir() if each.is_dir()]
        unrecorded = [each for each in folders if not (each / "metadata.json").exists()]
        return [*paths.home().rglob(".*.new"), *(unrecorded if self._act.do is make else ())]

    def _done_by_child(self, disturbance: Fuse) -> int:
        self._prepare(self._act.before)
        child = os.fork()
        if not child:
            os._exit(_do(self._act.do, disturbance))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code != OTHER, self._act
        return code

    def _check(self, after: str, *allowed: object) -> None:
        """What is there is what was or what is to be, and the act can be done again."""
        found = _observed()
        assert found in allowed, (self._act, after, found, allowed)
        if found != self._new:
            self._act.do()
            assert _observed() == self._new, (self._act, after)

    def _state(self, *acts: Callable[[], object]) -> object:
        self._prepare(*acts)
        return _observed()

    def _prepare(self, *acts: Callable[[], object]) -> None:
        os.environ["SCOPECRAFT_HOME"] = str(self._folder / "home")
        shutil.rmtree(paths.home(), ignore_errors=True)
        STORAGE.create(session(NEIGHBOUR))
        for act in acts:
            act()


def _do(act: Callable[[], object], disturbance: Fuse) -> int:
    disturbance.begin()
    try:
        act()
    except HomeFullError:
        return FULL
    except HomeNotWritableError:
        return NOT_WRITABLE
    except BaseException as error:
        sys.settrace(None)
        os.write(2, f"{error!r}\n".encode())
        return OTHER
    return DONE


def _observed() -> object:
    """Everything that a reader gets to see. Fails where something cannot be read."""
    told = sorted(_told(each.id, each.status, each.messages) for each in STORAGE.sessions(onerror=_raise))
    active = sorted(each.id.rpartition("-")[0] for each in STORAGE.sessions(active=True, onerror=_raise))
    return told, active


def _told(session_id: str, status: SessionStatus, messages: int) -> tuple[object, ...]:
    events = [event.seq for event in STORAGE.events(session_id)]
    asked = [request.kind for request in sessions.asked(session_id)]
    return session_id.rpartition("-")[0], str(status), messages, events, asked


def _raise(error: Exception) -> None:
    raise error


if __name__ == "__main__":
    main()
