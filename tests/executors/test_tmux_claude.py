"""Dispatch sessions of the real Claude Code CLI, with a scripted model behind it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import Signals
from typing import Any

import pytest

from scopecraft_git import plugins
from scopecraft_git.config import AgentSettings
from scopecraft_git.events import Event, Notice, Text, ToolCall, ToolResult, Unrecognized
from scopecraft_git.executors import tmux as tmux_executor
from scopecraft_git.models import Mode
from scopecraft_git.protocols import AgentRequest, ExecRequest, Execution
from tests.executors.contract import DEADLINE, Bench, until
from tests.model_server import ModelServer, Step, bash

pytestmark = [pytest.mark.tmux, pytest.mark.parametrize("bench", ["tmux"], indirect=True)]

claude = plugins.agent("claude")


class Dispatch:
    """Makes sessions whose agent is the real CLI."""

    def __init__(self, bench: Bench, program: Path, model: ModelServer) -> None:
        self.bench = bench
        self.model = model
        self._settings = AgentSettings(command=str(program))

    def request(self, **more: Any) -> ExecRequest:
        agent_session_id = str(uuid.uuid4())
        asked = AgentRequest(
            task="implement-auth-05A",
            mode=Mode.DISPATCH,
            agent_session_id=agent_session_id,
            settings=self._settings,
            **more,
        )
        return self.bench.request(
            "",
            mode=Mode.DISPATCH,
            agent="claude",
            argv=tuple(claude.argv(asked)),
            environment={**claude.environment(asked), **self.model.environment},
            transcript=claude.transcript(asked),
            input_box=claude.input_box,
        )

    def start(self) -> Execution:
        return self.bench.start(self.request())

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-u", "-L", self.bench.settings.tmux.socket, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def dispatch(bench: Bench, claude_cli: Path, model: ModelServer, trust: Callable[..., None]) -> Dispatch:
    trust(bench.repo)
    return Dispatch(bench, claude_cli, model)


def lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Of a stream; its last one may be yet to come."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole


def events_until(told: Iterator[bytes], last: str) -> list[Event]:
    """Events of lines up to the agent's text `last`."""
    events = list[Event]()
    for line in told:
        events += claude.parse(line)
        if Text(text=last) in events:
            return events
    raise AssertionError(f"{last!r} is not in {events}")


def prompt(text: str) -> bytes:
    return claude.message(text, Mode.DISPATCH)


def test_a_dispatched_session_from_prompt_to_stop(dispatch: Dispatch) -> None:
    dispatch.model.story = [bash("echo hello", "Starting."), Step("All done.")]
    execution = dispatch.start()
    execution.send(prompt("Say hello"))
    events = events_until(lines(execution.stream(0)), "All done.")
    assert [event for event in events if isinstance(event, Unrecognized)] == []
    told = [event for event in events if isinstance(event, Text | ToolCall | ToolResult)]
    assert [type(event) for event in told] == [Text, ToolCall, ToolResult, Text]
    assert isinstance(told[2], ToolResult)
    assert told[2].text == "hello"
    assert [event.text for event in events if isinstance(event, Notice) and event.code == "prompt"] == ["Say hello"]
    execution.terminate(Signals.SIGTERM)
    assert execution.wait(DEADLINE) is not None


def test_a_long_prompt_arrives_whole_and_runs_nothing(dispatch: Dispatch) -> None:
    line = "a 'quote' \"two\" `touch ran` $(touch ran) #(touch ran) #{pid} @file !touch /help \\ ü\n"
    text = "# Task\n\n" + "".join(f"{number} {line}" for number in range(500)) + "The end"
    assert len(text) > 40 * 1024
    execution = dispatch.start()
    execution.send(prompt(text))
    until(lambda: any(text in asked for asked in dispatch.model.asked()))
    assert not list(dispatch.bench.repo.parent.rglob("ran"))


@pytest.mark.parametrize(
    "text", ["one line", "two\n\nlines\n", "\n".join(f"line {n}" for n in range(60)), "!touch ran"]
)
def test_short_prompts_arrive_too(dispatch: Dispatch, text: str) -> None:
    dispatch.start().send(prompt(text))
    until(lambda: any(text.strip() in asked for asked in dispatch.model.asked()))
    assert not (dispatch.bench.worktree / "ran").exists()


def test_a_message_in_mid_turn_arrives(dispatch: Dispatch) -> None:
    dispatch.model.story = [bash("echo one", "One."), Step("Two.", delay=1.0)]
    execution = dispatch.start()
    told = lines(execution.stream(0))
    execution.send(prompt("Begin"))
    events_until(told, "One.")
    execution.send(prompt("Use tabs"))
    until(lambda: any("Use tabs" in asked for asked in dispatch.model.asked()))


