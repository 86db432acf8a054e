from __future__ import annotations

import itertools
import json

import pytest

from scopecraft_git import plugins
from scopecraft_git.agents.channelcoder import PROMPT
from scopecraft_git.events import Finished, Notice, Text, Unrecognized
from scopecraft_git.models import Mode
from tests.agents.asking import request

channelcoder = plugins.agent("channelcoder")
TEXT = b'{"type":"assistant","message":{"content":[{"type":"text","text":"%s"}]}}'


def chunk(content: bytes) -> bytes:
    return json.dumps({"type": "content", "content": content.decode(), "timestamp": 1}).encode()


def test_its_prompt_is_data_from_its_input() -> None:
    argv = channelcoder.argv(request())
    assert argv[:4] == ["channelcoder", "stream", "--parse", "--dataStdin"]
    assert argv[-1] == PROMPT == "${prompt}"
    assert json.loads(channelcoder.message("Do {it} for ${x}\n\ud800")) == {"prompt": "Do {it} for ${x}\n?"}


def test_it_may_edit_in_its_worktree_and_commit() -> None:
    argv = channelcoder.argv(request())
    assert argv[argv.index("--tools") + 1] == "Edit(./**), Write(./**), Bash(git add:*), Bash(git commit:*)"
    assert "--dangerouslySkipPermissions" not in argv
    assert "--dangerouslySkipPermissions" in channelcoder.argv(request(isolated=True))


def test_a_prompt_file_says_what_it_may_and_may_not() -> None:
    argv = channelcoder.argv(
        request(allowed_tools=("Read", "Bash(make test:*)"), disallowed_tools=("WebFetch",), mcp_config="m.json")
    )
    told = dict(itertools.pairwise(argv))
    assert (told["--tools"], told["--disallowedTools"], told["--mcpConfig"]) == (
        "Read, Bash(make test:*)", "WebFetch", "m.json",
    )  # fmt: skip


def test_a_model_is_told_to_claude_code() -> None:
    assert channelcoder.environment(request(model="opus"))["ANTHROPIC_MODEL"] == "opus"


def test_beside_a_human_it_is_claude_code() -> None:
    assert channelcoder.argv(request(Mode.DISPATCH)) == ["channelcoder", "interactive"]
    assert channelcoder.message("!x", Mode.DISPATCH) == b" !x"
    assert channelcoder.input_box == plugins.agent("claude").input_box
    assert channelcoder.interrupt(Mode.DISPATCH) == b"\x1b"


def test_a_chunk_holds_lines_of_claude_code() -> None:
    both = TEXT % b"one" + b"\n" + TEXT % b"two" + b"\n"
    assert channelcoder.parse(chunk(both)) == [Text(text="one"), Text(text="two")]


def test_the_pieces_of_a_line_that_was_cut_are_kept() -> None:
    whole = TEXT % b"one"
    first, second = chunk(whole[:30]), chunk(whole[30:] + b"\n" + TEXT % b"two")
    *pieces, last = channelcoder.parse(first) + channelcoder.parse(second)
    assert last == Text(text="two")
    assert "".join(event.raw for event in pieces if isinstance(event, Unrecognized)) == whole.decode()


def test_an_error_of_its_own_is_the_end() -> None:
    assert channelcoder.parse(b'{"type":"error","content":"Claude CLI not found"}') == [
        Finished(is_error=True, text="Claude CLI not found", subtype="error")
    ]


@pytest.mark.parametrize("line", [b"Claude CLI not found", b'{"type":"content","content":1}'])
def test_what_it_says_otherwise_is_kept(line: bytes) -> None:
    assert channelcoder.parse(line) == [Unrecognized(raw=line.decode())]


def test_what_claude_code_draws_is_for_the_screen() -> None:
    (event,) = channelcoder.parse(b"\x1b[2J\x1b[1;1H hello")
    assert isinstance(event, Notice)
