"""A dashboard over made-up sessions, and what can be seen of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from scopecraft_git import paths
from scopecraft_git.config import Settings
from scopecraft_git.dashboard import bindings
from scopecraft_git.dashboard.app import Dashboard
from scopecraft_git.dashboard.news import Opened
from scopecraft_git.dashboard.source import Records
from scopecraft_git.events import Event, Finished, Text, ToolCall, ToolResult
from scopecraft_git.models import Approval, Outcome, Session, SessionStatus, ToolUse
from scopecraft_git.storage.local import LocalStorage
from tests.samples import NOW, logged, session

REPOSITORY = "/nowhere/app/.git"
"""No worktrees of a real one come in between."""
DEADLINE = 10.0
Steps = Callable[[Pilot[None], Dashboard], Coroutine[Any, Any, None]]


def keep(session_id: str, *events: Event, **fields: Any) -> Session:
    """A session on disk."""
    storage = LocalStorage()
    made = session(session_id, **{"repository": Path(REPOSITORY)} | fields)
    storage.create(made)
    storage.append(session_id, [logged(seq, event) for seq, event in enumerate(events, 1)])
    return made


def keep_many(count: int, **fields: Any) -> None:
    """All of them alive, and not each of them on the disk before the next."""
    made = [session(f"auth-05A-{number:07}", repository=Path(REPOSITORY), **fields) for number in range(count)]
    for each in made:
        each.path.mkdir(mode=0o700)
        (each.path / "metadata.json").write_text(each.model_dump_json())
    registry = {"schema_version": 1, "sessions": [each.id for each in made]}
    (paths.sessions() / "active.json").write_text(json.dumps(registry))


def asks(call: str = "call-1", command: str = "git push origin feature/auth-05A", **fields: Any) -> Approval:
    facts: dict[str, Any] = {"reason": "A push leaves the machine.", "since": NOW}
    return Approval(id=call, tool="Bash", input={"command": command}, **(facts | fields))


def a_day(now: datetime = NOW) -> None:
    """One session of each kind that is often seen, as they stand at that time."""
    begun = now - timedelta(minutes=25)
    done = Outcome(status=SessionStatus.COMPLETED, reason="The agent is done", exit_code=0)
    failed = Outcome(status=SessionStatus.FAILED, reason="The agent left with 1", exit_code=1)
    at_work = {
        "status": SessionStatus.RUNNING,
        "started_at": begun,
        "created_at": begun,
        "executor": "docker",
        "agent": "claude",
    }
    keep(
        "login-05A-0000001",
        task="implement-login-05A",
        **at_work
        | {
            "status": SessionStatus.WAITING,
            "approvals": (asks(since=now),),
            "cost_usd": 0.42,
            "branch": "feature/login-05A",
        },
        tools_used=(ToolUse(name="Bash", count=7),),
    )
    keep(
        "search-05B-0000002",
        Text(text="I look at the index first."),
        ToolCall(id="1", name="Read", input={"file_path": "src/index.py"}),
        ToolResult(id="1", text="def index() -> None: ..."),
        ToolCall(id="2", name="Bash", input={"command": "pytest -q"}),
        ToolResult(id="2", text="1 failed", is_error=True),
        Text(text="One test fails; I mend it."),
        branch="feature/search-05B",
        task="implement-search-05B",
        **at_work,
        cost_usd=1.2345,
        tools_used=(ToolUse(name="Read", count=3), ToolUse(name="Bash", count=2, errors=1)),
        last_message="One test fails; I mend it.",
    )
    keep(
        "docs-05C-0000003",
        branch="feature/docs-05C",
        task="write-docs-05C",
        **at_work | {"status": SessionStatus.PAUSED},
    )
    keep(
        "cache-05D-0000004",
        branch="feature/cache-05D",
        task="implement-cache-05D",
        agent="claude",
        executor="docker",
        created_at=begun,
    )
    keep(
        "tidy-04Z-0000005",
        Text(text="All is tidy."),
        Finished(),
        branch="feature/tidy-04Z",
        task="tidy-04Z",
        **at_work
        | {"status": SessionStatus.COMPLETED, "ended_at": now - timedelta(hours=3, minutes=30), "outcome": done},
        last_message="All is tidy.",
    )
    keep(
        "flaky-04Y-0000006",
        branch="feature/flaky-04Y",
        task="fix-flaky-04Y",
        **at_work
        | {"status": SessionStatus.FAILED, "ended_at": now - timedelta(hours=2, minutes=30), "outcome": failed},
    )


def dashboard(
    *, repository: str | None = REPOSITORY, storage: LocalStorage | None = None, settings: Settings | None = None
) -> Dashboard:
    paths.ensure_home()
    records = Records(repository)
    records.look()
    chosen = settings or Settings()
    return Dashboard(
        records,
        lambda: Opened(
            storage or LocalStorage(), chosen, bindings.keymap(chosen.dashboard.keys), contextlib.nullcontext
        ),
        repository=repository,
        environment={"TERM": "xterm-256color"},
    )


def on(app: Dashboard, steps: Steps, size: tuple[int, int] = (80, 24)) -> None:
    """What `steps` do to it."""

    async def run() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: app.opened)
            await steps(pilot, app)

    before = set(threading.enumerate())
    asyncio.run(run())
    for thread in set(threading.enumerate()) - before:  # or it would look into the next test's home
        if thread.name != "inotify":  # which the whole process has
            thread.join(DEADLINE)
            assert not thread.is_alive(), thread.name


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, shown(pilot.app)
        await pilot.pause(0.01)


def shown(app: Any) -> str:
    """The characters on the screen."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line).rstrip() for line in lines)


def later(seconds: float) -> Any:
    return NOW + timedelta(seconds=seconds)


def in_worktree(name: str) -> Path:
    return Path("/code/app.worktrees") / name
