"""The agent of the demo: a script of its own, run as `python -I agent.py` in the worktree.

It asks no model. What it prints is what Claude Code prints, a JSON object a line; what it does, it does.
"""

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

PAUSE = 0.15
"""Seconds between two steps, for whoever watches."""
GREETING = '''\
"""Greets people."""


def greet(name: str) -> str:
    return f"Hello, {name}!"
'''
CHECK = """\
from greeting import greet

assert greet("Ada") == "Hello, Ada!"
print("greets as asked")
"""


def main() -> None:
    prompt = sys.stdin.read()
    title = next((line.removeprefix("# ") for line in prompt.splitlines() if line.startswith("# ")), "The task")
    say(f"{title}: a module and a check of it.")
    write("greeting.py", GREETING)
    write("test_greeting.py", CHECK)
    run(sys.executable, "-B", "test_greeting.py")
    run("git", "add", "greeting.py", "test_greeting.py")
    run("git", "commit", "--quiet", "--message", "Greet people by name")
    say("Done: greet(name) is there, and it was seen to greet.")
    tell({"type": "result", "subtype": "success", "is_error": False, "num_turns": 4, "total_cost_usd": 0.0})


def say(text: str) -> None:
    tell({"type": "assistant", "message": {"role": "assistant", "content": [{"type": "text", "text": text}]}})


def write(name: str, text: str) -> None:
    call("Write", {"file_path": name, "content": text})
    Path(name).write_text(text, encoding="utf-8")
    answer(f"wrote {len(text.splitlines())} lines")


def run(*command: str) -> None:
    shown = ["python3" if part == sys.executable else part for part in command]
    call("Bash", {"command": shlex.join(shown)})
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    answer(done.stdout.strip() or "done", failed=done.returncode != 0)
    if done.returncode:
        tell({"type": "result", "subtype": "error_during_execution", "is_error": True, "result": done.stdout})
        sys.exit(1)


def call(tool: str, given: dict[str, str]) -> None:
    block = {"type": "tool_use", "id": f"{tool}-{time.monotonic_ns()}", "name": tool, "input": given}
    calls.append(str(block["id"]))
    tell({"type": "assistant", "message": {"role": "assistant", "content": [block]}})


def answer(text: str, *, failed: bool = False) -> None:
    block = {"type": "tool_result", "tool_use_id": calls[-1], "content": text, "is_error": failed}
    tell({"type": "user", "message": {"role": "user", "content": [block]}})


def tell(document: dict[str, object]) -> None:
    print(json.dumps(document), flush=True)
    time.sleep(PAUSE)


calls: list[str] = []

if __name__ == "__main__":
    main()
