"""The command line's part; `tests/executors` builds images."""

from __future__ import annotations

import pytest

from tests.conftest import Scopecraft


def test_without_an_engine(scopecraft: Scopecraft) -> None:
    refused = scopecraft("image", "build", env={"DOCKER_HOST": "unix:///nowhere"})
    assert (refused.code, refused.stdout) == (5, "")
    assert refused.stderr.startswith("✗ Docker is not reachable at unix:///nowhere")


def test_a_login_needs_a_terminal(scopecraft: Scopecraft) -> None:
    refused = scopecraft("image", "login")
    assert refused.code == 2
    assert refused.stderr.splitlines()[1] == "↳ Run it in a terminal: git scopecraft image login"


@pytest.mark.docker
def test_a_build_that_fails_shows_where(scopecraft: Scopecraft) -> None:
    image = {"SCOPECRAFT_DOCKER__IMAGE": "scopecraft-test-fails:1"}
    refused = scopecraft("image", "build", "--base", "scopecraft-no-such-base:1", env=image)
    assert (refused.code, refused.stdout) == (1, "")
    assert "✗ The image scopecraft-test-fails:1 could not be built" in refused.stderr
