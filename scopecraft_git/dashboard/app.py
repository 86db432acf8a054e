"""The dashboard as Textual runs it. Whatever reads disks or talks to others does so in threads of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import BindingsMap, BindingType
from textual.timer import Timer
from textual.widgets import Footer

from scopecraft_git import paths
from scopecraft_git.console import safe_text
from scopecraft_git.dashboard import bindings, rows, theme
from scopecraft_git.dashboard.approvals import ApprovalPanel
from scopecraft_git.dashboard.bell import Bell
from scopecraft_git.dashboard.news import Attachable, Broken, Done, Failed, Known, Loaded, Opened, Read
from scopecraft_git.dashboard.reading import Page, Reader
from scopecraft_git.dashboard.rows import Row
from scopecraft_git.dashboard.source import Records
from scopecraft_git.dashboard.steering import Steering
from scopecraft_git.dashboard.table import Table
from scopecraft_git.dashboard.title import Title
from scopecraft_git.dashboard.transcript import Transcript
from scopecraft_git.dashboard.watch import Watch

if TYPE_CHECKING:
    from textual.widgets import Input

REST = 0.06
"""Seconds for which the cursor rests on a row before its events are read."""
ON_AN_ASK = ("approve", "deny", "deny_saying", "always", "whole", "turn")
ON_THE_LIVING = ("interrupt", "pause", "stop")
NO_SESSION = """\
No session is here. To start an agent on a task, in another terminal:

  git scopecraft run fix-typo -p 'Mend the spelling in README.md'

It works in a worktree and on a branch of its own, and is seen here as it begins. ? shows what the keys do.
"""


class Dashboard(Steering):
    TITLE = "git scopecraft"
    CSS_PATH = "dashboard.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [*bindings.BINDINGS]

    def __init__(
        self,
        records: Records,
        opening: Callable[[], Opened],
        *,
        repository: str | None,
        environment: Mapping[str, str],
    ) -> None:
        """Of the `repository` with this common directory, or of all. `opening` is called in a thread."""
        super().__init__(colourless=theme.is_colourless(environment))
        self.theme = theme.chosen(environment)
        self.animation_level = "none"
        self.broken: Exception | None = None
        self._watch = Watch(records, opening, repository, self.tell)
        self._repository = repository
        self._found: dict[str, Row] = dict(records.rows)
        self._order = "status"
        self._filter = ""
        self._reader: Reader | None = None
        self._bell: Bell | None = None
        self._rest: Timer | None = None

    # What is on the screen

    def compose(self) -> ComposeResult:
        yield Title()
        yield Table(everywhere=self._repository is None)
        yield ApprovalPanel()
        yield Transcript()
        yield Footer(show_command_palette=False, compact=True)

    @property
    def transcript(self) -> Transcript:
        return self.screen_stack[0].query_one(Transcript)

    def on_mount(self) -> None:
        self._draw()
        self.table.focus()
        self.set_interval(1.0, self._tick)

    def on_ready(self) -> None:
        self._watch.start()

    def on_unmount(self) -> None:
        self._watch.stop()
        if self._bell:
            self._bell.stop()
        if self._reader:
            self._reader.stop()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        if not self.is_there:
            return
        found = self._found.values()
        self.table.show(rows.arranged(found, self._order, self._filter))
        self.panel.queue.update(rows.asked(found))
        self.transcript.entitle(self.table.row)
        self.draw_panel()
        self._draw_title()
        self.offer()

    def draw_panel(self) -> None:
        if not self.is_there:
            return
        self.panel.draw(self._panel_keys())

    def _draw_title(self) -> None:
        where = Path(self._repository.removesuffix("/.git")).name if self._repository else "every repository"
        title = self.screen_stack[0].query_one(Title)
        title.draw(where, self._found.values(), wanted=self._filter, order=self._order)

    def _tick(self) -> None:
        if self.is_there:
            self.table.tick()
            self.draw_panel()

    def _panel_keys(self) -> list[tuple[str, str]]:
        words = {"approve": "approve", "deny": "deny", "deny_saying": "deny, saying why", "always": "always"}
        words["whole"] = "all of it"
        if len(self.panel.queue.waiting) > 1:
            words["next"] = "next"
        keys = self.keys()
        return [(keys[name], word) for name, word in words.items() if name in keys]

    def keys(self) -> dict[str, str]:
        """What does what, by the names of the bindings."""
        shown: dict[str, list[str]] = {}
        for bound in map(BindingsMap, (bindings.BOARD, bindings.DIFF)):
            bound.apply_keymap(self._keymap)
            for _, binding in bound:
                if binding.id:
                    shown.setdefault(binding.id, []).append(self.get_key_display(binding))
        return {name: " ".join(dict.fromkeys(keys)) for name, keys in shown.items()}

    # What comes from threads

    def _listen(self, opened: Opened) -> None:
        if opened.settings.notify.bell:
            self._bell = Bell(opened, self._repository, self.tell)
            self._bell.start()

    def on_rung(self) -> None:
        self.bell()

    def on_known(self, message: Known) -> None:
        self._found = message.found
        self._draw()

    def on_loaded(self, message: Loaded) -> None:
        super().on_loaded(message)
        self.set_keymap(message.opened.keymap)
        self._listen(message.opened)
        self._draw()
        self._read()

    def on_done(self, message: Done) -> None:
        self.notify(safe_text(message.said), timeout=3, markup=False)

    def on_failed(self, message: Failed) -> None:
        if message.ask:
            self.panel.queue.failed(message.ask)
            self._draw()
        text = f"✗ {message.problem.message}\n↳ {message.problem.hint}"
        self.notify(safe_text(text), severity="error", timeout=12, markup=False)

    def on_read(self, message: Read) -> None:
        if self.is_there:
            self.transcript.show(message.page)

    def on_broken(self, message: Broken) -> None:
        self.broken = message.error
        self.exit()

    def on_attachable(self, message: Attachable) -> None:
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
            self.draw_panel()
        self.transcript.entitle(row)
        self.offer()
        if self._rest:
            self._rest.stop()
        self._rest = self.set_timer(REST, self._read)

    def on_transcript_older_wanted(self, message: Transcript.OlderWanted) -> None:
        if self._reader:
            self._reader.tell_older(message.before)

    def _read(self) -> None:
        """The events of the selected row's session."""
        if not self.is_there:
            return
        row = self.table.row
        session = row.session if row else None
        if self._reader and self._reader.session == session:
            return
        if self._reader:
            self._reader.stop()
            self._reader = None
        self.transcript.clear(session, "" if session else NO_SESSION)
        if session and self.opened:
            self._reader = Reader(self.opened.storage, session, paths.session(session), self._tell_page)
            self._reader.start()

    def _tell_page(self, page: Page) -> None:
        self.tell(Read(page))

    # What the keys do to the screen

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Keys that mean nothing now are not offered."""
        if action in ON_AN_ASK:
            return self.is_there and self.panel.queue.shown is not None
        row = self.table.row if self.is_there else None
        if action in ON_THE_LIVING:
            return bool(row and row.session and not row.ended)
        if action == "attach":
            return bool(row and row.session and not row.ended and row.mode == "dispatch")
        if action == "diff":
            return bool(row)
        if action in ("send", "copy"):
            return bool(row and row.session)
        return True

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

    def _print_error_renderables(self) -> None:
        """A bug is told of by the command line, which has a log for it."""
