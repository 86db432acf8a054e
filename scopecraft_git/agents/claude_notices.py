"""What Claude Code says about the session rather than in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from scopecraft_git.events import Notice, Severity

Document = Mapping[str, Any]

RECORD = "record"
"""The code of what a program may want and nobody would read."""
BOOKKEEPING = frozenset(
    {
        "agent-name",
        "ai-title",
        "api-request",
        "api-request-blob",
        "api-request-shape",
        "atis-latch",
        "auth_status",
        "command_lifecycle",
        "cost-state",
        "custom-title",
        "file-history-delta",
        "file-history-snapshot",
        "last-prompt",
        "mode",
        "permission-mode",
        "progress",
        "prompt_suggestion",
        "queue-operation",
        "summary",
        "tool_progress",
        "tool_use_summary",
        "tools-used",
    }
)
"""Kinds of lines, most of them a transcript's, that the CLI writes for its own use."""
ENVELOPE = frozenset(
    {
        "type", "subtype", "uuid", "session_id", "sessionId", "parentUuid", "logicalParentUuid", "logical_parent_uuid",
        "isSidechain", "isMeta", "userType", "entrypoint", "cwd", "version", "gitBranch", "slug", "timestamp", "level",
    }
)  # fmt: skip
"""What says nothing of a line but where it belongs."""
OURS = frozenset({"background", "compacted", "permission_cancelled", "prompt", RECORD, "retry", "session"})
"""Codes with a meaning of their own, of which a line cannot make use by calling itself so."""
TASKS = {"local_bash": "command", "local_agent": "agent"}
SEVERITIES = {"allowed_warning": Severity.INFO, "rejected": Severity.WARNING}


def system(line: Document) -> Notice:
    subtype = line["subtype"]
    describe = _SYSTEM.get(subtype)
    if describe:
        return describe(line)
    return Notice(code=f"system_{subtype}" if subtype in OURS else subtype, text=_described(line), data=_rest(line))


def rate_limit(line: Document) -> Notice:
    info = line["rate_limit_info"]
    status = info["status"]
    kind = str(info.get("rateLimitType") or "").replace("_", " ")
    words = [f"Rate limit{' of ' + kind if kind else ''}: {status.replace('_', ' ')}"]
    if used := info.get("utilization"):
        words.append(f"{used:.0%} used")
    if resets := info.get("resetsAt"):
        words.append(f"anew at {datetime.fromtimestamp(resets, UTC):%Y-%m-%d %H:%M} UTC")
    severity = SEVERITIES.get(status)
    return Notice(code="rate_limit", text=", ".join(words), data=dict(info), severity=severity)


def control_response(line: Document) -> Notice:
    """The CLI's answer to a request of ours, or ours to one of its own, as it took it."""
    response = line["response"]
    request = response["request_id"]
    inner = response.get("response")
    if isinstance(inner, dict) and (behavior := inner.get("behavior")):
        text = f"It was told to {behavior} {request}"
        return Notice(code=RECORD, text=text, data={"type": line["type"], "id": request, "behavior": behavior})
    text = f"The agent answered {request}: {response.get('error') or response['subtype']}"
    if response["subtype"] == "success":
        return Notice(code=RECORD, text=text, data={**response, "type": line["type"]})
    return Notice(code="control", text=text, data=dict(response))


def permission_cancelled(line: Document) -> Notice:
    """The call is not made any more, as after an interrupt, or somebody else answered."""
    return Notice(
        code="permission_cancelled", text="It waits for no answer any more", data={"id": str(line["request_id"])}
    )


def record(line: Document) -> Notice:
    kind = line["type"]
    told = (line.get(key) for key in ("summary", "title", "content"))
    text = next((word for word in told if word and isinstance(word, str)), kind.replace("-", " ").replace("_", " "))
    cost = line.get("totalCostUSD")
    data = {"type": kind} if cost is None else {"type": kind, "cost_usd": cost}
    if kind == "command_lifecycle":
        data |= {"message_id": line["command_uuid"], "state": line["state"]}
    return Notice(code=RECORD, text=text, data=data)


def _init(line: Document) -> Notice:
    data = {
        "agent_session_id": line.get("session_id"),
        "model": line.get("model"),
        "version": line.get("claude_code_version"),
    }
    return Notice(code="session", text=f"Claude Code {data['version'] or ''} with {data['model']}", data=data)


