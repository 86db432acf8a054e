"""Why a session cannot be continued."""

from __future__ import annotations

from pathlib import Path

from scopecraft_git.errors.base import NotFoundError, RefusedError, UsageError


class NothingToSayError(UsageError):
    def __init__(self, session: str) -> None:
        super().__init__(
            "Nothing says what the agent is to do next",
            f"Tell it: git scopecraft continue {session} -p 'What to do next'",
        )


class SessionLivesError(RefusedError):
    def __init__(self, session: str, status: str, mode: str) -> None:
        way_out = f"Wait for its end, or stop it: git scopecraft stop {session}"
        if mode == "dispatch":
            way_out = f"Tell the agent in its window: git scopecraft attach {session}"
        super().__init__(f"The session {session} is {status}; only one that has ended can be continued", way_out)


class NothingToContinueError(RefusedError):
    def __init__(self, session: str, task: str) -> None:
        super().__init__(
            f"The agent of {session} never began to work, so there is nothing to continue",
            f"Start anew: git scopecraft run {task} -p 'What to do'",
        )


class CannotResumeError(RefusedError):
    def __init__(self, agent: str, task: str) -> None:
        super().__init__(
            f"The agent {agent} keeps no memory of its sessions, so none can be continued",
            f"Start anew in the same worktree: git scopecraft run {task} -p 'What to do'",
        )


class RepositoryGoneError(NotFoundError):
    def __init__(self, session: str, path: Path) -> None:
        super().__init__(
            f"The repository {path} is gone, and {session} worked there",
            f"Put it back where it was; to see what the agent did, run git scopecraft logs {session}",
        )


class BranchGoneError(NotFoundError):
    """`kept` is what still holds its commits: a ref, a commit, or nothing."""

    def __init__(self, branch: str, main: Path, task: str, kept: str) -> None:
        back = f"Bring it back: git -C '{main}' branch {branch} {kept}"
        super().__init__(
            f"The branch {branch} is gone, and the session worked there",
            back if kept else f"Start anew: git scopecraft run {task} -p 'What to do'",
        )


class BranchLeftError(RefusedError):
    def __init__(self, path: Path, branch: str) -> None:
        super().__init__(
            f"The worktree {path} does not stand on {branch} any more, where the session worked",
            f"Go back to it: git -C '{path}' switch {branch}",
        )


class BranchElsewhereError(RefusedError):
    """The agent knows its session by the path it worked at."""

    def __init__(self, branch: str, elsewhere: Path, path: Path, main: Path) -> None:
        way_out = f"Move it back: git -C '{main}' worktree move '{elsewhere}' '{path}'"
        super().__init__(
            f"The branch {branch} is checked out in {elsewhere}, and the session worked in {path}",
            f"Let go of it there: git -C '{main}' switch -" if elsewhere == main else way_out,
        )
