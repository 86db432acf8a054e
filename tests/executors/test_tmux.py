"""What is particular to tmux. The real agent's sessions are in test_tmux_claude.py."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from signal import Signals
from typing import Any

import pytest

from scopecraft_git.errors import AgentMissingError, StartFailedError, TmuxMissingError, WindowGoneError
from scopecraft_git.executors.tmux_server import TmuxServer
from scopecraft_git.models import Mode
from scopecraft_git.protocols import ExecRequest
from tests.executors.contract import DEADLINE, Bench, plain, read_until, until

pytestmark = [pytest.mark.tmux, pytest.mark.parametrize("bench", ["tmux"], indirect=True)]

Tmux = Callable[..., list[str]]
WAITS = "echo ready; read line"
FOLLOWS = (
    "import sys, pathlib; from scopecraft_git.executors.tmux import TmuxExecutor\n"
    "from scopecraft_git.protocols import ExecRequest\n"
    "request = ExecRequest.model_validate_json(pathlib.Path(sys.argv[1]).read_bytes())\n"
    "for _ in TmuxExecutor().find(request).stream(int(sys.argv[2])): pass\n"
)


@pytest.fixture
def tmux(bench: Bench) -> Tmux:
    """`tmux(*arguments)`: what the test's own server prints, line by line."""

    def run(*arguments: str) -> list[str]:
        command = ["tmux", "-u", "-L", bench.settings.tmux.socket, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()

    return run


def dispatch(bench: Bench, script: str, **more: Any) -> ExecRequest:
    return bench.request(script, mode=Mode.DISPATCH, **more)


def ready(bench: Bench, script: str = WAITS, **more: Any) -> ExecRequest:
    """A session whose agent has said so."""
    request = dispatch(bench, script, **more)
    read_until(bench.start(request).stream(0), "ready\n")
    return request


def test_a_window_in_the_worktree(bench: Bench, tmux: Tmux) -> None:
    ready(bench)
    where = "#{session_name}|#{window_name}|#{pane_current_path}|#{pane_start_path}"
    assert tmux("list-panes", "-a", "-F", where) == [
        f"scopecraft|implement-auth-05A-dispatch|{bench.worktree}|{bench.worktree}"
    ]


def test_a_second_session_opens_behind_the_first(bench: Bench, tmux: Tmux) -> None:
    ready(bench)
    ready(bench, task="fix-it-05B")
    windows = tmux("list-windows", "-a", "-F", "#{window_name} #{window_active}")
    assert windows == ["implement-auth-05A-dispatch 1", "fix-it-05B-dispatch 0"]


def test_names_run_nothing(bench: Bench, tmux: Tmux, git: Any) -> None:
    marker = bench.repo.parent / "ran"
    worktree = bench.repo.parent / "odd #(touch ran) #{pid} %H $(touch ran) 'ü';"
    git(bench.repo, "worktree", "add", "-q", "-b", "feature/odd", str(worktree))
    name = f"odd.task:#(touch {marker})$(touch {marker});"
    ready(bench, "echo ready; pwd >out; read line", task=name, worktree=worktree)
    until((worktree / "out").exists)
    until(lambda: (worktree / "out").read_text() == f"{worktree}\n")
    assert tmux("list-windows", "-a", "-F", "#{window_name}") == [f"{name}-dispatch"]
    assert not marker.exists()


def test_a_folder_of_odd_letters_gets_the_output(bench: Bench) -> None:
    folder = bench.repo.parent / "sessions %H #(touch ran) 'ü'"
    folder.mkdir()
    request = ready(bench, directory=folder)
    assert (request.directory / "stream.log").read_bytes().startswith(b"ready")


def test_a_git_hooks_variables_reach_no_pane(bench: Bench, tmux: Tmux, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    request = dispatch(bench, "env | grep ^GIT_; echo ready; read line")
    assert "GIT_" not in read_until(bench.start(request).stream(0), "ready\n")
    assert not [line for line in tmux("show-environment", "-g") if line.startswith("GIT_")]


def test_the_terminal_is_tmuxs_own(bench: Bench, tmux: Tmux, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "users-own")
    monkeypatch.setenv("TMUX_PANE", "%99")
    monkeypatch.setenv("OF_THE_SHELL", "yes")
    request = dispatch(bench, 'echo "$TERM|$TMUX_PANE|$OF_THE_SHELL|"; echo ready; read line')
    seen = read_until(bench.start(request).stream(0), "ready\n")
    (pane,) = tmux("list-panes", "-a", "-F", "#{pane_id}")
    term = tmux("show-options", "-gv", "default-terminal")[0]
    assert f"{term}|{pane}|yes|\n" in seen


def test_what_a_failed_agent_showed_stays_to_be_read(bench: Bench, tmux: Tmux) -> None:
    request = dispatch(bench, "echo some words; echo last words >&2; exit 3")
    execution = bench.start(request)
    ended = execution.wait(DEADLINE)
    assert ended is not None
    assert ended.code == 3
    assert (request.directory / "stderr.log").read_text() == "some words\nlast words\n"
    execution.release()
    assert tmux("list-panes", "-a", "-F", "#{pane_dead}") == ["1"]
    ready(bench)
    assert tmux("list-panes", "-a", "-F", "#{pane_dead}") == ["0"]


def test_the_window_of_another_task_is_left_alone(bench: Bench, tmux: Tmux) -> None:
    bench.start(dispatch(bench, "exit 3", task="fix-it-05B")).wait(DEADLINE)
    until(lambda: tmux("list-panes", "-a", "-F", "#{pane_dead}") == ["1"])
    ready(bench)
    assert sorted(tmux("list-panes", "-a", "-F", "#{pane_dead}")) == ["0", "1"]


def test_success_closes_the_window(bench: Bench, tmux: Tmux) -> None:
    execution = bench.start(dispatch(bench, "exit 0"))
    execution.wait(DEADLINE)
    execution.release()
    assert tmux("list-panes", "-a", "-F", "#{pane_id}") == []
    assert execution.wait(DEADLINE) == (0, "", False)


def test_a_window_closed_by_hand_is_no_riddle(bench: Bench, tmux: Tmux) -> None:
    request = ready(bench)
    ready(bench, task="fix-it-05B")
    tmux("kill-window", "-t", "implement-auth-05A-dispatch")
    found = bench.executor.find(request)
    assert found is not None
    assert found.wait(DEADLINE) == (128 + Signals.SIGHUP, "its window was closed", False)


@pytest.mark.parametrize("signal", [None, Signals.SIGKILL])
def test_a_server_that_ended_is_told_from_a_window_that_was_closed(
    bench: Bench, tmux: Tmux, signal: Signals | None
) -> None:
    request = ready(bench)
    (server,) = tmux("display-message", "-p", "#{pid}")
    if signal:
        os.kill(int(server), signal)
    else:
        tmux("kill-server")
    found = bench.executor.find(request)
    assert found is not None
    ended = found.wait(DEADLINE)
    assert ended == (128 + Signals.SIGHUP, "the tmux server ended, and its window with it", False)
    assert found.evidence() == "nothing of it is left"


def test_a_launcher_killed_takes_its_agent_along(bench: Bench, tmux: Tmux) -> None:
    """The system hangs up on it, and nobody sees how it ends."""
    request = ready(bench)
    (pid,) = tmux("list-panes", "-a", "-F", "#{pane_pid}")
    os.kill(int(pid), Signals.SIGKILL)
    found = bench.executor.find(request)
    assert found is not None
    ended = found.wait(DEADLINE)
    assert ended is not None
    assert ended.lost
    assert f"its launcher (pid {pid}) was killed" in ended.reason


def test_panes_of_a_new_server_are_left_alone(bench: Bench, tmux: Tmux) -> None:
    """It counts from %0 again: the pane that had a session's number is somebody else's now."""
    request = ready(bench)
    execution = bench.started[0]
    pane = tmux("list-panes", "-a", "-F", "#{pane_id}")
    tmux("kill-server")
    execution.wait(DEADLINE)
    tmux("new-session", "-d", "-s", "scopecraft", "cat", "-")
    assert tmux("list-panes", "-a", "-F", "#{pane_id}") == pane
    with pytest.raises(BrokenPipeError):
        execution.send(b"too late\n")
    execution.terminate(Signals.SIGKILL)
    execution.release()
    with pytest.raises(WindowGoneError):
        bench.executor.attach(request)
    assert tmux("list-panes", "-a", "-F", "#{pane_id} #{pane_dead}") == [f"{pane[0]} 0"]
    assert "too late" not in "".join(tmux("capture-pane", "-p", "-t", pane[0]))


def test_two_sessions_of_one_task_have_a_window_each(bench: Bench, tmux: Tmux) -> None:
    first = ready(bench, "echo ready; read line; exit 1")
    second = ready(bench)
    assert bench.executor.attach(first)[-1] != bench.executor.attach(second)[-1]
    for request, execution in zip((first, second), bench.started, strict=True):
        pane = execution.evidence().split()[1].rstrip(",")
        assert tmux("display-message", "-p", "-t", bench.executor.attach(request)[-1], "#{pane_id}") == [pane]
    bench.started[0].send(b"go\n")
    assert bench.started[0].wait(DEADLINE) == (1, "", False)
    assert bench.started[1].poll() is None
    third = ready(bench)
    assert bench.executor.find(third) is not None
    assert tmux("list-panes", "-a", "-F", "#{pane_dead}") == ["0", "0"], "what is left of the first is swept away"


def test_a_launcher_that_another_was_faster_than_leaves_without_a_trace(bench: Bench, tmux: Tmux) -> None:
    """As when whoever opened the first window was killed before the launcher in it could be found."""
    request = ready(bench, "echo started >>starts; echo ready; read line")
    again = bench.start(request)
    again.send(b"go\n")
    assert again.wait(DEADLINE) == (0, "", False)
    until(lambda: tmux("list-panes", "-a", "-F", "#{pane_dead}") == ["1"])
    assert (bench.worktree / "starts").read_text() == "started\n"


def test_killed_at_any_line_of_a_start_it_is_started_once_by_the_next(bench: Bench, tmux: Tmux) -> None:
    request = dispatch(bench, 'echo "$OF_THE_USER" >>starts-$SESSION')
    record = request.directory / "request.json"
    record.write_text(request.model_dump_json())
    command = [sys.executable, "-m", "tests.executors.killed", "tmux", str(record)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50
    until(lambda: not tmux("list-panes", "-a"))


def test_an_agent_that_stops_itself_goes_on(bench: Bench) -> None:
    execution = bench.start(dispatch(bench, "kill -STOP $$; exit 5"))
    ended = execution.wait(DEADLINE)
    assert ended is not None
    assert ended.code == 5


def test_what_it_started_in_groups_of_its_own_ends_with_it(bench: Bench) -> None:
    ready(bench, "set -m; sleep 1000 & echo $! >pid; echo ready; wait")
    child = int((bench.worktree / "pid").read_text())
    bench.started[0].terminate(Signals.SIGKILL)
    until(lambda: not Path(f"/proc/{child}").exists() or _state(child) == "Z")


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_pasted_text_runs_nothing(bench: Bench) -> None:
    request = ready(bench, "printf '\\033[?2004h'; echo ready; cat >got")
    text = "a 'quote' \"two\" `touch ran` $(touch ran) #(touch ran) #{pid}\nü \\ ;\n\n  last;"
    hostile = text.replace("ü", "\x1b[201~\x03\x04\x1a\x1bü\x9b\x7f")
    execution = bench.started[0]
    execution.send(hostile.encode())
    execution.close_input()  # hands on the end of the paste, which is no whole line
    execution.close_input()
    assert execution.wait(DEADLINE) is not None
    got = (bench.worktree / "got").read_text().replace("\x1b[200~", "").replace("\x1b[201~", "")
    assert got == text.replace("ü", "[201~ü") + "\n"
    assert not list(bench.worktree.glob("ran*"))
    assert not (request.directory / "paste").exists()


def test_input_arrives_while_the_human_scrolls(bench: Bench, tmux: Tmux) -> None:
    request = ready(bench, 'echo ready; read line; echo "got $line"; exit 0')
    tmux("copy-mode", "-t", tmux("list-panes", "-a", "-F", "#{pane_id}")[0])
    execution = bench.started[0]
    execution.send(b"word")
    execution.wait(DEADLINE)
    until(lambda: "got word\n" in plain((request.directory / "stream.log").read_bytes()))


def test_attaching_shows_the_window(bench: Bench, tmux: Tmux) -> None:
    ready(bench)
    request = ready(bench, task="fix-it-05B")
    argv = bench.executor.attach(request)
    human, terminal = pty.openpty()
    client = subprocess.Popen(
        argv,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm"},
        start_new_session=True,
    )
    try:
        until(lambda: tmux("list-clients", "-F", "#{window_name}") == ["fix-it-05B-dispatch"])
    finally:
        client.kill()
        client.wait()
        os.close(human)
        os.close(terminal)


def test_attaching_from_within_switches(bench: Bench, tmux: Tmux, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ready(bench)
    (socket,) = tmux("display-message", "-p", "#{socket_path}")
    monkeypatch.setenv("TMUX", f"{socket},1,0")
    assert "switch-client" in bench.executor.attach(request)
    monkeypatch.setenv("TMUX", "/elsewhere/default,1,0")
    assert "attach-session" in bench.executor.attach(request)


def test_there_is_nothing_to_attach_to_when_the_window_is_gone(bench: Bench, tmux: Tmux) -> None:
    request = ready(bench)
    tmux("kill-server")
    with pytest.raises(WindowGoneError):
        bench.executor.attach(request)


def test_what_is_missing_is_said_before(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AgentMissingError, match="no-such-agent"):
        bench.executor.check(bench.settings, ["no-such-agent"])
    bench.executor.check(bench.settings, ["sh"])
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(TmuxMissingError):
        bench.executor.check(bench.settings, ["sh"])
    monkeypatch.setenv("PATH", path)


def test_a_start_that_fails_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    request = dispatch(bench, "exit 0")
    blocked = bench.repo.parent / "file"
    blocked.write_text("")
    monkeypatch.setenv("TMUX_TMPDIR", str(blocked))
    with pytest.raises(StartFailedError):
        bench.executor.start(request)
    assert not (request.directory / "launch.json").exists()
    assert bench.executor.find(request) is None


def test_a_dead_pane_is_not_pasted_to(bench: Bench, tmux: Tmux, tmp_path: Path) -> None:
    """tmux 3.3a would crash, and every session in it would be gone."""
    ended = bench.start(dispatch(bench, "exit 3")).wait(DEADLINE)
    assert ended is not None
    (pane,) = until(lambda: [line for line in tmux("list-panes", "-a", "-F", "#{?pane_dead,#{pane_id},}") if line])
    text = tmp_path / "text"
    text.write_text("too late\n")
    TmuxServer(bench.settings.tmux.socket).paste(pane, text, bracketed=True)
    assert tmux("list-panes", "-a", "-F", "#{pane_id}") == [pane]
    assert tmux("list-buffers") == []


def test_a_copy_of_the_transcript_that_is_cut_off_goes_on_byte_for_byte(bench: Bench) -> None:
    transcript = Path.home() / ".claude" / "projects" / "app" / "id.jsonl"
    transcript.parent.mkdir(parents=True)
    before = b"of an earlier session\n"
    transcript.write_bytes(before)
    script = "n=0; until test -e stop; do n=$((n+1)); head -c 200000 /dev/zero | tr '\\0' x; echo $n; sleep 0.01; done"
    request = dispatch(bench, f"({script}) >>{transcript}", transcript=".claude/projects/*/id.jsonl")
    execution = bench.start(request)
    log, record = request.directory / "stream.log", request.directory / "request.json"
    record.write_text(request.model_dump_json())
    for _ in range(4):
        size = log.stat().st_size
        with subprocess.Popen([sys.executable, "-c", FOLLOWS, str(record), str(size)]) as follower:
            until(lambda size=size: log.stat().st_size > size)  # type: ignore[misc]
            follower.kill()
    (bench.worktree / "stop").touch()
    offset = log.stat().st_size
    rest = b"".join(execution.stream(offset))
    written = transcript.read_bytes().removeprefix(before)
    assert log.read_bytes() == written
    assert rest == written[offset:]


def test_a_transcript_that_comes_late_is_found(bench: Bench) -> None:
    transcript = Path.home() / ".claude" / "projects" / "app" / "id.jsonl"
    script = f"read go; mkdir -p {transcript.parent}; echo begun >{transcript}; read line"
    execution = bench.start(dispatch(bench, script, transcript=".claude/projects/*/id.jsonl"))
    threading.Timer(1.0, execution.send, [b"go\n"]).start()
    read_until(execution.stream(0), "begun\n")
