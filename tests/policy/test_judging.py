from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopecraft_git.policy import Call, Effect, Ruling
from tests.policy.calls import bash, rules, scene

ANYWHERE = Path("/code/app")


def judged(text: str, tool: str, given: Mapping[str, Any], **fields: Any) -> Ruling:
    return rules(text).judge(Call(tool, given, scene(ANYWHERE, **fields)))


def rule(condition: str, action: str = "deny") -> str:
    return f'[[rules]]\naction = "{action}"\n{condition}\n'


@pytest.mark.parametrize(
    ("condition", "tool", "given", "fits"),
    [
        ("", "Any", {}, True),
        ('tool = "Ba*"', "Bash", {}, True),
        ('tool = "ba*"', "Bash", {}, False),
        ('tool = ["Read", "Write"]', "Write", {}, True),
        ('tool = ["Read", "Write"]', "Edit", {}, False),
        ('input.url = "https://*"', "WebFetch", {"url": "https://a"}, True),
        ('input.url = "https://*"', "WebFetch", {"url": "http://a"}, False),
        ('input.url = "https://*"', "WebFetch", {}, False),
        ('input.url = "*"', "WebFetch", {"url": None}, False),
        ('input.url = "a[[]b]"', "WebFetch", {"url": "a[b]"}, True),
        ('input.url = "a[b"', "WebFetch", {"url": "a[b"}, True),
        ("input.url = 'regex:^a\\d$'", "WebFetch", {"url": "a1"}, True),
        ("input.url = 'regex:\\d'", "WebFetch", {"url": "a1b"}, True),
        ("input.url = ['b', 'regex:\\d']", "WebFetch", {"url": "a1b"}, True),
        ('input.url = "p\u0430ypal"', "WebFetch", {"url": "paypal"}, False),
        ('input.a.b = "x"', "T", {"a": {"b": "x"}}, True),
        ('input.a.b = "x"', "T", {"a.b": "x"}, False),
        ('input."a.b" = "x"', "T", {"a.b": "x"}, True),
        ('input.a.b = "x"', "T", {"a": [{"b": "y"}, {"b": "x"}]}, True),
        ('input.a = "x"', "T", {"a": ["y", "x"]}, True),
        ('input.a = "true"', "T", {"a": True}, True),
        ('input.a = "3"', "T", {"a": 3}, True),
        ('input.a = \'{"b": "\u00e9"}\'', "T", {"a": {"b": "\u00e9"}}, True),
        ('input.command = "3"', "T", {"command": 3}, True),
        ('input.command = "git push"', "shell", {"command": ["bash", "-lc", "git push"]}, True),
        ('input.a = "x"\ninput.b = "y"', "T", {"a": "x", "b": "y"}, True),
        ('input.a = "x"\ninput.b = "y"', "T", {"a": "x", "b": "x"}, False),
        ('path = "outside"', "Write", {"file_path": "/etc/a"}, True),
        ('path = "outside"', "Write", {"file_path": "src/a"}, False),
        ('path = "outside"', "Write", {"file_path": "src/../../a"}, True),
        ('path = "outside"', "Edit", {"edits": [{"path": "a"}, {"path": "/etc/a"}]}, True),
        ('path = "outside"', "Glob", {"pattern": "/etc/*"}, True),
        ('path = "outside"', "Grep", {"pattern": "/etc/*"}, False),
        ('path = "outside"', "Bash", {"command": "cat a /etc/b"}, True),
        ('path = "outside"', "Bash", {"command": "cat a --out=/etc/b"}, True),
        ('path = "outside"', "Bash", {"command": "cat <'/etc/b c'"}, True),
        ('path = "outside"', "Bash", {"command": "sed 's/a/b/' c; awk '/a/ {}' c"}, False),
        ('path = "inside"', "Bash", {"command": "cat a/b"}, True),
        ('path = "inside"', "Bash", {"command": "cat /etc/b"}, False),
        ('path = "inside"', "Bash", {"command": "ls"}, False),
        ('location = "/etc"', "Read", {"file_path": "/etc/ssl/a"}, True),
        ('location = "/etc"', "Read", {"file_path": "/etcetera"}, False),
        ('location = "src/*.key"', "Read", {"file_path": "/code/app/src/a.key"}, True),
        ('access = "write"', "Read", {"file_path": "a"}, False),
        ('access = "write"', "mcp__disk__write_file", {"path": "a"}, True),
        ('access = "write"\nlocation = "/etc"', "Bash", {"command": "cp /etc/a b"}, False),
        ('access = "write"\nlocation = "/etc"', "Bash", {"command": "cp b /etc/a"}, True),
        ('access = "write"\nlocation = "/etc"', "Bash", {"command": "sudo tee -a /etc/a"}, True),
        ('access = "write"\nlocation = "/etc"', "Bash", {"command": "echo a >>/etc/a"}, True),
        ('access = "write"\nlocation = "/etc"', "Bash", {"command": "dd if=a of=/etc/a"}, True),
        ('access = "read"\nlocation = "/etc"', "Bash", {"command": "cp /etc/a b"}, True),
    ],
)
def test_what_a_condition_says_of_a_call(condition: str, tool: str, given: dict[str, Any], fits: bool) -> None:
    assert judged(rule(condition), tool, given).action is (Effect.DENY if fits else Effect.ALLOW)


@pytest.mark.parametrize(
    ("condition", "fields"),
    [
        ('executor = ["docker", "nomad"]', {"executor": "docker"}),
        ('mode = "dispatch"', {"mode": "dispatch"}),
        ('agent = "co*"', {"agent": "codex"}),
        ("isolated = true", {"executor": "docker"}),
    ],
)
def test_what_a_condition_says_of_the_session(condition: str, fields: dict[str, Any]) -> None:
    assert judged(rule(condition), "Bash", {}, **fields).action is Effect.DENY
    assert judged(rule(condition), "Bash", {}).action is Effect.ALLOW


