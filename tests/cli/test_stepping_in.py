"""Stepping in as a user types it, beside an agent that speaks Claude Code's language and does as its story says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scopecraft_git import sessions
from scopecraft_git.cli.stepping_in import DELIVERED_WITHIN
from scopecraft_git.models import Approval, Message, MessageState, SessionStatus, Tokens
from scopecraft_git.storage.local import LocalStorage
from tests.conftest import Scopecraft
from tests.executors.contract import until
from tests.samples import NOW, session
from tests.supervisor.sessions import supervisor_id
from tests.test_main_job import show

UNATTENDED = ("-e", "local", "-p", "Begin")
ID = "3f2a1b77-0001"
SAYS = """#!/bin/sh
text() { echo '{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"'"$1"'"}]}}'; }
result() { echo '{"type":"result","subtype":"'"${1:-success}"'","is_error":'"${2:-false}"',"result":""}'; }
ends_turn() { hears; result error_during_execution true; }
asks() {
  request='{"subtype":"can_use_tool","tool_name":"'"${3:-Deploy}"'","input":{"command":"'"$2"'"}}'
  echo '{"type":"control_request","request_id":"'"$1"'","request":'"$request"'}'
}
hears() { read -r heard || exit 0; }
hears
"""
HANDLER = """
from scopecraft_git import hookimpl
from scopecraft_git.events import PermissionRequest
from scopecraft_git.protocols import Action, Verdict

class Careful:
    name = "careful"
    def __init__(self, request): pass
    def handle(self, session, event):
        is_asked = isinstance(event, PermissionRequest) and event.tool == "Deploy"
        return Verdict(Action.ASK, "It leaves the machine.") if is_asked else None
    def summary(self): return {}

@hookimpl
def register_monitor_handlers(): return [Careful]
"""


class Agents:
    """Starts sessions of the agent claude whose program is a shell script."""

    def __init__(self, scopecraft: Scopecraft, home: Path, folder: Path) -> None:
        self._scopecraft, self._home, self._program = scopecraft, home, folder / "claude"

    def start(self, story: str, *options: str) -> str:
        """The session's id."""
        self._program.write_text(SAYS + story)
        self._program.chmod(0o755)
        settings = {"agents": {"claude": {"command": str(self._program)}}}
        (self._home / "config" / "orchestration.json").write_text(json.dumps(settings))
        started = self._scopecraft("run", "greet", *UNATTENDED, "--json", *options)
        assert started.code == 0, started.stderr
        session_id: str = json.loads(started.stdout)["id"]
        return session_id


