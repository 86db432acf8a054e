"""Writes what follows from the code: the man page, and the parts of README.md between its markers.

`--check` writes nothing and fails when something has drifted.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_origin

import typer

from scopecraft_git import errors
from scopecraft_git.cli.commands import app
from scopecraft_git.config import AgentSettings, Section, Settings

ROOT = Path(__file__).resolve().parent.parent
MAN_PAGE = ROOT / "docs" / "git-scopecraft.1"
README = ROOT / "README.md"
PROGRAM = "git scopecraft"
WIDTH = 80

DESCRIPTION = """\
Developers let AI coding agents work on tasks. \\fBgit scopecraft run\\fR gives a task a worktree and a branch of its
own, never the main branch, and starts an agent there: unattended in a container, or beside a human in a tmux window.
What the agent says and does is kept as a session, which outlives the command and the terminal, and its commits are on
the branch when it is done.
.PP
A \\fItask\\fR is a Markdown file below \\fI.tasks\\fR, or just a name with \\fB\\-p\\fR. A \\fIsession\\fR is
what an agent does at one go; commands take its id, the beginning of its id, or a task, whose newest session is meant.
An \\fIexecutor\\fR is where the agent runs: docker, tmux or local. An \\fIagent\\fR is who does the work: claude, or
any command after \\fB\\-\\-\\fR."""

CONFIGURATION = """\
From the weakest to the strongest, settings come from the defaults, the preferences file,
\\fBgit config scopecraft.*\\fR, the environment, and the options of a command.
In git's configuration \\fBmax_running\\fR is spelt
\\fBscopecraft.max\\-running\\fR; in the environment \\fBdocker.image\\fR is \\fBSCOPECRAFT_DOCKER__IMAGE\\fR. Lists and
objects are written as JSON. \\fBgit scopecraft config show\\fR tells where a value came from."""

EXIT_STATUS = {
    0: "Done. For wait and run \\-\\-follow: the session completed.",
    errors.FAILED: "Failed. For wait and run \\-\\-follow: a session failed, was cancelled or lost.",
    errors.USAGE: "The command line is not understood.",
    errors.NOT_FOUND: "There is no such task, session, worktree or repository.",
    errors.REFUSED: "Refused: the main branch, a full queue, lost work, an ambiguous name, a wrong setting.",
    errors.MISSING: "Something needed is missing: an engine, an image, tmux, an agent.",
    errors.BUG: "A bug. The message says where its traceback is.",
    errors.INTERRUPTED: "Interrupted.",
}

ENVIRONMENT = {
    "SCOPECRAFT_HOME": "Where sessions are kept; ~/.scopecraft by default.",
    "SCOPECRAFT_*": "Settings, see CONFIGURATION.",
    "SCOPECRAFT_DISABLE_PLUGINS": "Plugins to leave out, by name, or all.",
    "SCOPECRAFT_SESSION, TASK_ID, WORK_MODE": "What an agent is told of its session.",
    "DOCKER_HOST, DOCKER_CONTEXT": "Which engine is meant, as for docker itself.",
    "NO_COLOR": "When set, nothing is coloured.",
}

FILES = {
    "$SCOPECRAFT_HOME/config/orchestration.json": "The user's preferences.",
    "$SCOPECRAFT_HOME/config/policy.toml": "Which tool calls of agents are allowed.",
    "$SCOPECRAFT_HOME/sessions/<id>/": "A session: its record, what was asked, all that the agent wrote, its events.",
    "$SCOPECRAFT_HOME/supervisor/supervisor.log": "What the background process has to complain about.",
    ".tasks/current/<id>.task.md": "A task of the repository's.",
    ".worktreeinclude": "Ignored files that a new worktree gets copies of, one pattern a line.",
}

EXAMPLES = {
    "Write a task, have it done, look at the result": (
        "git scopecraft task new implement\\-auth\\-05A \\-p 'Let users log in'",
        "git scopecraft run implement\\-auth\\-05A \\-\\-follow",
        "git log main..feature/auth\\-05A",
    ),
    "Sit beside the agent": (
        "git scopecraft dispatch implement\\-auth\\-05A",
        "git scopecraft attach implement\\-auth\\-05A",
    ),
    "Go to a task's worktree": ('cd "$(git scopecraft worktree path implement\\-auth\\-05A)"',),
}


def man_page() -> str:
    lines = [
        '.\\" Written by docs/generate.py.',
        f'.TH GIT\\-SCOPECRAFT 1 "" "git\\-scopecraft {version("scopecraft-git")}" "Git Manual"',
        ".SH NAME",
        "git\\-scopecraft \\- give every task for an AI coding agent a worktree of its own",
        ".SH SYNOPSIS",
        ".nf",
        *(f"\\fI{PROGRAM}\\fR {synopsis}" for synopsis in map(_synopsis, _leaves())),
        ".fi",
        ".SH DESCRIPTION",
        DESCRIPTION,
        ".SH COMMANDS",
        *(line for context in _leaves() for line in _man_of_command(context)),
        ".SH CONFIGURATION",
        CONFIGURATION,
        *(line for key, default, meaning in settings() for line in _man_of_setting(key, default, meaning)),
        ".SH EXIT STATUS",
        *_definitions({str(code): meaning for code, meaning in EXIT_STATUS.items()}),
        ".SH ENVIRONMENT",
        *_definitions({_roff(name): _roff(meaning) for name, meaning in ENVIRONMENT.items()}),
        ".SH FILES",
        *_definitions({_roff(name): _roff(meaning) for name, meaning in FILES.items()}),
        ".SH EXAMPLES",
        *(line for title, commands in EXAMPLES.items() for line in _example(title, commands)),
        ".SH SEE ALSO",
        "\\fBgit\\-worktree\\fR(1), \\fBtmux\\fR(1), \\fBdocker\\fR(1)",
    ]
    return "\n".join(lines) + "\n"


def readme(text: str) -> str:
    """README.md with what stands between its markers as it should be."""
    parts = {"help": f"```\n{help_page()}\n```", "configuration": _table()}
    for name, content in parts.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        block = f"{begin}\n{content}\n{end}"
        if begin in text:
            text = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: block, text, flags=re.DOTALL)  # noqa: B023
        else:
            text = f"{text.rstrip()}\n\n## {name.capitalize()}\n\n{block}\n"
    return text


def help_page(*names: str) -> str:
    """What `git scopecraft [NAMES] -h` prints."""
    context = _root()
    for name in names:
        context = _inside(context, name)
    return str(context.get_help()).rstrip()


def commands() -> Iterator[tuple[str, ...]]:
    """The name of every command, groups before what is in them."""
    for context in _walk(_root()):
        yield tuple(context.command_path.removeprefix(PROGRAM).split())


def settings(section: type[Section] = Settings, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Key, default and meaning of every setting."""
    meanings = _meanings(section)
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from settings(kind, f"{prefix}{name}.")
        elif get_origin(kind) is dict and get_args(kind)[1] is AgentSettings:
            yield from settings(AgentSettings, f"{prefix}{name}.<name>.")
        else:
            default = field.get_default(call_default_factory=True)
            yield f"{prefix}{name}", _as_text(default), meanings[name]


