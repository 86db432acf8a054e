"""Reads a shell command far enough to tell which programs it would start.

It never raises, and reads on where a shell would give up. A program that is put together while the command runs, by
variables or by a script, is not seen.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import cached_property
from typing import NamedTuple

from scopecraft_git.policy.escapes import ansi
from scopecraft_git.policy.unwrapping import Words, is_shell, scripts, unwrapped

DEEPEST = 8
"""Commands inside of commands that are read."""
_PLAIN = re.compile(r"""[^\s\\'"$`;&|()<>#]+""")
_REDIRECTION = re.compile(r"&>>|&>|<<<|<<-|<<|<>|>>|>\||>&|<&|[<>]")
_OPERATOR = re.compile(r"&&|\|\||;;&|;;|;&|\|&|[;&|]")
_KEYWORDS = frozenset(
    {"if", "then", "else", "elif", "do", "while", "until", "!", "{", "}", "fi", "done", "esac", "time"}
)


class Simple(NamedTuple):
    """One program with its arguments."""

    text: str
    """Without quotes and with single spaces, redirections last."""
    forms: tuple[Words, ...]
    """Its words as they stand, then without `sudo`, `env` and their like, and with the program's plain name."""
    written: tuple[str, ...]
    """Files that its output goes to."""
    read: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.text, *(" ".join(words) for words in self.forms))


class Script(NamedTuple):
    commands: tuple[Simple, ...]
    """Those inside of others too, such as in `$(…)` and `sh -c`."""
    pipelines: tuple[str, ...]
    """Those of several commands, each as `one | other`."""
    understood: bool
    """False when some of it could not be read, or was nested too deeply."""
    nested: bool
    """Whether there are commands inside of others, or in a shell of their own."""


def read(command: str) -> Script:
    reader = _Reader(command, 0)
    reader.script()
    return Script(tuple(reader.commands), tuple(reader.pipelines), reader.understood, reader.nested)


class _Heredoc(NamedTuple):
    delimiter: str
    tabs: bool
    runs: bool
    """Whether it is the input of a shell, as far as it was read by then."""


