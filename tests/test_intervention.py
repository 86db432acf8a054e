from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import errors, intervention, sessions
from scopecraft_git.events import Notice
from scopecraft_git.models import Approval, MessageState, Mode, Session, SessionStatus
from scopecraft_git.monitor import ANSWERED
from scopecraft_git.protocols import Storage
from scopecraft_git.storage.files import locked
from scopecraft_git.storage.local import LocalStorage
from scopecraft_git.supervisor import presence
from scopecraft_git.supervisor.doorbell import WORK, Doorbell
from tests import samples
from tests.samples import NOW, logged

ASKED = Approval(id="3f2a-1", tool="Bash", input={"command": "git push"}, reason="It leaves the machine.", since=NOW)
ACTS: dict[str, Callable[[Storage, Session], object]] = {
    "send": lambda storage, session: intervention.send(storage, session, "hello"),
    "interrupt": intervention.interrupt,
    "approve": lambda storage, session: intervention.approve(storage, session, ASKED),
    "deny": lambda storage, session: intervention.deny(storage, session, ASKED),
    "pause": intervention.pause,
    "resume": intervention.resume,
    "stop": intervention.stop,
}


@pytest.fixture
def storage(home: Path) -> Storage:
    return LocalStorage()


@pytest.fixture
def supervisor(home: Path) -> Iterator[Doorbell]:
    """This test in the supervisor's place: it hears the bell, and does nothing."""
    with locked(presence.lock_file()):
        doorbell = Doorbell()
        doorbell.mend()
        yield doorbell
        doorbell.close()


def made(storage: Storage, status: SessionStatus = SessionStatus.RUNNING, **fields: Any) -> Session:
    session = samples.session(status=status, **({"agent": "claude"} | fields))
    storage.create(session)
    return session


def asked(session: Session) -> list[tuple[str, dict[str, Any]]]:
    return [(each.kind, each.data) for each in sessions.asked(session.id)]


def test_each_leaves_what_its_supervisor_needs_and_rings(storage: Storage, supervisor: Doorbell) -> None:
    session = made(storage, SessionStatus.WAITING, approvals=(ASKED,))
    message = intervention.send(storage, session, "Use tabs")
    assert (message.text, message.state) == ("Use tabs", MessageState.QUEUED)
    names = [
        intervention.interrupt(storage, session, "Stop that"),
        intervention.interrupt(storage, session),
        intervention.approve(storage, session, ASKED),
        intervention.deny(storage, session, ASKED, message="Ask on Monday"),
        intervention.pause(storage, session),
        intervention.resume(storage, session),
        intervention.stop(storage, session),
    ]
    assert supervisor.wait(0) == WORK * 8
    assert [each.name for each in sessions.asked(session.id)][1:] == names
    (send, *interrupts), rest = asked(session)[:3], asked(session)[3:]
    assert send == ("send", {"id": message.id, "text": "Use tabs"})
    assert [(kind, data["text"]) for kind, data in interrupts] == [("interrupt", "Stop that"), ("interrupt", "")]
    assert len({data["id"] for _, data in (send, *interrupts)}) == 3
    assert rest == [
        ("approve", {"id": "3f2a-1"}),
        ("deny", {"id": "3f2a-1", "message": "Ask on Monday"}),
        ("pause", {}),
        ("resume", {}),
        ("stop", {}),
    ]


@pytest.mark.usefixtures("supervisor")
def test_what_is_no_text_arrives_as_text(storage: Storage) -> None:
    session = made(storage, SessionStatus.WAITING, approvals=(ASKED,))
    assert intervention.send(storage, session, "caf\udce9").text == "caf?"
    intervention.interrupt(storage, session, "\udce9")
    intervention.deny(storage, session, ASKED, message="\udce9")
    assert [data.get("text", data.get("message")) for _, data in asked(session)] == ["caf?", "?", "?"]


@pytest.mark.parametrize(
    ("act", "status", "error"),
    [
        *((act, SessionStatus.COMPLETED, errors.SessionEndedError) for act in ACTS if act != "send"),
        ("send", SessionStatus.COMPLETED, errors.MessageTooLateError),
        *((act, SessionStatus.QUEUED, errors.SessionQueuedError) for act in ACTS if act != "stop"),
        ("interrupt", SessionStatus.PAUSED, errors.SessionPausedError),
    ],
)
def test_who_is_not_at_work_is_left_alone(
    storage: Storage, act: str, status: SessionStatus, error: type[Exception]
) -> None:
    session = made(storage, status)
    with pytest.raises(error):
        ACTS[act](storage, session)
    assert asked(session) == []


@pytest.mark.usefixtures("supervisor")
def test_who_is_being_stopped_is_told_nothing_more_but_to_stop(storage: Storage) -> None:
    session = made(storage, SessionStatus.WAITING, approvals=(ASKED,))
    intervention.stop(storage, session)
    for act in ACTS.keys() - {"stop"}:
        with pytest.raises(errors.SessionStoppingError):
            ACTS[act](storage, session)
    intervention.stop(storage, session)
    assert [kind for kind, _ in asked(session)] == ["stop", "stop"]


