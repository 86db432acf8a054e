"""The dashboard as Textual runs it. Whatever reads disks or talks to others does so in threads of its own."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from rich.text import Text
from textual.app import App, ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Footer, Static

from scopecraft_git import paths
from scopecraft_git.console import safe_text
from scopecraft_git.dashboard import acts, rows, theme
from scopecraft_git.dashboard.approvals import ApprovalPanel, gist
from scopecraft_git.dashboard.reading import Page, Reader
from scopecraft_git.dashboard.rows import Ask, Row
from scopecraft_git.dashboard.source import Records, Worktrees, joined
from scopecraft_git.dashboard.table import Table
from scopecraft_git.dashboard.transcript import Transcript
from scopecraft_git.errors import ScopecraftError

if TYPE_CHECKING:
    from textual.widgets import Input

    from scopecraft_git.config import Settings
    from scopecraft_git.protocols import Storage

REST = 0.06
"""Seconds for which the cursor rests on a row before its events are read."""
ON_AN_ASK = ("approve", "deny", "deny_saying", "always", "whole", "turn")
ON_THE_LIVING = ("interrupt", "pause", "stop", "attach")


class Opened(NamedTuple):
    """What takes a moment to load, and is not needed to see something."""

    storage: Storage
    settings: Settings
    attended: Callable[[], AbstractContextManager[None]]
    """While it is open, somebody supervises the sessions that live."""


class Dashboard(App[None]):
    TITLE = "git scopecraft"
    CSS_PATH = "dashboard.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "approve", "Approve", id="approve"),
        Binding("d", "deny", "Deny", id="deny"),
        Binding("D", "deny_saying", "Deny, and say why", show=False, id="deny_saying"),
        Binding("A", "always", "Always", tooltip="Always allow or deny calls like it", id="always"),
        Binding("e", "whole", "Whole call", show=False, id="whole"),
        Binding("right_square_bracket", "turn(1)", "Next that waits", show=False, id="next"),
        Binding("left_square_bracket", "turn(-1)", "Previous that waits", show=False, id="previous"),
        Binding("s", "send", "Send", tooltip="Tell the agent something", id="send"),
        Binding("i", "interrupt", "Interrupt", tooltip="End the agent's turn", id="interrupt"),
        Binding("p", "pause", "Pause", tooltip="Pause, or have it go on", id="pause"),
        Binding("x", "stop", "Stop", id="stop"),
        Binding("t", "attach", "Attach", tooltip="Go to the agent's terminal", id="attach"),
        Binding("slash", "filter", "Filter", tooltip="By task, status, agent, branch", id="filter"),
        Binding("o", "order", "Order", show=False, tooltip="What the table is sorted by", id="order"),
        Binding("enter", "read", "Read", show=False, tooltip="Scroll in what the agent said", id="read"),
        Binding("escape", "back", "Back", show=False, id="back"),
        Binding("z", "zoom", "Zoom", show=False, tooltip="The events on the whole screen", id="zoom"),
        Binding("y", "copy", "Copy", show=False, tooltip="Copy the command that follows the session", id="copy"),
        Binding("T", "theme", "Theme", show=False, tooltip="Dark, light, the terminal's own", id="theme"),
        Binding("question_mark", "help", "Help", id="help"),
        Binding("q", "quit", "Quit", id="quit"),
    ]

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
        """`opened` is there."""

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

    class Broken(Message):
        """A bug, in a thread."""

        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

    def __init__(
        self,
        records: Records,
        opening: Callable[[], Opened],
        *,
        repository: str | None,
        environment: Mapping[str, str],
    ) -> None:
        """Of the `repository` with this common directory, or of all. `opening` is called in a thread."""
        super().__init__()
        self.theme = theme.chosen(environment)
        self.animation_level = "none"
        self.opened: Opened | None = None
        self.broken: Exception | None = None
        self._records = records
        self._opening = opening
        self._repository = repository
        self._found: dict[str, Row] = dict(records.rows)
        self._order = "status"
        self._filter = ""
        self._loaded = threading.Event()
        self._leaving = threading.Event()
        self._reader: Reader | None = None
        self._rest: Timer | None = None

    # What is on the screen

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield Table(everywhere=self._repository is None)
        yield ApprovalPanel()
        yield Transcript()
        yield Footer(show_command_palette=False, compact=True)

    @property
    def table(self) -> Table:
        return self.screen_stack[0].query_one(Table)

    @property
    def panel(self) -> ApprovalPanel:
        return self.screen_stack[0].query_one(ApprovalPanel)

    @property
    def transcript(self) -> Transcript:
        return self.screen_stack[0].query_one(Transcript)

    def on_mount(self) -> None:
        self._draw()
        self.table.focus()
        self.set_interval(1.0, self._tick)

    def on_ready(self) -> None:
        threading.Thread(target=self._guarded, args=[self._watch], name="watch", daemon=True).start()

    def on_unmount(self) -> None:
        self._leaving.set()
        if self._reader:
            self._reader.stop()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw_panel)

    def _draw(self) -> None:
        found = self._found.values()
        self.table.show(rows.arranged(found, self._order, self._filter))
        self.panel.queue.update(rows.asked(found))
        self._draw_panel()
        self._draw_title()
        self.refresh_bindings()

    def _draw_panel(self) -> None:
        self.panel.draw(self._panel_keys())

    def _draw_title(self) -> None:
        counted: dict[str, int] = {}
        for row in self._found.values():
            counted[row.status] = counted.get(row.status, 0) + 1
        shown = [f"{rows.SYMBOLS[status]} {counted[status]} {status}" for status in rows.SYMBOLS if status in counted]
        cost = sum(row.cost or 0 for row in self._found.values())
        where = Path(self._repository.removesuffix("/.git")).name if self._repository else "every repository"
        parts = [safe_text(where), *([f"/{self._filter}"] if self._filter else []), *shown]
        parts += [f"${cost:.2f}"] if cost else []
        parts += [f"by {self._order}"] if self._order != "status" else []
        text = Text("   ".join(parts), overflow="ellipsis", no_wrap=True)
        self.screen_stack[0].query_one("#title", Static).update(text)

    def _tick(self) -> None:
        self.table.tick()
        self._draw_panel()

    def _panel_keys(self) -> str:
        words = {"approve": "approve", "deny": "deny", "always": "always", "whole": "all of it"}
        if len(self.panel.queue.waiting) > 1:
            words["next"] = "next"
        keys = self.keys()
        return "  ".join(f"{keys[name]} {word}" for name, word in words.items() if name in keys)

    def keys(self) -> dict[str, str]:
        """What does what, by the names of the bindings; the table's own are among them."""
        shown: dict[str, list[str]] = {}
        for bindings in (self.table._bindings.copy(), self._bindings.copy()):
            bindings.apply_keymap(self._keymap)
            for _, binding in bindings:
                if binding.id:
                    shown.setdefault(binding.id, []).append(self.get_key_display(binding))
        return {name: " ".join(dict.fromkeys(keys)) for name, keys in shown.items()}

    # What comes from threads

    def _watch(self) -> None:
        try:
            opened = self._opening()
        except ScopecraftError as problem:
            self._tell(self.Failed(problem))
            return
        self.opened = opened
        self._loaded.set()
        self._tell(self.Loaded())
        worktrees = Worktrees(self._repository)
        with contextlib.ExitStack() as attendance:
            attended = False
            while not self._leaving.is_set():
                attended = self._attend(attendance, opened, attended=attended)
                with contextlib.suppress(OSError):  # a disk that does not answer for a moment
                    self._look(worktrees)
                self._leaving.wait(self._records.pause)

    def _look(self, worktrees: Worktrees) -> None:
        changed = [self._records.look(), worktrees.look(self._records.rows)]
        if any(changed):
            self._tell(self.Known(joined(self._records.rows, worktrees.rows)))
        while self._records.problems:
            self._tell(self.Failed(self._records.problems.pop()))

    def _attend(self, attendance: contextlib.ExitStack, opened: Opened, *, attended: bool) -> bool:
        lives = any(row.session and not row.ended for row in self._records.rows.values())
        if lives and not attended:
            attendance.enter_context(opened.attended())
        elif attended and not lives:
            attendance.close()
        return lives

    def _tell(self, message: Message) -> None:
        """From any thread, also while it is closing."""
        with contextlib.suppress(RuntimeError):
            self.post_message(message)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:
            self._tell(self.Broken(error))

    def on_dashboard_known(self, message: Known) -> None:
        self._found = message.found
        self._draw()

    def on_dashboard_loaded(self) -> None:
        if self.opened:
            self.set_keymap(self.opened.settings.dashboard.keys)
        self._draw()
        self._read()

    def on_dashboard_done(self, message: Done) -> None:
        self.notify(safe_text(message.said), timeout=3, markup=False)

    def on_dashboard_failed(self, message: Failed) -> None:
        if message.ask:
            self.panel.queue.failed(message.ask)
            self._draw()
        text = f"✗ {message.problem.message}\n↳ {message.problem.hint}"
        self.notify(safe_text(text), severity="error", timeout=12, markup=False)

    def on_dashboard_read(self, message: Read) -> None:
        self.transcript.show(message.page)

    def on_dashboard_broken(self, message: Broken) -> None:
        self.broken = message.error
        self.exit()

    def on_dashboard_attachable(self, message: Attachable) -> None:
        try:
            with self.suspend():
                code = subprocess.run(list(message.command), check=False).returncode
        except SuspendNotSupported:
            self.notify("This terminal cannot be handed over", severity="error", markup=False)
            return
        except OSError as error:
            self.notify(f"✗ {message.command[0]}: {error.strerror}", severity="error", markup=False)
            return
        self.refresh()
        if code:
            self.notify(f"▲ {message.command[0]} left with {code}", severity="warning", markup=False)

    # What is selected

    def on_table_selected(self, message: Table.Selected) -> None:
        row = message.row
        if row and row.session and message.by_hand:
            self.panel.queue.turn_to(row.session)
            self._draw_panel()
        self.refresh_bindings()
        if self._rest:
            self._rest.stop()
        self._rest = self.set_timer(REST, self._read)

    def on_transcript_older_wanted(self, message: Transcript.OlderWanted) -> None:
        if self._reader:
            self._reader.tell_older(message.before)

    def _read(self) -> None:
        """The events of the selected row's session."""
        row = self.table.row
        session = row.session if row else None
        if self._reader and self._reader.session == session:
            return
        if self._reader:
            self._reader.stop()
            self._reader = None
        hint = "" if session else "No session here. To start one, run git scopecraft run TASK"
        self.transcript.clear(session, hint)
        if session and self.opened:
            told = lambda page: self._tell(self.Read(page))  # noqa: E731
            self._reader = Reader(self.opened.storage, session, paths.session(session), told)
            self._reader.start()

    # What the keys do

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Keys that mean nothing now are not offered."""
        if action in ON_AN_ASK:
            return self.panel.queue.shown is not None if self.is_mounted(self.table) else False
        row = self.table.row if len(self.screen_stack[0].children) else None
        if action in ON_THE_LIVING:
            return bool(row and row.session and not row.ended)
        if action in ("send", "copy"):
            return bool(row and row.session)
        return True

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
        import json

        from scopecraft_git.dashboard.screens import PageScreen

        if ask := self.panel.queue.shown:
            told = {key: value for key, value in ask.input.items() if not isinstance(value, str)}
            parts = [f"{key}:\n{value}" for key, value in ask.input.items() if isinstance(value, str)]
            parts += [json.dumps(told, indent=2, ensure_ascii=False)] if told else []
            title = f"{ask.tool} of {ask.session}" + (f"\n{ask.reason}" if ask.reason else "")
            self.push_screen(PageScreen(title, safe_text("\n\n".join(parts))))

    def action_turn(self, by: int) -> None:
        self.panel.queue.turn(by)
        self._draw_panel()

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
        if session := self._session():
            self._do(lambda storage: acts.pause_or_resume(storage, session))

    def action_stop(self) -> None:
        if session := self._session():
            self._question(
                f"Stop {session}? Its agent is interrupted, then ended. What it did stays.",
                {"y": "stop it"},
                lambda _: self._do(lambda storage: acts.stop(storage, session)),
            )

    def action_attach(self) -> None:
        if session := self._session():
            self._do(lambda storage: self.Attachable(acts.attach_command(storage, session)))

    async def action_filter(self) -> None:
        from textual.widgets import Input

        if not self.screen.query("#filter"):
            await self.screen.mount(
                Input(self._filter, placeholder="task, status, agent, branch", id="filter"), before=self.panel
            )
        self.screen.query_one("#filter", Input).focus()

    def action_order(self) -> None:
        orders = list(rows.ORDERS)
        self._order = orders[(orders.index(self._order) + 1) % len(orders)]
        self._draw()

    def action_read(self) -> None:
        self.transcript.focus()

    async def action_back(self) -> None:
        """From the events to the table; from a filter to no filter."""
        if self.screen.query("#filter"):
            await self.screen.query("#filter").remove()
            self._filter = ""
            self._draw()
        self.screen.remove_class("zoomed")
        self.table.focus()

    def action_zoom(self) -> None:
        self.screen.toggle_class("zoomed")
        (self.transcript if self.screen.has_class("zoomed") else self.table).focus()

    def action_copy(self) -> None:
        if (row := self.table.row) and row.session:
            command = f"git scopecraft logs -f {row.session}"
            self.copy_to_clipboard(command)
            self.notify(f"Copied: {command}", timeout=3, markup=False)

    def action_theme(self) -> None:
        self.theme = theme.following(self.theme)

    def action_help(self) -> None:
        from scopecraft_git.dashboard import help_page
        from scopecraft_git.dashboard.screens import PageScreen

        self.push_screen(PageScreen("Keys", help_page.text(self)))

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "filter":
            self._filter = safe_text(event.value)
            self._draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "filter":
            self.table.focus()

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
        self._draw_panel()
        self.refresh_bindings()
        self._do(act, ask)

    def _do(self, act: Callable[[Storage], str | Message], ask: Ask | None = None) -> None:
        """In a thread; what comes of it is told."""

        def done() -> None:
            self._loaded.wait()
            assert self.opened
            try:
                said = act(self.opened.storage)
            except ScopecraftError as problem:
                self._tell(self.Failed(problem, ask))
            else:
                self._tell(said if isinstance(said, Message) else self.Done(said))

        threading.Thread(target=self._guarded, args=[done], name="act", daemon=True).start()

    def _type(self, title: str, hint: str, act: Callable[[str], Any], *, optional: bool = False) -> None:
        from scopecraft_git.dashboard.screens import LineScreen

        self.push_screen(LineScreen(title, hint, optional=optional), lambda text: None if text is None else act(text))

    def _question(self, question: str, answers: dict[str, str], act: Callable[[str], Any]) -> None:
        from scopecraft_git.dashboard.screens import QuestionScreen

        self.push_screen(QuestionScreen(question, answers), lambda answer: act(answer) if answer else None)

    def _print_error_renderables(self) -> None:
        """A bug is told of by the command line, which has a log for it."""
