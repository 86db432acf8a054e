"""Plugins as `pip` installs them: a distribution on the path that names an entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.conftest import Scopecraft

GOOD = """\
from scopecraft_git import hookimpl
from scopecraft_git.executors.local import LocalExecutor

class Nomad(LocalExecutor):
    name = {name!r}

@hookimpl
def register_executors():
    return [Nomad()]
"""
BUILT_IN = ["docker", "tmux", "local"]


class Install(Protocol):
    def __call__(self, name: str, code: str, *, by: str = ...) -> None: ...


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """`install(name, code)`: a distribution `scopecraft-NAME` whose plugin is the module `NAME_plugin`."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(site))

    def run(name: str, code: str, *, by: str = "") -> None:
        distribution = f"scopecraft-{by or name}"
        (site / f"{name}_plugin.py").write_text(code)
        about = site / f"{distribution.replace('-', '_')}-1.2.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (about / "entry_points.txt").write_text(f"[scopecraft]\n{name} = {name}_plugin\n")

    return run


def python(code: str) -> Any:
    """What `code` prints as JSON, in a process that sees what was installed."""
    command = [sys.executable, "-c", f"import json\nfrom scopecraft_git import plugins\n{code}"]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def executors() -> Any:
    return python("print(json.dumps(plugins.names('executor')))")


def row(name: str) -> Any:
    return python(f"print(json.dumps([p._asdict() for p in plugins.installed() if p.name == {name!r}]))")


def error(code: str) -> Any:
    """The message of the error that `code` raises."""
    caught = f"try:\n    {code}\nexcept plugins.ScopecraftError as error:\n    print(json.dumps(error.message))"
    return python(
        f"from scopecraft_git.errors import ScopecraftError\nplugins.ScopecraftError = ScopecraftError\n{caught}"
    )


def test_a_plugin_adds_what_it_registers(install: Install) -> None:
    install("nomad", GOOD.format(name="nomad"))
    assert executors() == [*BUILT_IN, "nomad"]
    assert row("nomad") == [
        {"name": "nomad", "version": "1.2", "source": "scopecraft-nomad", "adds": ["executor nomad"], "problem": ""}
    ]


def test_the_built_ins_come_through_the_same_door() -> None:
    assert executors() == BUILT_IN
    (found,) = row("storage.local")
    assert (found["source"], found["adds"], found["problem"]) == ("built in", ["storage local"], "")


def test_only_the_kind_that_is_asked_for_is_loaded() -> None:
    loaded = python(
        "plugins.storage('local')\nimport sys\n"
        "print(json.dumps([name for name in sys.modules if name.startswith(('scopecraft_git.executors.', 'docker'))]))"
    )
    assert loaded == []


BROKEN = {
    "raises when imported": "raise RuntimeError('no licence')",
    "leaves the process": "raise SystemExit(3)",
    "cannot be imported": "import no_such_module",
    "misspells a hook": GOOD.format(name="x").replace("register_executors", "register_executers"),
    "wants an argument": GOOD.format(name="x").replace("register_executors()", "register_executors(config)"),
    "raises when asked": GOOD.format(name="x").replace("return [Nomad()]", "raise ValueError('no')"),
    "returns what has no name": GOOD.format(name="x").replace("[Nomad()]", "[object()]"),
    "returns nothing": GOOD.format(name="x").replace("return [Nomad()]", "pass"),
}


