"""What a user can fix. Every message and its cure lives here, so that it is written once and tested once.

An error says what happened and what was expected; its hint ends in a command that can be pasted.
Only `cli.main` catches them, and turns `exit_code` into the command's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

FAILED, USAGE, NOT_FOUND, REFUSED, MISSING, BUG, INTERRUPTED = 1, 2, 3, 4, 5, 70, 130


class ScopecraftError(Exception):
    """Something a user can fix: a message, and a hint that says how."""

    exit_code = FAILED

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotFoundError(ScopecraftError):
    exit_code = NOT_FOUND


class RefusedError(ScopecraftError):
    exit_code = REFUSED


class MissingError(ScopecraftError):
    exit_code = MISSING


class UsageError(ScopecraftError):
    exit_code = USAGE


def _did_you_mean(near: Sequence[str]) -> str:
    return f" (did you mean {' or '.join(near)}?)" if near else ""


# Home and configuration


class HomeNotWritableError(RefusedError):
    def __init__(self, home: Path, reason: str) -> None:
        super().__init__(
            f"Sessions are kept in {home}, which cannot be written ({reason})",
            f"Make it writable, or choose another folder: export SCOPECRAFT_HOME={Path.home() / '.scopecraft'}",
        )


class HomeFullError(ScopecraftError):
    def __init__(self, home: Path, reason: str) -> None:
        super().__init__(
            f"The disk that holds {home} is full ({reason}); what was kept there is as it was",
            f"Free some space, then try again: df -h {home}",
        )


class NewerFormatError(RefusedError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} was written by a newer version of git scopecraft, and this one would spoil it",
            "Upgrade this one: pip install --upgrade scopecraft-git",
        )


class InvalidSettingError(RefusedError):
    def __init__(self, key: str, origin: str, reason: str) -> None:
        super().__init__(
            f"The setting {key} from {origin} is not valid: {reason}",
            "To see every setting and its value, run git scopecraft config show --defaults",
        )


class UnknownSettingError(RefusedError):
    def __init__(self, key: str, origin: str, near: Sequence[str] = ()) -> None:
        super().__init__(
            f"There is no setting {key} ({origin}){_did_you_mean(near)}",
            "To see every setting and its value, run git scopecraft config show --defaults",
        )


class UnreadableConfigError(RefusedError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} cannot be read: {reason}",
            f"Correct it, or set it aside: mv {path} {path}.broken",
        )


# Git


class GitFailedError(ScopecraftError):
    """Git itself said no where no clearer error of ours applies."""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(
            f"git {command} failed: {reason}", "To check git and this repository, run git scopecraft doctor"
        )


class NotARepositoryError(NotFoundError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is not inside a git repository",
            "Change into a repository, or start one here: git init",
        )


class BareRepositoryError(RefusedError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is a bare repository; a session needs a checkout to work beside",
            f"Clone it and work there: git clone {path}",
        )


class UnbornRepositoryError(RefusedError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} has no commit yet, so there is nothing to base a branch on",
            "Make the first commit: git commit --allow-empty -m 'Start'",
        )


class NoDefaultBranchError(RefusedError):
    def __init__(self, branches: Sequence[str]) -> None:
        super().__init__(
            f"The default branch is not known; it could be any of {', '.join(branches)}",
            f"Name it once: git config scopecraft.worktree.base {branches[0]}",
        )


class UnknownRefError(NotFoundError):
    def __init__(self, ref: str) -> None:
        super().__init__(f"{ref} names no commit in this repository", "To see the branches, run git branch --all")


# Tasks


class TaskNotFoundError(NotFoundError):
    def __init__(self, name: str, near: Sequence[str] = ()) -> None:
        super().__init__(
            f"No task is called {name}{_did_you_mean(near)}",
            "To see the tasks, run git scopecraft task list; "
            f"to go without a file, run git scopecraft run {name} -p 'What to do'",
        )


class AmbiguousTaskError(RefusedError):
    def __init__(self, name: str, candidates: Sequence[str]) -> None:
        super().__init__(
            f"{name} could be any of {', '.join(candidates)}",
            f"Give the whole id: git scopecraft run {candidates[0]}",
        )


class UnreadableTaskError(RefusedError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The task file {path} cannot be read: {reason}",
            f"Correct it: ${{EDITOR:-vi}} {path}",
        )


class InvalidTaskNameError(UsageError):
    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"{name!r} cannot be a task's name: {reason}",
            "Use letters, digits, dots and dashes, such as git scopecraft task new implement-auth-05A",
        )


class TaskExistsError(RefusedError):
    def __init__(self, name: str, path: Path) -> None:
        super().__init__(f"The task {name} exists already: {path}", f"To read it, run git scopecraft task show {name}")


class NotAParentError(RefusedError):
    """Subtasks lie beside their parent's `_overview.md`, in a folder of the parent's name."""

    def __init__(self, name: str, path: Path) -> None:
        folder = str(path).removesuffix(".task.md")
        super().__init__(
            f"The task {name} is a single file, and subtasks need a folder",
            f"Make it one: mkdir '{folder}' && mv '{path}' '{folder}/_overview.md'",
        )


class UnwritableTaskError(ScopecraftError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The task file {path} cannot be written: {reason}",
            f"See what is there: ls -la '{path.parent}'",
        )


class PromptNotFoundError(NotFoundError):
    def __init__(self, name: str, near: Sequence[str] = ()) -> None:
        super().__init__(
            f"No prompt file is called {name}{_did_you_mean(near)}",
            "Give a path, or the name of a file below .tasks/.modes: ls -R .tasks/.modes",
        )


class InvalidPromptError(RefusedError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"The prompt file {path} cannot be used: {reason}", f"Correct it: ${{EDITOR:-vi}} {path}")


class MissingPromptInputError(UsageError):
    def __init__(self, path: Path, name: str) -> None:
        super().__init__(f"The prompt file {path} needs a value for {name}", f"Give it: --data {name}=VALUE")


class InvalidPromptInputError(UsageError):
    def __init__(self, path: Path, name: str, reason: str) -> None:
        super().__init__(
            f"The prompt file {path} cannot take the value given for {name}: {reason}",
            f"Give another: --data {name}=VALUE",
        )


class AmbiguousPromptError(RefusedError):
    def __init__(self, name: str, candidates: Sequence[str]) -> None:
        super().__init__(
            f"{name} could be any of the prompt files {', '.join(candidates)}",
            f"Give more of the name: --prompt-file {candidates[0]}",
        )


class InvalidPairError(UsageError):
    def __init__(self, text: str) -> None:
        super().__init__(f"--data takes a name and a value, not {text!r}", "Give it like this: --data name=value")


class NothingToAskError(UsageError):
    def __init__(self, task: str) -> None:
        super().__init__(
            f"The task {task} says nothing that an agent could be asked: it has no Instruction, Tasks or Deliverable",
            f"Say it here: git scopecraft run {task} -p 'What to do'",
        )


# Worktrees


class AmbiguousWorktreeError(RefusedError):
    def __init__(self, task: str, candidates: Sequence[str]) -> None:
        super().__init__(
            f"The task {task} fits more than one branch: {', '.join(candidates)}",
            f"Name the one that is meant: git scopecraft run {task} --branch {candidates[0]}",
        )


class MainBranchError(RefusedError):
    def __init__(self, branch: str, path: Path) -> None:
        super().__init__(
            f"{branch} is the default branch, and an agent never works there ({path})",
            f"Give the agent a branch of its own: --branch feature/{path.name}",
        )


class MainWorktreeError(RefusedError):
    def __init__(self, path: Path, branch: str) -> None:
        super().__init__(
            f"{branch} is checked out in the main worktree {path}; an agent never works there",
            f"Go back to the default branch there, then try again: git -C '{path}' switch -",
        )


class BranchInTheWayError(RefusedError):
    def __init__(self, branch: str, blocker: str) -> None:
        super().__init__(
            f"The branch {branch} cannot be made while a branch {blocker} exists",
            f"Rename it: git branch -m {blocker} {blocker}-old",
        )


class InvalidBranchError(UsageError):
    def __init__(self, branch: str) -> None:
        super().__init__(f"{branch!r} cannot be a branch name", "Choose one like --branch feature/auth-05A")


class HalfDoneError(RefusedError):
    def __init__(self, operation: str, path: Path) -> None:
        way_out = "bisect reset" if operation == "bisect" else f"{operation} --abort"
        super().__init__(
            f"A {operation} is half done in {path}",
            f"Finish or abort it: git -C '{path}' {way_out}",
        )


class DetachedHeadError(RefusedError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} stands on no branch (detached HEAD), so what an agent commits there would belong to none",
            f"Give it one: git -C '{path}' switch -c feature/{path.name}",
        )


class WrongBranchError(RefusedError):
    def __init__(self, path: Path, branch: str, wanted: str) -> None:
        super().__init__(
            f"The worktree {path} stands on {branch}, and {wanted} is meant to be there",
            f"Work on that one with --branch {branch}, or make room: git worktree move '{path}' '{path}.old'",
        )


class MissingWorktreeError(RefusedError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The folder of the worktree {path} is gone, and git still counts on it",
            f"Bring it back, or let git forget this one worktree: git worktree remove '{path}'",
        )


class HalfMadeWorktreeError(RefusedError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The worktree {path} was never finished: the command that made it was killed",
            f"Start over without it: git worktree remove -f -f '{path}'",
        )


class ReplacedGitLinkError(RefusedError):
    """An agent may have put anything in its place; git run there by hand would obey it."""

    def __init__(self, path: Path, main: Path) -> None:
        super().__init__(
            f"{path}/.git does not lead to this repository any more",
            f"Set it aside and make it anew: mv '{path}/.git' '{path}.git-replaced'; "
            f"git -C '{main}' worktree repair",
        )


class CannotIncludeError(ScopecraftError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path}, which .worktreeinclude names, cannot be copied: {reason}",
            f"See who may read it: ls -ld '{path}'",
        )


class CannotMakeWorktreeError(ScopecraftError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The worktree {path} cannot be made: {reason}",
            "Choose another place: git config scopecraft.worktree.path '~/worktrees/{repo}/{suffix}'",
        )


class CannotRemoveError(ScopecraftError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The worktree {path} cannot be removed: {reason}",
            f"See whom it belongs to, then try again: ls -la '{path}'",
        )


class StandingInsideError(RefusedError):
    def __init__(self, path: Path, main: Path) -> None:
        super().__init__(
            f"{path} cannot be removed from inside",
            f"Leave it first: cd '{main}'",
        )


class PathInTheWayError(RefusedError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} exists and is not a worktree of this repository",
            f"Move it away: mv '{path}' '{path}.old'",
        )


class NestedWorktreeError(RefusedError):
    def __init__(self, path: Path, outer: Path) -> None:
        super().__init__(
            f"The worktree {path} would lie inside the worktree {outer}",
            "Choose a place beside the repository: git config scopecraft.worktree.path '../{repo}.worktrees/{suffix}'",
        )


class WorktreeNotFoundError(NotFoundError):
    def __init__(self, name: str, near: Sequence[str] = ()) -> None:
        super().__init__(
            f"No worktree belongs to {name}{_did_you_mean(near)}",
            "To see the worktrees, run git scopecraft worktree list",
        )


class NotOurWorktreeError(RefusedError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} was not made by git scopecraft, which removes only what it made",
            f"Remove it with git: git worktree remove '{path}'",
        )


class WorktreeBusyError(RefusedError):
    def __init__(self, path: Path, session: str) -> None:
        super().__init__(
            f"The session {session} lives in {path}",
            f"Stop it first: git scopecraft stop {session}",
        )


class WorktreeLockedError(RefusedError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is locked{f' ({reason})' if reason else ''}",
            f"Unlock it first: git worktree unlock '{path}'",
        )


class WorkWouldBeLostError(RefusedError):
    """`losses` lists what only exists there: changed and untracked files, commits on no other branch."""

    def __init__(self, path: Path, name: str, losses: Sequence[str]) -> None:
        shown = [*losses[:10], *([f"and {len(losses) - 10} more"] if len(losses) > 10 else [])]
        super().__init__(
            f"Removing {path} would lose:\n" + "\n".join(f"    {loss}" for loss in shown),
            f"Merge or commit it, or remove it all the same: git scopecraft worktree remove {name} --force",
        )


class LockTimeoutError(ScopecraftError):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__(
            f"Another command has held {path} for {seconds:.0f} s",
            f"See who holds it, then try again: fuser {path}",
        )


class WorktreeLinkError(RefusedError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path}/.git is not the file that git made there",
            f"Set aside what took its place and let git mend it: mv '{path}/.git' '{path}.git.old'; git worktree repair",
        )


# Sessions and queue


class SessionNotFoundError(NotFoundError):
    def __init__(self, selector: str, near: Sequence[str] = ()) -> None:
        super().__init__(
            f"No session is called {selector}{_did_you_mean(near)}",
            "To see the sessions, run git scopecraft list --all",
        )


class AmbiguousSessionError(RefusedError):
    def __init__(self, selector: str, candidates: Sequence[str]) -> None:
        super().__init__(
            f"{selector} could be any of {', '.join(candidates)}",
            f"Give more of the id: git scopecraft show {candidates[0]}",
        )


class UnreadableSessionError(ScopecraftError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The record {path} cannot be read: {reason}",
            f"It was left as it is. To set the session aside: mv '{path.parent}' '{path.parent}.broken'",
        )


class IllegalTransitionError(RefusedError):
    def __init__(self, session: str, status: str, wanted: str) -> None:
        super().__init__(
            f"The session {session} is {status}, which cannot become {wanted}",
            f"To see how it stands, run git scopecraft show {session}",
        )


class SessionEndedError(RefusedError):
    def __init__(self, session: str, status: str) -> None:
        super().__init__(
            f"The session {session} has ended ({status})",
            f"To see what it did, run git scopecraft logs {session}",
        )


class QueueFullError(RefusedError):
    def __init__(self, waiting: int, maximum: int) -> None:
        super().__init__(
            f"The queue is full: {waiting} sessions wait and the limit is {maximum}",
            "Wait for one to start: git scopecraft list; or allow more: git config --global scopecraft.max-waiting 20",
        )


class SupervisorSilentError(ScopecraftError):
    def __init__(self, session: str, log: Path) -> None:
        super().__init__(
            f"The supervisor did not take up the session {session}; it stays in the queue",
            f"See what the supervisor says: cat {log}",
        )


class StartFailedError(ScopecraftError):
    def __init__(self, session: str, reason: str) -> None:
        super().__init__(
            f"The session {session} did not start: {reason}",
            f"To see all of it, run git scopecraft show {session}",
        )


# Plugins


class UnknownPluginError(UsageError):
    def __init__(self, kind: str, name: str, known: Sequence[str], near: Sequence[str] = ()) -> None:
        super().__init__(
            f"There is no {kind} called {name}{_did_you_mean(near)}; known are {', '.join(known)}",
            "To see every plugin and what it adds, run git scopecraft plugins",
        )


class DuplicatePluginError(ScopecraftError):
    def __init__(self, kind: str, name: str, first: str, second: str) -> None:
        super().__init__(
            f"The plugins {first} and {second} both register the {kind} {name}",
            f"Uninstall one of them, or leave one out: export SCOPECRAFT_DISABLE_PLUGINS={second}",
        )


class BrokenPluginError(ScopecraftError):
    def __init__(self, plugin: str, reason: str) -> None:
        super().__init__(
            f"The plugin {plugin} cannot be used: {reason}",
            f"Leave it out until it is mended: export SCOPECRAFT_DISABLE_PLUGINS={plugin}",
        )


# Executors and agents


class ExecutorUnavailableError(MissingError):
    """Raised by `Executor.check`; `hint` says how to make the executor available."""


class DockerUnreachableError(ExecutorUnavailableError):
    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            f"Docker is not reachable at {address} ({reason})",
            "Start Docker: sudo systemctl start docker; or run without isolation: "
            "git scopecraft run TASK --executor local",
        )


class ImageMissingError(ExecutorUnavailableError):
    def __init__(self, image: str) -> None:
        super().__init__(
            f"The image {image} does not exist on this engine",
            "Build it and log in: git scopecraft image build && git scopecraft image login",
        )


class DockerRefusedError(ScopecraftError):
    def __init__(self, action: str, reason: str) -> None:
        super().__init__(
            f"Docker refused to {action}: {reason}",
            "To check the engine and the image, run git scopecraft doctor",
        )


class EngineForbiddenError(DockerUnreachableError):
    """The engine's socket is there, and this user may not speak to it."""

    def __init__(self, address: str) -> None:
        super().__init__(address, "permission denied")
        self.hint = "Join the group docker, then log in again: sudo usermod -aG docker $USER"


