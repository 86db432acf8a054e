"""The parent of an agent outside a container: a script of its own, run as `python -I -S launch.py FOLDER`.

It reads `launch.json` from the session's folder, removes it (it holds the environment), starts the agent, waits for
its end and writes `exit.json`. It knows nothing of the package and imports almost nothing, since it stands between
Enter and the agent's first instruction.

The flock on `process.lock` tells everybody that it lives. It is inherited from whoever started it; on a terminal, where
tmux stands between, it is taken here.
"""

import fcntl
import json
import os
import signal
import sys

NOT_FOUND = 127
OF_THE_TERMINAL = ("TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "COLORTERM", "TMUX", "TMUX_PANE")
END_OF_OUTPUT = b"\x1e\x1d\x1c"
"""Behind all that the agent wrote to its terminal. Blank to whoever reads lines, and invisible."""
LEFT_TO_THE_AGENT = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTOU)


def main(folder: str) -> None:
    os.chdir(folder)
    path = "launch.json"
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs more to import than this script to run
        launch = json.load(file)
    os.unlink(path)  # noqa: PTH108
    environment = launch["environment"]
    for variable, source in launch["credentials"].items():
        with open(source, encoding="utf-8") as file:  # noqa: PTH123
            environment[variable] = file.read().strip()
    start = share_terminal if launch["terminal"] else outlive
    start(launch["argv"], launch["cwd"], environment)


def become(argv: list[str], cwd: str, environment: dict[str, str]) -> None:
    """Be the agent. Says on stderr why that failed, as a shell would."""
    try:
        os.chdir(cwd)
        os.execvpe(argv[0], argv, environment)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        os._exit(NOT_FOUND)


def outlive(argv: list[str], cwd: str, environment: dict[str, str]) -> None:
    """Start the agent in a process group of its own, keep its input open, and record how it ended."""
    os.set_inheritable(int(sys.argv[2]), False)
    stdin = os.open("stdin", os.O_RDONLY | os.O_NONBLOCK)
    keeper = os.open("stdin", os.O_WRONLY)
    os.set_blocking(stdin, True)
    signal.signal(signal.SIGUSR1, lambda *_: close_once(keeper))
    agent = fork_known()
    if agent == 0:
        append = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        for number, source in enumerate((stdin, os.open("stream.log", append), os.open("stderr.log", append))):
            os.dup2(source, number)
        become(argv, cwd, environment)
    os.close(stdin)
    record(os.waitpid(agent, 0)[1])


def share_terminal(argv: list[str], cwd: str, environment: dict[str, str]) -> None:
    """Start the agent as what this terminal talks to, stay behind it, and record how it ended.

    The terminal's own child would be no parent to be paused: tmux wakes a stopped one up at once.
    """
    lock = os.open("process.lock", os.O_WRONLY | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    for number in LEFT_TO_THE_AGENT:
        signal.signal(number, signal.SIG_IGN)
    for name in OF_THE_TERMINAL:
        environment.pop(name, None)
    environment.update({name: os.environ[name] for name in OF_THE_TERMINAL if name in os.environ})
    agent = fork_known()
    if agent == 0:
        os.tcsetpgrp(0, os.getpid())
        for number in LEFT_TO_THE_AGENT:
            signal.signal(number, signal.SIG_DFL)
        become(argv, cwd, environment)
    closed: list[int] = []

    def close(number: int, _frame: object) -> None:
        """The window's end is told to this process alone, the leader of the terminal's session."""
        closed.append(number)
        signal_group(agent, number)

    signal.signal(signal.SIGHUP, close)
    status = await_end(agent)
    end_output()
    record(closed[0] if closed else status, closed=bool(closed))


def fork_known() -> int:
    """Fork into a process group of its own, which starts to work once `process.json` tells of it.

    Whoever has seen the agent do anything can then find it, though this process be killed at any instant.
    """
    told, tell = os.pipe()
    agent = os.fork()
    if agent == 0:
        os.close(tell)
        os.setpgid(0, 0)
        if not os.read(told, 1):
            os._exit(NOT_FOUND)
        return 0
    write("process.json", {"parent": os.getpid(), "group": agent}, durable=False)
    os.write(tell, b"!")
    os.close(told)
    os.close(tell)
    return agent


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


def end_output() -> None:
    try:
        os.write(1, END_OF_OUTPUT)
    except OSError:
        return  # the window was closed


def record(status: int, *, closed: bool = False) -> None:
    """What a closed window makes an agent return is anything; it counts as ended by the hang-up."""
    code = os.waitstatus_to_exitcode(status)
    write("exit.json", {"code": code if code >= 0 else 128 - code, "closed": closed})


def close_once(descriptor: int) -> None:
    """The agent reads the end of its input once nobody holds the other end open."""
    try:
        os.close(descriptor)
    except OSError:
        return


def write(name: str, document: dict[str, int], *, durable: bool = True) -> None:
    """Whole or not at all; `durable` also when the machine goes down."""
    with open(f"{name}.new", "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(document, file)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    os.replace(f"{name}.new", name)  # noqa: PTH105


if __name__ == "__main__":
    main(sys.argv[1])