@pytest.mark.parametrize("code", BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_named_and_stops_nobody(install: Install, code: str) -> None:
    install("broken", code)
    install("nomad", GOOD.format(name="nomad"))
    assert executors() == [*BUILT_IN, "nomad"]
    (found,) = row("broken")
    assert (found["version"], found["source"], found["adds"]) == ("1.2", "scopecraft-broken", [])
    assert found["problem"]
    assert error("plugins.executor('broken')").startswith("The plugin broken cannot be used: ")


def test_a_misspelt_hook_is_told(install: Install) -> None:
    install("broken", BROKEN["misspells a hook"])
    assert "register_executers" in row("broken")[0]["problem"]


def test_of_two_with_one_name_none_is_chosen(install: Install) -> None:
    install("one", GOOD.format(name="local"))
    install("two", GOOD.format(name="nomad"))
    install("three", GOOD.format(name="nomad"))
    message = error("plugins.executor('nomad')")
    assert message.startswith("The plugins ")
    assert message.endswith(" both register the executor nomad")
    assert {"two", "three"} < set(message.split())
    assert error("plugins.executor('local')") == "The plugins executors.local and one both register the executor local"
    assert python("print(json.dumps(plugins.executor('docker').name))") == "docker"


def test_two_distributions_with_one_plugin_name(install: Install) -> None:
    install("nomad", GOOD.format(name="nomad"))
    install("nomad", GOOD.format(name="nomad"), by="others")
    assert executors() == [*BUILT_IN, "nomad"]
    assert python("print(json.dumps(plugins.executor('nomad').name))") == "nomad"
    assert "another distribution has a plugin of this name" in row("nomad")[0]["problem"]


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    expected = "There is no executor called dockr (did you mean docker?); known are docker, tmux, local"
    assert error("plugins.executor('dockr')") == expected


@pytest.mark.parametrize("disabled", ["nomad", "other, nomad", "all"])
def test_a_plugin_can_be_left_out(install: Install, monkeypatch: pytest.MonkeyPatch, disabled: str) -> None:
    install("nomad", "raise SystemExit")
    monkeypatch.setenv("SCOPECRAFT_DISABLE_PLUGINS", disabled)
    assert executors() == BUILT_IN
    assert row("nomad")[0]["problem"] == "left out by SCOPECRAFT_DISABLE_PLUGINS"


def test_the_command_lists_them_and_goes_on_with_a_broken_one(scopecraft: Scopecraft, install: Install) -> None:
    install("nomad", GOOD.format(name="nomad"))
    install("broken", BROKEN["raises when imported"])
    assert scopecraft("list").code == 0
    listed = scopecraft("plugins")
    assert listed.code == 0
    assert ["nomad", "1.2", "scopecraft-nomad", "executor", "nomad"] in [
        line.split() for line in listed.stdout.splitlines()
    ]
    assert listed.stderr == "▲ broken is not used: RuntimeError: no licence\n"
    names = [plugin["name"] for plugin in json.loads(scopecraft("plugins", "--json").stdout)]
    assert names[-2:] in (["nomad", "broken"], ["broken", "nomad"])


KINDS = """\
from scopecraft_git import ErrorKind, Severity, hookimpl

@hookimpl
def register_error_kinds():
    return [ErrorKind("quota", Severity.CRITICAL, {pattern!r})]
"""


def test_a_plugin_judges_errors_before_the_built_ins(install: Install) -> None:
    install("nomad", KINDS.format(pattern="quota (is )?exceeded"))
    kinds = python("print(json.dumps([kind.name for kind in plugins.error_kinds()]))")
    assert (kinds[0], kinds[-1]) == ("quota", "failed")


def test_a_pattern_that_is_none_is_its_plugins_problem(install: Install) -> None:
    install("nomad", KINDS.format(pattern="quota (is"))
    assert "quota" not in python("print(json.dumps([kind.name for kind in plugins.error_kinds()]))")
    (found,) = row("nomad")
    assert found["problem"].startswith(
        "register_error_kinds: ValueError: the pattern of quota is no regular expression: missing ), unterminated"
    )


MEDDLER = """\
from scopecraft_git import hookimpl

class Policy:
    name = "policy"

@hookimpl(trylast=True)
def register_monitor_handlers():
    return [Policy]
"""


def test_the_policy_is_always_ours(install: Install) -> None:
    install("meddler", MEDDLER)
    handlers = python("print(json.dumps([(each.name, each.__module__) for each in plugins.handlers()]))")
    assert ["policy", "scopecraft_git.handlers.policy"] in handlers
    assert [name for name, _ in handlers] == ["activity", "policy", "budget", "idle", "notify"]


@pytest.mark.parametrize("entry", ["handlers.policy = nomad_plugin", "nomad = scopecraft_git.handlers.policy"])
def test_whoever_takes_a_built_ins_place_is_left_out(install: Install, tmp_path: Path, entry: str) -> None:
    install("nomad", MEDDLER)
    (points,) = tmp_path.glob("site/*/entry_points.txt")
    points.write_text(f"[scopecraft]\n{entry}\n")
    assert python("print(json.dumps([each.__module__ for each in plugins.handlers()]))")[1:2] == [
        "scopecraft_git.handlers.policy"
    ]
    (problem,) = (each["problem"] for each in row(entry.partition(" ")[0]))
    assert "already" in problem
