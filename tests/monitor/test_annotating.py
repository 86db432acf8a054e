from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from scopecraft_git.events import Event, Finished, Notice, PermissionRequest, Severity, Text, ToolCall, ToolResult
from scopecraft_git.handlers.error_kinds import KINDS
from scopecraft_git.monitor.annotating import Annotator, judge
from scopecraft_git.protocols import ErrorKind
from tests.samples import NOW

LATER = NOW + timedelta(seconds=1.5)


def annotated(*events: tuple[Event, datetime | None]) -> Any:
    """The last of the events, as it is stored."""
    annotator = Annotator(judge(KINDS))
    return [annotator.take(event, seen) for event, seen in events][-1]


def call(**fields: Any) -> ToolCall:
    return ToolCall(id="t1", name="Bash", **fields)


def result(**fields: Any) -> ToolResult:
    return ToolResult(id="t1", text="", **fields)


def test_a_result_knows_its_tool_and_how_long_it_took() -> None:
    found = annotated((call(), NOW), (result(), LATER))
    assert (found.tool, found.duration_ms, found.severity) == ("Bash", 1500, None)


def test_the_agents_own_clock_counts_where_it_tells() -> None:
    said = timedelta(milliseconds=70)
    assert annotated((call(at=NOW), NOW), (result(at=NOW + said), LATER)).duration_ms == 70
    assert annotated((call(at=NOW), None), (result(at=NOW + said), None)).duration_ms == 70
    assert annotated((call(), NOW), (result(at=NOW + said), LATER)).duration_ms == 1500


@pytest.mark.parametrize(("begun", "ended"), [(None, LATER), (NOW, None), (LATER, NOW), (NOW, NOW + timedelta(days=9))])
def test_what_nobody_saw_took_nobody_knows_how_long(begun: datetime | None, ended: datetime | None) -> None:
    found = annotated((call(), begun), (result(), ended))
    assert (found.tool, found.duration_ms) == ("Bash", None)


def test_a_result_of_no_call_that_is_known_stays_as_it_is() -> None:
    assert annotated((result(), NOW)) == result()
    assert annotated((call(), NOW), (result(), LATER), (result(), LATER)) == result()


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("Exit code 1\n/bin/bash: line 1: /etc/forbidden: Permission denied", Severity.CRITICAL),
        ("Failed to authenticate. API Error: 401 scripted", Severity.CRITICAL),
        ("Invalid API key · Please run /login", Severity.CRITICAL),
        ("fatal: Authentication failed for 'https://example.org/'", Severity.CRITICAL),
        ("OSError: [Errno 28] No space left on device", Severity.CRITICAL),
        ("touch: cannot touch 'x': Read-only file system", Severity.CRITICAL),
        ("Error: ENOENT: no such file or directory, open 'x'", Severity.WARNING),
        ("File does not exist.", Severity.WARNING),
        ("Exit code 2", Severity.WARNING),
        ("", Severity.WARNING),
        ("FAILED tests/test_authentication.py::test_unauthorized_users_see_nothing", Severity.WARNING),
    ],
)
def test_how_bad_an_error_is(text: str, severity: Severity) -> None:
    failed = ToolResult(id="t1", text=text, is_error=True)
    assert annotated((failed, NOW)).severity is severity
    assert annotated((Finished(is_error=True, text=text), NOW)).severity is severity
    assert annotated((Finished(text=text), NOW)).severity is None
    assert annotated((ToolResult(id="t1", text=text), NOW)).severity is None


def test_a_long_error_is_looked_at_where_it_begins_and_ends() -> None:
    severity = judge(KINDS)
    filler = "x\n" * 1_000_000
    assert severity("permission denied\n" + filler) is Severity.CRITICAL
    assert severity(filler + "permission denied\n") is Severity.CRITICAL
    assert severity(filler + "permission denied\n" + filler) is Severity.WARNING


def test_the_first_kind_that_matches_counts() -> None:
    own = ErrorKind("ours", Severity.INFO, "PERMISSION denied: .*cache")
    severity = judge([own, *KINDS])
    assert severity("permission denied: /x/cache") is Severity.INFO
    assert severity("permission denied: /x") is Severity.CRITICAL
    assert judge([])("whatever") is Severity.WARNING


def test_a_call_that_was_denied_by_us_is_nothing_critical() -> None:
    annotator = Annotator(judge(KINDS))
    for number, allow in enumerate((False, True)):
        annotator.take(PermissionRequest(id=f"r{number}", tool="Bash", call_id=f"t{number}"), NOW)
        annotator.answered(f"r{number}", allow=allow)
    denied, failed = (
        annotator.take(ToolResult(id=f"t{number}", text="Permission denied", is_error=True), NOW) for number in (0, 1)
    )
    assert isinstance(denied, ToolResult)
    assert isinstance(failed, ToolResult)
    assert (denied.severity, failed.severity) == (Severity.WARNING, Severity.CRITICAL)


def test_what_is_tried_again_is_for_information() -> None:
    assert annotated((Notice(code="retry", text="x"), NOW)).severity is Severity.INFO
    assert annotated((Notice(code="status", text="x"), NOW)).severity is None
    assert annotated((Text(text="permission denied"), NOW)) == Text(text="permission denied")
