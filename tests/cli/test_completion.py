"""Tab in the real shells."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from scopecraft_git.cli import complete
from scopecraft_git.models import Approval, SessionStatus
from scopecraft_git.storage.local import LocalStorage
from tests import programs
from tests.conftest import Scopecraft
from tests.samples import NOW, session

GIT_COMPLETION = Path("/usr/share/bash-completion/completions/git")
BASH = """
source {git}
source <(git scopecraft completion bash)
COMP_LINE=$1 COMP_POINT=${{#1}}
read -ra COMP_WORDS <<<"$1"
[[ $1 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
function_name=$(complete -p "${{COMP_WORDS[0]}}" | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
"$function_name" "${{COMP_WORDS[0]}}" "${{COMP_WORDS[COMP_CWORD]}}" ''
((${{#COMPREPLY[@]}})) && printf '%s\\n' "${{COMPREPLY[@]}}"
exit 0
"""
ZSH = """
autoload -Uz compinit && compinit -u -d {dump}
source <(git scopecraft completion zsh)
compadd () {{  # what would be offered, in place of offering it
  local -a matches; builtin compadd -O matches "$@"; print -rl -- $matches >>{found}; builtin compadd "$@"
}}
zstyle ':completion:*' list-prompt ''
LISTMAX=0
"""


@pytest.fixture(autouse=True)
def _on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")


class Shell:
    def __init__(self, name: str, repo: Path, folder: Path) -> None:
        self.name, self._repo, self._folder = name, repo, folder

    def complete(self, line: str) -> list[str]:
        """What Tab offers behind `line`, typed in the repository."""
        return sorted(getattr(self, f"_{self.name}")(line))

    def _bash(self, line: str) -> list[str]:
        script = BASH.format(git=GIT_COMPLETION)
        words = self._run("bash", "--norc", "-c", script, "bash", line)
        if line.startswith("git "):  # has readline add no space of its own
            assert all(word.endswith(" ") for word in words), words
        return [word.rstrip() for word in words]

    def _fish(self, line: str) -> list[str]:
        script = f"git scopecraft completion fish | source; complete -C {shlex.quote(line)}"
        return [word.split("\t")[0].rpartition("=")[2] for word in self._run("fish", "-c", script)]

    def _zsh(self, line: str) -> list[str]:
        """zsh completes on a terminal only: one of its own making."""
        found, setup = self._folder / "found", self._folder / "setup.zsh"
        found.write_text("")
        setup.write_text(ZSH.format(dump=self._folder / "dump", found=found))
        driver = f"""
            zmodload zsh/zpty
            zpty shell zsh -f -i
            zpty -w shell 'PS1=; source {setup}; print re""ady'
            zpty -r shell output '*ready*'
            zpty -w -n shell {shlex.quote(line)}$'\\t'
            zpty -w -n shell $'\\C-a\\C-kprint fini""shed\\n'
            zpty -r shell output '*finished*'
        """
        self._run("zsh", "-f", "-c", driver)
        return list(dict.fromkeys(found.read_text().split()))

    def _run(self, *command: str) -> list[str]:
        done = subprocess.run(
            command, cwd=self._repo, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout.splitlines()


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest, repo: Path, home: Path, tmp_path: Path) -> Shell:
    programs.need(request.param, request.config)
    if request.param == "bash":
        programs.need(str(GIT_COMPLETION), request.config)
    return Shell(request.param, repo, tmp_path)


def test_git_offers_scopecraft(shell: Shell) -> None:
    assert shell.complete("git scop") == ["scopecraft"]


def test_commands_options_and_values(shell: Shell) -> None:
    assert shell.complete("git scopecraft wor") == ["worktree"]
    assert shell.complete("git scopecraft worktree ") == ["clean", "create", "list", "path", "remove"]
    assert shell.complete("git scopecraft run x --exec") == ["--executor"]
    assert shell.complete("git scopecraft run x --executor ") == ["docker", "local", "tmux"]
    assert shell.complete("git scopecraft run x --executor=lo") == ["local"]


def test_the_program_by_its_own_name(shell: Shell) -> None:
    assert shell.complete("git-scopecraft config set docker.i") == ["docker.image"]
    assert shell.complete("git-scopecraft run x --executor=lo") == ["local"]


def test_tasks_and_sessions(shell: Shell, scopecraft: Scopecraft) -> None:
    assert scopecraft("task", "new", "implement-auth-05A", "-p", "x").code == 0
    started = scopecraft("run", "other-05B", "-e", "local", "-a", "command", "--follow", "--", "true")
    assert started.code == 0, started.stderr
    assert shell.complete("git scopecraft run im") == ["implement-auth-05A"]
    task, session = shell.complete("git scopecraft logs oth")
    assert (task, session[:10]) == ("other-05B", "other-05B-")


@pytest.mark.parametrize("shell", ["bash"], indirect=True)
def test_who_waits_for_a_word_and_for_what(shell: Shell) -> None:
    asked = Approval(id="3f2a-1", tool="Bash", reason="", since=NOW)
    storage = LocalStorage()
    for name, status, approvals in (
        ("ended-1", SessionStatus.COMPLETED, ()),
        ("asks-2", SessionStatus.WAITING, (asked, asked.model_copy(update={"id": "77"}))),
        ("works-3", SessionStatus.RUNNING, ()),
    ):
        storage.create(session(name, task=name, status=status, approvals=approvals))
    assert complete.asking("") == ["asks-2", "works-3"]
    for command in ("approve", "deny", "send", "interrupt", "stop", "pause", "resume", "attach"):
        assert shell.complete(f"git scopecraft {command} ") == ["asks-2", "works-3"]
    assert shell.complete("git scopecraft approve asks ") == ["3f2a-1", "77"]
    assert shell.complete("git scopecraft deny asks-2 3") == ["3f2a-1"]
    assert shell.complete("git scopecraft deny works-3 ") == []


def test_the_script_is_quiet_where_nothing_can_be_found(shell: Shell, tmp_path: Path) -> None:
    outside = Shell(shell.name, tmp_path, tmp_path)
    assert "implement-auth-05A" not in outside.complete("git scopecraft run im")
