"""Stepping in while an agent works: the real Claude Code CLI, a scripted model behind it, rules and a human's words."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import sessions, supervisor
from scopecraft_git.models import MessageState
from scopecraft_git.storage.local import LocalStorage
from tests import machine
from tests.claude_cli import claude_cli
from tests.conftest import Scopecraft, end_supervisor
from tests.executors.contract import until
from tests.model_server import ModelServer, Step, bash, model
from tests.test_main_job import show

__all__ = ["claude_cli", "model"]

pytestmark = pytest.mark.claude
RULES = """
[[rules]]
tool = "Bash"
input.command = "touch denied*"
action = "deny"
message = "Not this one."

[[rules]]
tool = "Bash"
input.command = "touch asked*"
action = "ask"
message = "Somebody should look at this."
"""
WAITS = bash("until test -e gate; do sleep 0.05; done; touch seen", "I wait.")
HANGS = bash("touch begun; sleep 60")


class Agent:
    """A session of the real CLI: what is asked of it, and what became of it."""

    def __init__(self, scopecraft: Scopecraft, model: ModelServer, repo: Path, home: Path) -> None:
        self.scopecraft = scopecraft
        self.model = model
        self.worktree = repo.parent / "app.worktrees" / "greet"
        self.rules = home / "config" / "policy.toml"
        self.rules.write_text(RULES)
        self.id = ""

    def begin(self, *story: Step) -> None:
        self.model.story = list(story)
        started = self.scopecraft("run", "greet", "-p", "Go.", "--json")
        assert started.code == 0, started.stderr
        self.id = json.loads(started.stdout)["id"]

    def end(self) -> dict[str, Any]:
        self.scopecraft("wait", self.id)
        return self.show()

    def show(self) -> dict[str, Any]:
        return show(self.scopecraft, self.id)

    def ask(self, kind: str, **data: str) -> None:
        sessions.ask(self.id, kind, **data)
        supervisor.wake()

    def send(self, text: str, kind: str = "send") -> str:
        name = str(uuid.uuid4())
        self.ask(kind, id=name, text=text)
        return name

    def notices(self, code: str) -> list[dict[str, Any]]:
        lines = self.scopecraft("logs", self.id, "--json").stdout.splitlines()
        return [event["data"] for event in map(json.loads, lines) if event.get("code") == code]

    def approvals(self) -> list[str]:
        """Which calls wait for a word."""
        return [approval.id for approval in LocalStorage().load(self.id).approvals]

    def state_of(self, message: str) -> MessageState:
        return next(each.state for each in sessions.inbox(LocalStorage().load(self.id)) if each.id == message)

    def has(self, name: str) -> bool:
        return (self.worktree / name).exists()


@pytest.fixture(params=["local", pytest.param("docker", marks=pytest.mark.docker)])
def agent(
    request: pytest.FixtureRequest, scopecraft: Scopecraft, repo: Path, home: Path, model: ModelServer
) -> Iterator[Agent]:
    claude: dict[str, Any] = {"env": {**model.environment, "CLAUDE_CODE_MAX_RETRIES": "0"}}
    if request.param == "local":
        claude["command"] = str(request.getfixturevalue("claude_cli"))
    settings = {
        "executor": {"autonomous": request.param},
        "docker": {"image": machine.AGENT_IMAGE, "network": "host"},
        "agents": {"claude": claude},
    }
    (home / "config" / "orchestration.json").write_text(json.dumps(settings))
    made = Agent(scopecraft, model, repo, home)
    yield made
    if made.id and not LocalStorage().load(made.id).status.ended:
        scopecraft("stop", made.id)


def local_only(test: Callable[..., None]) -> Callable[..., None]:
    marked: Callable[..., None] = pytest.mark.parametrize("agent", ["local"], indirect=True)(test)
    return marked


def test_a_denied_call_is_not_made_and_an_asked_one_waits_for_a_word(agent: Agent) -> None:
    agent.begin(
        bash("touch denied"), bash("touch asked"), bash("touch asked-again"), bash("touch allowed"), Step("So.")
    )
    (first,) = until(agent.approvals)
    waiting = agent.show()
    assert (waiting["status"], waiting["approvals"][0]["tool"]) == ("waiting", "Bash")
    assert waiting["approvals"][0]["input"]["command"] == "touch asked"
    assert waiting["approvals"][0]["reason"] == "Somebody should look at this."
    assert not agent.has("asked")
    agent.ask("approve", id=first)
    (second,) = until(lambda: [name for name in agent.approvals() if name != first])
    assert agent.has("asked")
    agent.ask("approve", id=first)  # which waits for nothing any more
    agent.ask("deny", id=second, message="Once is enough.")
    ended = agent.end()
    assert (ended["status"], ended["approvals"]) == ("completed", [])
    assert (agent.has("denied"), agent.has("asked-again"), agent.has("allowed")) == (False, False, True)
    answers = [(each["allow"], each["by"], each.get("message")) for each in agent.notices("permission_answered")]
    assert answers == [
        (False, "policy", "Not this one."),
        (True, "human", None),
        (False, "human", "Once is enough."),
        (True, "policy", None),
    ]
    results = json.dumps(agent.model.requests[-1]["messages"])
    assert "Not this one." in results
    assert "Once is enough." in results
    logs = agent.scopecraft("logs", agent.id).stdout.splitlines()
    assert "· Denied Bash by the policy: Not this one." in logs
    assert "· Denied Bash by hand: Once is enough." in logs


@local_only
def test_nobodys_word_is_the_configured_one_when_time_is_up(agent: Agent) -> None:
    agent.rules.write_text(f'[ask]\ntimeout_minutes = 0.02\nanswer = "deny"\n{RULES}')
    agent.begin(bash("touch asked"), Step("Then not."))
    assert agent.end()["status"] == "completed"
    assert not agent.has("asked")
    (answer,) = agent.notices("permission_answered")
    assert (answer["allow"], answer["by"]) == (False, "timeout")


@local_only
def test_a_word_given_while_no_supervisor_is_there_is_passed_on_by_the_next(agent: Agent) -> None:
    agent.begin(bash("touch asked"), Step("Done."))
    (asked,) = until(agent.approvals)
    end_supervisor()
    sessions.ask(agent.id, "approve", id=asked)
    assert not agent.has("asked")
    assert agent.end()["status"] == "completed"
    assert agent.has("asked")
    (answer,) = agent.notices("permission_answered")
    assert (answer["allow"], answer["by"]) == (True, "human")


@local_only
def test_what_waited_for_a_supervisor_is_judged_by_the_rules_of_now(agent: Agent) -> None:
    agent.begin(bash("touch asked"), Step("Done."))
    until(agent.approvals)
    end_supervisor()
    agent.rules.write_text("[default]\nbuiltin = false\n")
    supervisor.wake()
    assert agent.end()["status"] == "completed"
    assert agent.has("asked")
    (answer,) = agent.notices("permission_answered")
    assert (answer["allow"], answer["by"]) == (True, "policy")


def test_a_message_arrives_in_mid_turn_and_is_seen(agent: Agent) -> None:
    agent.begin(WAITS, Step("With tabs, then."))
    until(lambda: agent.show()["last_message"] == "I wait.")
    message = agent.send("Use tabs.")
    until(lambda: agent.state_of(message) is not MessageState.QUEUED)
    assert agent.state_of(message) is MessageState.DELIVERED
    (agent.worktree / "gate").touch()
    assert agent.end()["status"] == "completed"
    assert agent.state_of(message) is MessageState.SEEN
    assert "Use tabs." in json.dumps(agent.model.requests[-1]["messages"])


@local_only
def test_a_message_to_a_paused_session_waits_until_it_goes_on(agent: Agent) -> None:
    agent.begin(WAITS, Step("With tabs, then."))
    until(lambda: agent.show()["last_message"] == "I wait.")
    agent.ask("pause")
    until(lambda: agent.show()["status"] == "paused")
    message = agent.send("Use tabs.")
    (agent.worktree / "gate").touch()
    end_supervisor()
    supervisor.wake()
    until(lambda: supervisor.status().following)
    assert agent.state_of(message) is MessageState.QUEUED
    agent.ask("resume")
    assert agent.end()["status"] == "completed"
    assert agent.state_of(message) is MessageState.SEEN


@local_only
def test_a_message_to_one_that_is_over_is_refused(agent: Agent) -> None:
    agent.begin(Step("Done."))
    assert agent.end()["status"] == "completed"
    assert agent.state_of(agent.send("Too late.")) is MessageState.REFUSED


def test_an_interrupt_ends_the_turn_and_continue_goes_on(agent: Agent) -> None:
    agent.begin(HANGS, Step("Never said."))
    until(lambda: agent.has("begun"))
    agent.send("", kind="interrupt")
    ended = agent.end()
    assert (ended["status"], ended["outcome"]["reason"]) == ("cancelled", "Interrupted on request")
    agent.model.story = [Step("On I go.")]
    done = agent.scopecraft("continue", agent.id, "-p", "Go on.", "--follow")
    assert done.code == 0, done.stderr
    assert "On I go." in done.stdout
    assert {"Go.", "Go on."} <= {text.strip() for text in agent.model.asked()}


@local_only
def test_with_a_message_it_goes_on_with_that(agent: Agent) -> None:
    agent.begin(HANGS, Step("With tabs, then."))
    until(lambda: agent.has("begun"))
    message = agent.send("Use tabs.", kind="interrupt")
    ended = agent.end()
    assert (ended["status"], ended["last_message"]) == ("completed", "With tabs, then.")
    assert agent.state_of(message) is MessageState.SEEN
    assert any("Use tabs." in text for text in agent.model.asked())


@local_only
def test_an_interrupt_takes_back_what_was_asked(agent: Agent) -> None:
    agent.begin(bash("touch asked"), Step("Never said."))
    until(agent.approvals)
    agent.send("", kind="interrupt")
    ended = agent.end()
    assert (ended["status"], ended["approvals"]) == ("cancelled", [])
    assert not agent.has("asked")
