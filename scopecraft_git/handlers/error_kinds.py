"""How bad an error is, by what it says."""

from __future__ import annotations

from collections.abc import Iterable

from scopecraft_git.events import Severity
from scopecraft_git.hookspecs import hookimpl
from scopecraft_git.protocols import ErrorKind

KINDS = (
    ErrorKind("permission", Severity.CRITICAL, r"permission denied|operation not permitted|\beacces\b|\beperm\b"),
    ErrorKind(
        "authentication",
        Severity.CRITICAL,
        r"authentication[ _](failed|required|error)|failed to authenticate|401 unauthorized|invalid credentials"
        r"|invalid (x-)?api[ -]key|api key (is )?(not valid|invalid|missing|expired)|not logged in|please run /login"
        r"|(token|login|credentials?) (has |have )?expired",
    ),
    ErrorKind(
        "disk",
        Severity.CRITICAL,
        r"no space left on device|disk quota exceeded|read-only file system|\benospc\b|\berofs\b|\bedquot\b",
    ),
    ErrorKind("file not found", Severity.WARNING, r"no such file or directory|does not exist|not found|\benoent\b"),
    ErrorKind("failed", Severity.WARNING, r""),
)
"""The last one matches whatever failed."""


@hookimpl
def register_error_kinds() -> Iterable[ErrorKind]:
    return KINDS
