"""What the keys do, each by a name that the setting `dashboard.keys` knows."""

from __future__ import annotations

from collections.abc import Mapping

from textual.binding import Binding, Keymap

from scopecraft_git.dashboard import keys

BINDINGS: list[Binding] = [
    Binding("a", "approve", "Approve", show=False, id="approve"),
    Binding("d", "deny", "Deny", show=False, id="deny"),
    Binding("D", "deny_saying", "Deny, and say why", show=False, id="deny_saying"),
    Binding("A", "always", "Always", show=False, tooltip="Allow or deny calls like it from now on", id="always"),
    Binding("e", "whole", "Whole call", show=False, id="whole"),
    Binding("right_square_bracket", "turn(1)", "Next that waits", show=False, id="next"),
    Binding("left_square_bracket", "turn(-1)", "Previous that waits", show=False, id="previous"),
    Binding("s", "send", "Send", tooltip="Tell the agent something", id="send"),
    Binding("i", "interrupt", "Interrupt", tooltip="End the agent's turn", id="interrupt"),
    Binding("p", "pause", "Pause", tooltip="Pause, or have it go on", id="pause"),
    Binding("x", "stop", "Stop", id="stop"),
    Binding("v", "diff", "Diff", tooltip="What changed since it began", id="diff"),
    Binding("t", "attach", "Attach", tooltip="Go to the agent's terminal", id="attach"),
    Binding("slash", "filter", "Filter", tooltip="By task, status, agent, branch", id="filter"),
    Binding("o", "order", "Order", show=False, tooltip="What the table is sorted by", id="order"),
    Binding("enter", "read", "Read", show=False, tooltip="Scroll in what the agent said", id="read"),
    Binding("escape", "back", "Back", show=False, id="back"),
    Binding("z", "zoom", "Zoom", show=False, tooltip="The events on the whole screen", id="zoom"),
    Binding("c", "copy", "Copy", show=False, tooltip="The command that follows the session", id="copy"),
    Binding("T", "theme", "Theme", show=False, tooltip="Dark, light, the terminal's own", id="theme"),
    Binding("question_mark", "help", "Help", id="help"),
    Binding("q", "quit", "Quit", id="quit"),
]

TABLE: list[Binding] = [
    Binding("up,k", "move(-1)", "Up", show=False, id="up"),
    Binding("down,j", "move(1)", "Down", show=False, id="down"),
    Binding("pageup", "page(-1)", "Page up", show=False, id="page_up"),
    Binding("pagedown", "page(1)", "Page down", show=False, id="page_down"),
    Binding("home,g", "move(-1000000)", "First", show=False, id="first"),
    Binding("end,G", "move(1000000)", "Last", show=False, id="last"),
]
DIFF_VIEW: list[Binding] = [
    Binding("n", "file(1)", "Next file", id="diff_next"),
    Binding("p", "file(-1)", "Previous file", id="diff_previous"),
    Binding("space", "fold", "Fold", tooltip="The file at the top, to a line or back", id="diff_fold"),
    Binding("down,j", "scroll_down", "Down", show=False, id="diff_down"),
    Binding("up,k", "scroll_up", "Up", show=False, id="diff_up"),
    Binding("home,g", "go(0)", "First", show=False, id="diff_first"),
    Binding("end,G", "go(-1)", "Last", show=False, id="diff_last"),
]
DIFF_SCREEN: list[Binding] = [
    Binding("r", "refresh", "Refresh", tooltip="Look again", id="diff_refresh"),
    Binding("escape,q", "dismiss", "Back", id="diff_back"),
]
BOARD = [*BINDINGS, *TABLE]
"""Heard at once, as are those of the next."""
DIFF = [*DIFF_VIEW, *DIFF_SCREEN]


def keymap(wanted: Mapping[str, str]) -> Keymap:
    """With the keys of the setting. Raises `InvalidSettingError` for what cannot be."""
    return keys.keymap(wanted, BOARD, DIFF)
