from __future__ import annotations

import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from scopecraft_git.dashboard import patch
from scopecraft_git.dashboard.patch import Kind, Line


def git(repo: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", repo, *words], check=True, capture_output=True, text=True).stdout


def changed(repo: Path) -> str:
    """Everything that a diff can hold."""
    (repo / "poem.txt").write_text("one\ntwo\nthree\nfour\n")
    (repo / "goes.txt").write_text("farewell\n")
    (repo / "moves.txt").write_text("the same\n" * 20)
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "before")
    (repo / "poem.txt").write_text("one\n++ two\nthree\n-- diff --git\nfour")
    (repo / "goes.txt").unlink()
    (repo / "moves.txt").rename(repo / "moved to.txt")
    (repo / "empty").touch()
    (repo / "image").write_bytes(b"\0\1")
    (repo / "tool.sh").write_text("#!/bin/sh\n")
    (repo / "tool.sh").chmod(0o755)
    (repo / "ü\t.txt").write_text("odd\n")
    git(repo, "add", "-A")
    return git(repo, "diff", "--cached", "-M")


def test_every_kind_of_change_is_told(repo: Path) -> None:
    found = {change.name: change for change in patch.read(changed(repo))}
    assert set(found) == {
        "empty", "goes.txt", "image", "moved to.txt", "poem.txt", "tool.sh", '"b/\\303\\274\\t.txt"'
    }  # fmt: skip
    notes = {name: [line.text for line in change.lines if line.kind is Kind.NOTE] for name, change in found.items()}
    assert notes["empty"] == ["new file mode 100644"]
    assert notes["goes.txt"] == ["deleted file mode 100644"]
    assert notes["image"] == ["new file mode 100644", "Binary files /dev/null and b/image differ"]
    assert notes["moved to.txt"] == ["rename from moves.txt", "rename to moved to.txt"]
    assert notes["poem.txt"] == ["No newline at end of file"]


def test_lines_have_their_numbers_and_no_signs(repo: Path) -> None:
    (poem,) = [change for change in patch.read(changed(repo)) if change.name == "poem.txt"]
    assert (poem.added, poem.removed) == (3, 2)
    _file, hunk, *rest = poem.lines
    assert hunk.kind is Kind.HUNK
    assert rest == [
        Line(Kind.CONTEXT, "one", 1),
        Line(Kind.REMOVED, "two", 2),
        Line(Kind.ADDED, "++ two", 2),
        Line(Kind.CONTEXT, "three", 3),
        Line(Kind.REMOVED, "four", 4),
        Line(Kind.ADDED, "-- diff --git", 4),
        Line(Kind.ADDED, "four", 5),
        Line(Kind.NOTE, "No newline at end of file"),
    ]


def test_the_counts_are_gits(repo: Path) -> None:
    text = changed(repo)
    stat = git(repo, "diff", "--cached", "-M", "--numstat", "-z").split("\0")
    added = sum(int(row.split("\t")[0]) for row in stat if row[:1].isdigit())
    assert sum(change.added for change in patch.read(text)) == added


def test_nothing_is_no_file() -> None:
    assert patch.read("") == []


@given(st.text())
def test_no_text_is_too_odd(text: str) -> None:
    patch.read(text)
    patch.read(f"diff --git {text}\n@@ -1 +1 @@\n{text}")
