"""What an agent said or did, in one vocabulary for every agent.

An `Agent` turns each line of its output into events; the monitor numbers and stores them as `LoggedEvent`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from scopecraft_git.models import Model, Time, rfc3339


class Severity(StrEnum):
    INFO = "info"
    """It sees to that itself, such as a request that is tried again."""
    WARNING = "warning"
    """Something failed, as things do: a file that is not there, a command."""
    CRITICAL = "critical"
    """It cannot go on like this without a human: no permission, no login, no disk."""


class Text(Model):
    kind: Literal["text"] = "text"
    text: str
    parent_id: str | None = None
    """The tool call whose sub-agent said it."""
    partial: bool | None = None
    """Whether it is a piece: pieces that follow one another are one text. None for a whole one."""


class Reasoning(Model):
    kind: Literal["reasoning"] = "reasoning"
    text: str
    parent_id: str | None = None


class ToolCall(Model):
    kind: Literal["tool_call"] = "tool_call"
    id: str
    name: str
    input: dict[str, Any] = Field(default_factory=dict)
    parent_id: str | None = None
    at: Time | None = None
    """When the agent says that it was; None when it does not say."""


class ToolResult(Model):
    kind: Literal["tool_result"] = "tool_result"
    id: str
    """The call's id."""
    text: str
    is_error: bool = False
    parent_id: str | None = None
    at: Time | None = None
    tool: str | None = None
    """The call's tool. This and what follows is the monitor's, not the agent's; None when the call is not known."""
    duration_ms: int | None = None
    """From the call to here, by the agent's clock where it tells, else as the monitor saw them."""
    severity: Severity | None = None
    """How bad an error is; None when it is none."""


class Usage(Model):
    """Tokens of one message, or what is known only when its turn ends, under an id of its own.

    Agents repeat a message's, and let it grow: whoever adds up takes the last that is said of each `message_id`.
    """

    kind: Literal["usage"] = "usage"
    message_id: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


class PermissionRequest(Model):
    """The agent waits until this call is allowed or denied."""

    kind: Literal["permission"] = "permission"
    id: str
    """What an answer must name."""
    tool: str
    input: dict[str, Any] = Field(default_factory=dict)
    call_id: str | None = None


class Finished(Model):
    """The agent says it is done. Only `is_error` tells how: a failed login says `subtype: success`."""

    kind: Literal["finished"] = "finished"
    is_error: bool = False
    text: str = ""
    subtype: str = ""
    cost_usd: float | None = None
    turns: int | None = None
    duration_ms: int | None = None
    severity: Severity | None = None
    """The monitor's, like `ToolResult.severity`."""


class Notice(Model):
    """Something about the session rather than in it: retries, rate limits, and what the supervisor did."""

    kind: Literal["notice"] = "notice"
    code: str
    """One word for programs, such as `started`, `retry`, `imported`, `stopping`.

    Of an agent's, some are acted on: `session` (`agent_session_id`), `prompt` (`message_id` of what it takes up),
    `permission_cancelled` (`id` of a request that wants no answer any more), and `background` (`tasks`, each with a
    `type`, such as `command` or `agent`: what is under way and has it go on by itself after `Finished`). `record` is
    what nobody would read.
    """
    text: str
    data: dict[str, Any] = Field(default_factory=dict)
    severity: Severity | None = None
    """None for what is no trouble."""
    origin: Literal["agent"] | None = None
    """`agent` for what the agent's own program says of itself, whatever code it gives it; the monitor's, too."""


class Unrecognized(Model):
    kind: Literal["unrecognized"] = "unrecognized"
    raw: str


Event = Annotated[
    Text | Reasoning | ToolCall | ToolResult | Usage | PermissionRequest | Finished | Notice | Unrecognized,
    Field(discriminator="kind"),
]


class LoggedEvent(Model):
    """An event as `events.jsonl` holds it; `as_json` flattens it to `{seq, time, offset, kind, …}`."""

    seq: int
    """From 1, without gaps, within a session."""
    time: Time
    offset: int | None
    """Where in `stream.log` the line begins that it came from; None for the supervisor's own notices."""
    event: Event

    def as_json(self) -> dict[str, Any]:
        head = {"seq": self.seq, "time": rfc3339(self.time), "offset": self.offset}
        return head | self.event.model_dump(mode="json", exclude_none=True)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> LoggedEvent:
        """The inverse of `as_json`. A kind of a newer version becomes `Unrecognized`."""
        head = {"seq": document["seq"], "time": document["time"], "offset": document.get("offset")}
        try:
            return cls.model_validate(head | {"event": document})
        except ValueError:
            return cls.model_validate(head | {"event": Unrecognized(raw=str(document))})
