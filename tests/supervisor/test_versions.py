"""Two versions of the package meet in one home."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import scopecraft_git
from scopecraft_git import supervisor
from scopecraft_git.supervisor import presence
from tests.conftest import Scopecraft
from tests.executors.contract import until
from tests.supervisor.sessions import await_next, counting, keeper_id, kill, start, supervisor_id, texts, waiting
from tests.test_main_job import show

OTHER = "99.10.0"


@pytest.fixture
def gate(repo: Path) -> Path:
    return repo.parent / "gate"


@pytest.fixture
def newer(tmp_path: Path) -> dict[str, str]:
    """The environment in which commands are of a newer version."""
    source = Path(scopecraft_git.__file__).parent
    copy = tmp_path / "newer" / "scopecraft_git"
    shutil.copytree(source, copy)
    told = (copy / "__init__.py").read_text()
    (copy / "__init__.py").write_text(told.replace(scopecraft_git.__version__, OTHER))
    return {"PYTHONPATH": str(copy.parent)}


def versions() -> set[str]:
    return {holder.version for holder in (presence.supervising(), presence.keeping()) if holder and holder.pid}


def test_a_newer_one_takes_over_and_nothing_is_lost(scopecraft: Scopecraft, gate: Path, newer: dict[str, str]) -> None:
    session = start(scopecraft, "one", counting(gate, 60))
    older = {supervisor_id(), keeper_id()}
    other = start(scopecraft, "two", "true", **newer)
    assert scopecraft("wait", other, env=newer).code == 0
    until(lambda: versions() == {OTHER})
    assert not older & {supervisor_id(), keeper_id()}
    until(lambda: session in (supervisor.status().following or []))
    killed = supervisor_id()
    kill(killed)
    await_next(killed)
    assert versions() == {OTHER}
    gate.touch()
    until(lambda: show(scopecraft, session)["status"] == "completed")
    assert texts(scopecraft, session) == [*(f"number {number}" for number in range(1, 61)), "ready"]


def test_an_older_command_leaves_a_newer_one_alone(scopecraft: Scopecraft, gate: Path, newer: dict[str, str]) -> None:
    start(scopecraft, "one", waiting(gate), **newer)
    there = (supervisor_id(), keeper_id())
    assert scopecraft("wait", start(scopecraft, "two", "true")).code == 0
    assert (supervisor_id(), keeper_id()) == there
    assert json.loads(scopecraft("supervisor", "status", "--json").stdout)["version"] == OTHER
    gate.touch()


def test_versions_compare_as_numbers() -> None:
    assert presence.numbers("0.10.0") > presence.numbers("0.9.1")
    assert presence.numbers("1.0") < presence.numbers("1.0.1")
