"""What threads tell the screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple

from textual.binding import Keymap
from textual.message import Message

from scopecraft_git.dashboard.reading import Page
from scopecraft_git.dashboard.rows import Ask, Row
from scopecraft_git.errors import ScopecraftError

if TYPE_CHECKING:
    from scopecraft_git.config import Settings
    from scopecraft_git.protocols import Storage


class Opened(NamedTuple):
    """What takes a moment to load, and is not needed to see something."""

    storage: Storage
    settings: Settings
    keymap: Keymap
    attended: Callable[[], AbstractContextManager[None]]
    """While it is open, somebody supervises the sessions that live."""


class Known(Message):
    """Rows are otherwise than before."""

    def __init__(self, found: dict[str, Row]) -> None:
        super().__init__()
        self.found = found


class Read(Message):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page


class Loaded(Message):
    def __init__(self, opened: Opened) -> None:
        super().__init__()
        self.opened = opened


class Done(Message):
    def __init__(self, said: str) -> None:
        super().__init__()
        self.said = said


class Failed(Message):
    def __init__(self, problem: ScopecraftError, ask: Ask | None = None) -> None:
        super().__init__()
        self.problem = problem
        self.ask = ask


class Attachable(Message):
    def __init__(self, command: Sequence[str]) -> None:
        super().__init__()
        self.command = command


class Rung(Message):
    """Something happened that a human wants to be told of."""


class Broken(Message):
    """A bug, in a thread, or a setting that cannot be: nothing goes on without."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
