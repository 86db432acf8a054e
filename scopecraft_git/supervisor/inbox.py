"""What the agent was told in mid-session, as the stored events tell it."""

from __future__ import annotations

from datetime import datetime

from scopecraft_git.events import LoggedEvent, Notice
from scopecraft_git.models import Message, MessageState
from scopecraft_git.sessions import messages

DELIVERED, REFUSED = "message_delivered", "message_refused"
TELLING = 40
"""Characters of a text above which that it is part of another is no coincidence."""
_STATES = {DELIVERED: MessageState.DELIVERED, REFUSED: MessageState.REFUSED}


class Inbox:
    """One session's messages. The agent's own `prompt` notices say what it has taken up."""

    def __init__(self) -> None:
        self.newest: tuple[Message, ...] = ()
        """As the record holds them."""
        self._states: dict[str, MessageState] = {}
        self._texts: dict[str, str] = {}
        """Of messages that are delivered and not known to be seen."""
        self._seen: set[str] = set()
        """Taken up before it was noted that they were delivered."""
        self._unclaimed: tuple[str, datetime] | None = None
        """The last thing the agent took up that was no message then, and when: it may be one by now."""
        self._agent_tells = False

    def __contains__(self, message_id: str) -> bool:
        """Whether it is known what became of it."""
        return message_id in self._states

    @property
    def awaits_agent(self) -> bool:
        """Whether the agent has something to take up yet. False of agents that do not tell."""
        return self._agent_tells and bool(self._texts)

    def take(self, logged: LoggedEvent) -> None:
        event = logged.event
        if not isinstance(event, Notice):
            return
        if logged.offset is None and event.code in _STATES:
            self._note(event, _STATES[event.code])
        elif logged.offset is not None and event.code == "prompt":
            self._taken_up(event, logged.time)

    def _note(self, notice: Notice, state: MessageState) -> None:
        name, text = notice.data["id"], notice.data["text"]
        sent_at = datetime.fromisoformat(notice.data["sent_at"])
        if state is MessageState.DELIVERED and (name in self._seen or self._is_claimed(text, sent_at)):
            state = MessageState.SEEN
        if state is MessageState.DELIVERED:
            self._texts[name] = text
        self._states[name] = state
        written = messages.written(name, text, state, sent_at)
        self.newest = (*self.newest, written)[-messages.KEPT :]

    def _is_claimed(self, text: str, sent_at: datetime) -> bool:
        """Whether the agent was faster than the note that it was given this."""
        if self._unclaimed is None:
            return False
        taken, at = self._unclaimed
        return at >= sent_at and _is_it(text, taken)

    def _taken_up(self, prompt: Notice, at: datetime) -> None:
        told = prompt.data.get("message_id")
        name = None if told is None else str(told)  # whatever its program writes there
        self._agent_tells = self._agent_tells or name is not None
        if name not in self._states:
            # An agent in a terminal was given the text alone, and knows it by a name of its own.
            self._unclaimed = prompt.text, at
            name = next((known for known, text in self._texts.items() if _is_it(text, prompt.text)), name)
        if name is None:
            return
        self._seen.add(name)
        if self._texts.pop(name, None) is not None:
            self._states[name] = MessageState.SEEN
            self.newest = tuple(
                each.model_copy(update={"state": MessageState.SEEN}) if each.id == name else each
                for each in self.newest
            )


def _is_it(given: str, taken: str) -> bool:
    """Whether that is what was taken up; an agent may put a mark around what was pasted, or add what was typed."""
    given, taken = given.strip(), taken.strip()
    return given == taken or (len(given) > TELLING and given in taken)
