"""The parent of an agent outside a container: a script of its own, run as `python -I -S launch.py FOLDER`.

It reads `launch.json` from the session's folder, starts the agent, gives it its first input, waits for its end and
writes `exit.json`. It knows nothing of the package and imports almost nothing, since it stands between Enter and the
agent's first instruction.

The flock on `process.lock` tells everybody that it lives. It is inherited from whoever started it; on a terminal, where
tmux stands between, it is taken here. From the moment `process.json` is there the agent counts as started, and never is
again; until then all that a start needs lies in the folder.
"""

from __future__ import annotations

import binascii
import fcntl
import json
import os
import signal
import sys
import time

TYPE_CHECKING = False  # whose own module costs half as much to import as all the others
if TYPE_CHECKING:
    from typing import Any

NOT_FOUND = 127
OF_THE_TERMINAL = ("TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "COLORTERM", "TMUX", "TMUX_PANE")
END_OF_OUTPUT = b"\x1e\x1d\x1c"
"""Behind all that the agent wrote to its terminal. Blank to whoever reads lines, and invisible."""
LEFT_TO_THE_AGENT = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTOU)
PRIVATE = ("launch.json", "environment.json", "launch.json.new", "environment.json.new")
"""Hold what the agent alone should know, and are needed until it has started, if they are whole."""
LOOKS_AGAIN = 0.01
TRIES_AGAIN = 0.25
SERVER_GOES_WITHIN = 1.0
PIPE_SIZE = 1 << 20


def main(folder: str) -> None:
    os.chdir(folder)
    on_terminal = len(sys.argv) < 3
    if on_terminal and not claim():
        forget()
        os.execvp("tmux", ["tmux", "kill-pane", "-t", os.environ["TMUX_PANE"]])
    with open("launch.json", "rb") as file:  # noqa: PTH123 - pathlib costs more to import than this script to run
        launch = json.load(file)
    try:
        for variable, source in launch["credentials"].items():
            with open(source, encoding="utf-8") as file:  # noqa: PTH123
                launch["environment"][variable] = file.read().strip()
    except OSError as error:
        os.write(2, f"{error.filename}: {error.strerror}\n".encode())
        forget()
        write("exit.json", {"code": NOT_FOUND, "closed": ""})
    else:
        (share_terminal if on_terminal else outlive)(launch)


def claim() -> bool:
    """Take the lock; False when another launcher has started the agent.

    There is another one when whoever opened its window was killed before it knew, and the start was repeated.
    """
    lock = os.open("process.lock", os.O_WRONLY | os.O_CREAT, 0o600)
    while not (taken := try_lock(lock)) and not has_started():
        time.sleep(LOOKS_AGAIN)
    return taken and not has_started()


def try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def has_started() -> bool:
    return any(os.path.exists(name) for name in ("process.json", "exit.json"))  # noqa: PTH110


def become(launch: dict[str, Any]) -> None:
    """Be the agent. Says on stderr why that failed, as a shell would."""
    argv = launch["argv"]
    try:
        os.chdir(launch["cwd"])
        os.execvpe(argv[0], argv, launch["environment"])
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        os._exit(NOT_FOUND)


def outlive(launch: dict[str, Any]) -> None:
    """Start the agent in a process group of its own, keep its input open, and record how it ended.

    It reads the end of its input once nobody holds the pipe open any more.
    """
    lock = int(sys.argv[2])
    os.set_inheritable(lock, False)
    stdin = os.open("stdin", os.O_RDONLY | os.O_NONBLOCK)
    pipe = os.open("stdin", os.O_WRONLY)
    os.set_blocking(stdin, True)
    widen(pipe)
    kept_open, pipe_of_writer = [pipe], os.dup(pipe)
    turn = os.open("input.lock", os.O_WRONLY | os.O_CREAT, 0o600)
    fcntl.flock(turn, fcntl.LOCK_EX)
    signal.signal(signal.SIGUSR1, lambda *_: close_all(kept_open))
    agent = fork_known()
    if agent == 0:
        append = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        for number, source in enumerate((stdin, os.open("stream.log", append), os.open("stderr.log", append))):
            os.dup2(source, number)
        become(launch)
    writer = give(binascii.a2b_base64(launch["input"]), pipe_of_writer, not_kept=[lock, stdin])
    close_all([stdin, pipe_of_writer, turn])
    if launch["input_ends"]:
        close_all(kept_open)
    status = os.waitpid(agent, 0)[1]
    os.kill(writer, signal.SIGKILL)
    record(status)


def give(data: bytes, pipe: int, not_kept: list[int]) -> int:
    """Write the agent's first input in a process of its own, which holds `input.lock` until all of it is in the pipe.

    The agent may read slowly, and this process has a signal and an end to wait for.
    """
    writer = os.fork()
    if writer:
        return writer
    close_all(not_kept)
    try:
        while data:
            data = data[os.write(pipe, data) :]
    finally:
        os._exit(0)


