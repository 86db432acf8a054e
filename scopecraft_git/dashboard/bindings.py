"""What the keys do, each by a name that the setting `dashboard.keys` knows."""

from __future__ import annotations

from textual.binding import Binding

BINDINGS: list[Binding] = [
    Binding("a", "approve", "Approve", show=False, id="approve"),
    Binding("d", "deny", "Deny", show=False, id="deny"),
    Binding("D", "deny_saying", "Deny, and say why", show=False, id="deny_saying"),
    Binding("A", "always", "Always", show=False, tooltip="Always allow or deny calls like it", id="always"),
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
