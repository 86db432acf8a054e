from __future__ import annotations

from datetime import timedelta

import pytest

from scopecraft_git.events import LoggedEvent, Notice
from scopecraft_git.models import MessageState, rfc3339
from scopecraft_git.supervisor.inbox import DELIVERED, Inbox
from tests.samples import NOW


def given(text: str) -> LoggedEvent:
    data = {"id": "1", "text": text, "sent_at": rfc3339(NOW)}
    return LoggedEvent(seq=9, time=NOW, offset=None, event=Notice(code=DELIVERED, text="", data=data))


def prompt(text: str, *, seconds: float = 1, **data: str) -> LoggedEvent:
    """What an agent in a terminal says that it takes up: without the message's id."""
    time = NOW + timedelta(seconds=seconds)
    return LoggedEvent(seq=1, time=time, offset=0, event=Notice(code="prompt", text=text, data=data))


GIVEN = given("Use tabs\n")
LONG = "Use tabs, and tell me what else you would want to change\n"


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([GIVEN], MessageState.DELIVERED),
        ([GIVEN, prompt("Use tabs")], MessageState.SEEN),
        ([prompt("Use tabs"), GIVEN], MessageState.SEEN),
        ([prompt("Use tabs", message_id="its own"), GIVEN], MessageState.SEEN),
        ([GIVEN, prompt("Use tabs", message_id="its own")], MessageState.SEEN),
        ([prompt(f"<pasted>\n{LONG}</pasted>"), given(LONG)], MessageState.SEEN),
        ([given(LONG), prompt(f"and so {LONG}")], MessageState.SEEN),
        ([GIVEN, prompt("Use tabs only")], MessageState.DELIVERED),
        ([prompt("Use tabs", seconds=-1), GIVEN], MessageState.DELIVERED),
        ([prompt("Use spaces"), GIVEN, prompt("Use spaces")], MessageState.DELIVERED),
    ],
)
def test_a_message_is_seen_in_a_terminal_however_fast_the_agent_is(
    events: list[LoggedEvent], state: MessageState
) -> None:
    inbox = Inbox()
    for event in events:
        inbox.take(event)
    assert [message.state for message in inbox.newest] == [state]
