"""The main job on what every machine has: a throw-away repository, the local executor, a scripted agent.

The commands it shows are run, each as a process of its own, in an environment where there is only the throw-away
folder: no settings, plugins or git configuration of the user's.
"""

from __future__ import annotations

import os
import shlex
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from scopecraft_git import supervisor
from scopecraft_git.errors import DemoFailedError
from scopecraft_git.repository import run_git

AGENT = Path(__file__).with_name("agent.py")
TASK = "implement-greeting-05A"
BRANCH = "feature/greeting-05A"
TASK_FILE = """\
# Greet people by name

---
type: feature
status: todo
area: core
---

## Instruction
Write a function `greet(name)` that returns a greeting.

## Tasks
- [ ] The function
- [ ] A check of it

## Deliverable
A commit.

## Log
"""
GIT_CONFIG = """\
[user]
    name = A Developer
    email = dev@example.org
[commit]
    gpgSign = false
[core]
    hooksPath = /dev/null
"""


def run(echo: Callable[[str], object], *, keep: bool = False) -> Path:
    """Show the main job, and end what it started. The folder it used, which is gone unless it is to be kept.

    `echo` gets what is to be shown between the commands, which write to stdout. Raises `DemoFailedError`.
    """
    folder = Path(tempfile.mkdtemp(prefix="scopecraft-demo-")).resolve()
    demo = Demo(folder, echo)
    try:
        demo.lay_out()
        demo.show()
    except BaseException:
        demo.stop()
        raise
    finally:
        supervisor.stop(folder / ".scopecraft")
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    return folder


def program() -> str:
    """What to type for `git scopecraft` here: git finds it only where it is on the path."""
    script = Path(sys.executable).with_name("git-scopecraft")
    if shutil.which(script.name):
        return "git scopecraft"
    return shlex.quote(str(script)) if script.exists() else shlex.join([sys.executable, "-m", "scopecraft_git"])


class Demo:
    def __init__(self, folder: Path, echo: Callable[[str], object]) -> None:
        self._repository = folder / "app"
        self._home = folder / ".scopecraft"
        self._echo = echo
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "SCOPECRAFT_"))}
        self._environment = inherited | {
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / ".config"),
            "PYTHONUSERBASE": site.getuserbase(),  # where this package may be; derived from HOME otherwise
            "SCOPECRAFT_HOME": str(self._home),
            "SCOPECRAFT_DISABLE_PLUGINS": "all",
        }

    def lay_out(self) -> None:
        """A repository with a commit on main that holds a task and an agent."""
        tasks = self._repository / ".tasks" / "current"
        tasks.mkdir(parents=True)
        (self._repository.parent / ".gitconfig").write_text(GIT_CONFIG)
        (tasks / f"{TASK}.task.md").write_text(TASK_FILE)
        agent = self._repository / "agent.sh"
        agent.write_text(f"#!/bin/sh\nexec {shlex.join([sys.executable, '-I', str(AGENT)])}\n")
        agent.chmod(0o755)
        self._git("init", "--quiet", "--template=", "--initial-branch=main")
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "Start")

    def show(self) -> None:
        self._call("task", "list")
        self._call("run", TASK, "--executor", "local", "--agent", "command", "--follow", "--", "./agent.sh")
        log = ("log", "--stat", "--format=%s", f"main..{BRANCH}")
        self._echo(f"\n$ {shlex.join(['git', *log])}")
        shown = self._git(*log)
        if not shown:
            raise DemoFailedError("git log", f"there is no commit on {BRANCH}")
        self._echo(shown)

    def stop(self) -> None:
        """Have the agent end, if it is at work."""
        if self._home.is_dir():
            self._run("stop", TASK, stdout=subprocess.DEVNULL)

    def _call(self, *arguments: str) -> None:
        shown = shlex.join(["git", "scopecraft", *arguments])
        self._echo(f"\n$ {shown}")
        if code := self._run(*arguments):
            raise DemoFailedError(shown, f"it ended in {code}")

    def _run(self, *arguments: str, stdout: int | None = None) -> int:
        """As a user would, its narration beside its answer."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "scopecraft_git", *arguments],
            cwd=self._repository,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode

    def _git(self, *arguments: str) -> str:
        done = run_git(*arguments, cwd=self._repository, environment=self._environment)
        if done.returncode:
            raise DemoFailedError(f"git {arguments[0]}", done.stderr.decode(errors="replace").strip())
        return done.stdout.decode(errors="replace").rstrip()