def _meanings(section: type[Section]) -> dict[str, str]:
    """The string below each field, which says what it is for. A missing one is a KeyError of whoever asks."""
    tree = ast.parse(inspect.getsource(section)).body[0]
    found: dict[str, str] = {}
    for field, text in pairwise(ast.iter_child_nodes(tree)):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(meaning))):
                found[name] = inspect.cleandoc(meaning)
    return found


def _as_text(default: object) -> str:
    if default is None:
        return ""
    return str(default) if not isinstance(default, tuple | dict) else "[]" if isinstance(default, tuple) else "{}"


def _table() -> str:
    rows = ["| Setting | Default | What it says |", "| --- | --- | --- |"]
    for key, default, meaning in settings():
        rows.append(f"| `{key}` | {f'`{default}`' if default else ''} | {meaning} |")
    return "\n".join(rows)


# Commands


def _root() -> Any:
    return typer.Context(typer.main.get_command(app), info_name=PROGRAM, **_context())


def _context() -> dict[str, Any]:
    return {"max_content_width": WIDTH, "terminal_width": WIDTH, "help_option_names": ["-h", "--help"]}


def _inside(context: Any, name: str) -> Any:
    return typer.Context(context.command.get_command(context, name), info_name=name, parent=context, **_context())


def _walk(context: Any) -> Iterator[Any]:
    if context.command.hidden:
        return
    yield context
    for name in getattr(context.command, "commands", {}):
        yield from _walk(_inside(context, name))


