from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scopecraft_git import paths
from scopecraft_git.events import Event, PermissionRequest, Text, ToolCall, ToolResult
from scopecraft_git.handlers.policy import Policy, register_monitor_handlers
from scopecraft_git.models import Mode
from scopecraft_git.protocols import Action, Verdict
from tests import samples

RULES = """\
[[rules]]
input.command = "git push*"
action = "{action}"
message = "A push leaves the machine."
"""
PUSH = PermissionRequest(id="1", tool="Bash", input={"command": "git push"})
LS = PermissionRequest(id="2", tool="Bash", input={"command": "ls"})
PUSHED = ToolCall(id="3", name="Bash", input={"command": "git push"})
REASON = "A push leaves the machine."
SEEN = f"{REASON} It was seen when it may have been done already."


@pytest.fixture
def file(home: Path) -> Path:
    return paths.policy_file()


def handler(*, mode: Mode = Mode.AUTONOMOUS, agent_asks: bool = True) -> Policy:
    return Policy(samples.handler_request(samples.session(mode=mode), agent_asks=agent_asks))


def verdict(event: Event, of: Policy | None = None) -> Verdict | None:
    made = of or handler()
    return made.handle(samples.session(), event)


@pytest.mark.parametrize(("action", "expected"), [("deny", Action.DENY), ("stop", Action.STOP)])
def test_a_request_is_judged(file: Path, action: str, expected: Action) -> None:
    file.write_text(RULES.format(action=action))
    assert verdict(PUSH) == Verdict(expected, REASON)
    assert verdict(LS) is None
    assert verdict(Text(text="git push")) is None


@pytest.mark.parametrize(("answer", "otherwise"), [("deny", Action.DENY), ("allow", None), ("stop", Action.STOP)])
def test_who_is_asked_has_until_then(file: Path, answer: str, otherwise: Action | None) -> None:
    file.write_text(f'{RULES.format(action="ask")}[ask]\ntimeout_minutes = 5\nanswer = "{answer}"\n')
    found = verdict(PUSH)
    assert found
    assert found.until
    assert found == Verdict(Action.ASK, REASON, found.until, otherwise)
    assert abs(found.until - datetime.now(UTC) - timedelta(minutes=5)) < timedelta(seconds=30)


def test_for_ever_has_no_end(file: Path) -> None:
    file.write_text(f"{RULES.format(action='ask')}[ask]\ntimeout_minutes = 0\n")
    assert verdict(PUSH) == Verdict(Action.ASK, REASON)


@pytest.mark.parametrize(
    ("action", "mode", "expected"),
    [
        ("ask", Mode.AUTONOMOUS, Verdict(Action.PAUSE, SEEN)),
        ("deny", Mode.AUTONOMOUS, Verdict(Action.INTERRUPT, SEEN)),
        ("stop", Mode.AUTONOMOUS, Verdict(Action.STOP, SEEN)),
        ("ask", Mode.DISPATCH, None),
        ("deny", Mode.DISPATCH, Verdict(Action.INTERRUPT, SEEN)),
    ],
)
def test_a_call_of_an_agent_that_does_not_ask_is_judged_as_it_is_seen(
    file: Path, action: str, mode: Mode, expected: Verdict | None
) -> None:
    file.write_text(RULES.format(action=action))
    of = handler(mode=mode, agent_asks=False)
    assert of.handle(samples.session(mode=mode), PUSHED) == expected


def test_what_was_asked_is_not_judged_again_when_it_is_made(file: Path) -> None:
    file.write_text(RULES.format(action="stop"))
    assert verdict(PUSHED) is None


DONE = ToolResult(id="3", text="pushed")


def test_a_call_that_was_made_without_being_asked_about_is_judged_then(file: Path) -> None:
    """The agent is none that asks, or was told by somebody that it need not."""
    file.write_text(RULES.format(action="deny"))
    made = handler()
    assert [verdict(event, made) for event in (PUSHED, DONE, DONE)] == [None, Verdict(Action.INTERRUPT, SEEN), None]


@pytest.mark.parametrize("call_id", ["3", None])
def test_one_that_was_asked_about_or_came_to_nothing_is_not(file: Path, call_id: str | None) -> None:
    file.write_text(RULES.format(action="stop"))
    made = handler()
    asked = PUSH.model_copy(update={"call_id": call_id})
    assert [bool(verdict(event, made)) for event in (PUSHED, asked, DONE)] == [False, True, False]
    failed = DONE.model_copy(update={"is_error": True})
    assert [verdict(event, made) for event in (PUSHED, failed, DONE)] == [None, None, None]


def test_a_rule_of_mid_session_counts(file: Path) -> None:
    made = handler()
    assert verdict(LS, made) is None
    file.write_text('[[rules]]\naction = "deny"\nmessage = "No."\n')
    assert verdict(LS, made) == Verdict(Action.DENY, "No.")


def test_a_file_that_breaks_is_told_once_and_the_last_good_one_goes_on(file: Path) -> None:
    file.write_text(RULES.format(action="deny"))
    made = handler()
    assert verdict(PUSH, made) == Verdict(Action.DENY, REASON)
    file.write_text("nonsense")
    warning = verdict(LS, made)
    assert warning
    assert (warning.action, str(file) in warning.reason) == (Action.WARN, True)
    assert verdict(LS, made) is None
    assert verdict(PUSH, made) == Verdict(Action.DENY, REASON)
    file.write_text(RULES.format(action="deny"))
    assert verdict(LS, made) is None
    file.write_text("nonsense")
    assert verdict(LS, made) == warning


def test_where_no_file_was_ever_good_everything_is_asked(file: Path) -> None:
    file.write_text("nonsense")
    found = verdict(LS)
    assert found
    assert (found.action, found.otherwise) == (Action.ASK, Action.DENY)
    assert found.reason.startswith(f"{file} cannot be used")


def test_paths_are_those_the_agent_sees(file: Path) -> None:
    file.write_text('[[rules]]\npath = "outside"\naction = "deny"\n')
    made = Policy(samples.handler_request(worktree=Path("/workspace")))
    inside = PermissionRequest(id="1", tool="Write", input={"file_path": "/workspace/a"})
    assert verdict(inside, made) is None
    outside = PermissionRequest(id="1", tool="Write", input={"file_path": "/workspace/../a"})
    found = verdict(outside, made)
    assert found
    assert found.action is Action.DENY


def test_it_is_registered() -> None:
    (factory,) = register_monitor_handlers()
    assert factory.name == factory(samples.handler_request()).name == "policy"
