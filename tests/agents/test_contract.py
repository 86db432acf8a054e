"""One suite for every agent: ours here, other people's by the same functions."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopecraft_git import plugins
from scopecraft_git.events import PermissionRequest
from scopecraft_git.models import Mode
from scopecraft_git.protocols import Agent, AgentRequest

PROMPT = "Do what nobody else may read"


@pytest.fixture(params=plugins.names("agent"))
def agent(request: pytest.FixtureRequest) -> Agent:
    return plugins.agent(request.param)


def asked(mode: Mode) -> AgentRequest:
    return AgentRequest(task="fix-it-05A", mode=mode, agent_session_id="5d6f7a10-0000-4000-8000-1", command=("./it",))


@pytest.mark.parametrize("mode", Mode)
def test_a_program_and_its_arguments(agent: Agent, mode: Mode) -> None:
    argv = agent.argv(asked(mode))
    assert argv
    assert all(isinstance(word, str) for word in argv)


@pytest.mark.parametrize("mode", Mode)
def test_the_environment_names_task_and_mode(agent: Agent, mode: Mode) -> None:
    environment = agent.environment(asked(mode))
    assert (environment["TASK_ID"], environment["WORK_MODE"]) == ("fix-it-05A", mode.value)


@pytest.mark.parametrize("mode", Mode)
def test_what_it_is_told_holds_the_text(agent: Agent, mode: Mode) -> None:
    assert PROMPT.encode() in agent.message(PROMPT, mode)
    assert agent.message("half a pair: \ud800", mode)


@pytest.mark.parametrize("name", plugins.names("agent"))
@given(line=st.binary(max_size=200))
def test_no_line_is_too_odd_and_none_is_dropped(name: str, line: bytes) -> None:
    events = plugins.agent(name).parse(line)
    assert events or not line.decode(errors="replace").strip()


def test_an_answer_is_one_line(agent: Agent) -> None:
    request = PermissionRequest(id="r", tool="Bash", input={"command": "a\nb"})
    for answer in (agent.answer(request, allow=True), agent.answer(request, allow=False, message="No\nnever")):
        assert answer.count(b"\n") == 1
        assert answer.endswith(b"\n")


def test_its_files_lie_below_the_home_directory(agent: Agent) -> None:
    paths = [*agent.login_files, agent.transcript(asked(Mode.DISPATCH)) or "x"]
    assert not [path for path in paths if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts]


def test_its_input_box_has_a_place_for_what_is_typed(agent: Agent) -> None:
    assert agent.input_box is None or re.compile(agent.input_box).groups == 1
