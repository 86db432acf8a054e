from __future__ import annotations

from scopecraft_git import description
from scopecraft_git.agents import claude_lines
from scopecraft_git.events import Notice, PermissionRequest


def test_what_a_transcript_keeps_for_itself_is_not_shown() -> None:
    for kind in (b"attachment", b"atis-latch", b"file-history-delta"):
        (record,) = claude_lines.parse(b'{"type": "%s", "messageId": "m"}' % kind)
        assert isinstance(record, Notice)
        assert description.of(record) == ""
    assert description.of(Notice(code="started", text="Started claude on tmux")) == "· Started claude on tmux"


def test_a_permission_is_shown_where_it_was_not_given() -> None:
    assert description.of(PermissionRequest(id="1", tool="Bash")) == ""
    assert (
        description.of(Notice(code="permission_answered", text="Allowed Bash", data={"id": "1", "allow": True})) == ""
    )
    denied = Notice(code="permission_answered", text="Denied Bash", data={"id": "1", "allow": False})
    assert description.of(denied) == "· Denied Bash"
