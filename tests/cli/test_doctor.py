from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import machine
from tests.conftest import Scopecraft

LOCAL = {"SCOPECRAFT_EXECUTOR__AUTONOMOUS": "local", "SCOPECRAFT_AGENT": "command"}


def checks(scopecraft: Scopecraft, code: int, **environment: str) -> dict[str, dict[str, Any]]:
    answer = scopecraft("doctor", "--json", env=LOCAL | environment)
    assert (answer.code, answer.stderr) == (code, "")
    document = json.loads(answer.stdout)
    assert document["healthy"] is (code == 0)
    return {found["check"]: found for found in document["checks"]}


def test_a_machine_without_docker_can_be_healthy(scopecraft: Scopecraft) -> None:
    found = checks(scopecraft, 0)
    assert found["image"]["status"] == "skipped"
    assert {
        name: found[name]["status"] for name in ("settings", "git", "home", "supervisor", "executor")
    } == dict.fromkeys(("settings", "git", "home", "supervisor", "executor"), "fine")


def test_every_line_that_is_not_well_ends_in_a_cure(scopecraft: Scopecraft, home: Path) -> None:
    home.chmod(0o755)
    answer = scopecraft(
        "doctor", env=LOCAL | {"DOCKER_HOST": "unix:///nowhere", "SCOPECRAFT_EXECUTOR__AUTONOMOUS": "docker"}
    )
    assert answer.code == 5
    lines = answer.stdout.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        assert line.startswith(("✓ ", "○ ", "  ↳ ")) or following.startswith("  ↳ "), line
    assert "✗ Docker is not reachable at unix:///nowhere (there is no such socket)" in lines
    assert f"▲ Others can look into {home}" in lines
    assert f"  ↳ Close it: chmod 700 '{home}'" in lines


def test_a_home_that_is_not_there_yet(scopecraft: Scopecraft, tmp_path: Path) -> None:
    home = tmp_path / "later"
    found = checks(scopecraft, 0, SCOPECRAFT_HOME=str(home))
    assert found["home"]["message"] == f"{home} will be made when first needed"
    assert not home.exists()
    docker = {"SCOPECRAFT_EXECUTOR__AUTONOMOUS": "docker", "DOCKER_HOST": "unix:///nowhere"}
    found = checks(scopecraft, 5, SCOPECRAFT_HOME=str(home), **docker)
    assert found["home"]["message"].endswith(", which is now if there is an image to try")
    assert not home.exists()


def test_without_git(scopecraft: Scopecraft, tmp_path: Path) -> None:
    found = checks(scopecraft, 5, PATH=str(tmp_path))
    assert found["git"]["message"] == "git is not on the path"
    assert "could not be checked" not in json.dumps(found)


def test_git_that_is_too_old(scopecraft: Scopecraft, tmp_path: Path) -> None:
    git = tmp_path / "git"
    git.write_text('#!/bin/sh\n[ "$*" = "${*%--version}" ] && exec /usr/bin/git "$@"\necho git version 2.35.9\n')
    git.chmod(0o755)
    found = checks(scopecraft, 5, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert found["git"]["message"] == "git version 2.35.9 is older than 2.36, which is needed"


def test_wrong_settings(scopecraft: Scopecraft) -> None:
    found = checks(scopecraft, 5, SCOPECRAFT_MAX_RUNNING="0")
    assert (found["settings"]["status"], found["git"]["status"]) == ("wrong", "fine")
    found = checks(scopecraft, 5, SCOPECRAFT_EXECUTOR__AUTONOMOUS="dockr")
    assert found["autonomous"]["message"].startswith("There is no executor called dockr")


def test_outside_of_a_repository(scopecraft: Scopecraft, tmp_path: Path) -> None:
    assert scopecraft("doctor", cwd=tmp_path, env=LOCAL).code == 0


def test_a_home_that_cannot_be_made(scopecraft: Scopecraft, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    elsewhere = tmp_path / "file" / "home"
    found = checks(scopecraft, 5, SCOPECRAFT_HOME=str(elsewhere))
    assert found["home"]["message"].startswith(f"Sessions are kept in {elsewhere}, which cannot be written")
    assert checks(scopecraft, 0, SCOPECRAFT_HOME=str(tmp_path / "a" / "b"))["home"]["status"] == "fine"
    assert not (tmp_path / "a").exists()


def test_credentials(scopecraft: Scopecraft, repo: Path, tmp_path: Path, git: Any) -> None:
    key = tmp_path / "keys" / "key"
    git(repo, "config", "scopecraft.agents.command.credentials", json.dumps({"KEY": str(key)}))
    found = checks(scopecraft, 5)["credentials"]
    assert (found["status"], found["message"]) == ("wrong", f"KEY cannot be read from {key}: No such file or directory")
    subprocess.run(found["hint"].partition(": ")[2], shell=True, input=b"secret", check=True)
    assert checks(scopecraft, 0)["credentials"]["status"] == "fine"
    key.chmod(0o644)
    assert checks(scopecraft, 0)["credentials"]["hint"] == f"Close it: chmod 600 '{key}'"
    key.chmod(0o600)
    assert checks(scopecraft, 0)["credentials"]["status"] == "fine"


def test_an_agent_that_has_not_logged_in(scopecraft: Scopecraft, tmp_path: Path) -> None:
    claude = tmp_path / "claude"
    claude.write_text("#!/bin/sh\n")
    claude.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SCOPECRAFT_AGENT": "claude"}
    assert checks(scopecraft, 0, **environment)["credentials"]["status"] == "warning"
    login = Path.home() / ".claude" / ".credentials.json"
    login.parent.mkdir()
    login.write_text("{}")
    assert checks(scopecraft, 0, **environment)["credentials"]["status"] == "fine"


def test_the_supervisor(scopecraft: Scopecraft, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    waits = f"until [ -e '{hold}' ]; do sleep 0.02; done"
    started = scopecraft("run", "x", "-e", "local", "-a", "command", "--json", "--", "sh", "-c", waits)
    assert started.code == 0, started.stderr
    assert "sessions that live: 1" in checks(scopecraft, 0)["supervisor"]["message"]
    hold.touch()
    assert scopecraft("wait", "x").code == 0


@pytest.mark.docker
def test_the_image_is_started_once(scopecraft: Scopecraft) -> None:
    image = {"SCOPECRAFT_EXECUTOR__AUTONOMOUS": "docker", "SCOPECRAFT_DOCKER__IMAGE": machine.AGENT_IMAGE}
    found = checks(scopecraft, 0, **image, SCOPECRAFT_AGENT="claude")
    assert [found[f"image {what}"]["status"] for what in ("git", "user", "agent", "login")] == [
        "fine",
        "fine",
        "fine",
        "warning",
    ]
    assert "claude answers 2." in found["image agent"]["message"]


@pytest.mark.docker
def test_an_image_that_does_not_exist(scopecraft: Scopecraft) -> None:
    image = {"SCOPECRAFT_EXECUTOR__AUTONOMOUS": "docker", "SCOPECRAFT_DOCKER__IMAGE": "scopecraft-no-such:1"}
    found = checks(scopecraft, 5, **image)
    assert found["autonomous"]["hint"].endswith("git scopecraft image build && git scopecraft image login")
