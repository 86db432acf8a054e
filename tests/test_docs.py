from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import programs

DOCS = Path(__file__).parent.parent / "docs"


def test_generated_documentation_has_not_drifted() -> None:
    """`make docs` writes it anew."""
    done = subprocess.run(
        [sys.executable, DOCS / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_man_page_reads_without_warnings(pytestconfig: pytest.Config) -> None:
    programs.need("groff", pytestconfig)
    command = ["groff", "-man", "-Tutf8", "-Kutf8", "-ww", str(DOCS / "git-scopecraft.1")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    plain = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
    assert "git scopecraft run [options] TASK" in plain
    assert "SCOPECRAFT_HOME" in plain
