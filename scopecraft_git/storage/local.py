"""Sessions as files: a folder for each below `$SCOPECRAFT_HOME/sessions`, and a registry of those that live."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from scopecraft_git import paths
from scopecraft_git.errors import (
    IllegalTransitionError,
    NewerFormatError,
    ScopecraftError,
    SessionNotFoundError,
    UnreadableSessionError,
)
from scopecraft_git.events import LoggedEvent
from scopecraft_git.hookspecs import hookimpl
from scopecraft_git.models import SCHEMA_VERSION, Session, SessionStatus
from scopecraft_git.protocols import Storage
from scopecraft_git.storage import files, lines, records
from scopecraft_git.storage.registry import Registry


class LocalStorage:
    """The folder is the truth and the registry is derived from it, as a superset of the sessions that live.

    A session's own lock (`lock` in its folder) is held by whoever writes its record or its line in the registry.
    """

    name = "local"

    def create(self, session: Session) -> None:
        paths.ensure_home()
        with files.writing():
            paths.session(session.id).mkdir(mode=0o700, exist_ok=True)
        with self._writing(session.id):
            if records.path_of(session.id).exists():
                raise FileExistsError(records.path_of(session.id))
            self._write(session, kept={})

    def save(self, session: Session) -> None:
        with self._writing(session.id):
            self._write(session, kept=_kept(session.id))

    def load(self, session_id: str) -> Session:
        document = records.read(session_id)
        path = records.path_of(session_id)
        try:
            session = Session.model_validate(document)
        except ValueError as error:
            raise UnreadableSessionError(path, _reason(error)) from error
        return session.model_copy(update={"path": path.parent})

    def sessions(
        self,
        *,
        active: bool = False,
        newest: int | None = None,
        onerror: Callable[[ScopecraftError], None] | None = None,
    ) -> Iterator[Session]:
        living = self._registry.ids()

        def load(session_id: str) -> Session | None:
            session = self._read(session_id, onerror)
            if session_id in living and (session is None or session.status.ended):
                self._heal(session_id)
            return session

        return records.select(living, load, lambda session: session.status.ended, active=active, newest=newest)

    def ids(self) -> list[str]:
        """Also of a session that is just being made and has no record yet, and of one that cannot be read."""
        return records.ids()

    def update_status(
        self,
        session_id: str,
        status: SessionStatus,
        *,
        expected: Collection[SessionStatus],
        changes: Mapping[str, Any] | None = None,
    ) -> Session:
        with self._writing(session_id):
            session = self.load(session_id)
            if session.status not in expected:
                raise IllegalTransitionError(session_id, session.status, status)
            fields = dict(session) | dict(changes or {}) | {"status": status}
            self._write(Session.model_validate(fields), kept=_kept(session_id))
            return self.load(session_id)

    def append(self, session_id: str, events: Iterable[LoggedEvent]) -> None:
        data = b"".join(json.dumps(event.as_json()).encode() + b"\n" for event in events)
        if not data:
            return
        try:
            files.append(_events(session_id), data)
        except FileNotFoundError:
            raise SessionNotFoundError(session_id) from None

    def events(self, session_id: str, after: int = 0) -> Iterator[LoggedEvent]:
        path = _events(session_id)
        try:
            for line in lines.after(path, after):
                event = LoggedEvent.from_json(_parsed(line))
                if event.seq > after:
                    yield event
        except FileNotFoundError:
            if not path.parent.is_dir():
                raise SessionNotFoundError(session_id) from None
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise UnreadableSessionError(path, _reason(error)) from error

    def delete(self, session_id: str) -> None:
        try:
            with self._writing(session_id), files.writing():
                records.path_of(session_id).unlink(missing_ok=True)
                self._strike(session_id)
        except SessionNotFoundError:
            return
        shutil.rmtree(paths.session(session_id), ignore_errors=True)

    @property
    def _registry(self) -> Registry:
        return Registry(paths.sessions(), self._living)

    @contextlib.contextmanager
    def _writing(self, session_id: str) -> Iterator[None]:
        try:
            with files.locked(records.folder_of(session_id) / "lock"):
                yield
        except (FileNotFoundError, NotADirectoryError):
            raise SessionNotFoundError(session_id) from None

    def _write(self, session: Session, kept: dict[str, Any]) -> None:
        """The registry names a session before it lives, and until after it has ended.

        With the name in the registry the session's folder is on the disk, and with the record all that lies in it.
        """
        if not session.status.ended:
            self._registry.add(session.id)
        document = session.model_dump(mode="json") | kept
        files.replace(records.path_of(session.id), json.dumps(document, indent=2).encode() + b"\n")
        if session.status.ended:
            self._strike(session.id)

    def _strike(self, session_id: str) -> None:
        """Fails in silence, as on a full disk: one that stays in the registry is struck by whoever reads it next."""
        with contextlib.suppress(OSError, ScopecraftError):
            self._registry.discard(session_id)

    def _read(self, session_id: str, onerror: Callable[[ScopecraftError], None] | None) -> Session | None:
        try:
            return self.load(session_id)
        except SessionNotFoundError:
            return None
        except UnreadableSessionError as error:
            if onerror:
                onerror(error)
            return None

    def _heal(self, session_id: str) -> None:
        """Strike a session that lives no more; not when someone is writing its record, who does so himself."""
        with contextlib.suppress(OSError, ScopecraftError):
            if not paths.session(session_id).is_dir():
                self._registry.discard(session_id)
            elif (lock := files.try_lock(paths.session(session_id) / "lock")) is not None:
                try:
                    if self._has_ended(session_id):
                        self._registry.discard(session_id)
                finally:
                    os.close(lock)

    def _has_ended(self, session_id: str) -> bool:
        """False also for a record that cannot be read: nobody knows."""
        try:
            return self.load(session_id).status.ended
        except SessionNotFoundError:
            return True
        except UnreadableSessionError:
            return False

    def _living(self) -> Iterator[str]:
        return (session_id for session_id in records.folders() if not self._has_ended(session_id))


def _events(session_id: str) -> Path:
    return records.folder_of(session_id) / "events.jsonl"


def _kept(session_id: str) -> dict[str, Any]:
    """What the record holds that this version does not know. Raises `NewerFormatError` where that is too much."""
    path = records.path_of(session_id)
    try:
        document = json.loads(path.read_bytes())
        version = int(document["schema_version"])
    except FileNotFoundError:
        raise SessionNotFoundError(session_id) from None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UnreadableSessionError(path, _reason(error)) from error
    if version > SCHEMA_VERSION:
        raise NewerFormatError(path)
    return {name: value for name, value in document.items() if name not in Session.model_fields}


def _parsed(line: bytes) -> Any:
    """A long session has hundreds of thousands; the faster parser knows no half of a surrogate pair."""
    try:
        return from_json(line)
    except ValueError:
        return json.loads(line)


def _reason(error: Exception) -> str:
    """On one line: pydantic's errors fill a page."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'the document'}: {first['msg']}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)


@hookimpl
def register_storage() -> Iterable[Storage]:
    return [LocalStorage()]
