from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopecraft_git import prompts, templates
from scopecraft_git.errors import (
    AmbiguousPromptError,
    InvalidPromptError,
    InvalidPromptInputError,
    MissingPromptInputError,
    NothingToAskError,
    PromptNotFoundError,
)
from scopecraft_git.models import Mode, Task

TASK = Task(
    id="01_login-05B",
    title="Log in",
    parent="implement-auth-05A",
    sections={"Instruction": "Let {users} log in.", "Log": "- Begun", "Tasks": "- [ ] A form", "Deliverable": "A pull"},
)
PARENT = Task(id="implement-auth-05A", title="Authentication", sections={"Instruction": "The vision", "Log": "Old"})


@pytest.fixture
def main(tmp_path: Path) -> Path:
    path = tmp_path / "app"
    (path / ".tasks" / ".modes").mkdir(parents=True)
    return path


def fill(
    main: Path,
    text: str,
    data: Mapping[str, str] | None = None,
    *,
    task: Task = TASK,
    extra: str = "",
    mode: Mode = Mode.AUTONOMOUS,
) -> prompts.Prompt:
    path = main / "prompt.md"
    path.write_bytes(text.encode())
    return prompts.from_file(str(path), task, extra=extra, mode=mode, data=data or {}, main_worktree=main)


# From a task


def test_a_prompt_holds_what_the_task_asks() -> None:
    prompt = prompts.build(TASK, overview=PARENT, extra="Use Rust\n", mode=Mode.DISPATCH)
    assert prompt.text == (
        "# Log in\n\nTask: 01_login-05B\n\n## Instruction\n\nLet {users} log in.\n\n## Tasks\n\n- [ ] A form\n\n"
        "## Deliverable\n\nA pull\n\n## Parent task: Authentication\n\n### Instruction\n\nThe vision\n\n"
        "## Additional instructions\n\nUse Rust"
    )
    assert prompt.append_system_prompt is None


def test_what_was_asked_by_hand_is_all_that_a_bare_task_asks() -> None:
    prompt = prompts.build(Task(id="x"), extra="  Say 'hi'\n#(touch x)\n", mode=Mode.AUTONOMOUS)
    assert prompt.text == "  Say 'hi'\n#(touch x)\n"
    assert prompt.append_system_prompt == prompts.UNATTENDED


def test_headings_are_found_however_they_are_written() -> None:
    task = Task(id="x", sections={"": "Before all", "TASKS": "- a"})
    assert "## Instruction\n\nBefore all\n\n## Tasks\n\n- a" in prompts.build(task, mode=Mode.DISPATCH).text


@pytest.mark.parametrize("extra", ["", " \n"])
def test_a_task_that_says_nothing_is_an_error(extra: str) -> None:
    task = Task(id="x-05A", title="A title", sections={"Log": "- Created", "Instruction": "", "Notes": "n"})
    with pytest.raises(NothingToAskError, match="x-05A"):
        prompts.build(task, overview=PARENT, extra=extra, mode=Mode.AUTONOMOUS)


# From a file


def test_a_prompt_file_is_filled(main: Path) -> None:
    prompt = fill(
        main,
        "---\nsystemPrompt: You do {taskId}\nappendSystemPrompt: |\n  More\nallowedTools: [Read, 'Bash(git log:*)']\n"
        "disallowedTools: WebFetch Bash(rm *, x),Edit\nmcpConfig: {servers: {a: {command: x}}}\noutput: {a: string}\n"
        "---\n\n{mode}: {taskId} of {parentId}\n\n{taskInstruction}\n{additionalInstructions}\n",
        extra="Be {mode}",
    )
    assert prompt == prompts.Prompt(
        text="autonomous: 01_login-05B of implement-auth-05A\n\nLet {users} log in.\nBe {mode}\n",
        system_prompt="You do 01_login-05B",
        append_system_prompt="More\n",
        allowed_tools=("Read", "Bash(git log:*)"),
        disallowed_tools=("WebFetch", "Bash(rm *, x)", "Edit"),
        mcp_config='{"servers": {"a": {"command": "x"}}}',
        path=main / "prompt.md",
    )


