"""How long an agent waits that asks before it calls a tool: from the line it writes to the answer in its stdin."""

from __future__ import annotations

import json
import sys

from benchmarks.ground import COMMAND, Ground
from benchmarks.rows import Row

CALLS = 200
WARM_UP = 20
"""Calls that are not counted: the session has only begun."""
PAUSE = 0.02
"""Seconds between calls, about a model's shortest thought."""

# Asks as Claude Code does, for commands that a rule or two look at.
AGENT = """\
#!{python}
import json, os, sys, time
sys.stdin.readline()
commands = ["npm test 2>&1 | tail -20", "git commit -qm Greet", "rm -rf build/*", "sed -i s/a/b/ src/*.py"]
took = []
for number in range({calls}):
    time.sleep({pause})
    call = {{"command": commands[number % len(commands)], "description": "x" * 200}}
    request = {{"subtype": "can_use_tool", "tool_name": "Bash", "input": call, "tool_use_id": f"t{{number}}"}}
    line = json.dumps({{"type": "control_request", "request_id": f"r{{number}}", "request": request}}) + "\\n"
    begun = time.perf_counter()
    os.write(1, line.encode())
    answer = json.loads(sys.stdin.readline())
    took.append((time.perf_counter() - begun) * 1000)
    assert answer["response"]["response"]["behavior"] == "allow", answer
with open({result!r}, "w") as file:
    json.dump(took, file)
print(json.dumps({{"type": "result", "subtype": "success", "is_error": False}}), flush=True)
sys.stdin.read()
"""


def measure(ground: Ground) -> list[Row]:
    result, agent = ground.folder / "judged.json", ground.folder / "asking-agent"
    agent.write_text(AGENT.format(python=sys.executable, calls=CALLS, pause=PAUSE, result=str(result)))
    agent.chmod(0o755)
    task = f"bench-{ground.number()}"
    run = (COMMAND, "run", task, "-e", "local", "-a", "claude", "-p", "Ask", "--follow")
    ground.call(*run, SCOPECRAFT_AGENTS__CLAUDE__COMMAND=str(agent))
    took = json.loads(result.read_text())[WARM_UP:]
    return [Row("permission asked to answered", took, limit=5.0)]
