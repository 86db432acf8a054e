from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scopecraft_git import stream
from scopecraft_git.stream import Folders, folders
from scopecraft_git.stream.elsewhere import Elsewhere
from scopecraft_git.stream.inotify import Inotify
from tests.executors.contract import until

NEVER_LATER = 5.0
"""Seconds; well below `stream.PATIENCE`, after which a change is seen that nobody told of."""


@pytest.fixture(params=[Inotify, Elsewhere])
def teller(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the way of Linux, and in the one that other systems get."""
    monkeypatch.setattr(folders, "_TELLER", request.param())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "session" / "stream.log"
    path.parent.mkdir()
    path.touch()
    return path


def add(log: Path, data: bytes) -> None:
    with log.open("ab") as file:
        file.write(data)


def within(seconds: float) -> Callable[[], bool]:
    """An end that comes by itself, so that a test that would wait for ever fails."""
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() > deadline


def read(chunks: Iterator[bytes], size: int) -> bytes:
    begun = time.monotonic()
    found = b""
    while len(found) < size:
        found += next(chunks)
    assert time.monotonic() - begun < NEVER_LATER
    return found


@pytest.mark.usefixtures("teller")
def test_bytes_come_as_they_are_written_from_an_offset_on(log: Path) -> None:
    add(log, b"earlier")
    chunks = stream.follow(log, 2, within(stream.PATIENCE * 2))
    assert read(chunks, 5) == b"rlier"
    for number in range(20):
        add(log, b"line %d\n" % number)
        assert read(chunks, 7) == b"line %d\n" % number


def test_the_end_is_asked_for_while_more_and_more_comes(log: Path) -> None:
    """Somebody whom the agent left behind may go on writing."""
    over, gone = threading.Event(), threading.Event()

    def write() -> None:
        while not gone.wait(0.01):
            add(log, b"x")

    writer = threading.Thread(target=write)
    writer.start()
    threading.Timer(0.5, over.set).start()
    begun = time.monotonic()
    assert b"".join(stream.follow(log, 0, over.is_set))
    assert time.monotonic() - begun < NEVER_LATER
    gone.set()
    writer.join()


def test_what_was_written_just_before_the_end_is_read(log: Path) -> None:
    over = threading.Event()
    chunks = stream.follow(log, 0, over.is_set)
    add(log, b"one")
    assert next(chunks) == b"one"
    add(log, b"last words")
    over.set()
    assert b"".join(chunks) == b"last words"


def test_a_file_that_comes_later_is_followed(log: Path) -> None:
    log.unlink()
    chunks = stream.follow(log, 0, within(stream.PATIENCE * 2))
    threading.Timer(0.2, add, (log, b"at last")).start()
    assert read(chunks, 7) == b"at last"


@pytest.mark.usefixtures("teller")
def test_looking_is_no_reason_to_look_again(log: Path) -> None:
    looks = 0
    for _ in stream.changes(log.parent, within(1.0)):
        log.read_bytes()
        looks += 1
    assert looks < 10  # it looks less and less often


def test_what_a_change_announces_is_noticed_though_nobody_tells_of_it(log: Path) -> None:
    over = threading.Event()
    looks = stream.changes(log.parent, over.is_set)
    next(looks)
    begun = time.monotonic()
    add(log, b"bye")
    threading.Timer(0.5, over.set).start()
    assert list(looks)
    assert time.monotonic() - begun < NEVER_LATER


HOLDER = """
import fcntl, sys
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print(flush=True)
input()
"""


def test_a_lock_given_up_by_a_killed_process_is_noticed(log: Path) -> None:
    """Nothing is written then, and the system tells of the closed file before the lock is free."""
    lock = log.with_name("process.lock")
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout
    holder.stdout.readline()
    looks = stream.changes(log.parent, lambda: _is_free(lock))
    next(looks)
    threading.Timer(1.5, holder.send_signal, (signal.SIGKILL,)).start()
    begun = time.monotonic()
    assert list(looks)
    assert time.monotonic() - begun < NEVER_LATER
    holder.communicate()


def _is_free(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@pytest.mark.usefixtures("teller")
def test_another_folder_may_tell_of_the_end(log: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    looks = stream.changes(log.parent, (other / "exit.json").exists, also=other)
    next(looks)
    threading.Timer(1.5, (other / "exit.json").write_text, ("{}",)).start()
    begun = time.monotonic()
    assert list(looks)
    assert time.monotonic() - begun < NEVER_LATER


@pytest.mark.usefixtures("teller")
def test_of_many_folders_the_files_that_changed_are_told(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    with Folders(one, two, ignoring={"lock"}) as both:
        assert both.told
        assert both.wait(0.01) == set()
        (one / "lock").write_text("x")
        (one / "a").write_text("x")
        (two / ".b.new").write_text("x")
        (two / ".b.new").rename(two / "b")
        expected = {one / "a", two / "b"}
        seen: set[Path] = set()
        while not expected <= seen:
            changed = both.wait(NEVER_LATER)
            assert changed
            seen |= changed
        assert one / "lock" not in seen
        both.discard(one)
        (one / "a").write_text("y")
        assert not {path for path in both.wait(0.2) if path.parent == one}
        both.add(tmp_path / "nowhere")
        assert not both.told


def test_a_folder_that_goes_and_comes_back_is_told_of_again(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    with Folders(folder) as watched:
        folder.rmdir()
        folder.mkdir()
        until(lambda: not watched.wait(0.05))
        watched.discard(folder)
        watched.add(folder)
        (folder / "a").write_text("x")
        assert watched.wait(5) == {folder / "a"}


def test_many_streams_share_one_channel_of_the_system(tmp_path: Path) -> None:
    folders = [tmp_path / f"session-{number}" for number in range(30)]
    logs = []
    for folder in folders:
        folder.mkdir()
        logs.append(folder / "stream.log")
    before = threading.active_count()
    channels = _inotify_channels()
    streams = [stream.follow(each, 0, within(stream.PATIENCE * 2)) for each in logs]
    for each, chunks in zip(logs, streams, strict=True):
        add(each, b"ready\n")
        assert read(chunks, 6) == b"ready\n"
    assert _inotify_channels() <= max(channels, 1)
    for chunks in streams:
        chunks.close()  # type: ignore[attr-defined]
    until(lambda: threading.active_count() <= before + 2)  # the two that read the channel


def _inotify_channels() -> int:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("only Linux counts them")
    return sum(str(each.readlink()) == "anon_inode:inotify" for each in descriptors.iterdir() if each.is_symlink())


@pytest.mark.usefixtures("teller")
def test_two_streams_of_one_folder_end_by_themselves(log: Path) -> None:
    one = stream.follow(log, 0, within(stream.PATIENCE * 2))
    two = stream.follow(log, 0, within(stream.PATIENCE * 2))
    add(log, b"a")
    assert (read(one, 1), read(two, 1)) == (b"a", b"a")
    one.close()  # type: ignore[attr-defined]
    add(log, b"b")
    assert read(two, 1) == b"b"


WITHOUT_CHANNELS = """
import sys, time
from pathlib import Path
from scopecraft_git import stream
from scopecraft_git.stream import Folders, folders
from scopecraft_git.stream.elsewhere import Elsewhere
from scopecraft_git.stream.inotify import Inotify
log = Path(sys.argv[1])
over = time.monotonic() + 60
for chunk in stream.follow(log, 0, lambda: time.monotonic() > over):
    print(chunk.decode(), flush=True)
"""


@pytest.mark.parametrize("limit", ["max_inotify_instances", "max_inotify_watches"])
def test_where_the_system_tells_nothing_it_looks_by_itself(log: Path, limit: str) -> None:
    """The limit is set for the child alone, in a user namespace of its own."""
    script = f'echo 0 >/proc/sys/user/{limit} && echo set && exec "$0" -c "$1" "$2"'
    inside = ["unshare", "--user", "--map-root-user", "sh", "-c", script]
    follower = subprocess.Popen(
        [*inside, sys.executable, WITHOUT_CHANNELS, log],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert follower.stdout
        if follower.stdout.readline() != "set\n":
            pytest.skip("no user namespace can be had here")
        for word in ("one", "two"):
            add(log, word.encode())
            assert follower.stdout.readline() == f"{word}\n"
    finally:
        follower.kill()
        assert follower.communicate()[1] == ""