VERBATIM = """\
A JSON object: {"taskId": {"a": 1}, "b": [{}]} and { } and {\t}
A shell: ${taskId} ${taskId:-x} {1..3} {a,b} awk '{print $1}'
Code: const { mode } = x; if (a) { mode } else {return}; f"{x!r}" {x:>10} {mode:>10}
Other templates: {{taskId}} {{ mode }} ${{ mode }} {% if mode %} {if:mode}x{/if} {#mode}
An unknown name: {name} {task.id} {taskId.x} {unknown ? "y" : "n"} {mode ?? "x"} {mode || 'x'} {mode ? "y"}
Open: {taskId {mode \\{ \\} }mode{
"""


@pytest.mark.parametrize("text", [VERBATIM, VERBATIM.replace("\n", "\r\n"), "---\nA rule, no front matter\n", "x"])
def test_what_is_no_placeholder_stays_byte_for_byte(main: Path, text: str) -> None:
    assert fill(main, text).text == text
    assert fill(main, f"---\ninput: {{}}\n---\n{text}").text == text


@given(st.text(), st.text(alphabet='{}$\\"`? :!ab.', max_size=40))
def test_values_are_never_looked_at_again(value: str, around: str) -> None:
    text = templates.fill(f"{around} {{x}}", {"x": value})
    assert text == f"{around} {value}" or "{x}" in around
    assert templates.fill(around, {}) == around


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ('{yes ? "y" : "n"}', "y"),
        ('{no ? "y" : "n"}', "n"),
        ('{!no ? "y" : "n"}', "y"),
        ("{yes?'a b':'c'}", "a b"),
        ('{none ? "y" : ""}|', "|"),
        ('{empty ? "y" : "n"} {zero ? "y" : "n"} {user.name ? "y" : "n"}', "n n y"),
        ('{yes ? user.name : "n"} {yes ? word : "n"}', "Ada word"),
        ("{parent ? `--parent ${parent}` : ''}", "--parent p-05A"),
        ("{parent ? `two\nlines of {parent} and ${other}` : ''}", "two\nlines of p-05A and ${other}"),
        (r'{yes ? "a \"quoted\" {user.name} }" : "n"}', 'a "quoted" Ada }'),
        ('{parent == "p-05A" ? "y" : "n"} {parent != "p-05A" ? "y" : "n"} {zero === "0" ? "y" : "n"}', "y n y"),
        ("{user.name} {user}", 'Ada {\n  "name": "Ada"\n}'),
        ("{yes} {zero} {none}| {list}", 'true 0 | [\n  "é"\n]'),
        (r"\{parent} \{other} \{yes ? 'y' : 'n'}", r"{parent} \{other} {yes ? 'y' : 'n'}"),
        ('{"a": {parent}}', '{"a": p-05A}'),
        ("{tricky}", '{parent} ${parent} {yes ? "y" : "n"}'),
    ],
)
def test_placeholders(template: str, expected: str) -> None:
    values = {
        "yes": True,
        "no": False,
        "none": None,
        "empty": "",
        "zero": 0,
        "parent": "p-05A",
        "user": {"name": "Ada"},
        "list": ["é"],
        "tricky": '{parent} ${parent} {yes ? "y" : "n"}',
    }
    assert templates.fill(template, values) == expected


def test_a_hostile_template_takes_no_time(main: Path) -> None:
    for text in ("{a" * 20_000, '{a ? "' * 5_000, "{a ? `" + "\\" * 20_000, "{a" + "." * 20_000, "{a.b" * 20_000):
        assert templates.fill(text, {"a": "x"}) == text