class LoginNeedsTerminalError(UsageError):
    def __init__(self) -> None:
        super().__init__(
            "The login asks questions, and this is no terminal to ask them in",
            "Run it in a terminal: git scopecraft image login",
        )


class LoginFailedError(ScopecraftError):
    def __init__(self, image: str, code: int) -> None:
        super().__init__(
            f"The login ended with exit code {code}; {image} is as it was",
            "Try again: git scopecraft image login",
        )


class AgentHomeError(RefusedError):
    """An agent left something in its home that takes the place of a folder or file of ours."""

    def __init__(self, home: Path, reason: str) -> None:
        super().__init__(
            f"{home}, the home of the agents of this worktree, cannot be used: {reason}",
            f"Set it aside; its transcripts and login go with it: mv '{home}' '{home}.old'",
        )


class DockerCommandMissingError(MissingError):
    def __init__(self) -> None:
        super().__init__(
            "The docker command is not on the path, and the login needs it for its terminal",
            "Install it: sudo apt install docker-cli || sudo apt install docker.io",
        )


class BuildFailedError(ScopecraftError):
    def __init__(self, image: str, reason: str) -> None:
        super().__init__(
            f"The image {image} could not be built: {reason}",
            "The lines above say where; to start afresh, run git scopecraft image build --no-cache",
        )


