from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import errors
from tests.worktrees.conftest import Make, Traces


@pytest.fixture
def included(repo: Path, git: Any) -> Path:
    """The repository with ignored files, of which some are to be copied."""
    (repo / ".gitignore").write_text("*.env\ncache/\nsecret\nlink\nout\n")
    (repo / ".worktreeinclude").write_text("# what a worktree needs\n*.env\ncache/*\n!cache/big\nlink\nplain\nout\n")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "Include")
    return repo


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def test_ignored_files_that_match_are_copied_and_no_others(included: Path, make: Make) -> None:
    write(included / "a.env", "A=1\n", 0o600)
    write(included / "deep" / "ä b.env", "B=1\n")
    write(included / "cache" / "tool", "#!/bin/sh\n", 0o755)
    write(included / "cache" / "big", "big")
    write(included / "secret", "not named")
    write(included / "plain", "not ignored")
    path = make().path
    copied = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert copied - {".git", ".gitignore", ".worktreeinclude", "README.md"} == {"a.env", "deep/ä b.env", "cache/tool"}
    assert (path / "a.env").read_text() == "A=1\n"
    assert (path / "a.env").stat().st_mode & 0o777 == 0o600
    assert (path / "cache" / "tool").stat().st_mode & 0o777 == 0o755
    assert (path / "a.env").stat().st_ino != (included / "a.env").stat().st_ino


def test_symlinks_stay_symlinks(included: Path, make: Make) -> None:
    (included / "link").symlink_to("/etc/passwd")
    link = make().path / "link"
    assert link.is_symlink()
    assert str(link.readlink()) == "/etc/passwd"


def test_nothing_is_written_through_a_symlink_of_the_branch(
    included: Path, git: Any, make: Make, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    git(included, "switch", "-q", "-c", "feature/auth-05A")
    (included / "out").symlink_to(tmp_path / "outside")
    git(included, "add", "-f", "out")
    git(included, "commit", "-qm", "Link out")
    git(included, "switch", "-q", "main")
    write(included / "out" / "file", "escaped")
    assert (make().path / "out").is_symlink()
    assert list((tmp_path / "outside").iterdir()) == []


def test_what_the_branch_has_stays(included: Path, git: Any, make: Make) -> None:
    git(included, "switch", "-q", "-c", "feature/auth-05A")
    write(included / "a.env", "tracked\n")
    git(included, "add", "-f", "a.env")
    git(included, "commit", "-qm", "Track it")
    git(included, "switch", "-q", "main")
    write(included / "a.env", "mine\n")
    assert (make().path / "a.env").read_text() == "tracked\n"


def test_a_nested_repository_is_not_copied(included: Path, git: Any, make: Make) -> None:
    (included / "cache").mkdir()
    git(included, "init", "-q", "cache/nested")
    write(included / "cache" / "file", "x")
    path = make().path
    assert [entry.name for entry in (path / "cache").iterdir()] == ["file"]


def test_without_the_file_nothing_is_copied(repo: Path, git: Any, make: Make) -> None:
    write(repo / ".git" / "info" / "exclude", "*.env\n")
    write(repo / "a.env", "A=1\n")
    assert not (make().path / "a.env").exists()


@pytest.fixture
def small_files() -> Iterator[None]:
    """No process may write a file above 1 MiB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_cannot_be_copied_is_named_and_nothing_is_left(
    included: Path, make: Make, traces: Traces, request: pytest.FixtureRequest
) -> None:
    write(included / "a.env", "A=1\n" * (1 << 19))
    before = traces()
    request.getfixturevalue("small_files")
    with pytest.raises(errors.CannotIncludeError, match=r"a\.env.*too large"):
        make()
    assert traces() == before