def test_data_is_typed_by_its_declaration(main: Path) -> None:
    declared = (
        "---\ninput:\n  count: number\n  share: number\n  dry: boolean\n  tags: string[]\n  sizes: 'number[]'\n"
        "  all: array\n  user: object\n  free: string\n  n:\n    type: integer\n  other: uuid\n---\n"
    )
    data = {"count": "07", "share": "0.50", "dry": "False", "tags": "a,b", "sizes": "[1, 2]", "all": "x"}
    data |= {"user": '{"name": "Ada"}', "free": "07", "n": "3", "other": "x", "off": "false", "False": "False"}
    text = (
        '{count} {share} {dry ? "y" : "n"} {user.name} {free} {n} {other} {off} {off ? "y" : "n"} {False}'
        "\n{tags}\n{sizes}\n{all}"
    )
    assert fill(main, declared + text, data).text == (
        '7 0.5 n Ada 07 3 x false n False\n[\n  "a",\n  "b"\n]\n[\n  1,\n  2\n]\n[\n  "x"\n]'
    )


@pytest.mark.parametrize(
    ("wanted", "text", "reason"),
    [
        ("number", "many", "not a number"),
        ("number", "1e999", "not a number"),
        ("number", "1_000", "not a number"),
        ("integer", "1.5", "not a whole number"),
        ("boolean", "perhaps", "neither true nor false"),
        ("object", "[1]", "not a JSON object"),
        ("array", "[1", "not a JSON array"),
        ("number[]", "1,x", "not a number"),
    ],
)
def test_data_of_another_type_is_an_error(main: Path, wanted: str, text: str, reason: str) -> None:
    with pytest.raises(InvalidPromptInputError, match=rf"for x: it is {reason}"):
        fill(main, f"---\ninput:\n  x: {wanted}\n---\n{{x}}", {"x": text})


def test_dotted_data_nests(main: Path) -> None:
    assert fill(main, "{user.name.first} {user.age}", {"user.name.first": "Ada", "user.age": "36"}).text == "Ada 36"
    with pytest.raises(InvalidPromptInputError, match=r"user\.name: user has a value of its own"):
        fill(main, "x", {"user": "Ada", "user.name": "Ada"})


def test_defaults_and_optional_input(main: Path) -> None:
    text = (
        "---\ninput:\n  status: {type: string, default: pending}\n  count: {type: number, default: 0}\n"
        "  area?: string\n  note: {type: string, required: false}\n  old: {type: string, optional: true}\n"
        "  user: {name: string, mail?: string}\n---\n"
        "{status} {count} [{area}{note}{old}{user.mail}] {user.name}"
    )
    assert fill(main, text, {"user.name": "Ada"}).text == "pending 0 [] Ada"
    assert fill(main, text, {"user.name": "Ada", "status": "", "count": "2"}).text == " 2 [] Ada"


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        ("feature: string", "feature"),
        ("feature: {type: string, description: what}", "feature"),
        ("feature: {type: string, required: true}", "feature"),
        ("user: {name: string}", r"user\.name"),
        ("parentId: string", "parentId"),
    ],
)
def test_missing_input_is_named(main: Path, declared: str, name: str) -> None:
    with pytest.raises(MissingPromptInputError, match=f"needs a value for {name}$"):
        fill(main, f"---\ninput:\n  {declared}\n---\nx", task=Task(id="implement-auth-05A"))


def test_what_is_known_of_the_task_need_not_be_given(main: Path) -> None:
    text = "---\ninput:\n  taskId: string\n  parentId?: string\n  mode: string\n  additionalInstructions: string\n---\n"
    template = "{taskId} {mode} {parentId ? `of ${parentId}` : 'alone'}{additionalInstructions}"
    assert fill(main, text + template, mode=Mode.DISPATCH).text == "01_login-05B dispatch of implement-auth-05A"
    assert fill(main, text + template, task=Task(id="x")).text == "x autonomous alone"
    assert fill(main, text + template, {"taskId": "y", "parentId": "z"}).text == "y autonomous of z"


