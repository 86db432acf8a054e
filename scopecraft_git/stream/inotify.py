"""Has Linux tell of files that are written, through one channel for the whole process: a user is given few of them."""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

Tell = Callable[[str], object]

_MODIFIED, _CLOSED, _MOVED_HERE, _CREATED = 0x002, 0x008, 0x080, 0x100
_CLOSE_ON_EXEC = 0x80000
_IGNORED = 0x8000
_HEAD = struct.Struct("iIII")
_AT_ONCE = 1 << 16
_NONE = -1
"""The folder's number where the channel ran over: any of them may have changed."""


class Inotify:
    """One thread reads the channel, and calls whoever wants to know right away."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._lock = threading.Lock()
        self._channel: int | None = None
        self._told: dict[int, list[Tell]] = {}

    def watch(self, folder: Path, tell: Tell) -> Callable[[], None]:
        """Have `tell` called, in another thread, with the name of what was written, made or moved in `folder`.

        The name is empty where it is not known. Returns what ends that. Raises `OSError` where it cannot be had.
        """
        with self._lock:
            mask = _MODIFIED | _CLOSED | _MOVED_HERE | _CREATED
            number = self._libc.inotify_add_watch(self._opened(), os.fsencode(folder), mask)
            if number < 0:
                raise _error()
            self._told.setdefault(number, []).append(tell)
        return lambda: self._end(number, tell)

    def _end(self, number: int, tell: Tell) -> None:
        with self._lock:
            told = self._told.get(number, [])
            if tell in told:
                told.remove(tell)
                if not told:
                    del self._told[number]
                    self._libc.inotify_rm_watch(self._channel, number)

    def _opened(self) -> int:
        if self._channel is None:
            channel: int = self._libc.inotify_init1(_CLOSE_ON_EXEC)
            if channel < 0:
                raise _error()
            self._channel = channel
            threading.Thread(target=self._read, args=[channel], name="inotify", daemon=True).start()
        return self._channel

    def _read(self, channel: int) -> None:
        while True:
            for number, mask, name in _parsed(os.read(channel, _AT_ONCE)):
                for tell in self._listening(number, mask):
                    tell(name)

    def _listening(self, number: int, mask: int) -> list[Tell]:
        with self._lock:
            if number == _NONE:
                return [tell for told in self._told.values() for tell in told]
            if mask & _IGNORED:  # the folder is gone
                return self._told.pop(number, [])
            return list(self._told.get(number, ()))


def _parsed(data: bytes) -> Iterator[tuple[int, int, str]]:
    position = 0
    while position < len(data):
        number, mask, _, length = _HEAD.unpack_from(data, position)
        position += _HEAD.size
        name = data[position : position + length].rstrip(b"\0")
        position += length
        yield number, mask, os.fsdecode(name)


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
