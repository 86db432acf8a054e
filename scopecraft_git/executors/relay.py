"""The agent's standard input, through an engine that can either never end it or ends it with any reader's death.

Input travels in frames, a line with the number of bytes before them; a zero ends it. The container's first process
unpacks them into a pipe and becomes the agent, so a supervisor may come and go and only a zero is the end.
What the agent reads first comes from a file: a container starts once, and so it is given once.
"""

from __future__ import annotations

from scopecraft_git.executors.credentials import TARGET

FIRST = "/scopecraft/input"
"""Where the container has what the agent reads first, if anything."""
END = b"0\n"
_FRAMES = 'while read -r n && [ "$n" -gt 0 ]; do dd ibs=1 obs=65536 count="$n" 2>/dev/null; done'
_SCRIPT = f"""\
p=/dev/shm/scopecraft-input
mkfifo -m 600 $p || exit 126
exec 3<&0
( (
trap '' INT TERM HUP
[ ! -f {FIRST} ] || cat {FIRST}
%s
) <&3 3<&- >$p 2>/dev/null & )
exec 3<&- <$p
rm $p
for f in {TARGET}/*; do [ -f "$f" ] && export "${{f##*/}}=$(cat "$f")"; done
unset f p
exec "$@"
"""


def script(*, ends: bool) -> str:
    """What the container's first process runs. With `ends`, the agent's input ends behind what it reads first."""
    return _SCRIPT % ("" if ends else _FRAMES)


def frame(data: bytes) -> bytes:
    return b"%d\n%b" % (len(data), data)
