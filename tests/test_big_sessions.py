"""Sessions of very many lines, and of very long ones. `SOAK_LINES=200000` for the length that `make soak` takes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scopecraft_git import paths, supervisor
from tests.conftest import Scopecraft
from tests.executors.contract import until
from tests.test_main_job import show

LINES = int(os.environ.get("SOAK_LINES", "40000"))
LONG_LINE = 20_000_000
MEBIBYTE = 1 << 20
GROWTH = 24 * MEBIBYTE
"""What a process may grow by while it handles any number of lines; they themselves take some hundred bytes each."""
SUPERVISOR_WITH_A_LONG_LINE = 300 * MEBIBYTE

MANY = r"""
import json, sys
out = sys.stdout
for n in range(int(sys.argv[1]) // 4):
    for block in ({"type": "text", "text": f"look {n}"}, {"type": "tool_use", "id": f"call-{n}", "name": "Bash", "input": {}}):
        usage = {"usage": {"input_tokens": n + 1}} if block["type"] == "text" else {}
        print(json.dumps({"type": "assistant", "message": {"id": f"m{n}", "content": [block], **usage}}))
    result = {"type": "tool_result", "tool_use_id": f"call-{n}", "content": "all of the file " * 8, "is_error": False}
    print(json.dumps({"type": "user", "message": {"content": [result]}}))
    print(f"plain {n}")
"""  # noqa: E501
LONG = r"""
import json, sys
length = int(sys.argv[1])
print(json.dumps({"type": "assistant", "message": {"id": "m", "content": [{"type": "text", "text": "j" * length}]}}))
print("p" * length)
print("short again")
"""


def begin(scopecraft: Scopecraft, script: str, *arguments: object) -> str:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = scopecraft("run", "big", "-e", "local", "-a", "command", "--json", "--", *command)
    assert done.code == 0, done.stderr
    return str(json.loads(done.stdout)["id"])


def expected(lines: int) -> Iterator[tuple[str, Any]]:
    for n in range(lines // 4):
        yield "text", f"look {n}"
        yield "usage", n + 1
        yield "tool_call", f"call-{n}"
        yield "tool_result", f"call-{n}"
        yield "text", f"plain {n}"


def gist(event: dict[str, Any]) -> tuple[str, Any]:
    field = {"text": "text", "usage": "input_tokens", "tool_call": "id", "tool_result": "id"}
    return event["kind"], event[field[event["kind"]]]


def peak(pid: int) -> int:
    """Bytes; 0 where nobody tells, or the process is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def supervisor_id() -> int:
    return int(until(supervisor.process_id))


def logs(repo: Path, session: str, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "scopecraft_git", "logs", session, "--json", *options]
    return subprocess.Popen(command, cwd=repo, stdout=subprocess.PIPE, text=True)


def read(logs: subprocess.Popen[str]) -> tuple[list[str], int]:
    """Its lines, and the most memory it took."""
    assert logs.stdout
    lines: list[str] = []
    taken = 0
    for line in logs.stdout:
        lines.append(line)
        if len(lines) % 1000 == 0:
            taken = peak(logs.pid)
    return lines, taken


def test_very_many_lines_arrive_once_and_in_order_in_little_memory(scopecraft: Scopecraft, repo: Path) -> None:
    session = begin(scopecraft, MANY, LINES)
    log = paths.session(session) / "events.jsonl"
    before = peak(supervisor_id())
    until(lambda: log.stat().st_size > LINES * 50, seconds=LINES / 1000)
    os.kill(supervisor_id(), signal.SIGKILL)
    with logs(repo, session, "--follow") as follower:  # late, and it brings a supervisor back
        followed, taken = read(follower)
    assert taken < before + GROWTH  # before it had any lines, a reader is no bigger than a supervisor
    assert peak(supervisor_id()) < before + GROWTH
    events = [json.loads(line) for line in followed]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    of_the_agent = [event for event in events if event["offset"] is not None]
    assert [gist(event) for event in of_the_agent] == list(expected(LINES))
    assert [event["offset"] for event in of_the_agent] == sorted(event["offset"] for event in of_the_agent)
    with logs(repo, session) as reader:
        again, taken = read(reader)
    assert taken < before + GROWTH
    assert again == followed
    assert show(scopecraft, session)["tools_used"] == [{"name": "Bash", "count": LINES // 4, "errors": 0}]


def test_a_very_long_line_is_an_event_like_any_other(scopecraft: Scopecraft, repo: Path) -> None:
    session = begin(scopecraft, LONG, LONG_LINE)
    assert scopecraft("wait", session).code == 0
    assert peak(supervisor_id()) < SUPERVISOR_WITH_A_LONG_LINE
    events = [json.loads(line) for line in scopecraft("logs", session, "--json").stdout.splitlines()]
    texts = [event["text"] for event in events if event["kind"] == "text"]
    assert texts == ["j" * LONG_LINE, "p" * LONG_LINE, "short again"]
    shown = scopecraft("logs", session).stdout.splitlines()
    assert "j" * LONG_LINE in shown
    assert show(scopecraft, session)["last_message"] == "short again"
    assert session in scopecraft("list").stdout
