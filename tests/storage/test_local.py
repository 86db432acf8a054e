"""The files of the local backend: their form, what survives a crash, what a long history costs."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import paths
from scopecraft_git.errors import (
    HomeFullError,
    HomeNotWritableError,
    LockTimeoutError,
    NewerFormatError,
    ScopecraftError,
    UnreadableSessionError,
)
from scopecraft_git.events import Unrecognized
from scopecraft_git.models import SessionStatus
from scopecraft_git.storage import files, lines
from scopecraft_git.storage.local import LocalStorage
from tests.samples import logged, session

RUNNING, COMPLETED = SessionStatus.RUNNING, SessionStatus.COMPLETED


@pytest.fixture
def storage(home: Path) -> LocalStorage:
    return LocalStorage()


def record(session_id: str = session.__defaults__[0]) -> Path:  # type: ignore[index]
    return paths.session(session_id) / "metadata.json"


def registry() -> list[str]:
    found: list[str] = json.loads((paths.sessions() / "active.json").read_bytes())["sessions"]
    return found


def events_file() -> Path:
    return record().with_name("events.jsonl")


def ids(found: Iterator[Any]) -> list[str]:
    return [each.id for each in found]


# Form


def test_a_session_is_a_folder_for_its_user_alone(storage: LocalStorage) -> None:
    storage.create(session())
    storage.append(session().id, [logged(1), logged(2)])
    document = json.loads(record().read_bytes())
    assert (document["schema_version"], document["status"], document["created_at"]) == (
        1,
        "queued",
        "2026-03-04T05:06:07.089Z",
    )
    assert [json.loads(line)["seq"] for line in events_file().read_text().splitlines()] == [1, 2]
    for path in (record().parent, record(), events_file(), paths.sessions() / "active.json"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    assert sorted(os.listdir(record().parent)) == ["events.jsonl", "lock", "metadata.json"]  # noqa: PTH208


def test_a_home_that_moved_still_works(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.create(session())
    moved = paths.home().with_name("elsewhere")
    paths.home().rename(moved)
    monkeypatch.setenv("SCOPECRAFT_HOME", str(moved))
    assert storage.load(session().id).path == moved / "sessions" / session().id


def test_events_of_a_newer_version_are_kept_as_they_are(storage: LocalStorage) -> None:
    storage.create(session())
    line = '{"seq": 1, "time": "2026-03-04T05:06:07Z", "offset": 0, "kind": "hologram", "angle": 3}'
    events_file().write_text(line + "\n")
    (event,) = storage.events(session().id)
    assert isinstance(event.event, Unrecognized)
    assert "hologram" in event.event.raw


# Records that cannot be read, or not by this version


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"id": 3}', "\0" * 300, '{"status": "levitating"}'])
def test_an_unreadable_record_is_named_and_left_alone(storage: LocalStorage, content: str) -> None:
    storage.create(session())
    storage.create(session("auth-05A-0000002"))
    record().write_text(content)
    for call in (
        lambda: storage.load(session().id),
        lambda: storage.save(session()),
        lambda: storage.update_status(session().id, RUNNING, expected=set(SessionStatus)),
    ):
        with pytest.raises(UnreadableSessionError, match=r"metadata\.json"):
            call()
    assert record().read_text() == content


def test_an_unreadable_record_hides_no_other_and_is_told(storage: LocalStorage) -> None:
    for number in "123":
        storage.create(session(f"auth-05A-000000{number}"))
    record("auth-05A-0000002").write_text("{")
    for active in (True, False):
        broken: list[ScopecraftError] = []
        listed = ids(storage.sessions(active=active, onerror=broken.append))
        assert listed == ["auth-05A-0000003", "auth-05A-0000001"]
        assert ["auth-05A-0000002" in error.message for error in broken] == [True]
    assert "auth-05A-0000002" in registry()


def test_one_set_aside_as_the_hint_says_is_gone_from_the_list(storage: LocalStorage) -> None:
    storage.create(session())
    record().write_text("{")
    with pytest.raises(UnreadableSessionError) as caught:
        storage.load(session().id)
    command = caught.value.hint.partition("set the session aside: ")[2]
    subprocess.run(command, shell=True, check=True)
    broken: list[ScopecraftError] = []
    assert list(storage.sessions(active=True, onerror=broken.append)) == []
    assert broken == []
    assert storage.ids() == registry() == []


def test_a_copied_folder_is_not_taken_for_the_session(storage: LocalStorage) -> None:
    storage.create(session())
    copy = paths.session("auth-05A-0000009")
    copy.mkdir()
    (copy / "metadata.json").write_bytes(record().read_bytes())
    with pytest.raises(UnreadableSessionError, match=f"it is the record of {session().id}"):
        storage.load("auth-05A-0000009")


def test_fields_of_another_version_are_kept(storage: LocalStorage) -> None:
    storage.create(session())
    record().write_text(json.dumps(json.loads(record().read_bytes()) | {"stars": 5}))
    storage.save(session(messages=1))
    storage.update_status(session().id, RUNNING, expected={SessionStatus.QUEUED})
    document = json.loads(record().read_bytes())
    assert (document["stars"], document["messages"], document["status"]) == (5, 1, "running")


def test_a_record_of_a_newer_format_is_read_but_not_written(storage: LocalStorage) -> None:
    storage.create(session())
    newer = json.dumps(json.loads(record().read_bytes()) | {"schema_version": 2, "stars": 5})
    record().write_text(newer)
    assert storage.load(session().id).schema_version == 2
    with pytest.raises(NewerFormatError):
        storage.save(session())
    with pytest.raises(NewerFormatError):
        storage.update_status(session().id, RUNNING, expected=set(SessionStatus))
    assert record().read_text() == newer


# The registry


@pytest.mark.parametrize(
    "spoilt", [None, "", "{", "[]", '{"schema_version": 1}', '{"schema_version": 1, "sessions": 4}']
)
def test_the_registry_is_made_again(storage: LocalStorage, spoilt: str | None) -> None:
    storage.create(session("auth-05A-0000001"))
    storage.create(session("auth-05A-0000002", status=COMPLETED))
    (paths.sessions() / "active.json").unlink()
    if spoilt is not None:
        (paths.sessions() / "active.json").write_text(spoilt)
    assert ids(storage.sessions(active=True)) == registry() == ["auth-05A-0000001"]


def test_what_a_crash_left_in_the_registry_is_struck_by_the_next_reader(storage: LocalStorage) -> None:
    storage.create(session("auth-05A-0000001"))
    storage.create(session("auth-05A-0000002", status=COMPLETED))
    paths.session("auth-05A-0000003").mkdir()
    left = [f"auth-05A-000000{number}" for number in "1234"]
    (paths.sessions() / "active.json").write_text(json.dumps({"schema_version": 1, "sessions": left}))
    assert ids(storage.sessions(active=True)) == ["auth-05A-0000001"]
    assert registry() == ["auth-05A-0000001"]


def test_an_ended_session_in_the_registry_is_listed_like_the_others_that_ended(storage: LocalStorage) -> None:
    for number in "12":
        storage.create(session(f"auth-05A-000000{number}", status=COMPLETED))
    (paths.sessions() / "active.json").write_text(
        json.dumps({"schema_version": 1, "sessions": ["auth-05A-0000001", "auth-05A-0000002"]})
    )
    assert ids(storage.sessions(newest=1)) == ["auth-05A-0000002"]
    assert registry() == []


def test_what_someone_is_writing_is_left_in_the_registry(storage: LocalStorage) -> None:
    storage.create(session())
    record().unlink()
    with files.locked(record().with_name("lock")):
        assert list(storage.sessions()) == []
        assert registry() == [session().id]


def test_a_newer_registry_is_not_replaced(storage: LocalStorage) -> None:
    newer = '{"schema_version": 2, "sessions": {}}'
    (paths.sessions() / "active.json").write_text(newer)
    with pytest.raises(NewerFormatError):
        storage.create(session())
    assert (paths.sessions() / "active.json").read_text() == newer


def test_a_long_history_costs_no_reading(storage: LocalStorage) -> None:
    storage.create(session("auth-05A-0000000"))
    for number in range(1, 300):
        storage.create(session(f"auth-05A-{number:07}", status=COMPLETED))
    opened: Counter[str] = Counter()
    watching = True
    sys.addaudithook(lambda name, args: opened.update([str(args[0])]) if watching and name == "open" else None)
    assert len(list(storage.sessions(newest=5))) == 6
    assert sum(opened.values()) == 7
    opened.clear()
    assert len(list(storage.sessions(active=True))) == 1
    assert len(storage.ids()) == 300
    assert sum(opened.values()) == 2
    watching = False


# Events


@pytest.mark.parametrize("half", ['{"seq": 3, "ti', "x" * 200_000, "\0\0\0", "{}"])
def test_a_half_written_event_is_not_there_and_the_next_takes_its_place(storage: LocalStorage, half: str) -> None:
    storage.create(session())
    storage.append(session().id, [logged(1), logged(2)])
    with events_file().open("a") as file:
        file.write(half)
    assert [event.seq for event in storage.events(session().id)] == [1, 2]
    storage.append(session().id, [logged(3)])
    assert list(storage.events(session().id)) == [logged(1), logged(2), logged(3)]
    assert events_file().read_bytes().endswith(b"}\n")


def test_only_a_half_written_event(storage: LocalStorage) -> None:
    storage.create(session())
    events_file().write_text("{" * 70_000)
    storage.append(session().id, [logged(1)])
    assert list(storage.events(session().id)) == [logged(1)]


def test_a_spoilt_event_is_named(storage: LocalStorage) -> None:
    storage.create(session())
    storage.append(session().id, [logged(1)])
    with events_file().open("a") as file:
        file.write("not json\n")
    storage.append(session().id, [logged(3)])
    with pytest.raises(UnreadableSessionError, match=r"events\.jsonl"):
        list(storage.events(session().id))


def test_late_events_are_found_without_reading_the_early_ones(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("".join(f'{{"seq": {seq}, "text": "{"x" * (seq % 700)}"}}\n' for seq in range(1, 20_001)))
    for after in (0, 1, 2, 9_999, 10_000, 19_990, 20_000, 30_000):
        assert [json.loads(line)["seq"] for line in lines.after(path, after)] == list(range(after + 1, 20_001))
    before = bytes_read()
    assert len(list(lines.after(path, 19_990))) == 10
    assert bytes_read() - before < path.stat().st_size / 10


def bytes_read() -> int:
    """By this process so far, as Linux counts them; nothing elsewhere."""
    counts = Path("/proc/self/io")
    return int(counts.read_text().split()[1]) if counts.exists() else 0


# Disks and crashes


@contextlib.contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file grows beyond `size` bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 10, 700])
def test_a_full_disk_leaves_everything_as_it_was(storage: LocalStorage, size: int) -> None:
    storage.create(session())
    storage.append(session().id, [logged(number) for number in range(1, 8)])
    before = record().read_bytes(), events_file().read_bytes()
    for attempt in (
        lambda: storage.save(session(messages=1)),
        lambda: storage.update_status(session().id, COMPLETED, expected=set(SessionStatus)),
        lambda: storage.append(session().id, [logged(8)]),
        lambda: storage.create(session("auth-05A-0000002")),
    ):
        with small_files(size), pytest.raises(HomeFullError, match="full"):
            attempt()
    assert (record().read_bytes(), events_file().read_bytes()) == before
    assert ids(storage.sessions()) == [session().id]
    storage.save(session(messages=1))
    storage.append(session().id, [logged(8)])
    assert [event.seq for event in storage.events(session().id)] == list(range(1, 9))


def test_an_end_that_the_registry_missed_is_an_end(storage: LocalStorage) -> None:
    storage.create(session(status=COMPLETED))
    for number in range(2, 30):
        storage.create(session(f"auth-05A-00000{number:02}", last_message="x" * 500))
    with small_files(1500):  # room for the record and not for the registry of thirty sessions
        (paths.sessions() / "active.json").write_text(
            json.dumps({"schema_version": 1, "sessions": registry()}).ljust(1500)
        )
    storage.save(session("auth-05A-0000002", status=COMPLETED))
    assert "auth-05A-0000002" not in registry()


def test_a_read_only_home_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder, unprivileged(Path(folder)):
        monkeypatch.setenv("SCOPECRAFT_HOME", folder)
        storage = LocalStorage()
        storage.create(session())
        storage.append(session().id, [logged(1)])
        (paths.sessions() / "active.json").unlink()
        with read_only(Path(folder)):
            assert ids(storage.sessions(active=True)) == [session().id]
            assert list(storage.events(session().id)) == [logged(1)]
            with pytest.raises(HomeNotWritableError, match="ermission denied"):
                storage.save(session(messages=1))
            with pytest.raises(HomeNotWritableError, match="ermission denied"):
                storage.create(session("auth-05A-0000002"))


@contextlib.contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Root may write anywhere, so it is put aside for a while."""
    if os.geteuid():
        yield
        return
    os.chown(folder, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for each in folders:
        each.chmod(0o500)
    try:
        yield
    finally:
        for each in folders:
            each.chmod(0o700)


def test_a_lock_that_is_never_given_up_is_named(storage: LocalStorage) -> None:
    storage.create(session())
    lock = record().with_name("lock")
    with files.locked(lock), pytest.raises(LockTimeoutError, match="lock"), files.locked(lock, timeout=0.02):
        pass


def test_killed_or_failing_at_any_step_it_leaves_what_was_or_what_is_to_be(home: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "tests.storage.killed"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    at_lines, at_calls, faults = map(int, done.stdout.split())
    assert at_lines > 100
    assert at_calls > 100
    assert faults > 200
