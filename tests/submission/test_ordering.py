from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import submission
from scopecraft_git.errors import DockerUnreachableError, McpConfigRefusedError, NotTextError
from scopecraft_git.models import Mode
from scopecraft_git.protocols import ExecRequest
from scopecraft_git.submission import Order

PROMPT = "---\nmcpConfig: {mcpServers: {a: {command: ./a.sh}}}\n---\nDo it\n"


def draft(repo: Path, file: str, executor: str = "local") -> submission.Draft:
    order = Order(task="fix-typo", prompt_file=file, executor=executor, agent="command", command=("true",))
    return submission.draft(order, repo)


@pytest.fixture
def claude(home: Path) -> None:
    """Any program will do for its name, where none is started."""
    (home / "config" / "orchestration.json").write_text('{"agents": {"claude": {"command": "true"}}}')


@pytest.fixture
def prompt_file(repo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the repository, and known by its name too. The user stands at its top."""
    path = repo / ".tasks" / ".modes" / "fix.md"
    path.parent.mkdir(parents=True)
    path.write_text(PROMPT)
    monkeypatch.chdir(repo)
    return path


@pytest.mark.parametrize("name", ["fix", ".tasks/.modes/fix.md", "../link.md", "../worktree/fix.md"])
def test_a_prompt_file_of_the_repository_starts_no_programs_on_the_machine(
    repo: Path, prompt_file: Path, git: Any, name: str
) -> None:
    git(repo, "worktree", "add", "-q", "../worktree")
    (repo.parent / "worktree" / "fix.md").write_text(PROMPT)
    (repo.parent / "link.md").symlink_to(prompt_file)
    with pytest.raises(McpConfigRefusedError, match="local has no isolation"):
        draft(repo, name)


def test_it_may_in_a_container(repo: Path, prompt_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    with pytest.raises(DockerUnreachableError):  # which is asked after everything else is in order
        draft(repo, "fix", executor="docker")


def test_the_users_own_prompt_file_may_anywhere(repo: Path, prompt_file: Path) -> None:
    prompt_file.replace(repo.parent / "mine.md")
    assert "a.sh" in (draft(repo, "../mine.md").agent_request.mcp_config or "")


def test_an_unattended_agent_gets_the_prompt_as_it_starts(repo: Path) -> None:
    order = Order(task="fix-typo", prompt="caf\udce9", executor="local", agent="command", command=("cat",))
    request = submission.draft(order, repo).exec_request("fix-typo-0000001")
    assert (request.input, request.input_ends) == (b"caf\xe9", True)
    assert ExecRequest.model_validate_json(request.model_dump_json()) == request


def test_one_that_goes_on_reading_gets_it_as_a_message(repo: Path, claude: None) -> None:
    drafted = submission.draft(Order(task="fix-typo", prompt="Fix it", executor="local"), repo)
    request = drafted.exec_request("fix-typo-0000001")
    assert (request.input, request.input_ends) == (drafted.agent.message("Fix it"), False)
    assert request.agent_request == drafted.agent_request


@pytest.mark.tmux
def test_one_with_a_screen_gets_it_when_the_screen_is_ready(repo: Path, claude: None) -> None:
    order = Order(task="fix-typo", prompt="Fix it", mode=Mode.DISPATCH)
    request = submission.draft(order, repo).exec_request("fix-typo-0000001")
    assert (request.input, request.input_ends) == (b"", False)


def test_a_command_without_a_prompt_gets_the_end_of_its_input(repo: Path) -> None:
    order = Order(task="fix-typo", executor="local", agent="command", command=("true",))
    request = submission.draft(order, repo).exec_request("fix-typo-0000001")
    assert (request.input, request.input_ends) == (b"", True)


@pytest.mark.parametrize("option", ["--", "--branch", "--model", "--base"])
def test_what_goes_into_records_is_text(repo: Path, option: str) -> None:
    names = {"--": "command", "--branch": "branch", "--model": "model", "--base": "base"}
    odd = "caf\udce9"
    order = Order(task="fix-typo", **{names[option]: (odd,) if option == "--" else odd})
    with pytest.raises(NotTextError, match=f"given with {option} "):
        submission.draft(order, repo)
