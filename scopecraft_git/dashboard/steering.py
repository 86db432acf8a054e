"""What the keys do to sessions: each in a thread, so that the screen goes on."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.message import Message

from scopecraft_git.console import safe_text
from scopecraft_git.dashboard import acts
from scopecraft_git.dashboard.approvals import ApprovalPanel, gist
from scopecraft_git.dashboard.bindings import BINDINGS
from scopecraft_git.dashboard.news import Attachable, Broken, Done, Failed, Loaded, Opened
from scopecraft_git.dashboard.rows import Ask
from scopecraft_git.dashboard.table import Table
from scopecraft_git.errors import ScopecraftError

if TYPE_CHECKING:
    from scopecraft_git.protocols import Storage


class Steering(App[None]):
    """The half of the dashboard that acts."""

    def __init__(self, *, colourless: bool) -> None:
        super().__init__(ansi_color=True if colourless else None)  # else it makes greys of colours, black on black
        for capture in (self._capture_stdout, self._capture_stderr):
            capture.encoding = "utf-8"  # type: ignore[attr-defined]  # libtmux asks for it as it is imported
        self.opened: Opened | None = None
        self._loaded = threading.Event()
        self._offered: set[str] = set()

    def on_loaded(self, message: Loaded) -> None:
        self.opened = message.opened
        self._loaded.set()

    @property
    def is_there(self) -> bool:
        """Whether there is a screen yet, and still: threads and timers may be behind."""
        return bool(self.screen_stack and self.screen_stack[0].query(Table))

    @property
    def table(self) -> Table:
        return self.screen_stack[0].query_one(Table)

    @property
    def panel(self) -> ApprovalPanel:
        return self.screen_stack[0].query_one(ApprovalPanel)

    def draw_panel(self) -> None:
        raise NotImplementedError

    def offer(self) -> None:
        """The keys that mean something now. To draw them anew takes longer than a keystroke may."""
        offered = {binding.action for binding in BINDINGS if self.check_action(binding.action.partition("(")[0], ())}
        if offered != self._offered and self.is_there:
            self._offered = offered
            self.refresh_bindings()

    def tell(self, message: Message) -> None:
        """From any thread, also while it is closing."""
        with contextlib.suppress(RuntimeError):
            self.post_message(message)

    def action_approve(self) -> None:
        if ask := self._asked():
            self._answer(ask, lambda storage: acts.approve(storage, ask))

    def action_deny(self) -> None:
        if ask := self._asked():
            self._answer(ask, lambda storage: acts.deny(storage, ask))

    def action_deny_saying(self) -> None:
        if ask := self._asked():
            self._type(
                f"Deny {ask.tool} of {ask.session}",
                "what the agent is told",
                lambda text: self._answer(ask, lambda storage: acts.deny(storage, ask, text)),
                optional=True,
            )

    def action_always(self) -> None:
        if ask := self._asked():
            self._question(
                f"{ask.tool} of {ask.session}\n{gist(ask)}\n\nFrom now on, calls like this one:",
                {"a": "always allow", "d": "always deny"},
                lambda answer: self._always(ask, allow=answer == "always allow"),
            )

    def action_whole(self) -> None:
        from scopecraft_git.dashboard.screens import PageScreen

        if ask := self.panel.queue.shown:
            told = {key: value for key, value in ask.input.items() if not isinstance(value, str)}
            parts = [f"{key}:\n{value}" for key, value in ask.input.items() if isinstance(value, str)]
            parts += [json.dumps(told, indent=2, ensure_ascii=False)] if told else []
            title = f"{ask.tool} of {ask.session}" + (f"\n{ask.reason}" if ask.reason else "")
            self.push_screen(PageScreen(title, safe_text("\n\n".join(parts))))

    def action_turn(self, by: int) -> None:
        self.panel.queue.turn(by)
        self.draw_panel()

    def action_send(self) -> None:
        row = self.table.row
        if row and row.session and row.ended:
            session = row.session
            self._type(
                f"Go on from {session}, which has {row.status}",
                "what to do next; it becomes a session of its own",
                lambda text: self._do(lambda storage: acts.go_on(storage, session, text)),
            )
        elif row and row.session:
            session = row.session
            self._type(
                f"Tell {session}",
                "the agent takes it up when it next can",
                lambda text: self._do(lambda storage: acts.send(storage, session, text)),
            )

    def action_interrupt(self) -> None:
        if session := self._session():
            self._type(
                f"Interrupt {session}",
                "what it is to do instead; nothing to have it end",
                lambda text: self._do(lambda storage: acts.interrupt(storage, session, text)),
                optional=True,
            )

    def action_pause(self) -> None:
        """What its row says decides, not what it may be by now: a key does what it seems to do."""
        if session := self._session():
            act = acts.resume if self.table.row and self.table.row.status == "paused" else acts.pause
            self._do(lambda storage: act(storage, session))

    def action_stop(self) -> None:
        if session := self._session():
            self._question(
                f"Stop {session}? Its agent is interrupted, then ended. What it did stays.",
                {"y": "stop it"},
                lambda _: self._do(lambda storage: acts.stop(storage, session)),
            )

    def action_diff(self) -> None:
        from scopecraft_git.dashboard.diff import DiffScreen

        if row := self.table.row:
            self.push_screen(DiffScreen(row.session or row.task, lambda: acts.diff(self._storage(), row)))

    def action_attach(self) -> None:
        if session := self._session():
            self._do(lambda storage: Attachable(acts.attach_command(storage, session)))

    def _session(self) -> str | None:
        row = self.table.row
        return row.session if row and not row.ended else None

    def _asked(self) -> Ask | None:
        """What is shown, once a key can be meant for it."""
        queue = self.panel.queue
        return queue.shown if queue.is_settled else None

    def _always(self, ask: Ask, *, allow: bool) -> None:
        if allow:
            self._answer(ask, lambda storage: acts.approve(storage, ask, always=True))
        else:
            self._answer(ask, lambda storage: acts.deny(storage, ask, always=True))

    def _answer(self, ask: Ask, act: Callable[[Storage], str]) -> None:
        self.panel.queue.answered(ask)
        self.draw_panel()
        self.offer()
        self._do(act, ask)

    def _do(self, act: Callable[[Storage], str | Message], ask: Ask | None = None) -> None:
        """In a thread; what comes of it is told."""

        def done() -> None:
            try:
                said = act(self._storage())
            except ScopecraftError as problem:
                self.tell(Failed(problem, ask))
            except Exception as error:
                self.tell(Broken(error))
            else:
                self.tell(said if isinstance(said, Message) else Done(said))

        threading.Thread(target=done, name="act", daemon=True).start()

    def _storage(self) -> Storage:
        """For threads: waits until it is there."""
        self._loaded.wait()
        assert self.opened
        return self.opened.storage

    def _type(self, title: str, hint: str, act: Callable[[str], Any], *, optional: bool = False) -> None:
        from scopecraft_git.dashboard.screens import LineScreen

        self.push_screen(LineScreen(title, hint, optional=optional), lambda text: None if text is None else act(text))

    def _question(self, question: str, answers: dict[str, str], act: Callable[[str], Any]) -> None:
        from scopecraft_git.dashboard.screens import QuestionScreen

        self.push_screen(QuestionScreen(question, answers), lambda answer: act(answer) if answer else None)
