"""What a program starts that is only there to start another one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

Words = tuple[str, ...]
MOST_WRAPPERS = 32
SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh", "ash", "fish"})
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")


class Wrapper(NamedTuple):
    valued: frozenset[str]
    """Options whose value is the next word."""
    skips: int = 0
    """Words of its own behind its options."""


def _wrapper(valued: str = "", skips: int = 0) -> Wrapper:
    return Wrapper(frozenset(valued.split()), skips)


WRAPPERS = {
    "sudo": _wrapper("-u --user -g --group -h --host -p --prompt -C -T -U -r -t -D --chdir -R --chroot"),
    "doas": _wrapper("-u -C -a"),
    "env": _wrapper("-u --unset -C --chdir"),
    "timeout": _wrapper("-k --kill-after -s --signal", 1),
    "nice": _wrapper("-n --adjustment"),
    "ionice": _wrapper("-c --class -n --classdata"),
    "chrt": _wrapper("", 1),
    "flock": _wrapper("-w --timeout -E", 1),
    "stdbuf": _wrapper("-i --input -o --output -e --error"),
    "xargs": _wrapper("-a -d -E -I -i -L -n -P -s --arg-file --delimiter --max-args --max-procs --replace"),
    "exec": _wrapper("-a"),
    "busybox": _wrapper(),
    "builtin": _wrapper(),
    "command": _wrapper(),
    "nohup": _wrapper(),
    "setsid": _wrapper(),
    "time": _wrapper("-o -f"),
    "watch": _wrapper("-n --interval"),
}
GIT_VALUED = frozenset({"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path", "--config-env"})
_FIND_RUNS = frozenset({"-exec", "-execdir", "-ok", "-okdir"})


def unwrapped(words: Words) -> list[Words]:
    """The words as they are, then as the program that is started in the end gets them; none when there are none.

    Raises ValueError where one starts another more often than anyone means.
    """
    forms = [words] if words else []
    current = words
    while current:
        if len(forms) > MOST_WRAPPERS:
            raise ValueError("too many programs that start another one")
        plain = _plain(current)
        if plain and plain not in forms:
            forms.append(plain)
        following = _started_by(plain)
        if len(following) >= len(current):
            break
        current = following
    return forms


def is_shell(words: Words) -> bool:
    """Whether its input is a script."""
    return bool(words) and words[0] in SHELLS


def scripts(forms: Iterable[Words]) -> Iterator[str]:
    """Texts among the arguments that a shell reads as commands."""
    for words in forms:
        if not words:
            continue
        if words[0] in SHELLS:
            yield from _after_c(words)
        elif words[0] == "eval":
            yield " ".join(words[1:])
        elif words[0] == "env":
            yield from (words[n + 1] for n, word in enumerate(words[:-1]) if word in ("-S", "--split-string"))
        elif words[0] in ("watch", "su", "ssh", "parallel"):
            yield from (word for word in words[1:] if " " in word)


def _after_c(words: Words) -> Iterator[str]:
    wanted = False
    for word in words[1:]:
        if word[:1] in "-+" and not word.startswith("--"):
            wanted = wanted or "c" in word
        elif not word.startswith("--"):
            if wanted:
                yield word
            return


def _plain(words: Words) -> Words:
    """Without assignments and the program's folder; git without what comes before its command."""
    rest = words[next((n for n, word in enumerate(words) if not _ASSIGNMENT.match(word)), len(words)) :]
    if not rest:
        return ()
    name = rest[0].rpartition("/")[2] or rest[0]
    arguments = _after_options(rest[1:], GIT_VALUED) if name == "git" else rest[1:]
    if name == "git" and not arguments:  # such as git --version
        arguments = rest[1:]
    return (name, *arguments)


def _started_by(words: Words) -> Words:
    if not words:
        return ()
    if words[0] == "find":
        return _found(words)
    wrapper = WRAPPERS.get(words[0])
    if wrapper is None or (words[0] == "command" and words[1:2] in (("-v",), ("-V",))):
        return ()
    return _after_options(words[1:], wrapper.valued)[wrapper.skips :]


def _after_options(words: Words, valued: frozenset[str]) -> Words:
    while words and words[0].startswith("-") and len(words[0]) > 1:
        if words[0] == "--":
            return words[1:]
        words = words[2:] if words[0] in valued else words[1:]
    return words


def _found(words: Words) -> Words:
    for number, word in enumerate(words):
        if word in _FIND_RUNS:
            rest = words[number + 1 :]
            ends = [n for n, each in enumerate(rest) if each in (";", "+")]
            return rest[: ends[0]] if ends else rest
    return ()