@pytest.mark.usefixtures("supervisor")
def test_agents_that_cannot_are_not_told_to(storage: Storage) -> None:
    session = made(storage, agent="command")
    with pytest.raises(errors.CannotSendError):
        intervention.send(storage, session, "hello")
    with pytest.raises(errors.CannotInterruptError):
        intervention.interrupt(storage, session)
    assert asked(session) == []
    in_a_window = samples.session("auth-05A-0000002", mode=Mode.DISPATCH, status=SessionStatus.RUNNING)
    storage.create(in_a_window)
    intervention.send(storage, in_a_window, "hello")
    assert [kind for kind, _ in asked(in_a_window)] == ["send"]


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_message_is_none(storage: Storage, text: str) -> None:
    with pytest.raises(errors.EmptyMessageError):
        intervention.send(storage, made(storage), text)


def test_no_agent_answers(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is a rule made."""
    session = made(storage, SessionStatus.WAITING, approvals=(ASKED,))
    monkeypatch.setenv("SCOPECRAFT_SESSION", "other-0000002")
    for answer in (intervention.approve, intervention.deny):
        with pytest.raises(errors.AgentMayNotApproveError):
            answer(storage, session, ASKED, always=True)
    assert asked(session) == []
    assert not (session.path.parent.parent / "config" / "policy.toml").exists()


@pytest.mark.usefixtures("supervisor")
def test_what_is_always_right_becomes_a_rule_first(storage: Storage, home: Path) -> None:
    session = made(storage, SessionStatus.WAITING, approvals=(ASKED,))
    intervention.approve(storage, session, ASKED, always=True)
    rules = home / "config" / "policy.toml"
    assert "git push" in rules.read_text()
    assert [kind for kind, _ in asked(session)] == ["approve"]
    rules.write_text("nonsense")
    with pytest.raises(errors.ScopecraftError):
        intervention.deny(storage, session, ASKED, always=True)
    assert [kind for kind, _ in asked(session)] == ["approve"]


def test_an_approval_is_known_by_the_beginning_of_its_id(storage: Storage) -> None:
    longer = ASKED.model_copy(update={"id": "3f2a-12"})
    one = made(storage, SessionStatus.WAITING, approvals=(ASKED,))
    two = one.model_copy(update={"approvals": (ASKED, longer)})
    assert intervention.approval(one) == intervention.approval(one, "3f") == ASKED
    assert intervention.approval(two, "3f2a-1") == ASKED
    assert intervention.approval(two, "3f2a-12") == longer
    for session, name, error in [
        (one, "4", errors.UnknownApprovalError),
        (two, "", errors.AmbiguousApprovalError),
        (two, "3f2a", errors.AmbiguousApprovalError),
        (one.model_copy(update={"approvals": ()}), "", errors.NothingToApproveError),
    ]:
        with pytest.raises(error):
            intervention.approval(session, name)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 300])
def test_the_newest_event_and_an_answer_behind_it(storage: Storage, count: int) -> None:
    session = made(storage)
    storage.append(session.id, [logged(number) for number in range(1, count + 1)])
    newest = intervention.newest_event(storage, session)
    assert newest == count
    answered = Notice(code=ANSWERED, text="Allowed Bash", data={"id": ASKED.id, "allow": True, "by": "human"})
    ours = logged(count + 2, answered).model_copy(update={"offset": None})
    storage.append(session.id, [logged(count + 1, answered.model_copy(update={"text": "Faked"})), ours])
    assert intervention.answer(storage, session, ASKED, after=newest) == answered
    assert intervention.answer(storage, session, ASKED, after=count + 2) is None


@pytest.mark.usefixtures("supervisor")
def test_waiting_ends_with_the_request_the_session_or_the_time(storage: Storage) -> None:
    session = made(storage)
    name = intervention.pause(storage, session)
    told: list[str] = []
    seen = intervention.done(storage, session, name, time.monotonic(), tell=lambda each: told.append(each.id))
    assert (seen, told) == (session, [session.id])

    looks = itertools.count()

    def answer(_session: Session) -> None:
        if next(looks):
            sessions.answered(session.id, name)

    assert intervention.done(storage, session, name, tell=answer) == session
    message = intervention.send(storage, session, "hello")
    intervention.done(storage, session, message.id, time.monotonic(), tell=lambda each: told.append(each.id))
    assert told == [session.id] * 2
    assert intervention.done(storage, session, "another") == session

    def end(_session: Session) -> None:
        sessions.transition(storage, session, SessionStatus.CANCELLED)

    (ended,) = intervention.ended(storage, [session], tell=end)
    assert ended.status is SessionStatus.CANCELLED
    assert intervention.done(storage, session, message.id).status is SessionStatus.CANCELLED
