from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import worktrees
from scopecraft_git.models import Worktree
from scopecraft_git.repository import Repository
from tests.worktrees.conftest import Make


@pytest.fixture
def made(make: Make) -> Worktree:
    return make()


def commit(git: Any, path: Path, name: str) -> None:
    (path / name).write_text(f"{name}\n")
    git(path, "add", name)
    git(path, "commit", "-qm", f"Add {name}")


def losses(repository: Repository, made: Worktree) -> list[str]:
    return worktrees.losses(repository, worktrees.at(repository, made.path))


def test_an_untouched_worktree_holds_nothing(repository: Repository, made: Worktree) -> None:
    assert losses(repository, made) == []


def test_changed_staged_and_untracked_files_are_listed(repository: Repository, made: Worktree, git: Any) -> None:
    (made.path / "README.md").write_text("changed\n")
    (made.path / "staged").touch()
    git(made.path, "add", "staged")
    (made.path / "new\nline").touch()
    assert sorted(losses(repository, made)) == ["changed: README.md", "changed: staged", "untracked: new\nline"]


def test_ignored_files_do_not_count_but_repositories_among_them_do(
    repository: Repository, made: Worktree, repo: Path, git: Any
) -> None:
    (repo / ".git" / "info" / "exclude").write_text("build/\n")
    (made.path / "build").mkdir()
    (made.path / "build" / "file").touch()
    assert losses(repository, made) == []
    git(made.path, "init", "-q", "build/nested")
    git(made.path, "init", "-q", "--bare", "build/bare")
    found = ["nested repository: build/bare", "nested repository: build/nested"]
    assert sorted(losses(repository, made)) == found


def test_a_submodule_that_is_checked_out_is_listed(
    repository: Repository, repo: Path, tmp_path: Path, git: Any, make: Make
) -> None:
    git(tmp_path, "clone", "-q", str(repo), "library")
    git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "library"), "lib")
    git(repo, "commit", "-qm", "Add lib")
    made = make()
    git(made.path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
    assert losses(repository, made) == ["submodule: lib"]


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_changes_that_git_was_told_to_look_away_from_are_listed(
    repository: Repository, made: Worktree, git: Any, flag: str
) -> None:
    git(made.path, "update-index", flag, "README.md")
    (made.path / "README.md").write_text("hidden\n")
    assert git(made.path, "status", "--porcelain") == ""
    assert losses(repository, made) == ["hidden from git status: README.md"]


def test_commits_are_listed_until_another_branch_or_remote_has_them(
    repository: Repository, made: Worktree, repo: Path, git: Any
) -> None:
    commit(git, made.path, "a")
    commit(git, made.path, "b")
    assert [line.split(" ", 2)[2] for line in losses(repository, made)] == ["Add b", "Add a"]
    git(repo, "branch", "kept", "feature/auth-05A~1")
    assert [line.split(" ", 2)[2] for line in losses(repository, made)] == ["Add b"]
    git(repo, "update-ref", "refs/remotes/origin/feature/auth-05A", "feature/auth-05A")
    assert losses(repository, made) == []


def test_commits_of_a_branch_that_was_there_before_are_not_lost(
    repository: Repository, repo: Path, git: Any, make: Make
) -> None:
    git(repo, "branch", "feature/auth-05A")
    made = make()
    commit(git, made.path, "a")
    assert losses(repository, made) == []
    git(made.path, "switch", "-q", "--detach")
    commit(git, made.path, "b")
    assert len(losses(repository, made)) == 1


def test_a_diff_has_commits_changes_and_new_files(repository: Repository, made: Worktree, git: Any) -> None:
    commit(git, made.path, "committed")
    (made.path / "README.md").write_text("changed\n")
    (made.path / "new").write_text("new\n")
    (made.path / "empty").touch()
    diff = worktrees.diff(repository, made.path, "main")
    assert [line for line in diff.splitlines() if line.startswith(("+", "-")) and line[1:2] not in "+-"] == [
        "-# app",
        "+changed",
        "+committed",
        "+new",
    ]
    assert "diff --git a/empty b/empty" in diff


def test_a_branch_without_a_worktree_has_the_same_diff(
    repository: Repository, made: Worktree, repo: Path, git: Any
) -> None:
    commit(git, made.path, "committed")
    commit(git, repo, "theirs")
    base = git(repo, "rev-parse", "main~1")
    diff = worktrees.diff(repository, made.path, base)
    assert "+committed" in diff
    assert worktrees.branch_diff(repository, "feature/auth-05A", base) == diff


def test_a_diff_has_links_programs_and_what_took_the_place_of_a_folder(
    repository: Repository, repo: Path, git: Any, make: Make
) -> None:
    (repo / "folder").mkdir()
    commit(git, repo, "folder/tracked")
    made = make()
    (made.path / "folder" / "tracked").unlink()
    (made.path / "folder").rmdir()
    (made.path / "folder").write_text("a file now\n")
    (made.path / "program").touch(mode=0o755)
    (made.path / "link").symlink_to("README.md")
    diff = worktrees.diff(repository, made.path, "main")
    assert "diff --git a/folder/tracked b/folder/tracked\ndeleted file" in diff
    assert "+a file now" in diff
    assert "b/program\nnew file mode 100755" in diff
    assert "b/link\nnew file mode 120000" in diff


def test_a_diff_changes_neither_index_nor_objects(repository: Repository, made: Worktree, repo: Path, git: Any) -> None:
    def state() -> list[bytes | str]:
        objects = sorted(str(path) for path in (repo / ".git" / "objects").rglob("*"))
        return [(repo / ".git" / "worktrees" / "auth-05A" / "index").read_bytes(), *objects]

    (made.path / "new").write_text("new\n")
    before = state()
    worktrees.diff(repository, made.path, "main")
    assert state() == before


def test_a_diff_does_not_depend_on_taste(repository: Repository, made: Worktree, repo: Path, git: Any) -> None:
    for key, value in (("diff.noprefix", "true"), ("color.ui", "always"), ("diff.mnemonicPrefix", "true")):
        git(repo, "config", key, value)
    (made.path / "README.md").write_text("changed\n")
    assert worktrees.diff(repository, made.path, "main").startswith("diff --git a/README.md b/README.md\n")
