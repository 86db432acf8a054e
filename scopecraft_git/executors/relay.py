"""The agent's standard input, through an engine that can either never end it or ends it with any reader's death.

Input travels in frames, a line with the number of bytes before them; a zero ends it. The container's first process
unpacks them into a pipe and becomes the agent, so a supervisor may come and go and only a zero is the end.
"""

from __future__ import annotations

from scopecraft_git.executors.credentials import TARGET

END = b"0\n"
SCRIPT = f"""\
p=/dev/shm/scopecraft-input
mkfifo -m 600 $p || exit 126
exec 3<&0
( (
trap '' INT TERM HUP
while read -r n && [ "$n" -gt 0 ]; do dd ibs=1 obs=65536 count="$n" 2>/dev/null; done
) <&3 3<&- >$p 2>/dev/null & )
exec 3<&- <$p
rm $p
for f in {TARGET}/*; do [ -f "$f" ] && export "${{f##*/}}=$(cat "$f")"; done
unset f p
exec "$@"
"""


def frame(data: bytes) -> bytes:
    return b"%d\n%b" % (len(data), data)
