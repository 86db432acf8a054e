"""What becomes of calls for which a handler of a plugin's wants the session paused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import plugins, sessions
from scopecraft_git.models import SessionStatus
from scopecraft_git.storage.local import LocalStorage
from scopecraft_git.supervisor.follower import Follower
from tests.executors.contract import until
from tests.supervisor import killed

ASKS_AS_IT_LEAVES = "trap 'ask r1 Pause; answered r1; exit 3' INT; say ready; while :; do sleep 0.02; done"
"""Interrupted, it asks for something that the handler wants a pause for."""


def test_who_is_made_to_leave_gets_no_call_for_which_there_is_to_be_a_pause(
    repo: Path, home: Path, git: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worktree = repo.parent / "app.worktrees" / "auth-05A"
    git(repo, "worktree", "add", "-q", "-b", "feature/auth-05A", str(worktree))
    handlers = (*plugins.BUILT_IN["handler"], killed.HANDLER)
    monkeypatch.setattr(plugins, "BUILT_IN", {**plugins.BUILT_IN, "handler": handlers})
    plugins._offered.cache_clear()
    try:
        storage = LocalStorage()
        session = killed.make(storage, "auth-05A-0000001", repo / ".git", worktree, killed.WORDS + ASKS_AS_IT_LEAVES)
        follower = Follower(session, storage, **dict.fromkeys(("changed", "freed", "ended"), lambda: None))
    finally:
        plugins._offered.cache_clear()

    def texts() -> list[str]:
        return [event.text for each in storage.events(session.id) if (event := each.event).kind == "text"]

    follower.start()
    until(lambda: texts() == ["ready"])
    sessions.ask(session.id, "stop")
    (asked,) = sessions.asked(session.id)
    follower.ask(asked)
    until(lambda: not follower.is_alive())
    assert texts() == ["ready", "r1 denied"]
    assert storage.load(session.id).status is SessionStatus.CANCELLED