@pytest.mark.parametrize(
    ("condition", "command", "allowed"),
    [
        ('input.command = "npm test*"', "npm test", True),
        ('input.command = "npm test*"', "npm test -- --watch", True),
        ('input.command = "npm test*"', "npm test && npm test a", True),
        ('input.command = "npm test*"', "npm test; curl a | sh", False),
        ('input.command = "npm test*"', "npm test $(curl a)", False),
        ('input.command = "npm test*"', "npm test 'a", False),
        ('input.command = "npm test*"', "npm test <<A\ncurl", False),
        ('input.command = "npm test*"', "sudo npm test", False),
        ('input.command = "npm test*"', "LD_PRELOAD=a npm test", False),
        ("input.command = 'regex:^npm test'", "npm test; ls", False),
        ('input.command = "cd a && git push"', "cd a && git push", True),
        ('input.command = "cd a && git push"', "cd a && git push -f", False),
        ('path = "inside"', "cat a/b", True),
        ('path = "inside"', "cat a/b /etc/c", False),
        ('location = "/opt"', "cp /opt/a /opt/b", True),
        ('location = "/opt"', "cp /opt/a /etc/b", False),
        ('access = "read"', "cat a/b > c", False),
    ],
)
def test_a_rule_that_allows_has_to_fit_all_of_a_call(condition: str, command: str, allowed: bool) -> None:
    text = rule(condition, "allow") + rule("")
    assert judged(text, "Bash", {"command": command}).action is (Effect.ALLOW if allowed else Effect.DENY)


def test_a_list_is_allowed_item_by_item() -> None:
    text = rule('input.urls = "https://*"', "allow") + rule("")
    assert judged(text, "Fetch", {"urls": ["https://a", "https://b"]}).action is Effect.ALLOW
    assert judged(text, "Fetch", {"urls": ["https://a", "http://b"]}).action is Effect.DENY


def test_long_texts_are_searched_from_end_to_end() -> None:
    text = rule("input.content = 'regex:AKIA\\d+'")
    for place in (0, 8190, 50_000):
        content = "x" * place + "AKIA12345" + "y" * 20_000
        assert judged(text, "Write", {"content": content}).action is Effect.DENY
    allowing = rule("input.content = 'regex:^x*$'", "allow") + rule("")
    assert judged(allowing, "Write", {"content": "x" * 8192}).action is Effect.ALLOW
    assert judged(allowing, "Write", {"content": "x" * 20_000 + "y"}).action is Effect.DENY


def test_it_is_told_what_fits() -> None:
    found = judged(
        rule('input.command = "git push*"\npath = "outside"'), "Bash", {"command": "cd ../b && git -C /c push"}
    )
    assert found.matched == ("input.command has git push", "path /c is outside the worktree")


@pytest.mark.parametrize(
    "command",
    ["a;" * 5000, "cat " + "/a " * 5000, "sudo " * 100 + "a", "a" * 200_000, "${" * 5000],
    ids=("commands", "paths", "wrappers", "length", "nesting"),
)
def test_what_is_too_much_to_look_through_is_asked(command: str) -> None:
    found = judged(rule('input.command = "git push"'), "Bash", {"command": command})
    assert (found.action, found.reason.partition(":")[0]) == (Effect.ASK, "It could not be judged")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["path", "file_path", "a"]), inner),
    max_leaves=8,
)
INPUTS = st.dictionaries(st.sampled_from(["command", "file_path", "path", "pattern", "a"]), JSON)


@given(tool=st.text(max_size=10), found=INPUTS)
@settings(max_examples=300, deadline=None)
def test_every_input_is_judged(tool: str, found: dict[str, Any]) -> None:
    for executor in ("local", "docker"):
        ruling = rules("", builtin=True).judge(Call(tool, found, scene(ANYWHERE, executor)))
        assert not ruling.reason.startswith("It could not be judged")


def test_what_raises_all_the_same_is_asked() -> None:
    nested: Any = "x"
    for _ in range(5000):
        nested = [nested]
    assert judged(rule('input.a = "x"'), "T", {"a": nested}).action is Effect.ASK


GLOBS = st.sampled_from(["*", "a*", "*b", "a", "b", "[ab]", "?"])
TABLES = st.lists(
    st.fixed_dictionaries({"tool": GLOBS, "action": st.sampled_from(list(Effect))}, optional={"a": GLOBS}), max_size=5
)


@given(tables=TABLES, tool=st.sampled_from(["a", "b", "ab", "c"]), value=st.sampled_from(["a", "b", "ab"]))
def test_the_first_rule_that_fits_counts(tables: list[dict[str, str]], tool: str, value: str) -> None:
    text = "\n".join(
        f"[[rules]]\ntool = {json.dumps(table['tool'])}\naction = {json.dumps(table['action'])}\n"
        + (f"input.a = {json.dumps(table['a'])}\n" if "a" in table else "")
        for table in tables
    )
    fitting = (
        (table["action"], number)
        for number, table in enumerate(tables, 1)
        if fnmatchcase(tool, table["tool"]) and fnmatchcase(value, table.get("a", "*"))
    )
    found = judged(text, tool, {"a": value})
    assert (found.action, found.rule and found.rule.number) == next(fitting, ("allow", None))


def test_the_default_counts_where_no_rule_fits() -> None:
    found = rules('[default]\naction = "deny"\nbuiltin = false').judge(bash("ls", scene(ANYWHERE)))
    assert (found.action, found.rule, found.reason) == (Effect.DENY, None, "No rule allows it.")
