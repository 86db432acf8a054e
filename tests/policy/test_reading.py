from __future__ import annotations

import re
from pathlib import Path

import pytest

from scopecraft_git import paths, policy
from scopecraft_git.errors import InvalidPolicyError
from scopecraft_git.policy import BUILT_IN, Ask, Effect, Rule, Source
from tests.policy.calls import bash, scene

PAGE = (Path(__file__).parent.parent.parent / "docs" / "policy.md").read_text(encoding="utf-8")
RULE = '[[rules]]\naction = "deny"\n'


@pytest.fixture
def file(home: Path) -> Path:
    return paths.policy_file()


def test_without_a_file_the_built_in_policy_is_in_force(home: Path) -> None:
    assert policy.load() == policy.Policy(policy.builtin(), Effect.ALLOW, Ask())
    assert not paths.policy_file().exists()


def test_ones_own_rules_come_first(file: Path) -> None:
    file.write_text(RULE + '[ask]\ntimeout_minutes = 5\nanswer = "stop"\n')
    found = policy.load()
    assert [(each.number, each.origin) for each in found.rules[:2]] == [(1, str(file)), (1, BUILT_IN)]
    assert (found.ask.timeout_minutes, found.ask.answer) == (5, "stop")
    file.write_text(RULE + '[default]\nbuiltin = false\naction = "ask"\n')
    found = policy.load()
    assert (len(found.rules), found.default) == (1, Effect.ASK)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rules = ", "it is no TOML: Invalid value (at end of document)"),
        ("rules = 3", "rules must be a list: [[rules]]"),
        ("rules = [3]", "rule 1: it must be a table"),
        ("rule = 3", "there is no key rule; what there is: rules, default, ask"),
        ('[[rules]]\ntool = "a"', "rule 1: action is missing: allow, ask, deny or stop"),
        ('[[rules]]\naction = "no"', "rule 1: action is 'no', and must be 'allow', 'ask', 'deny' or 'stop'"),
        (RULE + 'tol = "a"', "rule 1: there is no key tol; what there is: name, tool, input, executor, mode, agent, "),
        (RULE + RULE + "tool = 3", "rule 2: tool: it is a glob or a list of globs, not 3"),
        (RULE + "tool = []", "rule 1: tool: it is a glob or a list of globs, not []"),
        (RULE + 'input = "a"', "rule 1: input must be a table of fields"),
        (RULE + "input.a.b = 3", "rule 1: input: input.a.b is a glob, regex:… or a list of them, not 3"),
        (
            RULE + 'input.command = "regex:("',
            "rule 1: input: input.command: 'regex:(' is no regular expression: missing",
        ),
        (RULE + 'path = "in"', "rule 1: path is 'in', and must be 'inside' or 'outside'"),
        (RULE + 'isolated = "maybe"', "rule 1: isolated: Input should be a valid boolean"),
        ("[ask]\ntimeout_minutes = -1", "ask.timeout_minutes: Input should be greater than or equal to 0"),
        ("[ask]\ntimeout_minutes = 1e300", "ask.timeout_minutes: Input should be less than or equal to 1000000"),
        ('[ask]\nanswer = "ask"', "ask.answer is 'ask', and must be 'deny', 'allow' or 'stop'"),
        ("[default]\nbultin = true", "there is no key default.bultin; what there is: action, builtin"),
    ],
)
def test_what_is_wrong_is_named(file: Path, text: str, problem: str) -> None:
    file.write_text(text)
    with pytest.raises(InvalidPolicyError) as raised:
        policy.load()
    assert raised.value.message.startswith(f"{file} cannot be used: {problem}")


def test_a_file_that_cannot_be_read_is_no_missing_one(file: Path) -> None:
    file.write_bytes(b"\xff")
    with pytest.raises(InvalidPolicyError, match="not UTF-8"):
        policy.load()
    file.unlink()
    file.mkdir()
    with pytest.raises(InvalidPolicyError, match="cannot be read"):
        policy.load()


def test_a_change_counts_for_the_next_call(file: Path) -> None:
    source, call = Source(), bash("ls", scene(Path("/code/app")))

    def action() -> Effect | None:
        known, _ = source.now()
        return known and known.judge(call).action

    assert action() is Effect.ALLOW
    file.write_text(RULE)
    assert action() is Effect.DENY
    file.write_text(RULE.replace("deny", "stop"))  # of the same length
    assert action() is Effect.STOP
    file.write_text("nonsense")
    assert action() is Effect.STOP
    assert "it is no TOML" in source.now()[1]
    file.unlink()
    assert (action(), source.now()[1]) == (Effect.ALLOW, "")


def test_one_that_was_never_valid_is_none(file: Path) -> None:
    file.write_text("nonsense")
    known, problem = Source().now()
    assert (known, problem.startswith(str(file))) == (None, True)


def test_a_repository_has_no_say(repo: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo)
    for folder in (repo, repo / "config", repo / ".scopecraft", repo / ".scopecraft" / "config"):
        folder.mkdir(exist_ok=True)
        (folder / "policy.toml").write_text('[default]\naction = "deny"\nbuiltin = false\n')
    assert policy.load().rules == policy.builtin()


@pytest.mark.parametrize("block", re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
def test_what_the_page_shows_can_be_loaded(block: str) -> None:
    assert policy.parse(block, Path("docs/policy.md")) != policy.parse("", Path())


def test_the_page_has_every_key_and_every_built_in_rule() -> None:
    keys = [f"| `{key}` |" for key in Rule.model_fields if key not in ("input", "action", "message", "name")]
    assert [key for key in keys if key not in PAGE] == []
    rows = [f"| `{each.rule.name}` | {each.rule.action} |" for each in policy.builtin()]
    assert re.findall(r"^\| `[\w-]+` \| (?:allow|ask|deny|stop) \|", PAGE, re.MULTILINE) == rows