def widen(pipe: int) -> None:
    """A message that finds room is given in one go: whoever sends it may be killed, but not half-way."""
    if sys.platform == "linux":
        try:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        except OSError:
            return  # the user has many such pipes


def share_terminal(launch: dict[str, Any]) -> None:
    """Start the agent as what this terminal talks to, stay behind it, and record how it ended.

    The terminal's own child would be no parent to be paused: tmux wakes a stopped one up at once.
    """
    for number in LEFT_TO_THE_AGENT:
        signal.signal(number, signal.SIG_IGN)
    for name in OF_THE_TERMINAL:
        launch["environment"].pop(name, None)
    launch["environment"].update({name: os.environ[name] for name in OF_THE_TERMINAL if name in os.environ})
    agent = fork_known()
    if agent == 0:
        os.tcsetpgrp(0, os.getpid())
        for number in LEFT_TO_THE_AGENT:
            signal.signal(number, signal.SIG_DFL)
        become(launch)
    # The window's end is told to this process alone, the leader of the terminal's session.
    signal.signal(signal.SIGHUP, lambda number, _: signal_group(agent, number))
    status = await_end(agent)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if end_output():
        record(status)
    else:
        record(signal.SIGHUP, closed="server" if server_ended() else "window")


def fork_known() -> int:
    """Fork into a process group of its own, which starts to work once `process.json` tells of it.

    Whoever has seen the agent do anything can then find it, though this process be killed at any instant.
    """
    told, tell = os.pipe()
    agent = os.fork()
    if agent == 0:
        os.close(tell)
        if not os.read(told, 1):
            os._exit(NOT_FOUND)
        return 0
    os.setpgid(agent, agent)
    parent = os.getpid()
    born = {"parent_born": birth(parent), "group_born": birth(agent)}
    write("process.json", {"boot": boot(), "parent": parent, "group": agent, **born}, durable=False)
    forget()
    os.write(tell, b"!")
    os.close(told)
    os.close(tell)
    return agent


def birth(pid: int) -> str:
    """What tells a process from a later one with its pid, on Linux by boot and tick; empty when none lives.

    One that has ended and that its parent has not asked for does not count as living.
    """
    if sys.platform == "linux":
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
                state, *fields = file.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return "" if state in b"ZX" else f"{boot()} {fields[18].decode()}"
    import subprocess

    asked = ["env", "LC_ALL=C", "ps", "-o", "state=,lstart=", "-p", str(pid)]
    found = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return "" if found.startswith("Z") else found.strip().partition(" ")[2].strip()


def boot() -> str:
    """Which start of the machine this is; empty where that cannot be told."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""


def await_end(agent: int) -> int:
    """Its wait status. One that stops itself (^Z) goes on, since nobody could bring it back, unless `paused` exists."""
    while True:
        status = os.waitpid(agent, os.WUNTRACED)[1]
        if not os.WIFSTOPPED(status):
            return status
        if not os.path.exists("paused"):  # noqa: PTH110
            signal_group(agent, signal.SIGCONT)


def signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def end_output() -> bool:
    """False when the window was closed: the agent may have seen that, and left, before anybody was told."""
    try:
        os.write(1, END_OF_OUTPUT)
    except OSError:
        return False
    return True


def server_ended() -> bool:
    """Whether the tmux server went with the window; it takes a moment to go."""
    server = int(os.environ["TMUX"].split(",")[1])
    deadline = time.monotonic() + SERVER_GOES_WITHIN
    while birth(server):
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOKS_AGAIN)
    return True


def record(status: int, *, closed: str = "") -> None:
    """What a closed window makes an agent return is anything; it counts as ended by the hang-up."""
    code = os.waitstatus_to_exitcode(status)
    keep("exit.json", {"code": code if code >= 0 else 128 - code, "closed": closed})


def keep(name: str, document: dict[str, Any]) -> None:
    """Write what nobody else knows, as soon as the disk takes it, if the session's folder is still there."""
    while True:
        try:
            return write(name, document)
        except FileNotFoundError:
            return None
        except OSError:
            time.sleep(TRIES_AGAIN)


def close_all(descriptors: list[int]) -> None:
    """Once: a signal that comes again must not close what has their numbers by then."""
    while descriptors:
        os.close(descriptors.pop())


def forget() -> None:
    """Remove what is needed no more once the agent has started, or failed to."""
    for name in PRIVATE:
        try:
            os.unlink(name)  # noqa: PTH108
        except FileNotFoundError:
            continue


def write(name: str, document: dict[str, Any], *, durable: bool = True) -> None:
    """Whole or not at all; `durable` also when the machine goes down."""
    with open(f"{name}.new", "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(document, file)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    os.replace(f"{name}.new", name)  # noqa: PTH105


if __name__ == "__main__":
    main(sys.argv[1])
