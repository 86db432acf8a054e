from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Scopecraft


def test_a_setting_from_set_to_unset(scopecraft: Scopecraft, home: Path) -> None:
    file, told = home / "config" / "orchestration.json", "~/.scopecraft/config/orchestration.json"
    assert scopecraft("config", "path").stdout == f"{file}\n"
    assert scopecraft("config", "show").stderr.startswith("○ Nothing is set")
    assert scopecraft("config", "set", "docker.image", "team:1").stderr == f"✓ Set docker.image in {told}\n"
    assert scopecraft("config", "set", "max_running", "7").code == 0
    assert json.loads(file.read_text()) == {"max_running": 7, "docker": {"image": "team:1"}}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shown = scopecraft("config", "show", "docker.image")
    assert (shown.stdout, shown.stderr) == ("team:1\n", f"○ docker.image from {told}\n")
    assert scopecraft("config", "unset", "docker.image").stderr == f"✓ Took docker.image out of {told}\n"
    assert json.loads(file.read_text()) == {"max_running": 7}
    again = scopecraft("config", "unset", "docker.image")
    assert (again.code, again.stderr) == (0, f"○ docker.image is not set in {told}\n")


def test_show_tells_where_each_value_came_from(scopecraft: Scopecraft, home: Path, repo: Path, git: Any) -> None:
    scopecraft("config", "set", "agent", "claude")
    scopecraft("config", "set", "max_waiting", "3")
    git(repo, "config", "scopecraft.max-waiting", "4")
    environment = {"SCOPECRAFT_DOCKER__IMAGE": "env:1"}
    shown = json.loads(scopecraft("config", "show", "--json", env=environment).stdout)
    assert shown == [
        {"key": "max_waiting", "value": 4, "origin": "git config"},
        {"key": "agent", "value": "claude", "origin": str(home / "config" / "orchestration.json")},
        {"key": "docker.image", "value": "env:1", "origin": "environment"},
    ]
    every = json.loads(scopecraft("config", "show", "--json", "--defaults").stdout)
    assert {"key": "tmux.socket", "value": "scopecraft", "origin": "default"} in every
    section = json.loads(scopecraft("config", "show", "tmux", "--json").stdout)
    assert [setting["key"] for setting in section] == ["tmux.socket", "tmux.session"]


def test_set_warns_of_what_goes_before_it(scopecraft: Scopecraft) -> None:
    done = scopecraft("config", "set", "max_running", "4", env={"SCOPECRAFT_MAX_RUNNING": "9"})
    assert done.stderr.splitlines()[1] == "▲ The environment says otherwise here: max_running is 9"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("docker.imag", "x", "✗ There is no setting docker.imag (command line) (did you mean docker.image?)"),
        ("image", "x", "✗ There is no setting image (command line) (did you mean docker.image?)"),
        ("agent.name", "x", "✗ There is no setting agent.name (command line) (did you mean agent?)"),
        ("max_running", "none", "✗ The setting max_running from command line is not valid"),
        ("max_minutes", "-1", "✗ The setting max_minutes from command line is not valid: Input should be greater than"),
        ("max_minutes", "inf", "✗ The setting max_minutes from command line is not valid: Input should be a finite"),
        ("watchdog.idle", "halt", "✗ The setting watchdog.idle from command line is not valid: Input should be 'warn'"),
        ("docker", "x", "✗ The setting docker from command line is not valid: it is a section of settings"),
        ("docker.mounts", "/a:/b", "✗ The setting docker.mounts from command line is not valid: it is a JSON list"),
        ("docker.mounts", "[1]", "✗ The setting docker.mounts.0 from command line is not valid"),
    ],
)
def test_a_wrong_setting_is_not_written(scopecraft: Scopecraft, home: Path, key: str, value: str, message: str) -> None:
    refused = scopecraft("config", "set", key, value)
    assert refused.code == 4
    assert refused.stderr.startswith(message)
    assert not (home / "config" / "orchestration.json").exists()


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("docker.mounts", '["/a:/b"]', {"docker": {"mounts": ["/a:/b"]}}),
        ("agents.codex.env.MODE", "fast", {"agents": {"codex": {"env": {"MODE": "fast"}}}}),
        ("plugins.nomad.retries", "3", {"plugins": {"nomad": {"retries": 3}}}),
        ("docker.cpus", "1.5", {"docker": {"cpus": 1.5}}),
    ],
)
def test_a_setting_is_kept_in_its_own_type(
    scopecraft: Scopecraft, home: Path, key: str, value: str, kept: dict[str, Any]
) -> None:
    assert scopecraft("config", "set", key, value).code == 0
    assert json.loads((home / "config" / "orchestration.json").read_text()) == kept


def test_a_file_with_a_wrong_key_can_be_mended(scopecraft: Scopecraft, home: Path) -> None:
    file = home / "config" / "orchestration.json"
    file.write_text('{"docker": {"imag": "x"}, "max_running": 2}')
    refused = scopecraft("config", "set", "max_running", "3")
    assert (refused.code, refused.stderr.splitlines()[0]) == (
        4,
        f"✗ There is no setting docker.imag ({file}) (did you mean docker.image?)",
    )
    assert scopecraft("config", "unset", "docker.imag").code == 0
    assert json.loads(file.read_text()) == {"max_running": 2}


def test_a_file_that_cannot_be_read_is_left_alone(scopecraft: Scopecraft, home: Path) -> None:
    file = home / "config" / "orchestration.json"
    file.write_text("{")
    for arguments in (("show",), ("set", "max_running", "3"), ("unset", "max_running")):
        refused = scopecraft("config", *arguments)
        assert refused.code == 4
        assert refused.stderr.splitlines()[1] == f"↳ Correct it, or set it aside: mv {file} {file}.broken"
    assert file.read_text() == "{"


def test_no_repository_has_a_storage_of_its_own(scopecraft: Scopecraft, repo: Path, git: Any) -> None:
    """The supervisor serves them all, and would never find its sessions."""
    git(repo, "config", "scopecraft.storage", "local")
    refused = scopecraft("run", "one", "-p", "x", "-e", "local", "-a", "command", "--", "true")
    assert refused.code == 4
    assert "use git scopecraft config set storage" in refused.stderr
