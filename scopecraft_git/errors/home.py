"""The home directory and the settings in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scopecraft_git.errors.base import RefusedError, ScopecraftError, did_you_mean


class HomeNotWritableError(RefusedError):
    def __init__(self, home: Path, reason: str) -> None:
        usual, other = Path.home() / ".scopecraft", Path.home() / ".local/share/scopecraft"
        super().__init__(
            f"Sessions are kept in {home}, which cannot be written ({reason})",
            f"Make it writable, or choose another folder: export SCOPECRAFT_HOME={other if home == usual else usual}",
        )


class HomeNotReadableError(RefusedError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be read ({reason})", f"See whom it belongs to: namei -l '{path}'")


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
            f"There is no setting {key} ({origin}){did_you_mean(near)}",
            "To see every setting and its value, run git scopecraft config show --defaults",
        )


class UnreadableConfigError(RefusedError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} cannot be read: {reason}",
            f"Correct it, or set it aside: mv {path} {path}.broken",
        )
