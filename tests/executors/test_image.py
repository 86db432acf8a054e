"""The image agents run in: built, logged in, and tried. Its layers are there already: `machine.sh` builds the same."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git.config import Settings
from scopecraft_git.errors import BuildFailedError, ImageMissingError, LoginNeedsTerminalError
from scopecraft_git.executors import image, image_facts, image_probe
from scopecraft_git.executors.engine import chosen
from tests.machine import AGENT_IMAGE, BASE_IMAGE

pytestmark = pytest.mark.docker

VERSION = AGENT_IMAGE.rpartition(":")[2]


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def config(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("image", "inspect", name))[0]["Config"]
    return found


@pytest.fixture
def name() -> Iterator[str]:
    """Of an image that is gone after the test."""
    name = f"scopecraft-test-image:{uuid.uuid4().hex[:8]}"
    yield name
    subprocess.run(["docker", "rmi", "--force", name], capture_output=True, check=False)


def using(name: str) -> Settings:
    return Settings.model_validate({"docker": {"image": name}})


@pytest.fixture
def made(name: str, tmp_path: Path) -> Callable[..., str]:
    """`made(*lines)`: an image of these Dockerfile lines."""

    def build(*lines: str) -> str:
        folder = tmp_path / "context"
        folder.mkdir()
        (folder / "Dockerfile").write_text("\n".join([f"FROM {BASE_IMAGE}", *lines]))
        environment = os.environ | {"DOCKER_BUILDKIT": "0"}
        subprocess.run(["docker", "build", "-qt", name, str(folder)], env=environment, capture_output=True, check=True)
        return name

    return build


@pytest.mark.claude
def test_the_packaged_image(name: str) -> None:
    lines: list[str] = []
    image.build(using(name), base=BASE_IMAGE, echo=lines.append)
    assert any(line.startswith("Step ") for line in lines)
    assert f"Successfully tagged {name}" in lines
    found = config(name)
    assert (found["User"], found["WorkingDir"], found["Cmd"]) == ("agent", "/workspace", ["claude"])
    assert "DISABLE_AUTOUPDATER=1" in found["Env"]
    expected = (1000, 1000) if os.getuid() == 0 else (os.getuid(), os.getgid())
    written = docker("run", "--rm", "--network", "none", name, "sh", "-c", "id -u; id -g; touch made; claude --version")
    assert written.split("\n") == [*map(str, expected), f"{VERSION} (Claude Code)"]


def test_a_build_that_fails_says_why(name: str) -> None:
    lines: list[str] = []
    with pytest.raises(BuildFailedError, match="no-such-base"):
        image.build(using(name), base="no-such-base.invalid/x:1", echo=lines.append)
    with pytest.raises(ImageMissingError):
        chosen().require_image(name)


def test_a_login_needs_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/null").open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        with pytest.raises(LoginNeedsTerminalError):
            image.login(using(BASE_IMAGE))


CLAUDE = (
    "RUN printf '#!/bin/sh\\nread t; mkdir -p ~/.claude; echo $t >~/.claude/login; [ \"$t\" != no ]\\n' >/bin/claude"
)


@pytest.mark.parametrize("start", [["claude", "--print"], []])
def test_a_login_is_kept_in_the_image(made: Callable[..., str], start: list[str]) -> None:
    name = made(
        f"{CLAUDE} && chmod 755 /bin/claude && useradd -m someone",
        "USER someone",
        "ENV ODD='a b'",
        *([f"ENTRYPOINT {json.dumps(start)}"] if start else []),
        'CMD ["--resume"]',
    )
    before = config(name)
    code, _ = in_terminal(name, "token")
    assert code == 0
    assert docker("run", "--rm", "--entrypoint", "cat", name, "/home/someone/.claude/login") == "token"
    after = config(name)
    keys = ("Entrypoint", "Cmd", "User", "Env", "WorkingDir")
    assert {key: after[key] or None for key in keys} == {key: before[key] or None for key in keys}
    assert docker("ps", "--all", "--quiet", "--filter", "name=scopecraft-login") == ""


def test_a_login_that_failed_keeps_nothing(made: Callable[..., str]) -> None:
    name = made(f"{CLAUDE} && chmod 755 /bin/claude")
    before = docker("image", "inspect", "--format", "{{.Id}}", name)
    code, said = in_terminal(name, "no")
    assert code == 1
    assert "The login ended with exit code 1" in said
    assert docker("image", "inspect", "--format", "{{.Id}}", name) == before
    assert docker("ps", "--all", "--quiet", "--filter", "name=scopecraft-login") == ""


def in_terminal(name: str, typed: str) -> tuple[int, str]:
    """Exit code and screen of a login during which somebody types."""
    program = (
        "import sys; from scopecraft_git.executors import image; from scopecraft_git.config import Settings\n"
        "try: image.login(Settings.model_validate({'docker': {'image': sys.argv[1]}}))\n"
        "except Exception as error: sys.exit(str(error))"
    )
    screen, terminal = pty.openpty()
    with os.fdopen(screen, "r+b", buffering=0) as here:
        process = subprocess.Popen(
            [sys.executable, "-c", program, name], stdin=terminal, stdout=terminal, stderr=terminal
        )
        os.close(terminal)
        here.write(f"{typed}\n".encode())
        seen = b""
        try:
            while data := here.read(1024):
                seen += data
        except OSError:  # the terminal's other side is closed
            pass
        return process.wait(), seen.decode()


@pytest.mark.claude
def test_a_good_image_passes_its_probe(home: Path) -> None:
    found = image_probe.probe(using(AGENT_IMAGE), "claude", (".claude/login",))
    assert [(finding.what, finding.works) for finding in found] == [
        ("git", True),
        ("user", True),
        ("agent", True),
        ("login", False),
    ]
    assert f"{VERSION} (Claude Code)" in found[2].detail
    assert not list(home.glob("probe-*"))
    assert not list((home / "homes").iterdir())
    assert docker("ps", "--all", "--quiet", "--filter", "name=scopecraft-probe") == ""


def test_a_probe_tells_what_is_missing(home: Path, made: Callable[..., str]) -> None:
    name = made("RUN rm -f /usr/bin/git")
    found = image_probe.probe(using(name))
    assert [(finding.what, finding.works) for finding in found] == [("git", False), ("user", True), ("agent", False)]
    assert "git scopecraft image build" in found[0].hint


def test_facts_are_asked_once(home: Path, made: Callable[..., str]) -> None:
    name = made("RUN useradd -d /srv/odd -u 4711 odd", "USER 4711:4711")
    facts = image_facts.learn(chosen(), name)
    assert facts.home == "/srv/odd"
    assert "odd:x:4711:" in facts.passwd
    known = json.loads((home / "images.json").read_text())
    known[facts.id]["home"] = "/remembered"
    (home / "images.json").write_text(json.dumps(known))
    assert image_facts.learn(chosen(), name).home == "/remembered"
    assert docker("ps", "--all", "--quiet", "--filter", f"ancestor={name}") == ""


@pytest.mark.parametrize(
    ("lines", "expected"), [(["ENV HOME=/somewhere"], "/somewhere"), (["USER nobody"], "/nonexistent"), ([], "/root")]
)
def test_the_home_is_the_images_word(home: Path, made: Callable[..., str], lines: list[str], expected: str) -> None:
    assert image_facts.learn(chosen(), made(*lines)).home == expected