class _Reader:
    """Goes through the text once, character by character where they mean something."""

    def __init__(self, text: str, depth: int) -> None:
        self.commands: list[Simple] = []
        self.pipelines: list[str] = []
        self.understood = True
        self.nested = False
        self._text, self._depth, self._at = text, depth, 0
        self._piece: list[str] | None = None
        self._words: list[str] = []
        self._written: list[str] = []
        self._read: list[str] = []
        self._redirection = ""
        self._pipeline: list[str] = []
        self._heredocs: list[_Heredoc] = []

    @cached_property
    def _lines(self) -> _Lines:
        return _Lines(self._text)

    def script(self, closing: str = "") -> None:
        """Up to an unquoted `closing`, or to the end."""
        outer = self._words, self._written, self._read, self._pipeline
        self._words, self._written, self._read, self._pipeline = [], [], [], []
        while self._at < len(self._text):
            if self._text[self._at] == closing:
                self._at += 1
                break
            self._step()
        else:
            self.understood = self.understood and not (closing or self._heredocs)
        self._end_pipeline()
        self._words, self._written, self._read, self._pipeline = outer

    def _step(self) -> None:
        if plain := _PLAIN.match(self._text, self._at):
            self._add(plain[0])
            self._at = plain.end()
            return
        match self._text[self._at]:
            case "\n":
                self._at += 1
                self._end_pipeline()
                self._skip_heredocs()
            case " " | "\t" | "\r" | "\v" | "\f":
                self._at += 1
                self._end_word()
            case "#":
                self._comment()
            case "(" | ")":
                self._parenthesis()
            case "<" | ">":
                self._redirect()
            case ";" | "&" | "|":
                self._operator()
            case _:
                if not self._quoting():
                    self._add(self._text[self._at])
                    self._at += 1

    def _quoting(self) -> bool:
        """What means the same inside of double quotes and outside of quotes; and quotes themselves."""
        match self._text[self._at]:
            case "\\":
                if (char := self._text[self._at + 1 : self._at + 2]) != "\n":
                    self._add(char)
                self._at += 2
            case "'":
                self._single()
            case '"':
                self._at += 1
                self._double('"')
            case "`":
                self._backticks()
            case "$":
                self._dollar()
            case _:
                return False
        return True

    def _single(self) -> None:
        end = self._text.find("'", self._at + 1)
        self.understood = self.understood and end > 0
        end = end if end > 0 else len(self._text)
        self._add(self._text[self._at + 1 : end])
        self._at = end + 1

    def _double(self, closing: str) -> None:
        """Text in which only substitutions mean something, up to `closing`."""
        self._add("")
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == closing:
                self._at += 1
                return
            if char == "'" or (char == '"' and closing != '"') or not self._quoting():
                self._add(char)
                self._at += 1
        self.understood = False

    def _dollar(self) -> None:
        begun = self._at
        following = self._text[self._at + 1 : self._at + 3]
        if following == "((":
            self._at += 3
            self._arithmetic()
        elif following[:1] == "(":
            self._at += 2
            self._inner(")")
        elif following[:1] == "{":
            self._at += 2
            self._keeping_words("}")
        elif following[:1] == "'":
            self._at += 1
            self._ansi()
            return
        elif following[:1] == '"':
            self._at += 1
            return
        else:
            self._at += 1
        self._add(self._text[begun : self._at])

    def _ansi(self) -> None:
        """`$'…'`, in which `\\'` does not end it."""
        found = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL).match(self._text, self._at)
        if found is None:
            self._single()
            return
        self._add(ansi(found[1]))
        self._at = found.end()

    def _keeping_words(self, closing: str) -> None:
        """Substitutions inside are read; the text itself is the caller's."""
        kept, self._piece = self._piece, None
        self._double(closing)
        self._piece = kept

    def _arithmetic(self) -> None:
        """Behind `((`, up to where its parentheses are closed; in it `<<` is no document."""
        depth = 2
        while self._at < len(self._text) and depth:
            char = self._text[self._at]
            depth += (char == "(") - (char == ")")
            if char == "$":
                kept, self._piece = self._piece, None
                self._dollar()
                self._piece = kept
            else:
                self._at += 1

    def _inner(self, closing: str) -> None:
        """A command inside of a word."""
        self.nested = True
        if self._depth >= DEEPEST:
            self.understood = False
            return
        kept, self._piece = self._piece, None
        redirection, self._redirection = self._redirection, ""
        self._depth += 1
        self.script(closing)
        self._depth -= 1
        self._piece, self._redirection = kept, redirection

    def _backticks(self) -> None:
        found = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL).match(self._text, self._at)
        if found is None:
            self.understood = False
            self._at += 1
            return
        self._run(re.sub(r"\\([`\\$])", r"\1", found[1]))
        self._add(f"$({found[1]})")
        self._at = found.end()

    def _run(self, script: str) -> None:
        """Read what is a script of its own."""
        self.nested = True
        if self._depth >= DEEPEST:
            self.understood = False
            return
        inner = _Reader(script, self._depth + 1)
        inner.script()
        self._take(inner)

    def _take(self, inner: _Reader) -> None:
        self.commands += inner.commands
        self.pipelines += inner.pipelines
        self.understood = self.understood and inner.understood

    def _comment(self) -> None:
        if self._piece is not None:
            self._add("#")
            self._at += 1
            return
        end = self._text.find("\n", self._at)
        self._at = end if end >= 0 else len(self._text)

    def _parenthesis(self) -> None:
        at_start = self._piece is None and not self._words
        double = self._text.startswith("((", self._at)
        opens = self._text[self._at] == "("
        self._at += 1
        if opens and at_start and double:
            self._at += 1
            self._arithmetic()
        elif opens:
            self._end_word()
            self._inner(")")
            self._end_command()  # where words came before it, it was a function's
        else:  # of a pattern in `case`, or one too many
            self._end_pipeline()

    def _redirect(self) -> None:
        if self._text[self._at + 1 : self._at + 2] == "(":
            begun = self._at
            self._at += 2
            self._inner(")")
            self._add(self._text[begun : self._at])
            return
        found = _REDIRECTION.match(self._text, self._at)
        assert found
        if self._piece is not None and "".join(self._piece).isdigit():
            self._piece = None
        self._end_word()
        self._redirection = found[0]
        self._at = found.end()

    def _operator(self) -> None:
        if self._text.startswith("&>", self._at):
            self._redirect()
            return
        found = _OPERATOR.match(self._text, self._at)
        assert found
        self._at = found.end()
        self._end_command()
        if found[0] not in ("|", "|&"):
            self._end_pipeline()

    def _add(self, text: str) -> None:
        if self._piece is None:
            self._piece = []
        self._piece.append(text)

    def _end_word(self) -> None:
        if self._piece is None:
            return
        word, self._piece = "".join(self._piece), None
        redirection, self._redirection = self._redirection, ""
        if redirection in ("<<", "<<-"):
            runs = any(is_shell(words) for words in unwrapped(tuple(self._words)))
            self._heredocs.append(_Heredoc(word, redirection == "<<-", runs))
        elif redirection == "<<<":
            if any(is_shell(words) for words in unwrapped(tuple(self._words))):
                self._run(word)
        elif redirection in ("<", "<&"):
            self._read.append(word)
        elif redirection:
            self._written += [] if redirection == ">&" and (word.isdigit() or word == "-") else [word]
        else:
            self._words.append(word)

    def _end_command(self) -> None:
        self._end_word()
        self._redirection = ""
        words = tuple(self._words)
        while words and words[0] in _KEYWORDS:
            words = words[1:]
        if words or self._written or self._read:
            text = " ".join([*words, *(f"> {name}" for name in self._written), *(f"< {name}" for name in self._read)])
            forms = tuple(unwrapped(words))
            self.commands.append(Simple(text, forms, tuple(self._written), tuple(self._read)))
            self._pipeline.append(" ".join(forms[-1]) if forms else text)
            for script in scripts(forms):
                self._run(script)
        self._words, self._written, self._read = [], [], []

    def _end_pipeline(self) -> None:
        self._end_command()
        if len(self._pipeline) > 1:
            self.pipelines.append(" | ".join(self._pipeline))
        self._pipeline = []

    def _skip_heredocs(self) -> None:
        """What follows a line is the input of its commands; to a shell it is a script."""
        documents, self._heredocs = self._heredocs, []
        for document in documents:
            found = self._lines.after(self._at, document)
            if found is None:  # nobody knows what is text and what is not
                self.understood = False
                return
            body = self._text[self._at : found[0]]
            self._at = found[1]
            if document.runs:
                self._run(body)
            elif "$(" in body or "`" in body:
                self._substitutions(body)

    def _substitutions(self, body: str) -> None:
        """As if its delimiter were not quoted; text that looks like a command is then taken for one."""
        inner = _Reader(body, self._depth)
        inner._double("")
        inner.understood = True
        self._take(inner)


class _Lines:
    """Where each line of a text begins, by what it says: looked through once, however many documents there are."""

    def __init__(self, text: str) -> None:
        self._begins: dict[str, list[int]] = {}
        self._without_tabs: dict[str, list[int]] = {}
        at = 0
        for line in text.split("\n"):
            plain = line.rstrip("\r")
            self._begins.setdefault(plain, []).append(at)
            self._without_tabs.setdefault(plain.lstrip("\t"), []).append(at)
            at += len(line) + 1
        self._text = text

    def after(self, start: int, document: _Heredoc) -> tuple[int, int] | None:
        """Where the line begins that ends it, and the one after that."""
        begins = (self._without_tabs if document.tabs else self._begins).get(document.delimiter, [])
        number = bisect_left(begins, start)
        if number == len(begins):
            return None
        end = self._text.find("\n", begins[number])
        return begins[number], len(self._text) if end < 0 else end + 1
