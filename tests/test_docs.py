from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scopecraft_git import hookspecs, plugins
from scopecraft_git.config import Settings
from scopecraft_git.events import PermissionRequest
from scopecraft_git.monitor import made
from scopecraft_git.protocols import Action, Verdict
from tests import programs, samples
from tests.conftest import Scopecraft

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
GUIDE = ROOT / "plugins" / "README.md"
PAGES = [*sorted(ROOT.glob("*.md")), GUIDE, ROOT / "hooks" / "README.md", *sorted(DOCS.glob("*.md"))]
LISTING = re.compile(r"^```\w+ (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")


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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the plugin of plugins/README.md is installed, written down as it is listed there."""
    source, site = tmp_path_factory.mktemp("scopecraft-nomad"), tmp_path_factory.mktemp("site")
    for name, text in LISTING.findall(GUIDE.read_text(encoding="utf-8")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text, encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--target", site, source], check=True)
    return site


@pytest.fixture
def nomad(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(site))


def names() -> dict[str, list[str]]:
    """What can be chosen of each kind, in a process that sees what was installed."""
    found = f"{{kind: plugins.names(kind) for kind in {tuple(plugins.HOOKS)}}}"
    code = f"import json; from scopecraft_git import plugins; print(json.dumps({found}))"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True)
    answer: dict[str, list[str]] = json.loads(done.stdout)
    return answer


@pytest.mark.usefixtures("nomad")
def test_the_plugin_of_the_guide_adds_what_the_guide_says() -> None:
    without = {kind: plugins.names(kind) for kind in plugins.HOOKS}
    added = {kind: [name for name in found if name not in without[kind]] for kind, found in names().items()}
    assert added == {
        "executor": ["nice"], "agent": ["parrot"], "storage": [], "handler": ["limit"], "error": ["quota"],
    }  # fmt: skip


@pytest.mark.usefixtures("nomad")
def test_the_guide_shows_the_plugin_as_it_is_listed(scopecraft: Scopecraft) -> None:
    listed = scopecraft("plugins").stdout
    assert listed in GUIDE.read_text(encoding="utf-8")


@pytest.mark.usefixtures("nomad")
def test_the_plugin_of_the_guide_does_a_task(scopecraft: Scopecraft) -> None:
    done = scopecraft("run", "greet", "-p", "Say hello", "--executor", "nice", "--agent", "parrot", "--follow")
    assert (done.code, "Say hello\n" in done.stdout) == (0, True), done.stderr


def test_every_hook_is_in_the_guide() -> None:
    hooks = [name for name, value in vars(hookspecs).items() if hasattr(value, "scopecraft_spec")]
    assert sorted(hooks) == sorted(plugins.HOOKS.values())
    guide = GUIDE.read_text(encoding="utf-8")
    assert [hook for hook in hooks if f"| `{hook}()` |" not in guide] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for path, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / path).resolve() if path else page
        headings = HEADING.findall(target.read_text(encoding="utf-8")) if anchor and target.exists() else []
        anchors = [re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings]
        if not target.exists() or (anchor and anchor not in anchors):
            lost.append(f"{path}#{anchor}")
    assert lost == []


def test_the_handler_of_the_page_on_handlers_works(home: Path) -> None:
    page = (DOCS / "handlers.md").read_text(encoding="utf-8")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "@hookimpl" in block)
    module: dict[str, Any] = {}
    exec(code, module)
    (factory,) = module["register_monitor_handlers"]()
    settings = Settings(plugins={"night-watch": {"tool": "Bash"}})
    (handler,) = made([factory], samples.handler_request(settings=settings))
    verdicts = [handler.handle(samples.session(), PermissionRequest(id="r", tool=tool)) for tool in ("Bash", "Read")]
    assert verdicts == [Verdict(Action.ASK, "Bash looks outside"), None]
