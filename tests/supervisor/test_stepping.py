"""What a supervisor does with verdicts, words and messages: shell scripts that speak as Claude Code does."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import description, sessions, supervisor
from scopecraft_git.models import Message, MessageState, Session, SessionStatus
from scopecraft_git.storage.local import LocalStorage
from tests.conftest import Scopecraft
from tests.executors.contract import until
from tests.supervisor.killed import WORDS

Begin = Callable[..., str]
DONE = "result false; cat >/dev/null"
USES_TOKENS = """
echo '{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"x"}],"usage":{"output_tokens":50}}}'
"""


@pytest.fixture
def begin(scopecraft: Scopecraft, home: Path, tmp_path: Path) -> Begin:
    """`begin(script, settings…)`: a session of the agent claude whose program is the script."""

    def start(script: str, **settings: Any) -> str:
        program = tmp_path / "claude"
        program.write_text(f"#!/bin/sh\n{WORDS}\nhear go\n{script}\n")
        program.chmod(0o755)
        own = {"executor": {"autonomous": "local"}, "agents": {"claude": {"command": str(program)}}}
        (home / "config" / "orchestration.json").write_text(json.dumps(own | settings))
        done = scopecraft("run", "t", "-p", "go", "--json")
        assert done.code == 0, done.stderr
        return str(json.loads(done.stdout)["id"])

    return start


def load(session: str) -> Session:
    return LocalStorage().load(session)


def ask(session: str, kind: str, **data: str) -> None:
    sessions.ask(session, kind, **data)
    supervisor.wake()


def tell(session: str, text: str, kind: str = "send") -> str:
    name = str(uuid.uuid4())
    ask(session, kind, id=name, text=text)
    return name


def end(session: str) -> Session:
    until(lambda: load(session).status.ended)
    return load(session)


def messages(session: str) -> list[tuple[str, MessageState]]:
    return [(message.text, message.state) for message in sessions.inbox(load(session))]


def texts(session: str) -> list[str]:
    return [event.text for each in LocalStorage().events(session) if (event := each.event).kind == "text"]


def test_calls_that_are_asked_about_at_once_are_answered_each_by_itself(begin: Begin, home: Path) -> None:
    (home / "config" / "policy.toml").write_text('[[rules]]\ntool = "A*"\naction = "ask"\n')
    session = begin(f"ask r1 A1; ask r2 A2; ask r3 B; answered r3; answered r2; answered r1; {DONE}")
    until(lambda: texts(session) == ["r3 allowed"])
    until(lambda: len(load(session).approvals) == 2)
    assert load(session).status is SessionStatus.WAITING
    ask(session, "deny", id="r2")
    until(lambda: [each.id for each in load(session).approvals] == ["r1"])
    assert load(session).status is SessionStatus.WAITING
    ask(session, "approve", id="r1")
    assert end(session).status is SessionStatus.COMPLETED
    assert texts(session) == ["r3 allowed", "r2 denied", "r1 allowed"]


def test_a_call_that_ends_the_session_is_denied_first(begin: Begin, home: Path) -> None:
    (home / "config" / "policy.toml").write_text('[[rules]]\ntool = "A"\naction = "stop"\nmessage = "Enough."\n')
    session = begin(f"ask r1 A; answered r1; {DONE}")
    ended = end(session)
    assert ended.status is SessionStatus.CANCELLED
    assert ended.outcome
    assert ended.outcome.reason == "Stopped: Enough."
    answers = [each.event for each in LocalStorage().events(session) if "allow" in getattr(each.event, "data", {})]
    assert [(event.kind, event.data["allow"]) for event in answers if event.kind == "notice"] == [("notice", False)]


def test_what_is_asked_is_kept_short_in_the_record(begin: Begin, home: Path) -> None:
    (home / "config" / "policy.toml").write_text('[[rules]]\ntool = "A"\naction = "ask"\n')
    line = """{"type":"control_request","request_id":"r1","request":{"subtype":"can_use_tool","tool_name":"A","""
    long = f"""echo '{line}"input":{{"list":["{"x" * 3000}"]}}}}}}'"""
    session = begin(f"{long}; answered r1; {DONE}")
    (approval,) = until(lambda: load(session).approvals)
    assert [len(text) for text in approval.input["list"]] == [2000]
    ask(session, "approve", id="r1")
    assert end(session).approvals == ()


def test_messages_arrive_in_their_order_and_the_input_stays_open_for_them(begin: Begin) -> None:
    """An agent that has told of a message it took up is waited for with the others."""
    first, second = "seen 0; say ready; hear tabs; say one", "hear spaces; say two"
    session = begin(f"{first}; result false; {second}; {DONE}")
    until(lambda: texts(session) == ["ready"])
    tell(session, "Use tabs.")
    tell(session, "Use spaces.")
    until(lambda: texts(session) == ["ready", "one", "two"])
    assert messages(session) == [("Use tabs.", MessageState.DELIVERED), ("Use spaces.", MessageState.DELIVERED)]
    ask(session, "stop")
    end(session)


def test_a_message_after_the_end_of_input_is_refused(begin: Begin) -> None:
    session = begin("result false; cat >/dev/null; until test -e gate; do sleep 0.02; done")
    folder = load(session).path
    until((folder / "input.closed").exists)
    tell(session, "Too late.")
    until(lambda: messages(session) == [("Too late.", MessageState.REFUSED)])
    until(lambda: not sessions.asked(session))
    (load(session).worktree / "gate").touch()
    assert end(session).status is SessionStatus.COMPLETED


def test_what_nobody_could_be_told_is_refused_at_the_end(begin: Begin) -> None:
    session = begin("say ready; until test -e gate; do sleep 0.02; done; exit 3")
    until(lambda: texts(session) == ["ready"])
    ask(session, "pause")
    until(lambda: load(session).status is SessionStatus.PAUSED)
    tell(session, "Use tabs.")
    assert messages(session) == [("Use tabs.", MessageState.QUEUED)]
    ask(session, "stop")
    ended = end(session)
    (message,) = ended.inbox
    assert (message.text, message.state) == ("Use tabs.", MessageState.REFUSED)
    until(lambda: not sessions.asked(session))


def test_an_interruption_by_a_handler_is_its_reason(begin: Begin) -> None:
    session = begin(
        f"{USES_TOKENS} hear '\"interrupt\"'; result true; cat >/dev/null; exit 1",
        budget={"tokens": 10, "action": "interrupt"},
    )
    ended = end(session)
    assert ended.status is SessionStatus.CANCELLED
    assert ended.outcome
    assert ended.outcome.reason.startswith("Interrupted: ")


def test_a_pause_by_a_handler_tells_why_and_lasts_until_resume(begin: Begin) -> None:
    session = begin(
        f"{USES_TOKENS} until test -e gate; do sleep 0.02; done; {DONE}", budget={"tokens": 10, "action": "pause"}
    )
    until(lambda: load(session).status is SessionStatus.PAUSED)
    (paused,) = [event for each in LocalStorage().events(session)
                 if (event := each.event).kind == "notice" and event.code == "paused"]  # fmt: skip
    assert "10" in paused.data["by"]
    assert description.of(paused) == f"· Paused: {paused.data['by']}"
    (load(session).worktree / "gate").touch()
    ask(session, "resume")
    assert end(session).status is SessionStatus.COMPLETED


def test_the_inbox_holds_the_newest_few_and_their_beginnings(home: Path) -> None:
    from tests import samples

    made = samples.session(inbox=tuple(
        Message(id=str(number), text="x", state=MessageState.SEEN, sent_at=samples.NOW) for number in range(19)
    ))  # fmt: skip
    made.path.mkdir(parents=True)
    LocalStorage().create(made)
    for number in range(3):
        sessions.ask(made.id, "send", id=f"new-{number}", text="y" * 900)
    sessions.ask(made.id, "interrupt", id="silent", text="")
    found = sessions.inbox(made)
    assert [message.id for message in found[-4:]] == ["18", "new-0", "new-1", "new-2"]
    assert (len(found), len(found[-1].text), found[-1].state) == (20, 500, MessageState.QUEUED)
