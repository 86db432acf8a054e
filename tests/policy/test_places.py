from __future__ import annotations

from pathlib import Path

import pytest

from scopecraft_git.policy.places import Place, Scene, is_at, spots
from tests.policy.calls import scene


@pytest.fixture
def worktree(tmp_path: Path) -> Path:
    path = tmp_path / "user" / "app"
    (path / "src").mkdir(parents=True)
    return path


def place(word: str, where: Scene) -> Place:
    (spot,) = spots(word, where)
    return spot.place


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("src/main.py", Place.INSIDE),
        ("not/there/yet", Place.INSIDE),
        (".", Place.INSIDE),
        ("./src/../src", Place.INSIDE),
        ("$PWD/src", Place.INSIDE),
        ("..", Place.OUTSIDE),
        ("src/../../b", Place.OUTSIDE),
        ("../app-2/a", Place.OUTSIDE),
        ("~", Place.OUTSIDE),
        ("~/app/src", Place.INSIDE),
        ("${HOME}/x", Place.OUTSIDE),
        ("~root/x", Place.OUTSIDE),
        ("/etc/passwd", Place.OUTSIDE),
        ("/", Place.OUTSIDE),
        ("/tmp/a", Place.SCRATCH),
        ("/tmp/../etc/passwd", Place.OUTSIDE),
        ("/dev/null", Place.SCRATCH),
        ("/dev/sda", Place.OUTSIDE),
    ],
)
def test_where_a_path_leads(worktree: Path, word: str, expected: Place) -> None:
    assert place(word, scene(worktree)) is expected


def test_links_are_followed_wherever_they_lead(worktree: Path) -> None:
    (worktree / "out").symlink_to("/etc")
    (worktree / "in").symlink_to("src")
    (worktree / "again").symlink_to("out/passwd")
    (worktree / "ring").symlink_to("ring")
    where = scene(worktree)
    assert place("out/passwd", where) is Place.OUTSIDE
    assert place("again", where) is Place.OUTSIDE
    assert place("in/a", where) is Place.INSIDE
    assert place("out/..", where) is Place.OUTSIDE  # of what it leads to
    assert place("ring/a", where) is Place.INSIDE


def test_a_worktree_behind_a_link_is_itself(worktree: Path, tmp_path: Path) -> None:
    (tmp_path / "user" / "link").symlink_to(worktree)
    where = scene(tmp_path / "user" / "link")
    assert place("src", where) is Place.INSIDE
    assert place(str(worktree / "src"), where) is Place.INSIDE


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("/workspace/src", Place.INSIDE),
        ("src", Place.INSIDE),
        ("/workspace/../etc/passwd", Place.OUTSIDE),
        ("/workspace-2/a", Place.OUTSIDE),
        ("out/passwd", Place.OUTSIDE),
        ("back/a", Place.INSIDE),
        ("~/.ssh", Place.OUTSIDE),
        ("/tmp/a", Place.SCRATCH),
    ],
)
def test_in_a_container_paths_are_its_own(worktree: Path, word: str, expected: Place) -> None:
    (worktree / "out").symlink_to("/etc")
    (worktree / "back").symlink_to("/workspace/src")
    where = scene(worktree, "docker")
    assert place(word, where) is expected
    assert place(str(worktree), where) is not Place.INSIDE


def at(word: str, location: str, where: Scene, *, surely: bool = False) -> bool:
    return any(is_at(spot, location, where, surely=surely) for spot in spots(word, where))


@pytest.mark.parametrize(
    ("word", "location"),
    [
        ("~/.ssh/id", "~/.ssh"),
        ("~/.ssh", "~/.ssh"),
        ("../../user/.ssh/id", "~/.ssh"),
        ("$HOME/.ssh/id", "~/.ssh"),
        ("~/.s*/id", "~/.ssh"),
        ("~/.ss?/*", "~/.ssh"),
        ("~/.{x,s}sh/id", "~/.ssh"),
        ("/proc/1/environ", "/proc/*/environ"),
        ("link/id", "~/.ssh"),
        ("src/secret", "src/secret"),
        ("/home/a[b]/x", "/home/a[[]b]"),
    ],
)
def test_what_may_be_meant_is_at_the_location(worktree: Path, word: str, location: str) -> None:
    (worktree / "link").symlink_to(Path.home() / ".ssh")
    assert at(word, location, scene(worktree))


@pytest.mark.parametrize(
    ("word", "location"),
    [("~/.sshd/id", "~/.ssh"), ("~/*", "~/.ssh"), ("~/.\u0455sh/id", "~/.ssh"), ("/etc", "/etc/*")],
)
def test_what_is_elsewhere_is_not(worktree: Path, word: str, location: str) -> None:
    assert not at(word, location, scene(worktree))


def test_surely_is_by_what_a_link_leads_to(worktree: Path) -> None:
    (Path.home() / ".cache").mkdir()
    (Path.home() / ".cache" / "out").symlink_to("/etc")
    where = scene(worktree)
    assert at("~/.cache/a", "~/.cache", where, surely=True)
    assert not at("~/.cache/out/passwd", "~/.cache", where, surely=True)
    assert not at("~/.cach*/a", "~/.cache", where, surely=True)
    assert at("src", ".", where, surely=True)
