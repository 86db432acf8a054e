from __future__ import annotations

import stat
import tomllib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scopecraft_git import paths, policy
from scopecraft_git.errors import HomeNotWritableError, InvalidPolicyError, NoRuleForThisError
from scopecraft_git.models import Approval, Session
from scopecraft_git.policy import Call, Effect
from tests import samples
from tests.policy.calls import scene


@pytest.fixture
def file(home: Path) -> Path:
    return paths.policy_file()


def approval(tool: str, **given: Any) -> Approval:
    return Approval(id="1", tool=tool, input=given, reason="?", since=samples.NOW)


def session() -> Session:
    return samples.session(executor="docker")


def action(tool: str, executor: str = "docker", **given: Any) -> str:
    """Of the rule of the file that fits; empty where none does."""
    ruling = policy.load().judge(Call(tool, given, scene(Path("/code/app"), executor)))
    return ruling.action if ruling.rule and ruling.rule.origin != policy.BUILT_IN else ""


def test_a_file_is_made_for_this_user_alone(file: Path) -> None:
    rule = policy.always(approval("Bash", command="git push"), session(), "allow")
    assert (rule.action, stat.S_IMODE(file.stat().st_mode)) == (Effect.ALLOW, 0o600)
    text = file.read_text()
    assert text.startswith("# Which tool calls of agents are allowed.")
    assert f"# Allowed for good in session {session().id}\n[[rules]]\n" in text
    assert (action("Bash", command="git push"), action("Bash", command="git push -f")) == ("allow", "")
    assert action("Bash", command="git push; rm -rf /") == ""
    assert action("Bash", "local", command="git push") == ""


def test_what_is_denied_is_denied_everywhere(file: Path) -> None:
    policy.always(approval("Bash", command="make [all]", description="x"), session(), "deny")
    assert action("Bash", "local", command="cd a && make [all]", description="y") == "deny"
    assert action("Bash", command="make a") == ""


def test_the_reason_that_a_human_gave_stays_with_the_rule(file: Path) -> None:
    assert policy.always(approval("Bash", command="a"), session(), "deny", "Use make.").message == "Use make."
    assert (
        policy.always(approval("Bash", command="b"), session(), "deny", " ").message
        == "A human has denied this for good."
    )


@pytest.mark.parametrize(
    ("tool", "given", "like", "unlike"),
    [
        (
            "Write",
            {"file_path": "a/[x]*", "content": "1"},
            {"file_path": "a/[x]*", "content": "2"},
            {"file_path": "a/x"},
        ),
        ("T", {"a": {"b": 1}, "c": True}, {"a": {"b": 1}, "c": True, "d": 1}, {"a": {"b": 2}, "c": True}),
        ("T", {"a": {"b": None}}, {"a": {"b": None}}, {"a": {"b": "c"}}),
        ("T", {"query": "regex:.*"}, {"query": "regex:.*"}, {"query": "regex:a"}),
        ("T", {"urls": ["a", "b"]}, {"urls": ["b"]}, {"urls": ["a", "c"]}),
        ("a*[b", {"x": ""}, {"x": ""}, {"x": "y"}),
        (
            "shell",
            {"command": ["bash", "-lc", "git push"]},
            {"command": ["bash", "-lc", "git push"]},
            {"command": ["git"]},
        ),
    ],
)
def test_a_rule_is_for_this_input_alone(
    file: Path, tool: str, given: dict[str, Any], like: dict[str, Any], unlike: dict[str, Any]
) -> None:
    policy.always(approval(tool, **given), session(), "allow")
    assert action(tool, **like) == "allow"
    assert action(tool, **unlike) == ""


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "no input"),
        ({"command": "a" * 2000}, "too long"),
        ({"a": [{"b": 1}]}, "several things"),
        ({"a": None}, "no inp"),
    ],
)
def test_what_no_rule_can_be_made_of_is_refused(file: Path, given: dict[str, Any], problem: str) -> None:
    with pytest.raises(NoRuleForThisError, match=problem):
        policy.always(approval("T", **given), session(), "allow")
    assert not file.exists()


WRITTEN = """\
# My rules.

[default]  # first
action = "ask"

# On pushes:
# none.
[[rules]]
tool = "Bash"   # aligned
input.command = 'git push*'
action = "deny"
message = '''
[[rules]]
'''

[ask]
timeout_minutes = 5

[[rules]]
tool = "Read"
action = "allow"
"""


@pytest.mark.parametrize("text", [WRITTEN, WRITTEN.replace("\n", "\r\n"), '[default]\naction = "ask"', "", "# only\n"])
def test_everything_else_stays_as_it_is_written(file: Path, text: str) -> None:
    file.write_bytes(text.encode())
    policy.always(approval("Bash", command="a"), session(), "deny")
    after = file.read_bytes().decode()
    before, _, rest = after.partition(f"# Denied for good in session {session().id}\n")
    block, _, behind = rest.partition('action = "deny"\n')
    assert "Bash" in block
    assert (before + behind).split() == text.split()
    assert tomllib.loads(after)["rules"][1:] == tomllib.loads(text).get("rules", [])
    if "# On pushes" in text:
        assert before.rstrip().endswith('action = "ask"')  # so that comments stay with their rules


@pytest.mark.parametrize("text", ["[[rules]", '[[rules]]\naction = "no"\n', 'rules = [{action = "deny"}]\n'])
def test_a_file_that_is_wrong_is_not_touched(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(InvalidPolicyError):
        policy.always(approval("Bash", command="a"), session(), "allow")
    assert file.read_text() == text


def test_a_link_stays_one(file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "dotfiles.toml"
    kept.write_text("")
    file.symlink_to(kept)
    policy.always(approval("Bash", command="a"), session(), "allow")
    assert file.is_symlink()
    assert "rules" in kept.read_text()


def test_a_disk_that_takes_nothing_changes_nothing(file: Path) -> None:
    file.with_name(".policy.toml.new").mkdir()
    with pytest.raises(HomeNotWritableError):
        policy.always(approval("Bash", command="a"), session(), "allow")
    assert not file.exists()


def _add(command: str) -> None:
    policy.always(approval("Bash", command=command), session(), "allow")


def test_all_arrive_that_are_added_at_once(file: Path) -> None:
    commands = [f"make {number}" for number in range(12)]
    with ProcessPoolExecutor(4, get_context("fork")) as processes:
        list(processes.map(_add, commands))
    found = [rule["input"]["command"] for rule in tomllib.loads(file.read_text())["rules"]]
    assert sorted(found) == sorted(commands)


@given(command=st.text(min_size=1, max_size=40), path=st.text(min_size=1, max_size=20))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_becomes_a_rule_that_fits_it(file: Path, command: str, path: str) -> None:
    policy.always(approval("Bash", command=command), session(), "allow")
    policy.always(approval("Write", file_path=path), session(), "deny")
    assert (action("Bash", command=command), action("Write", file_path=path)) == ("allow", "deny")
    file.unlink()
