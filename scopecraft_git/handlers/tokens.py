"""Counts tokens."""

from __future__ import annotations

from collections import OrderedDict

from scopecraft_git.events import Usage
from scopecraft_git.models import Tokens

OPEN = 64
"""How many messages may still be told of again: agents write several at a time, each in lines of its own."""


class Count:
    """Each message counts once, with the last that was said of it."""

    def __init__(self) -> None:
        self.all: Tokens | None = None
        """None while the agent has told nothing."""
        self._open: OrderedDict[str, Tokens] = OrderedDict()

    def take(self, usage: Usage) -> None:
        told = Tokens(
            input=usage.input_tokens,
            output=usage.output_tokens,
            cache_read=usage.cache_read_tokens,
            cache_write=usage.cache_write_tokens,
        )
        before = self._open.pop(usage.message_id, Tokens()) if usage.message_id else Tokens()
        if usage.message_id:
            self._open[usage.message_id] = told
            if len(self._open) > OPEN:
                self._open.popitem(last=False)
        self.all = _sum(self.all or Tokens(), told, before)


def _sum(all_: Tokens, more: Tokens, less: Tokens) -> Tokens:
    fields = Tokens.model_fields
    return Tokens(**{name: getattr(all_, name) + getattr(more, name) - getattr(less, name) for name in fields})
