"""Whatever a line holds: no exception, nothing lost, nothing changed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopecraft_git import plugins
from scopecraft_git.events import Event, LoggedEvent, ToolResult, Unrecognized
from scopecraft_git.monitor import Monitor
from scopecraft_git.protocols import Storage
from tests import samples
from tests.agents import renew

RECORDINGS = renew.recordings()
LINES = [line for path in RECORDINGS for line in path.read_bytes().splitlines()]
KINDS = {(document["type"], document.get("subtype")): document for document in map(json.loads, LINES)}
JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.text(max_size=2))
HOSTILE = "\x1b]0;owned\x07\x1b[2J[/red][bold]\u202e\x9b31m&lt;b&gt;<b>\r\n{}%s\0"
SAYS_NOTHING = {"stream_event", "keep_alive"}

claude = plugins.agent("claude")


def parse(document: Any) -> list[Event]:
    return claude.parse(json.dumps(document).encode())


def storable(events: list[Event]) -> None:
    """Events survive being written and read again."""
    for event in events:
        document = LoggedEvent(seq=1, time="2026-01-01T00:00:00Z", offset=0, event=event).as_json()
        json.dumps(document, allow_nan=False, ensure_ascii=False).encode()


@given(st.binary(max_size=200))
def test_any_bytes(line: bytes) -> None:
    events = claude.parse(line)
    storable(events)
    for event in events:
        if isinstance(event, Unrecognized):
            assert event.raw == line.decode(errors="replace")


@given(st.sampled_from(LINES), st.integers(min_value=0), st.binary(max_size=3))
def test_a_line_that_is_spoilt_is_read_or_kept_whole(line: bytes, place: int, more: bytes) -> None:
    place %= len(line)
    spoilt = line[:place] + more + line[place + 1 :]
    events = claude.parse(spoilt)
    storable(events)
    try:
        document = json.loads(spoilt.decode(errors="replace"))
    except ValueError:
        assert events == [Unrecognized(raw=spoilt.decode(errors="replace"))]
    else:
        assert events or document["type"] in SAYS_NOTHING or not document["message"]["content"]


def with_something_odd(document: Any, draw: st.DataObject) -> Any:
    """`document` with something in it, at any depth, that nobody would expect there."""
    if not isinstance(document, dict | list) or not document or draw.draw(st.integers(0, 4)) == 0:
        return draw.draw(JSON)
    keys = list(document) if isinstance(document, dict) else range(len(document))
    key: Any = draw.draw(st.sampled_from(keys))
    if isinstance(document, list):
        return [*document[:key], with_something_odd(document[key], draw), *document[key + 1 :]]
    return {**document, key: with_something_odd(document[key], draw)}


@given(st.sampled_from(list(KINDS.values())), st.data())
def test_any_document(document: dict[str, Any], draw: st.DataObject) -> None:
    storable(parse(with_something_odd(document, draw)))


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in it there is text."""
    if isinstance(document, str):
        yield path
    elif isinstance(document, dict | list):
        items = document.items() if isinstance(document, dict) else enumerate(document)
        for key, value in items:
            yield from places(value, (*path, key))


def put(document: Any, path: tuple[Any, ...], text: str) -> Any:
    if not path:
        return text
    key, *rest = path
    changed = document.copy()
    changed[key] = put(document[key], tuple(rest), text)
    return changed


def texts(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(map(texts, value.values()))
    return "\n".join(map(texts, value)) if isinstance(value, list) else str(value)


def told(document: Any) -> str:
    events = [event for event in parse(document) if not isinstance(event, Unrecognized)]
    return texts([event.model_dump() for event in events])


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_control_sequences_and_markup_pass_unchanged(kind: tuple[str, str | None]) -> None:
    """They are cleaned where they are shown: what is kept is what was said."""
    document, mark = KINDS[kind], "mark-of-the-test"
    for path in places(document):
        if mark in told(put(document, path, mark)):
            assert HOSTILE in told(put(document, path, HOSTILE)), path


@pytest.mark.parametrize("path", RECORDINGS[-24:], ids=lambda path: path.stem)
def test_cut_anywhere_and_gone_on_with_it_gives_the_same_events(path: Path, home: Path) -> None:
    stream, storage = path.read_bytes(), plugins.storage("local")
    undisturbed = gone_through(storage, "undisturbed-1", stream, [])
    assert undisturbed == [plain(event) for _, event in renew.events(path)]
    cuts = sorted(random.Random(path.name).randrange(len(stream)) for _ in range(4))
    assert gone_through(storage, "cut-1", stream, cuts) == undisturbed


def gone_through(storage: Storage, session_id: str, stream: bytes, cuts: list[int]) -> list[Event]:
    """By a monitor that ends at each cut, and one after it that goes on from what is stored."""
    session = samples.session(id=session_id)
    storage.create(session)
    for end in [*cuts, len(stream)]:
        monitor = Monitor(session, storage, claude, [samples.Consent()])
        for _ in monitor.feed(stream[monitor.take_up() : end]):
            pass
    return [plain(logged.event) for logged in storage.events(session_id)]


def plain(event: Event) -> Event:
    """Without what the monitor knows of it."""
    update: dict[str, Any] = {"severity": None} if hasattr(event, "severity") else {}
    if isinstance(event, ToolResult):
        update |= {"tool": None, "duration_ms": None}
    return event.model_copy(update=update | ({"origin": None} if hasattr(event, "origin") else {}))
