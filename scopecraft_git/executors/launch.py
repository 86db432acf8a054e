"""The parent of an agent outside a container: a script of its own, run as `python -I -S launch.py FOLDER`.

It reads `launch.json` from the session's folder, removes it (it holds the environment), and starts the agent.
With `stays` it waits for the agent's end and writes `exit.json`; else it becomes the agent. It knows nothing of the
package and imports almost nothing, since it stands between Enter and the agent's first instruction.

The flock on `process.lock`, inherited from whoever started it, tells everybody that it lives.
"""

import json
import os
import signal
import sys

NOT_FOUND = 127


def main(folder: str) -> None:
    os.chdir(folder)
    path = "launch.json"
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs more to import than this script to run
        launch = json.load(file)
    os.unlink(path)  # noqa: PTH108
    environment = {**os.environ, **launch["environment"]} if launch["inherits"] else launch["environment"]
    for variable, source in launch["credentials"].items():
        with open(source, encoding="utf-8") as file:  # noqa: PTH123
            environment[variable] = file.read().strip()
    if launch["stays"]:
        outlive(launch["argv"], launch["cwd"], environment)
    else:
        become(launch["argv"], launch["cwd"], environment)


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
    agent = os.fork()
    if agent == 0:
        os.setpgid(0, 0)
        append = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        for number, source in enumerate((stdin, os.open("stream.log", append), os.open("stderr.log", append))):
            os.dup2(source, number)
        become(argv, cwd, environment)
    os.close(stdin)
    signal.signal(signal.SIGUSR1, lambda *_: close_once(keeper))
    write("process.json", {"parent": os.getpid(), "group": agent})
    status = os.waitpid(agent, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    write("exit.json", {"code": code if code >= 0 else 128 - code})


def close_once(descriptor: int) -> None:
    """The agent reads the end of its input once nobody holds the other end open."""
    try:
        os.close(descriptor)
    except OSError:
        return


def write(name: str, document: dict[str, int]) -> None:
    """Whole or not at all, also when the machine goes down."""
    with open(f"{name}.new", "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{name}.new", name)  # noqa: PTH105


if __name__ == "__main__":
    main(sys.argv[1])
