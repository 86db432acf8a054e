"""What waits for a human's word, one at a time: a key answers the call that is shown, not one that was before it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rich.text import Text
from textual.widgets import Static

from scopecraft_git import console
from scopecraft_git.console import safe_text
from scopecraft_git.dashboard import rows
from scopecraft_git.dashboard.rows import Ask
from scopecraft_git.dashboard.wrapping import wrapped

SETTLES = 0.3
"""Seconds in which a key may still be meant for the call that was shown before."""
ANSWER_TAKES = 10.0
"""Seconds after which an answer that nobody took up is asked for again."""
LINES = 5


class Queue:
    """Which of those that wait is shown. Knows nothing of a screen."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.waiting: list[Ask] = []
        self.shown: Ask | None = None
        self._shown_since = now()
        self._now = now
        self._answered: dict[tuple[str, str], float] = {}

    @property
    def is_settled(self) -> bool:
        """Whether a key can be meant for what is shown."""
        return self._now() - self._shown_since >= SETTLES

    @property
    def position(self) -> int:
        return self.waiting.index(self.shown) if self.shown in self.waiting else 0

    def update(self, asked: Sequence[Ask]) -> None:
        """What waits now, oldest first. What is shown stays until it is answered, whatever comes."""
        given_up = self._now() - ANSWER_TAKES
        known = {ask.key for ask in asked}
        self._answered = {key: at for key, at in self._answered.items() if key in known and at > given_up}
        self.waiting = [ask for ask in asked if ask.key not in self._answered]
        same = [ask for ask in self.waiting if self.shown and ask.key == self.shown.key]
        self._show(next(iter(same or self.waiting), None))

    def turn(self, by: int) -> None:
        if self.waiting:
            self._show(self.waiting[(self.position + by) % len(self.waiting)])

    def turn_to(self, session: str) -> None:
        """What that session asks for, if it is not shown already."""
        if self.shown and self.shown.session == session:
            return
        if found := [ask for ask in self.waiting if ask.session == session]:
            self._show(found[0])

    def answered(self, ask: Ask) -> None:
        self._answered[ask.key] = self._now()
        self.update(self.waiting)

    def failed(self, ask: Ask) -> None:
        """Its answer could not be given: it waits again."""
        self._answered.pop(ask.key, None)

    def _show(self, ask: Ask | None) -> None:
        if (ask and ask.key) != (self.shown and self.shown.key):
            self._shown_since = self._now()
        self.shown = ask


class ApprovalPanel(Static):
    """Out of the way while nothing waits."""

    def __init__(self) -> None:
        super().__init__(markup=False)
        self.queue = Queue()
        self._drawn = Text()
        self.display = False

    def draw(self, keys: Sequence[tuple[str, str]]) -> None:
        """`keys` says which of them do what."""
        ask = self.queue.shown
        self.display = ask is not None
        text = self._text(ask, keys) if ask else Text()
        if text != self._drawn:
            self._drawn = text
            self.update(text)

    def _text(self, ask: Ask, keys: Sequence[tuple[str, str]]) -> Text:
        width = max(20, self.content_size.width or self.app.size.width - 4)
        count = len(self.queue.waiting)
        number = f"{self.queue.position + 1} of {count} · " if count > 1 else ""
        head = f"◆ {number}{ask.session} asks for {ask.tool}"
        remaining = rows.left(ask.until)
        text = Text(overflow="ellipsis", no_wrap=True)
        text.append(f"{head}{f' · {remaining}' if remaining else ''}\n", "bold")
        lines = wrapped(gist(ask), width - 2)
        text.append("".join(f"  {line}\n" for line in lines[:LINES]))
        if len(lines) > LINES:
            text.append(f"  … {len(lines) - LINES} more lines\n", "dim")
        if ask.reason:
            text.append(f"  {ask.reason}\n", "italic")
        for key, word in keys:
            text.append(f"  {key}", "bold").append(f" {word}")
        return text


def gist(ask: Ask) -> str:
    """What the call is about, and what else there is to see of its input."""
    said = console.gist(ask.input)
    others = [name for name, value in ask.input.items() if value != said and value not in (None, "")]
    rest = f"\nand {', '.join(others)}" if others and said in ask.input.values() else ""
    return safe_text(f"{said}{rest}").strip()
