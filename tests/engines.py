"""A Docker engine of the tests' own, which they may stop, kill and freeze while the machine's serves everybody else.

It runs in namespaces of its own, so it finds no network of the other's to clean up, and nothing of it outlives it.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path

from tests.executors.contract import until

IMAGE = "scopecraft-test-small:1"
"""Next to empty: programs are this machine's, see `SETTINGS`."""
SETTINGS = {"docker": {"image": IMAGE, "network": "none", "mounts": ["/usr:/usr"]}}
PROGRAMS = ("dockerd", "docker", "docker-init", "unshare", "nsenter")
MERGED = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}


@cache
def missing() -> str:
    """Why there can be no second engine here; empty when there can."""
    if os.getuid() != 0:
        return "only root can start a Docker engine"
    if absent := [name for name in PROGRAMS if not shutil.which(name)]:
        return f"not installed: {', '.join(absent)}"
    if not all(Path("/", name).is_symlink() for name in ("bin", "lib")):
        return "the programs of this machine are not all below /usr"
    return ""


class OwnEngine:
    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="e-", dir="/tmp"))  # room for a socket's name
        self.folder.chmod(0o755)
        self.socket = self.folder / "docker.sock"
        self.address = f"unix://{self.socket}"
        namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self._holder = subprocess.Popen(["unshare", *namespaces, "docker-init", "--", "sleep", "infinity"])
        self._init = until(lambda: _child(self._holder))
        self._entered: subprocess.Popen[bytes] | None = None
        """Waits for dockerd, its child."""
        self._options: tuple[str, ...] = ()

    def ensure(self) -> None:
        """Have it run as it first did, whatever a test made of it."""
        self.thaw()
        if self._entered is None or self._options:
            self.kill()
            self.start()
        self.socket.chmod(0o660)

    def start(self, *options: str) -> None:
        """Start it and wait until it answers."""
        self._options = options
        (self.folder / "pid").unlink(missing_ok=True)
        command = ["nsenter", "-t", str(self._init), "--net", "--mount", "--pid", "dockerd"]
        places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        named = [f"--{option}={self.folder / name}" for option, name in places.items()]
        apart = ["--containerd-namespace=tests", "--containerd-plugins-namespace=tests-plugins"]
        with (self.folder / "log").open("ab") as log:
            inside = [*named, f"--host={self.address}", *apart, *options]
            self._entered = subprocess.Popen([*command, *inside], stdout=log, stderr=log)
        until(self._answers)

    def stop(self) -> None:
        """As an administrator does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def docker(self, *arguments: str) -> str:
        command = ["docker", "--host", self.address, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def make_image(self) -> None:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name in ("tmp", "usr", "sbin", "etc"):
                tar.addfile(_entry(name, tarfile.DIRTYPE))
            for name, target in MERGED.items():
                tar.addfile(_entry(name, tarfile.SYMTYPE, linkname=target))
            tar.addfile(_entry("etc/passwd", tarfile.REGTYPE))
        command = ["docker", "--host", self.address, "import", "-", IMAGE]
        subprocess.run(command, input=archive.getvalue(), capture_output=True, check=True)

    def close(self) -> None:
        """End it with all that it runs."""
        self._holder.kill()
        self._holder.wait()
        if self._entered:
            self._entered.kill()
            self._entered.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        assert self._entered is not None
        assert self._entered.poll() is None, (self.folder / "log").read_text()
        command = ["docker", "--host", self.address, "version"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _signal(self, number: signal.Signals) -> None:
        if self._entered is None:
            return
        os.kill(_child(self._entered), number)
        if number is signal.SIGCONT:
            self._entered.send_signal(number)  # it stops when its child does

    def _end(self, number: signal.Signals) -> None:
        self._signal(number)
        if self._entered:
            self._entered.wait(30)
            self._entered = None


def _child(process: subprocess.Popen[bytes]) -> int:
    """The one it has; 0 when it has none yet."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text() or 0)


def _entry(name: str, kind: bytes, linkname: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode = kind, linkname, 0o1777 if name == "tmp" else 0o755
    return entry