class MountMissingError(MissingError):
    def __init__(self, source: Path) -> None:
        super().__init__(
            f"docker.mounts names {source}, which does not exist",
            f"Make it, or take it out of the settings: mkdir -p '{source}'",
        )


class ForbiddenMountError(RefusedError):
    def __init__(self, source: str, reason: str) -> None:
        super().__init__(
            f"docker.mounts names {source}, which is never mounted: {reason}",
            "Name a narrower folder: git scopecraft config show docker.mounts",
        )


class TmuxMissingError(ExecutorUnavailableError):
    def __init__(self) -> None:
        super().__init__(
            "tmux is not installed, and a dispatch session needs it",
            "Install it (apt install tmux, brew install tmux), or run unattended: git scopecraft run TASK",
        )


class AgentMissingError(MissingError):
    def __init__(self, agent: str, program: str) -> None:
        super().__init__(
            f"The agent {agent} needs the program {program}, which is not on the path",
            f"Install it, or name it: git config --global scopecraft.agents.{agent}.command /path/to/{program}",
        )


class AgentCommandMissingError(UsageError):
    def __init__(self, task: str) -> None:
        super().__init__(
            "The agent command runs what is given after --, and nothing was",
            f"Give it: git scopecraft run {task} --agent command -- ./agent.sh",
        )


