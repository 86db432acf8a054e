from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scopecraft_git.executors import documents

WRITERS, TIMES = 4, 25


def test_any_number_of_writers_leave_a_whole_document(home: Path) -> None:
    path = home / "config" / "known.json"

    def write(writer: int) -> None:
        for number in range(TIMES):
            documents.write(path, {"writer": writer, "size": "x" * (writer * 1000 + number)})
            assert json.loads(path.read_bytes())["writer"] in range(WRITERS)

    with ThreadPoolExecutor(WRITERS) as threads:
        list(threads.map(write, range(WRITERS)))
    assert [each.name for each in path.parent.iterdir()] == ["known.json"]


def test_what_a_killed_writer_left_is_no_part_of_the_next_document(tmp_path: Path) -> None:
    (tmp_path / "known.json.new").write_text("x" * 1000)
    documents.write(tmp_path / "known.json", {"a": 1})
    assert json.loads((tmp_path / "known.json").read_bytes()) == {"a": 1}