def test_an_interrupt_ends_the_turn_and_the_session_goes_on(dispatch: Dispatch) -> None:
    dispatch.model.story = [bash("echo one", "One."), Step("Never said.", delay=DEADLINE)]
    execution = dispatch.start()
    told = lines(execution.stream(0))
    execution.send(prompt("Begin"))
    events_until(told, "One.")
    until(lambda: len(dispatch.model.requests) > 1)
    escape = claude.interrupt(Mode.DISPATCH)
    assert escape is not None
    execution.interrupt(escape)
    until(lambda: "Interrupted" in dispatch.screen())
    dispatch.model.story = [Step("Something else.")]
    execution.send(prompt("Do something else"))
    events = events_until(told, "Something else.")
    assert [event for event in events if isinstance(event, Unrecognized)] == []
    assert "Never said." not in [event.text for event in events if isinstance(event, Text)]
    assert "Do something else" in dispatch.model.asked()


def test_a_new_process_finds_it_and_goes_on(dispatch: Dispatch) -> None:
    dispatch.model.story = [Step("First.")]
    request = dispatch.request()
    execution = dispatch.bench.start(request)
    execution.send(prompt("One"))
    events_until(lines(execution.stream(0)), "First.")
    log = request.directory / "stream.log"
    offset = log.stat().st_size
    dispatch.model.story = [Step("Second.")]
    record = request.directory / "request.json"
    record.write_text(request.model_dump_json())
    program = (
        "import sys, pathlib; from scopecraft_git.executors.tmux import TmuxExecutor\n"
        "from scopecraft_git.protocols import ExecRequest\n"
        "request = ExecRequest.model_validate_json(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "execution = TmuxExecutor().find(request); execution.send(b'Two')\n"
        "seen = b''\n"
        "for chunk in execution.stream(int(sys.argv[2])):\n"
        "    seen += chunk\n"
        "    if b'Second.' in seen: break\n"
        "assert b'First.' not in seen\n"
    )
    command = [sys.executable, "-c", program, str(record), str(offset)]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert found.returncode == 0, found.stderr
    assert log.read_bytes().count(b"First.") == 1


def test_a_continued_session_tells_only_what_is_new(dispatch: Dispatch) -> None:
    dispatch.model.story = [Step("First.")]
    first = dispatch.start()
    first.send(prompt("One"))
    events_until(lines(first.stream(0)), "First.")
    first.terminate(Signals.SIGTERM)
    first.wait(DEADLINE)
    (transcript,) = Path.home().glob(".claude/projects/*/*.jsonl")
    dispatch.model.story = [Step("Second.")]
    again = dispatch.bench.start(dispatch.request(resume=transcript.stem))
    again.send(prompt("Two"))
    events = events_until(lines(again.stream(0)), "Second.")
    assert [event.text for event in events if isinstance(event, Text)] == ["Second."]


def press_until(dispatch: Dispatch, key: str, condition: Callable[[], bool]) -> None:
    """A dialog is drawn before it reads keys, and takes several at once for none."""
    for _ in range(10):
        dispatch.tmux("send-keys", key)
        with contextlib.suppress(AssertionError):
            until(condition, seconds=1.0)
            return
    raise AssertionError(dispatch.screen())


def test_a_dialog_is_left_to_the_human(
    dispatch: Dispatch, trust: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    trust()
    execution = dispatch.start()
    until(lambda: "trust this folder" in dispatch.screen())
    shown = dispatch.screen()
    with monkeypatch.context() as patched:
        patched.setattr(tmux_executor, "TAKES_INPUT_WITHIN", 1.0)
        with pytest.raises(TimeoutError):
            execution.send(prompt("Do it"))
    assert dispatch.screen() == shown
    press_until(dispatch, "Down", lambda: "❯ Yes" in dispatch.screen())
    press_until(dispatch, "Enter", lambda: "trust this folder" not in dispatch.screen())
    execution.send(prompt("Do it"))
    until(lambda: any("Do it" in asked for asked in dispatch.model.asked()))


def test_one_that_the_human_sent_away_takes_no_input(dispatch: Dispatch, trust: Callable[..., None]) -> None:
    trust()
    execution = dispatch.start()
    until(lambda: "trust this folder" in dispatch.screen())
    press_until(dispatch, "Enter", lambda: execution.poll() is not None)
    with pytest.raises(BrokenPipeError):
        execution.send(prompt("Do it"))
