"""Which sessions live: `active.json`, so that nobody has to read the records of those that have ended."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from scopecraft_git.errors import NewerFormatError, ScopecraftError
from scopecraft_git.storage import files

_VERSION = 1


class Registry:
    """Always a superset: a session is added before it lives and struck after it has ended.

    Derived: when it is missing or unreadable it is made again from `survey`, which reads every record once. So only
    an addition waits for the disk, and only for the file's name: after a crash of the machine it may be spoilt, or name
    a session that has ended, which who reads it next sees; but it must not be the one of before.
    """

    def __init__(self, folder: Path, survey: Callable[[], Iterable[str]]) -> None:
        self._folder = folder
        self._path = folder / "active.json"
        self._lock = folder / "active.lock"
        self._survey = survey

    def ids(self) -> set[str]:
        """Needs no lock, and no permission to write."""
        known = self._read()
        if known is not None:
            return known
        if not self._folder.is_dir():
            return set()
        with contextlib.suppress(OSError, ScopecraftError), files.locked(self._lock):
            return self._restored()
        return set(self._survey())

    def add(self, session_id: str) -> None:
        if session_id not in (self._read() or ()):
            with files.locked(self._lock):
                self._write(self._restored() | {session_id})
                with files.writing():
                    files.sync_folder(self._folder)

    def discard(self, session_id: str) -> None:
        known = self._read()
        if known is None or session_id in known:
            with files.locked(self._lock):
                self._write(self._restored() - {session_id})

    def _restored(self) -> set[str]:
        known = self._read()
        if known is None:
            known = set(self._survey())
            self._write(known)
        return known

    def _read(self) -> set[str] | None:
        try:
            document = json.loads(self._path.read_bytes())
            if document["schema_version"] > _VERSION:
                raise NewerFormatError(self._path)
            return {str(session_id) for session_id in document["sessions"]}
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def _write(self, known: set[str]) -> None:
        document = {"schema_version": _VERSION, "sessions": sorted(known)}
        files.replace(self._path, json.dumps(document, indent=2).encode() + b"\n", durable=False)
