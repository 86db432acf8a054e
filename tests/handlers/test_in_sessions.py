"""Handlers at work in real sessions, whose supervisor may be killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scopecraft_git import paths
from tests.conftest import Scopecraft, end_supervisor
from tests.executors.contract import until
from tests.handlers.test_webhook import Receiver, receiver
from tests.supervisor.sessions import start, waiting
from tests.test_main_job import show

__all__ = ["receiver"]
TURN = """turn() { echo '{"type":"assistant","message":{"id":"m'$1'","content":[{"type":"text","text":"turn '$1'"}],\
"usage":{"input_tokens":10,"output_tokens":1}}}'; }; """


def webhook(receiver: Receiver, **fields: str) -> dict[str, str]:
    return {"SCOPECRAFT_NOTIFY__WEBHOOK__URL": receiver.url, **fields}


def notices(scopecraft: Scopecraft, session: str) -> list[dict[str, Any]]:
    logged = [json.loads(line) for line in scopecraft("logs", session, "--json").stdout.splitlines()]
    return [event for event in logged if event["kind"] == "notice"]


def test_a_budget_ends_a_session_and_a_human_hears_of_it(
    scopecraft: Scopecraft, receiver: Receiver, repo: Path
) -> None:
    gate = repo.parent / "gate"
    script = TURN + f"for i in 1 2 3 4; do turn $i; done; {waiting(gate)}"
    session = start(scopecraft, "one", script, **webhook(receiver), SCOPECRAFT_BUDGET__TURNS="3")
    assert scopecraft("wait", session).code == 1
    ended = show(scopecraft, session)
    assert (ended["status"], ended["outcome"]["reason"]) == (
        "cancelled",
        "Stopped: budget.turns = 3 is used up: it is at 4",
    )
    assert ended["tokens"] == {"input": 40, "output": 4, "cache_read": 0, "cache_write": 0}
    data = [(notice["code"], notice.get("data", {})) for notice in notices(scopecraft, session)]
    said = [(code, each["handler"]) for code, each in data if "handler" in each]
    assert said == [("warn", "budget"), ("stop", "budget")]
    until(lambda: receiver.posts)
    document = json.loads(receiver.posts[0].body)
    assert (document["event"], document["session"]) == ("stopped", session)
    assert document["text"].endswith("budget.turns = 3 is used up: it is at 4")


def test_who_resumes_a_session_decides_that_it_goes_on(scopecraft: Scopecraft, repo: Path) -> None:
    gate = repo.parent / "gate"
    session = start(
        scopecraft, "one", waiting(gate), SCOPECRAFT_BUDGET__MINUTES="0.01", SCOPECRAFT_BUDGET__ACTION="pause"
    )
    until(lambda: show(scopecraft, session)["status"] == "paused")
    gate.touch()
    end_supervisor()
    assert scopecraft("resume", session).code == 0
    assert scopecraft("wait", session).code == 0
    codes = [notice["code"] for notice in notices(scopecraft, session)]
    assert [codes.count(code) for code in ("budget_minutes_soon", "budget_minutes", "paused", "resumed")] == [
        1,
        1,
        1,
        1,
    ]


def test_what_a_killed_supervisor_was_about_to_tell_is_told_by_the_next(
    scopecraft: Scopecraft, receiver: Receiver, repo: Path
) -> None:
    gate = repo.parent / "gate"
    receiver.answers = [(503, {"Retry-After": "60"})]
    environment = webhook(receiver, SCOPECRAFT_IDLE_MINUTES="0.01")
    session = start(scopecraft, "one", waiting(gate), **environment)
    until(lambda: receiver.posts)
    end_supervisor()
    assert scopecraft("recover").code == 0
    until(lambda: len(receiver.posts) == 2)
    first, second = receiver.posts
    assert json.loads(second.body)["event"] == "idle"
    assert first.headers["X-Scopecraft-Delivery"] == second.headers["X-Scopecraft-Delivery"]
    until((paths.session(session) / "notified.json").exists)
    end_supervisor()
    gate.touch()
    assert scopecraft("wait", session).code == 0
    assert len(receiver.posts) == 2
