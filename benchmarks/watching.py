"""How long it takes from a line that an agent writes to the handler that is called with it, while many are at work."""

from __future__ import annotations

import os
import statistics
import sys
from pathlib import Path

from benchmarks.ground import COMMAND, Ground, until
from benchmarks.rows import Row

SESSIONS = 10
LINES = 300
A_SECOND = 20
"""Lines of each session."""
WARM_UP = 40
"""Lines of each that are not counted: ten sessions start meanwhile."""

# A call and its result, text, and another message of each, as long as Claude Code's are; each says when it was written.
AGENT = """
import json, os, sys, time
gate, lines, pause = sys.argv[1], int(sys.argv[2]), 1 / int(sys.argv[3])
while not os.path.exists(gate):
    time.sleep(0.05)
time.sleep(os.getpid() % 50 / 1000)
filling = "x" * 600
usage = {"input_tokens": 7, "output_tokens": 11, "cache_read_input_tokens": 4000}
due = time.monotonic()
for number in range(lines):
    due += pause
    time.sleep(max(0.0, due - time.monotonic()))
    kind = number % 4
    if kind == 1:
        block = {"type": "tool_use", "id": f"t{number}", "name": "Bash", "input": {"command": filling}}
    else:
        block = {"type": "text", "text": filling}
    message = {"id": f"m{number}", "role": "assistant", "content": [block], "usage": usage}
    line = {"type": "assistant", "message": message}
    if kind == 2:
        block = {"type": "tool_result", "tool_use_id": f"t{number - 1}", "content": filling, "is_error": False}
        line = {"type": "user", "message": {"role": "user", "content": [block]}}
    stamp = {"type": "system", "subtype": "stamp", "number": number, "at": time.time_ns()}
    os.write(1, (json.dumps(line) + "\\n" + json.dumps(stamp) + "\\n").encode())
"""
PLUGIN = """
import os, time
from scopecraft_git import Notice, hookimpl

class Stopwatch:
    name = "stopwatch"

    def __init__(self, request):
        self._path = os.path.join({folder!r}, request.session.id)
        self._took = []

    def handle(self, session, event):
        now = time.time_ns()
        if isinstance(event, Notice) and event.code == "stamp":
            self._took.append(f"{{event.data['number']}} {{now - event.data['at']}}")
        elif isinstance(event, Notice) and event.code == "ended":
            with open(self._path, "w") as file:
                file.write("\\n".join(self._took))

    def summary(self):
        return {{}}

@hookimpl
def register_monitor_handlers():
    return [Stopwatch]
"""


def measure(ground: Ground) -> list[Row]:
    took = ground.folder / "took"
    took.mkdir()
    gate, agent = ground.folder / "watching.gate", ground.folder / "agent.py"
    agent.write_text(AGENT)
    ground.stop_supervisor()  # the next one has the plugin
    with_plugin = {"PYTHONPATH": os.pathsep.join([str(_plugin(ground.folder, took)), str(Path.cwd())])}
    script = f"exec {sys.executable} -S {agent} {gate} {LINES} {A_SECOND}"
    sessions = ground.in_process("submit", str(SESSIONS), script, **with_plugin)
    gate.touch()
    ground.call(COMMAND, "wait", *sessions)
    samples = [sample for session in sessions for sample in _read(took / session)]
    ground.stop_supervisor()
    name = f"line to handler, {SESSIONS} sessions busy"
    p99 = statistics.quantiles(samples, n=100)[98]
    return [Row(name, samples, limit=5.0), Row(f"{name}, p99", [p99], limit=25.0)]


def _read(path: Path) -> list[float]:
    until(path.exists)
    rows = [line.split() for line in path.read_text().splitlines()]
    return [int(took) / 1e6 for number, took in rows if int(number) >= WARM_UP]


def _plugin(folder: Path, took: Path) -> Path:
    site = folder / "site"
    about = site / "stopwatch-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stopwatch\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[scopecraft]\nstopwatch = stopwatch_plugin\n")
    (site / "stopwatch_plugin.py").write_text(PLUGIN.format(folder=str(took)))
    return site
