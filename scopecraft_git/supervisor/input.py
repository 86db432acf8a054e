"""What an agent is given: messages, answers, the prompt of one in a terminal, and the end of its input."""

from __future__ import annotations

import threading

from scopecraft_git import plugins, sessions
from scopecraft_git.models import MessageState, Mode, rfc3339
from scopecraft_git.protocols import Execution
from scopecraft_git.sessions import Asked
from scopecraft_git.supervisor.inbox import DELIVERED, REFUSED
from scopecraft_git.supervisor.standing import Standing


class Input:
    def __init__(self, standing: Standing) -> None:
        self._standing = standing
        self._agent = plugins.agent(standing.session.agent)
        # In a terminal a dialog may be in the way for long, and what the agent says meanwhile is to be read.
        self._giving = standing.floor if standing.is_unattended else threading.RLock()

    def give_prompt(self, execution: Execution) -> None:
        """To an agent in a terminal. A dialog of its own may want a human first, however long that takes."""
        standing = self._standing
        if prompt := sessions.prompt(standing.session):
            while obstacle := self.send(execution, self._agent.message(prompt, Mode.DISPATCH)):
                standing.monitor.notice_once("waiting", obstacle)
                standing.settle()
        standing.monitor.change(prompt_delivered=True)
        standing.save()
        standing.settle()

    def deliver(self, execution: Execution, asked: Asked) -> None:
        """A message, once the agent can be told anything; one that it takes no more is refused. Each once."""
        if sessions.message(asked, MessageState.QUEUED) is None:
            return
        self._standing.takes_input.wait()
        with self._giving:
            while asked.data["id"] not in self._standing.inbox and not self._standing.over.is_set():
                self._try_to_deliver(execution, asked)

    def refuse_rest(self) -> None:
        """The session ends: nobody is left to be told what is in the mailbox."""
        if "ended" in self._standing.noticed:
            return
        for asked in sessions.asked(self._standing.session.id):
            if message := sessions.message(asked, MessageState.REFUSED):
                if message.id not in self._standing.inbox:
                    self._refuse(asked)
                sessions.answered(self._standing.session.id, asked.name)

    def end_if_done(self, execution: Execution) -> None:
        """The agent has said that it is done, and leaves when its input ends: unless it is to be told something yet."""
        standing = self._standing
        if standing.is_unattended and self._agent.keeps_input and standing.monitor.done:
            with self._giving:
                if not self._is_needed():
                    execution.close_input()

    def send(self, execution: Execution, data: bytes) -> str:
        """What is in the way for now; empty when it was given or never will be."""
        try:
            execution.send(data)
        except TimeoutError as error:
            return str(error)
        except BrokenPipeError as error:
            if execution.poll() is None:
                self._standing.monitor.notice_once("input_refused", str(error))
        return ""

    def _try_to_deliver(self, execution: Execution, asked: Asked) -> None:
        text, name = asked.data["text"], asked.data["id"]
        try:
            execution.send(self._agent.message(text, self._standing.session.mode, id=name))
        except TimeoutError:  # which has taken its time
            return
        except BrokenPipeError:
            self._refuse(asked)
        else:
            self._note(DELIVERED, "Message delivered", asked)

    def _is_needed(self) -> bool:
        """Whether it has something to take up, to be told, or to be answered."""
        asked = sessions.asked(self._standing.session.id)
        queued = [message for each in asked if (message := sessions.message(each, MessageState.QUEUED))]
        # One that is delivered may lie there yet, and nobody looks again when it is taken away.
        is_told = any(message.id not in self._standing.inbox for message in queued)
        return is_told or self._standing.inbox.awaits_agent or self._goes_on_by_itself()

    def _goes_on_by_itself(self) -> bool:
        """What it asks then has to be answered. A turn that ended in an error is not gone on with."""
        monitor = self._standing.monitor
        failed = monitor.finished is not None and monitor.finished.is_error
        return bool(monitor.unanswered) or (bool(monitor.background) and not failed)

    def _refuse(self, asked: Asked) -> None:
        self._note(REFUSED, "Message refused: the agent takes no more input", asked)

    def _note(self, code: str, said: str, asked: Asked) -> None:
        data = {"id": asked.data["id"], "text": asked.data["text"], "sent_at": rfc3339(sessions.sent_at(asked))}
        self._standing.note(code, said, **data)
        self._standing.settle()
