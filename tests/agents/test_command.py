from __future__ import annotations

import pytest

from scopecraft_git import plugins
from scopecraft_git.errors import AgentCommandMissingError
from scopecraft_git.events import Finished, Text
from scopecraft_git.models import Mode
from scopecraft_git.protocols import AgentRequest

command = plugins.agent("command")


def request(*argv: str) -> AgentRequest:
    return AgentRequest(task="fix-it-05A", mode=Mode.AUTONOMOUS, agent_session_id="x", command=argv)


def test_it_runs_what_was_given() -> None:
    assert command.argv(request("./agent.sh", "a b")) == ["./agent.sh", "a b"]


def test_nothing_given_is_an_error_that_says_how() -> None:
    with pytest.raises(AgentCommandMissingError) as caught:
        command.argv(request())
    assert "git scopecraft run fix-it-05A --agent command -- ./agent.sh" in caught.value.hint


@pytest.mark.parametrize("mode", Mode)
def test_it_reads_the_very_bytes_that_were_typed(mode: Mode) -> None:
    assert command.message("Fix caf\udce9.txt", mode) == b"Fix caf\xe9.txt"


def test_lines_like_claudes_are_read_as_such() -> None:
    assert command.parse(b'{"type":"assistant","message":{"content":[{"type":"text","text":"hi"}]}}') == [
        Text(text="hi")
    ]
    assert command.parse(b'{"type":"result","is_error":false}') == [Finished()]


@pytest.mark.parametrize("line", ["plain words", "  indented", '{"type": "other"}', "[1]", "{not json", "\x1b[31mred"])
def test_every_other_line_is_text(line: str) -> None:
    assert command.parse(line.encode()) == [Text(text=line)]


def test_a_terminals_line_end_is_no_text() -> None:
    assert command.parse(b"hello\r") == [Text(text="hello")]


def test_empty_lines_say_nothing() -> None:
    assert command.parse(b"") == command.parse(b"\r") == []


def test_the_prompt_is_its_input_as_it_is() -> None:
    assert command.message("Do\nit") == b"Do\nit"
    assert not command.keeps_input


def test_the_environment_names_task_and_mode() -> None:
    assert command.environment(request()) == {"TASK_ID": "fix-it-05A", "WORK_MODE": "autonomous"}
