"""What an engine's word on a container means."""

from __future__ import annotations

from collections.abc import Mapping
from signal import Signals
from typing import Any

RUNNING = frozenset({"running", "paused", "restarting"})
GOING = frozenset({"removing", "dead"})
SENDERS = {
    Signals.SIGTERM: ", as docker stop does",
    Signals.SIGKILL: ", as docker stop, docker kill or a machine short of memory do",
}
MIB = 1 << 20


def is_gone(state: Mapping[str, Any]) -> bool:
    """Whether it was removed, or is being removed: how it ended cannot be told any more."""
    return not state or state["Status"] in GOING


def runs(state: Mapping[str, Any]) -> bool:
    return state["Status"] in RUNNING


def signalled(code: int) -> str:
    """Which signal ended it; empty when none did."""
    try:
        signal = Signals(code - 128)
    except ValueError:
        return ""
    return f"{signal.name} ended it{SENDERS.get(signal, '')}"


def told(state: Mapping[str, Any], used: Mapping[str, Any]) -> str:
    """`state` and what it has used, in a few words."""
    if is_gone(state):
        return "is gone"
    said = [f"is {state['Status']}" if runs(state) else f"has ended with {state['ExitCode']}"]
    if state.get("Pid"):
        said.append(f"its process {state['Pid']}")
    memory = used.get("memory_stats") or {}
    if held := memory.get("usage"):
        # What the kernel would give back when asked is no need of the agent's.
        caches = memory.get("stats") or {}
        said.append(
            f"{(held - caches.get('total_inactive_file', caches.get('inactive_file', 0))) / MIB:.0f} MiB of memory"
        )
    if worked := ((used.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage"):
        said.append(f"{worked / 1e9:.1f} s of processor time")
    return ", ".join(said)
