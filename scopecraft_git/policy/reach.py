"""Which paths a tool call names, and which of them it would write to, as far as that can be told."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from scopecraft_git.policy.commands import Simple
from scopecraft_git.policy.places import Scene, Spot, expand, spots
from scopecraft_git.policy.unwrapping import SHELLS, Words

FIELDS = frozenset({
    "file_path", "path", "notebook_path", "absolute_path", "cwd", "workdir", "dir", "dir_path", "directory",
    "folder", "file", "filename", "paths", "files", "file_paths", "target_file", "source", "destination", "src",
    "dst", "old_path", "new_path", "root",
})  # fmt: skip
"""Names of what holds a path in a tool's input."""
DEEPEST = 6
_READS = re.compile(r"read|view|list|get|search|find|grep|glob|fetch|stat|^(ls|cat)$", re.IGNORECASE)
_WRITES = re.compile(r"write|edit|replace|create|delete|remove|move|rename|patch|update|set|save", re.IGNORECASE)
_OPTION_WITH_VALUE = re.compile(r"--[\w-]+=(.*)|-[A-Za-z](/.*|~.*|\$.*)|[a-z]+=(.*)", re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")

ALL_WRITTEN = frozenset({
    "rm", "rmdir", "unlink", "shred", "mv", "truncate", "chmod", "chown", "chgrp", "touch", "mkdir", "tee",
    "mkfifo", "mknod",
})  # fmt: skip
LAST_WRITTEN = frozenset({"cp", "install", "ln", "rsync", "scp"})
OUTPUTS = {
    "curl": {"-o", "--output", "--output-dir"},
    "wget": {"-O", "-P", "--output-document", "--directory-prefix"},
    "tar": {"-C", "--directory"},
    "unzip": {"-d"},
    "cp": {"-t", "--target-directory"},
    "install": {"-t", "--target-directory"},
    "sort": {"-o", "--output"},
}
PATTERN_FIRST = frozenset({"grep", "egrep", "fgrep", "rg", "ag", "ack", "sed", "awk", "gawk", "mawk", "jq"})
"""Programs whose first argument is no path, unless an option gives what it is."""
GIVES_PATTERN = {"-e", "--regexp", "--expression", "-f", "--file"}
NO_PATHS = frozenset({
    "echo", "printf", "export", "declare", "local", "readonly", "typeset", "alias", "set", "unset", "read", "for",
    "case", "test", "[", "[[",
})  # fmt: skip
INTERPRETERS = frozenset({"python", "python3", "node", "perl", "ruby"})
MESSAGES = {"-m", "--message", "--title", "--body", "-b", "-t"}
"""Options of git and gh whose value is text."""


class Reach(NamedTuple):
    spot: Spot
    writes: bool


def of_input(tool: str, given: Mapping[str, Any], scene: Scene) -> Iterator[Reach]:
    """The paths in a tool's fields; those in a command are not among them."""
    writes = bool(_WRITES.search(tool)) or not _READS.search(tool)
    words = list(_fields(given, 0))
    if tool.lower() == "glob" and isinstance(pattern := given.get("pattern"), str):
        words.append(pattern)
    for word in words:
        for spot in spots(word.removeprefix("file://"), scene):
            yield Reach(spot, writes)


def _fields(given: Any, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        return
    if isinstance(given, Mapping):
        for name, value in given.items():
            if name in FIELDS:
                yield from (word for word in (value if isinstance(value, list) else [value]) if isinstance(word, str))
            yield from _fields(value, depth + 1)
    elif isinstance(given, list):
        for value in given:
            yield from _fields(value, depth + 1)


def of_command(command: Simple, scene: Scene, bases: Sequence[str] = ()) -> Iterator[Reach]:
    """`bases` are the folders it may be called in."""
    words = [(word, True) for word in command.written] + [(word, False) for word in command.read]
    for word, writes in [*words, *_arguments(command.forms, scene)]:
        for spot in spots(word, scene, bases):
            yield Reach(spot, writes)


def moves_to(command: Simple, scene: Scene, base: str) -> str | None:
    """Where the commands behind this one are called; None where it changes nothing, or nobody knows to what."""
    words = command.forms[-1] if command.forms else ("",)
    if words[0] not in ("cd", "pushd"):
        return None
    folder = expand(next((word for word in words[1:] if not word.startswith("-")), "~"), scene)
    return None if folder.startswith("$") else os.path.join(base, folder)  # noqa: PTH118 - it keeps ..


def _arguments(forms: tuple[Words, ...], scene: Scene) -> Iterator[tuple[str, bool]]:
    if not forms:
        return
    program, *arguments = forms[-1]
    ahead = len(forms[0]) - len(arguments)
    head = forms[0][:ahead] if forms[0][ahead:] == tuple(arguments) else forms[0]
    programs = {words[0] for words in forms}
    finds = "find" in programs and program in ALL_WRITTEN
    for word in head:  # such as git -C DIR
        if word.rpartition("/")[2] not in programs and not _ASSIGNMENT.match(word) and _is_path(word, scene):
            yield word, finds
    if program in NO_PATHS:
        return
    written, texts = set(_written(program, arguments)), set(_texts(program, arguments))
    for number, word in enumerate(arguments):
        path = _value(word)
        if number not in texts and (number in written or _is_path(path, scene)):
            yield path, number in written


def _value(word: str) -> str:
    found = _OPTION_WITH_VALUE.fullmatch(word)
    return next((value for value in found.groups() if value is not None), word) if found else word


def _is_path(word: str, scene: Scene) -> bool:
    """A word without a slash is one where it names a link in the worktree, which may lead anywhere."""
    if word.startswith("-") or ("://" in word and not word.startswith("file://")):
        return False
    if "/" in word or word in (".", "..") or word.startswith(("~", "$HOME", "${HOME}", "$SCOPECRAFT_HOME")):
        return True
    try:
        return os.path.islink(f"{scene.on_host}/{word}")  # noqa: PTH114 - for every word of a command
    except ValueError:
        return False


def _written(program: str, arguments: list[str]) -> Iterator[int]:
    """Which arguments are files that it changes or makes."""
    plain = [number for number, word in enumerate(arguments) if not word.startswith("-")]
    if program in ALL_WRITTEN or (program in ("sed", "perl") and any(re.match(r"-[a-z]*i", w) for w in arguments)):
        yield from plain
    elif program == "find":
        yield from plain if "-delete" in arguments else ()
    elif program in LAST_WRITTEN or (program == "git" and arguments[:1] in (["clone"], ["init"])):
        yield from plain[-1:] if len(plain) > 1 else ()
    elif program == "dd":
        yield from (number for number in plain if arguments[number].startswith("of="))
    outputs = OUTPUTS.get(program, set())
    yield from (n + 1 for n, word in enumerate(arguments[:-1]) if word in outputs)
    yield from (n for n, word in enumerate(arguments) if word.partition("=")[0] in outputs and "=" in word)


def _texts(program: str, arguments: list[str]) -> Iterator[int]:
    """Which arguments are patterns, scripts or messages."""
    valued = [number + 1 for number, word in enumerate(arguments) if word in GIVES_PATTERN]
    if program in PATTERN_FIRST:
        plain = [number for number, word in enumerate(arguments) if not word.startswith("-")]
        yield from [number for number in valued if arguments[number - 1] in ("-e", "--regexp", "--expression")]
        yield from plain[:1] if not valued else ()
    elif program in ("git", "gh"):
        yield from (number + 1 for number, word in enumerate(arguments) if word in MESSAGES)
    elif program in SHELLS or program in INTERPRETERS:
        yield from (n + 1 for n, word in enumerate(arguments) if re.fullmatch(r"-[a-z]*[ce]", word))
    elif program == "eval":
        yield from range(len(arguments))