class CommandNotTakenError(UsageError):
    def __init__(self, agent: str, task: str) -> None:
        super().__init__(
            f"The agent {agent} takes no command after --",
            f"To run a command of one's own: git scopecraft run {task} --agent command -- ./agent.sh",
        )


class WrongModeError(UsageError):
    def __init__(self, executor: str, mode: str, task: str) -> None:
        other = "run" if mode == "dispatch" else "dispatch"
        super().__init__(
            f"The executor {executor} has no {mode} mode",
            f"Choose another with --executor, or run git scopecraft {other} {task}",
        )


class CannotAttachError(RefusedError):
    def __init__(self, session: str, executor: str) -> None:
        super().__init__(
            f"The session {session} runs on {executor}, which has no screen to attach to",
            f"Follow it instead: git scopecraft logs -f {session}",
        )


class WindowGoneError(RefusedError):
    def __init__(self, session: str) -> None:
        super().__init__(
            f"The session {session} has no window any more; it was closed, or the tmux server has ended",
            f"To see what it did, run git scopecraft logs {session}",
        )


class CredentialsUnreadableError(MissingError):
    def __init__(self, variable: str, path: Path, reason: str) -> None:
        super().__init__(
            f"The credential {variable} cannot be read from {path}: {reason}",
            f"Write it there, for this user alone: install -m 600 /dev/stdin {path}",
        )


# The demo


class DemoFailedError(ScopecraftError):
    def __init__(self, step: str, reason: str) -> None:
        super().__init__(
            f"The demo stopped at '{step}': {reason}",
            "Check what it needs: git scopecraft doctor; or look at what it left: git scopecraft demo --keep",
        )
