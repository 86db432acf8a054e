"""What is asked or shown over the rest: a line of text, a question, a page."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static


class LineScreen(ModalScreen[str | None]):
    """A line to type. Enter gives it, Escape gives None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave it")]

    def __init__(self, title: str, hint: str, *, optional: bool = False) -> None:
        super().__init__()
        self._title = title
        self._hint = hint
        self._optional = optional

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(self._title, markup=False, classes="question")
            yield Input()
            yield Static(f"{self._hint}\nenter to do it · esc to leave it", markup=False, classes="hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value.strip() or self._optional:
            self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        self.dismiss(None)


class QuestionScreen(ModalScreen[str | None]):
    """One of a few answers, each by its key. Escape gives None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "leave", "Leave it")]

    def __init__(self, question: str, answers: dict[str, str]) -> None:
        """`answers` are what the keys stand for."""
        super().__init__()
        self._question = question
        self._answers = answers

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(self._question, markup=False, classes="question")
            offered = " · ".join(f"{key} to {answer}" for key, answer in self._answers.items())
            yield Static(f"{offered} · esc to leave it", markup=False, classes="hint")

    def on_mount(self) -> None:
        for key in self._answers:
            self._bindings.bind(key, f"choose('{key}')", self._answers[key])

    def action_choose(self, key: str) -> None:
        self.dismiss(self._answers[key])

    def action_leave(self) -> None:
        self.dismiss(None)


class PageScreen(ModalScreen[None]):
    """A page to read."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter,question_mark", "leave", "Back")]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="page"):
            yield Static(self._title, markup=False, classes="question")
            yield Static(self._text, markup=False)
            yield Static("esc to go back", markup=False, classes="hint")

    def action_leave(self) -> None:
        self.dismiss(None)