def test_what_was_asked_by_hand_is_never_lost(main: Path) -> None:
    for text, expected in {
        "Do {taskId}\n": "Do 01_login-05B\n\nUse Rust",
        "Do \\{additionalInstructions}": "Do {additionalInstructions}\n\nUse Rust",
        "{{additionalInstructions}}": "{{additionalInstructions}}\n\nUse Rust",
        "{additionalInstructions}!": "Use Rust!",
        "{additionalInstructions ? `Also: ${additionalInstructions}` : ''}": "Also: Use Rust",
    }.items():
        assert fill(main, text, extra="Use Rust").text == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "asks nothing"),
        ("---\nsystemPrompt: x\n---\n\n", "asks nothing"),
        ("---\nsystemPrompt: [a]\n---\nx", "systemPrompt is not text"),
        ("---\nallowedTools: {a: b}\n---\nx", "allowedTools is not a list of tools"),
        ("---\ndisallowedTools: [1]\n---\nx", "disallowedTools is not a list of tools"),
        ("---\nmcpConfig: 1\n---\nx", "mcpConfig is neither"),
        ("---\ninput: [a, b]\n---\nx", "input is not a mapping"),
        ("---\ninput: {a\n---\nx", "not YAML"),
        ("---\ninput: x\n", "not closed"),
    ],
)
def test_a_prompt_file_that_cannot_be_used_says_why(main: Path, text: str, reason: str) -> None:
    with pytest.raises(InvalidPromptError, match=reason) as raised:
        fill(main, text)
    assert str(main / "prompt.md") in raised.value.message


# Which file


def named(main: Path, name: str) -> str:
    return prompts.from_file(name, TASK, mode=Mode.AUTONOMOUS, data={}, main_worktree=main).text


def test_half_a_character_becomes_a_question_mark(main: Path) -> None:
    """JSON can spell it, and no file can hold it. A system prompt goes on a command line, which is text."""
    head = "---\nsystemPrompt: About {b}\nappendSystemPrompt: And {a}\ninput: {a: object}\n---\n"
    prompt = fill(main, head + "Do {a}", {"a": '{"b": "\\ud800"}', "b": "caf\udce9"})
    assert prompt.system_prompt == "About caf?"
    for text in (prompt.text, prompt.append_system_prompt or ""):
        assert '"b": "?"' in text


def test_bytes_that_were_typed_stay_in_a_prompt(main: Path) -> None:
    assert fill(main, "Do it", extra="caf\udce9").text.endswith("caf\udce9")


def test_a_prompt_file_is_looked_up_by_name(main: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = main / ".tasks" / ".modes"
    for name in ("implement/autonomous", "orchestration/autonomous", "planning/area/core", "base", "implement/base"):
        path = modes / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name} for {{taskId}}")
    for name in ("core", "core.md", "area/core", "planning/area/core"):
        assert named(main, name) == "planning/area/core for 01_login-05B"
    assert named(main, "base") == "base for 01_login-05B"
    with pytest.raises(AmbiguousPromptError, match="implement/autonomous, orchestration/autonomous"):
        named(main, "autonomous")
    for name, near in {"cor": "core", "implement/autonomus": "implement/autonomous"}.items():
        with pytest.raises(PromptNotFoundError, match=near):
            named(main, name)
    for name in ("", "\0", "x" * 5000, "../../../secret", "plan[n]ing"):
        with pytest.raises(PromptNotFoundError):
            named(main, name)
    monkeypatch.chdir(main)
    (main / "core").write_text("from here")
    assert named(main, "core") == "from here"


def test_without_prompt_files_none_is_found(tmp_path: Path) -> None:
    with pytest.raises(PromptNotFoundError):
        named(tmp_path, "core")


def test_a_name_does_not_lead_out_of_the_tasks(main: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (main / ".tasks" / ".modes" / "planted.md").symlink_to(secret)
    with pytest.raises(InvalidPromptError, match=r"leads out of \.tasks"):
        named(main, "planted")