@pytest.fixture
def agents(scopecraft: Scopecraft, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Agents:
    """With a plugin that asks before every Deploy."""
    site = tmp_path / "site"
    facts = site / "careful-1.0.dist-info"
    facts.mkdir(parents=True)
    (site / "careful.py").write_text(HANDLER)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: careful\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[scopecraft]\ncareful = careful\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    return Agents(scopecraft, home, tmp_path)


ASKS = f"""asks {ID} "deploy now"
hears
case $heard in
  *'"behavior": "allow"'*) text "deployed" ;;
  *) text "not deployed: $(echo "$heard" | grep -o '"message": "[^"]*"' | cut -d'"' -f4)" ;;
esac
result; cat >/dev/null
"""


def asking(scopecraft: Scopecraft, agents: Agents, story: str = ASKS) -> str:
    """A session that waits for a word."""
    name = agents.start(story)
    until(lambda: show(scopecraft, name)["status"] == "waiting")
    return name


def test_what_is_approved_is_done(scopecraft: Scopecraft, agents: Agents) -> None:
    name = asking(scopecraft, agents)
    assert scopecraft("approve", "greet") == (0, "", f"✓ Allowed Deploy deploy now ({name})\n")
    assert scopecraft("wait", name).code == 0
    assert show(scopecraft, name)["last_message"] == "deployed"
    again = scopecraft("approve", name)
    assert (again.code, again.stderr.splitlines()[0]) == (4, f"✗ The session {name} has ended (completed)")


def test_what_is_denied_is_not_done_and_the_agent_told(scopecraft: Scopecraft, agents: Agents) -> None:
    name = asking(scopecraft, agents)
    denied = scopecraft("deny", name, ID[:4], "-m", "Ask on Monday", "--json")
    assert denied.code == 0, denied.stderr
    assert json.loads(denied.stdout) == {"session": name, "id": ID, "tool": "Deploy", "allow": False, "always": False}
    assert scopecraft("wait", name).code == 0
    assert show(scopecraft, name)["last_message"] == "not deployed: Ask on Monday"


def test_what_is_always_right_is_asked_once(scopecraft: Scopecraft, agents: Agents) -> None:
    name = asking(scopecraft, agents, f'asks {ID} "git push" Bash; hears; text "pushed"; result; cat >/dev/null')
    assert scopecraft("approve", name, "--always").stderr.splitlines() == [
        f"✓ Allowed Bash git push ({name})",
        "↳ To see the rule that does so from now on, run git scopecraft policy show",
    ]
    assert scopecraft("wait", name).code == 0
    again = agents.start(f'asks {ID} "git push" Bash; hears; text "pushed again"; result; cat >/dev/null')
    assert scopecraft("wait", again, "--timeout", "30").code == 0
    assert show(scopecraft, again)["last_message"] == "pushed again"


def test_who_is_paused_has_its_answer_when_it_goes_on(scopecraft: Scopecraft, agents: Agents) -> None:
    name = asking(scopecraft, agents)
    assert scopecraft("pause", name).code == 0
    assert scopecraft("approve", name) == (
        0,
        "",
        f"✓ Allowed Deploy deploy now ({name}), which is paused\n"
        f"↳ To have it go on with that, run git scopecraft resume {name}\n",
    )
    assert scopecraft("resume", name).code == 0
    assert scopecraft("wait", name).code == 0
    assert show(scopecraft, name)["last_message"] == "deployed"


def test_who_waits_for_a_word_is_told_everywhere(scopecraft: Scopecraft, agents: Agents) -> None:
    name = asking(scopecraft, agents)
    answer = f"run git scopecraft approve {name} or git scopecraft deny {name}"
    listed = scopecraft("list")
    assert listed.stdout.splitlines()[1].endswith("? Deploy deploy now")
    assert listed.stderr == f"↳ To answer it, {answer}\n"
    (asked,) = json.loads(scopecraft("list", "--json").stdout)[0]["approvals"]
    assert (asked["id"], asked["tool"], asked["reason"]) == (ID, "Deploy", "It leaves the machine.")
    waited = scopecraft("wait", name, "--timeout", "0.3")
    assert waited.stderr.splitlines()[:2] == [
        f"▲ {name} asks for Deploy deploy now: It leaves the machine.",
        f"↳ To answer it, {answer}",
    ]
    heading, row = scopecraft("approve").stdout.splitlines()
    assert heading.split() == ["SESSION", "ID", "SINCE", "UNTIL", "WHY", "CALL"]
    assert row.split() == [
        name,
        ID[:8],
        row.split()[2],
        "-",
        *["It", "leaves", "the", "machine.", "Deploy", "deploy", "now"],
    ]
    assert scopecraft("approve").stderr == f"↳ To allow one, run git scopecraft approve {name}\n"
    assert scopecraft("deny").stderr == f"↳ To refuse one, run git scopecraft deny {name}\n"
    (listed_as_json,) = json.loads(scopecraft("deny", "--json").stdout)
    assert listed_as_json["session"] == name
    assert show(scopecraft, name)["status"] == "waiting"
    assert scopecraft("stop", name).code == 0
    assert scopecraft("approve") == (0, "", "○ No session asks for anything\n")


def test_an_agent_answers_nothing_but_may_tell_others(scopecraft: Scopecraft, agents: Agents) -> None:
    name = asking(scopecraft, agents)
    for command in ("approve", "deny"):
        refused = scopecraft(command, name, env={"SCOPECRAFT_SESSION": name})
        assert refused == (
            4, "", f"✗ This was typed within the session {name}, and agents answer no requests\n"
            f"↳ Answer it in a terminal outside of it: git scopecraft approve {name}\n",
        )  # fmt: skip
    assert show(scopecraft, name)["status"] == "waiting"
    assert scopecraft("send", name, "hello", "--no-wait", env={"SCOPECRAFT_SESSION": name}).code == 0
    scopecraft("stop", name)


def test_of_two_answers_at_once_one_counts_and_the_other_is_told(
    scopecraft: Scopecraft, agents: Agents, home: Path
) -> None:
    name = asking(scopecraft, agents)
    supervisor = supervisor_id()
    os.kill(supervisor, signal.SIGSTOP)
    with ThreadPoolExecutor() as humans:
        yes, no = humans.submit(scopecraft, "approve", name), humans.submit(scopecraft, "deny", name)
        until(lambda: len(sessions.asked(name)) == 2)
        os.kill(supervisor, signal.SIGCONT)
        told = {yes.result().code: yes.result(), no.result().code: no.result()}
    assert told.keys() == {0, 4}
    assert told[0].stderr.startswith(("✓ Allowed Deploy", "✓ Denied Deploy"))
    assert told[4].stderr.startswith((f"✗ This word came too late for {name}: ", f"✗ The session {name} has ended"))
    assert scopecraft("wait", name).code == 0
    assert show(scopecraft, name)["last_message"].startswith("deployed") is ("Allowed" in told[0].stderr)


def test_one_of_several_is_named(scopecraft: Scopecraft, agents: Agents) -> None:
    two = f'asks {ID} one; asks {ID}9 "two"; hears; hears; text "heard both"; result; cat >/dev/null\n'
    name = agents.start(two)
    until(lambda: len(show(scopecraft, name)["approvals"]) == 2)
    ambiguous = scopecraft("approve", name)
    assert (ambiguous.code, ambiguous.stderr.splitlines()[0]) == (
        4, f"✗ The session {name} asks for more than one thing: {ID}, {ID}9",
    )  # fmt: skip
    unknown = scopecraft("deny", name, "4")
    assert (unknown.code, unknown.stderr.splitlines()[1]) == (
        3, f"↳ To see what that is, run git scopecraft show {name}",
    )  # fmt: skip
    assert "Allowed Deploy two" in scopecraft("approve", name, f"{ID}9").stderr
    assert "Denied Deploy one" in scopecraft("deny", name).stderr
    assert scopecraft("wait", name).code == 0


def test_a_message_is_delivered_while_the_agent_works(scopecraft: Scopecraft, agents: Agents) -> None:
    name = agents.start(
        'text ready; hears; text "heard $(echo "$heard" | grep -o "tabs.*tabs")"; result; cat >/dev/null'
    )
    sent = scopecraft("send", name, "-", stdin="tabs, it is tabs\n")
    assert sent == (
        0, "", f"✓ Delivered to {name}\n↳ To see whether it was taken up, run git scopecraft show {name}\n",
    )  # fmt: skip
    assert scopecraft("wait", name).code == 0
    record = show(scopecraft, name)
    assert record["last_message"] == "heard tabs, it is tabs"
    assert [(message["text"], message["state"]) for message in record["inbox"]] == [("tabs, it is tabs", "delivered")]
    late = scopecraft("send", name, "more")
    assert (late.code, late.stderr.splitlines()[1]) == (
        4, f"↳ Go on with it: git scopecraft continue {name} -p 'What to do next'",
    )  # fmt: skip


def test_a_message_to_one_that_stands_still_is_told_in_json(scopecraft: Scopecraft, agents: Agents) -> None:
    name = agents.start("text ready; hears; result; cat >/dev/null")
    sent = json.loads(scopecraft("send", name, "hello", "--json").stdout)
    assert sent.keys() == {"id", "session", "state"}
    assert (sent["session"], sent["state"]) == (name, "delivered")
    assert scopecraft("wait", name).code == 0


def test_a_message_to_one_that_is_paused_is_not_waited_for(scopecraft: Scopecraft, agents: Agents) -> None:
    name = agents.start('text ready; hears; text "heard"; result; cat >/dev/null')
    until(lambda: show(scopecraft, name)["last_message"] == "ready")
    assert scopecraft("pause", name).code == 0
    began = time.monotonic()
    sent = scopecraft("send", name, "hello")
    assert time.monotonic() - began < DELIVERED_WITHIN / 2
    assert sent == (
        0, "", f"○ Queued for {name}, which is paused\n↳ To have it go on, run git scopecraft resume {name}\n",
    )  # fmt: skip
    assert scopecraft("resume", name).code == 0
    assert scopecraft("wait", name).code == 0
    assert show(scopecraft, name)["last_message"] == "heard"


def test_an_interrupted_session_ends_and_says_how_to_go_on(scopecraft: Scopecraft, agents: Agents) -> None:
    name = agents.start("text ready; ends_turn; cat >/dev/null; exit 1")
    told = scopecraft("interrupt", name)
    assert told == (
        0, "", f"✓ {name} cancelled: Interrupted on request\n"
        f"↳ To go on from there, run git scopecraft continue {name} -p 'What to do next'\n",
    )  # fmt: skip


def test_an_interrupted_session_that_is_told_something_goes_on(scopecraft: Scopecraft, agents: Agents) -> None:
    goes_on = 'hears; text "$(echo "$heard" | grep -o tabs)"; result; cat >/dev/null'
    name = agents.start(f"text ready; ends_turn; {goes_on}")
    told = scopecraft("interrupt", name, "-p", "Use tabs")
    assert told == (
        0, "", f"✓ Interrupted {name}\n↳ To see what it does now, run git scopecraft logs -f {name}\n",
    )  # fmt: skip
    assert scopecraft("wait", name).code == 0
    assert show(scopecraft, name)["last_message"] == "tabs"


def test_an_agent_without_input_takes_no_message_and_has_no_turns(scopecraft: Scopecraft) -> None:
    command = ("run", "greet", "-e", "local", "-a", "command", "-p", "x", "--", "sh", "-c", "echo ready; sleep 60")
    assert scopecraft(*command).code == 0
    sent, interrupted = scopecraft("send", "greet", "hello"), scopecraft("interrupt", "greet")
    assert scopecraft("stop", "greet").code == 0
    assert (sent.code, interrupted.code) == (4, 4)
    assert sent.stderr.startswith("✗ The agent command reads its prompt and nothing after it")
    assert "\n↳ Wait for its end, or end it: git scopecraft stop greet-" in sent.stderr
    assert interrupted.stderr.startswith("✗ The agent command cannot end its turn and live on")


def test_a_refused_word_leaves_nothing_behind(scopecraft: Scopecraft, home: Path) -> None:
    LocalStorage().create(session(status=SessionStatus.RUNNING, agent="claude"))
    empty, unasked = scopecraft("send", "auth-05A", stdin=" \n"), scopecraft("approve", "auth-05A")
    assert (empty.code, empty.stderr) == (
        2, "✗ There is nothing to tell the agent: the message is empty\n"
        "↳ Give it: git scopecraft send auth-05A-0000001 'Use tabs'\n",
    )  # fmt: skip
    assert (unasked.code, unasked.stderr) == (
        4, "✗ The session auth-05A-0000001 is running and asks for nothing\n"
        "↳ To see who does, run git scopecraft approve\n",
    )  # fmt: skip
    assert list(home.rglob("requests")) == []
    assert not (home / "supervisor" / "supervisor.log").exists()


# What is shown


def test_all_that_a_record_tells_of_stepping_in(scopecraft: Scopecraft, home: Path) -> None:
    storage = LocalStorage()
    hostile = "git push\x1b]0;owned\x07\n[/red]\u202e"
    asked = Approval(id=ID, tool="Bash", input={"command": hostile}, reason="A push leaves the machine.", since=NOW)
    messages = [
        Message(id="1", text="Use tabs\x1b[2J", state=MessageState.SEEN, sent_at=datetime.now(UTC)),
        Message(id="2", text="And\nspaces", state=MessageState.QUEUED, sent_at=datetime.now(UTC)),
    ]
    storage.create(
        session(
            status=SessionStatus.WAITING,
            approvals=(asked, asked.model_copy(update={"id": "two", "until": NOW})),
            inbox=messages,
            errors={"critical": 0, "warning": 2, "info": 1},
            tokens=Tokens(input=5, output=7, cache_read=11),
        )
    )
    shown = scopecraft("show", "auth-05A").stdout
    assert "\x1b" not in shown + scopecraft("list").stdout + scopecraft("approve").stdout
    for lines in (
        "tokens            5 input, 7 output, 11 cache read\n",
        "errors            2 warning, 1 info\n",
        f"approvals         {ID}  since 2026-03-04T05:06:07.089Z\n"
        "                    Bash git push\n                    [/red]\n"
        "                    (A push leaves the machine.)\n",
        "                  two  since 2026-03-04T05:06:07.089Z, until 2026-03-04T05:06:07.089Z\n",
        "inbox             seen, 0s ago: Use tabs\n                  queued, 0s ago: And spaces\n",
    ):
        assert lines in shown
    listed = scopecraft("list")
    assert listed.stdout.splitlines()[1].endswith("? Bash git push [/red] (and 1 more)")


def test_listing_what_is_asked_loads_neither_typer_nor_pydantic(repo: Path, home: Path) -> None:
    asked = Approval(id=ID, tool="Bash", input={"command": "git push"}, reason="", since=NOW)
    LocalStorage().create(session(status=SessionStatus.WAITING, approvals=(asked,)))
    program = (
        "import sys; from scopecraft_git.cli import main; main(); print(sorted({'typer', 'pydantic'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program, "list"], capture_output=True, text=True, check=True)
    assert "? Bash git push" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