def _retry(line: Document) -> Notice:
    """`api_retry` of the stream, `api_error` of a transcript."""
    error = line.get("error")
    told = (error.get("formatted"),) if isinstance(error, dict) else (line.get("error_status"), error)
    why = " ".join(str(word) for word in told if word)
    attempt, most = _either(line, "attempt", "retryAttempt"), _either(line, "max_retries", "maxRetries")
    text = f"Trying again after {why or 'an error'} ({attempt} of {most})"
    return Notice(code="retry", text=text, data=_rest(line), severity=Severity.INFO)


def _either(told: Document, in_stream: str, in_transcript: str) -> Any:
    return told[in_stream] if in_stream in told else told.get(in_transcript)


def _status(line: Document) -> Notice:
    if line.get("status") == "compacting":
        return Notice(code="compacting", text="Compacting the conversation", data=_rest(line))
    if line.get("compact_error"):
        text = f"The conversation could not be compacted: {line['compact_error']}"
        return Notice(code="compact_failed", text=text, data=_rest(line), severity=Severity.WARNING)
    return Notice(code=RECORD, text=f"status: {line.get('status')}", data=_rest(line) | {"type": "status"})


def _compacted(line: Document) -> Notice:
    told = _either(line, "compact_metadata", "compactMetadata") or {}
    before, after = _either(told, "pre_tokens", "preTokens"), _either(told, "post_tokens", "postTokens")
    sizes = f": {before} tokens" + (f", now {after}" if after else "") if before else ""
    data = {"trigger": told.get("trigger"), "before": before, "after": after}
    return Notice(code="compacted", text=f"The conversation was compacted{sizes}", data=data)


def _background(line: Document) -> Notice:
    tasks = [
        {"id": task["task_id"], "type": _kind_of(task), "text": task.get("description") or ""} for task in line["tasks"]
    ]
    under_way = ", ".join(task["text"] or task["id"] for task in tasks) or "nothing"
    return Notice(code="background", text=f"In the background: {under_way}", data={"tasks": tasks})


def _kind_of(task: Document) -> str:
    kind = str(task.get("task_type"))
    return TASKS.get(kind, kind)


def _task_notification(line: Document) -> Notice:
    """What ran in the foreground has nowhere else written its output, and is summed up by no more than its name."""
    summary = line.get("summary")
    text = f"task {line.get('status')}: {summary}" if summary and not line.get("output_file") else summary
    return Notice(code=line["subtype"], text=text or _described(line), data=_rest(line))


def _hook(line: Document) -> Notice:
    name, outcome = line.get("hook_name"), line.get("outcome")
    said = str(line.get("output") or line.get("stderr") or "").strip()
    text = f"Hook {name}: {outcome or line['subtype'].removeprefix('hook_')}" + (f": {said}" if said else "")
    severity = Severity.WARNING if outcome == "error" else None
    return Notice(code=line["subtype"], text=text, data=_rest(line), severity=severity)


def _noise(line: Document) -> Notice:
    return Notice(code=RECORD, text=_described(line), data=_rest(line) | {"type": line["subtype"]})


def _described(line: Document) -> str:
    """The most telling of what a system line says, and the kind it is of."""
    told = [line.get(key) for key in ("status", "content", "message", "summary", "description", "error")]
    words = ": ".join(word for word in told if isinstance(word, str) and word)
    kind = line["subtype"].replace("_", " ")
    return f"{kind}: {words}" if words else kind


def _rest(line: Document) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in ENVELOPE}


_SYSTEM: Mapping[str, Callable[[Document], Notice]] = {
    "init": _init,
    "api_retry": _retry,
    "api_error": _retry,
    "status": _status,
    "compact_boundary": _compacted,
    "background_tasks_changed": _background,
    "task_notification": _task_notification,
    "hook_started": _hook,
    "hook_progress": _hook,
    "hook_response": _hook,
    **dict.fromkeys(
        (
            "commands_changed", "control_request_progress", "files_persisted", "file_snapshot", "post_turn_summary",
            "session_metadata", "session_state_changed", "session_title_changed", "stop_hook_summary", "task_updated",
            "thinking", "thinking_tokens", "turn_duration", "ui_focus", "ui_invalidate", "ui_log", "ui_panes",
            "ui_placed", "ui_scroll", "ui_status",
        ),
        _noise,
    ),
}  # fmt: skip