def _leaves() -> Iterator[Any]:
    return (context for context in _walk(_root()) if not getattr(context.command, "commands", {}))


def _synopsis(context: Any) -> str:
    """The command's name and its parameters, options first, in roff."""
    parts = [f"\\fB{_roff(context.command_path.removeprefix(PROGRAM).strip())}\\fR"]
    options, arguments = _parameters(context)
    if options:
        parts.append("[options]")
    return " ".join([*parts, *(_argument(parameter) for parameter in arguments)])


def _parameters(context: Any) -> tuple[list[Any], list[Any]]:
    shown = [parameter for parameter in context.command.params if parameter.name != "help"]
    options = [parameter for parameter in shown if parameter.param_type_name == "option"]
    return options, [parameter for parameter in shown if parameter.param_type_name == "argument"]


def _argument(parameter: Any) -> str:
    name = _roff(parameter.metavar or parameter.name.upper()) + ("" if parameter.nargs == 1 else "…")
    return name if parameter.required else f"[{name}]"


def _man_of_command(context: Any) -> Iterator[str]:
    yield f".SS {_synopsis(context)}"
    options, arguments = _parameters(context)
    for number, paragraph in enumerate((context.command.help or "").split("\n\n")):
        if number:
            yield ".PP"
        yield _roff(" ".join(paragraph.split()))
    for parameter in arguments:
        yield from _definitions({f"\\fI{_argument(parameter)}\\fR": _roff(parameter.help or "")})
    for parameter in options:
        name, meaning = parameter.get_help_record(context)
        yield from _definitions({f"\\fB{_roff(name)}\\fR": _roff(" ".join(meaning.split()))})


def _man_of_setting(key: str, default: str, meaning: str) -> Iterator[str]:
    tail = f" Default: {default}" if default else ""
    yield from _definitions({f"\\fB{_roff(key)}\\fR": _roff(f"{meaning}{tail}".replace("`", ""))})


def _example(title: str, commands: tuple[str, ...]) -> Iterator[str]:
    yield from (".PP", f"{title}:", ".PP", ".RS 4", ".nf", *commands, ".fi", ".RE")


def _definitions(terms: dict[str, str]) -> Iterator[str]:
    for term, meaning in terms.items():
        yield from (".TP", term, meaning)


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when something has drifted")
    check = parser.parse_args().check
    wanted = {MAN_PAGE: man_page(), README: readme(README.read_text(encoding="utf-8"))}
    drifted = [path for path, text in wanted.items() if path.read_text(encoding="utf-8") != text]
    for path in drifted:
        print(f"{'Drifted' if check else 'Written'}: {path.relative_to(ROOT)}")
        if not check:
            path.write_text(wanted[path], encoding="utf-8")
    if check and drifted:
        print("Write them anew: make docs", file=sys.stderr)
    return 1 if check and drifted else 0


if __name__ == "__main__":
    sys.exit(main())
