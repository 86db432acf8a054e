"""Tasks and prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scopecraft_git.errors.base import NotFoundError, RefusedError, ScopecraftError, UsageError, did_you_mean


class TaskNotFoundError(NotFoundError):
    def __init__(self, name: str, near: Sequence[str] = ()) -> None:
        super().__init__(
            f"No task is called {name}{did_you_mean(near)}",
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
            f"No prompt file is called {name}{did_you_mean(near)}",
            "Give a path, or the name of a file below .tasks/.modes: ls -R .tasks/.modes",
        )


class InvalidPromptError(RefusedError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"The prompt file {path} cannot be used: {reason}", f"Correct it: ${{EDITOR:-vi}} {path}")


class McpConfigRefusedError(RefusedError):
    """What a repository commits never defines commands; in a container it can do no harm."""

    def __init__(self, path: Path, executor: str, task: str) -> None:
        super().__init__(
            f"The prompt file {path} belongs to the repository, and its mcpConfig could start any program on this "
            f"machine: {executor} has no isolation",
            "Keep the prompt file outside of the repository, or use a container: "
            f"git scopecraft run {task} --prompt-file '{path}' --executor docker",
        )


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


class NotTextError(UsageError):
    def __init__(self, option: str) -> None:
        super().__init__(
            f"What is given with {option} is not all UTF-8",
            "See what the terminal sends, and set it to UTF-8: locale charmap",
        )


class NothingToAskError(UsageError):
    def __init__(self, task: str) -> None:
        super().__init__(
            f"The task {task} says nothing that an agent could be asked: it has no Instruction, Tasks or Deliverable",
            f"Say it here: git scopecraft run {task} -p 'What to do'",
        )
