from __future__ import annotations

import json
from typing import Any

import pytest

from scopecraft_git import plugins
from scopecraft_git.events import Event, Finished, Notice, Severity, Text
from scopecraft_git.models import Mode
from tests.agents.asking import UUID, request

gemini = plugins.agent("gemini")


def parse(document: Any) -> list[Event]:
    return gemini.parse(json.dumps(document).encode())


def test_unattended_it_edits_and_commits() -> None:
    argv = gemini.argv(request(model="pro"))
    assert argv[:5] == ["gemini", "--output-format", "stream-json", "--approval-mode", "auto_edit"]
    assert argv[-4:] == ["--model", "pro", "--session-id", UUID]
    allowed = [argv[place + 1] for place, word in enumerate(argv) if word == "--allowed-tools"]
    assert "run_shell_command(git commit)" in allowed
    assert not [tool for tool in allowed if not tool.startswith("run_shell_command(git ") or "push" in tool]


def test_it_trusts_a_folder_and_does_as_it_likes_behind_a_boundary_alone() -> None:
    argv = gemini.argv(request(isolated=True))
    assert argv[argv.index("--approval-mode") + 1] == "yolo"
    assert "--skip-trust" in argv
    assert not {"--skip-trust", "yolo"} & set(gemini.argv(request()))


@pytest.mark.parametrize("own", [("--approval-mode", "plan"), ("--approval-mode=plan",), ("-y",)])
@pytest.mark.parametrize("isolated", [True, False])
def test_what_the_user_approves_takes_the_place_of_ours(own: tuple[str, ...], *, isolated: bool) -> None:
    argv = gemini.argv(request(Mode.AUTONOMOUS, "--skip-trust", *own, isolated=isolated))
    assert [word for word in argv if word.startswith(("--approval-mode", "-y"))] == [own[0]]
    assert argv.count("--skip-trust") == 1
    assert "--allowed-tools" not in argv


def test_it_goes_on_with_a_session_that_keeps_its_record() -> None:
    assert gemini.argv(request(resume="9f7b1813-6630"))[-2:] == ["--resume", "9f7b1813-6630"]
    assert gemini.transcript(request(resume="9f7b1813-6630")) == ".gemini/tmp/*/chats/session-*-9f7b1813.jsonl"
    assert gemini.transcript(request()) == ".gemini/tmp/*/chats/session-*-5d6f7a10.jsonl"


def test_beside_a_human_its_own_settings_hold() -> None:
    assert gemini.argv(request(Mode.DISPATCH)) == ["gemini", "--session-id", UUID]


def test_an_answer_comes_in_pieces() -> None:
    assert parse({"type": "message", "role": "assistant", "content": "Hal", "delta": True}) == [
        Text(text="Hal", partial=True)
    ]
    assert parse({"type": "message", "role": "assistant", "content": "Whole"}) == [Text(text="Whole")]


def test_an_end_says_how_it_went() -> None:
    assert parse({"type": "result", "status": "success", "stats": {"duration_ms": 5}}) == [
        Finished(subtype="success", duration_ms=5)
    ]
    error = {"type": "FatalTurnLimitedError", "message": "Reached max session turns"}
    assert parse({"type": "result", "status": "error", "error": error}) == [
        Finished(is_error=True, text="Reached max session turns", subtype="FatalTurnLimitedError")
    ]


def test_a_warning_is_no_end() -> None:
    assert parse({"type": "error", "severity": "warning", "message": "Loop detected"}) == [
        Notice(code="error", text="Loop detected", severity=Severity.WARNING)
    ]
