"""One suite for every executor: ours here, other people's by the same functions."""

from __future__ import annotations

import os
import subprocess
import sys
from signal import Signals

import pytest

from tests.executors.contract import DEADLINE, Bench, plain, read_until, until

without_terminal = pytest.mark.parametrize(
    "bench", ["local", pytest.param("docker", marks=pytest.mark.docker)], indirect=True
)
"""A terminal leaves the first input to `send`, and an end of input is not its last."""


def test_output_and_exit_code_arrive(bench: Bench) -> None:
    execution = bench.run("echo hello; echo oops >&2; exit 3")
    assert "hello\n" in plain(b"".join(execution.stream(0)))
    ended = execution.wait(DEADLINE)
    assert ended is not None
    assert (ended.code, ended.lost) == (3, False)


def test_it_works_in_the_worktree(bench: Bench) -> None:
    execution = bench.run("cat README.md; touch made; git rev-parse --abbrev-ref HEAD")
    assert "# app\nfeature/auth-05A\n" in plain(b"".join(execution.stream(0)))
    assert (bench.worktree / "made").exists()


def test_the_environment_arrives(bench: Bench) -> None:
    request = bench.request('printf "%s|%s\\n" "$TASK_ID" "$ODD"', environment={"TASK_ID": "t", "ODD": "a 'b' #(c) $d"})
    execution = bench.start(request)
    assert "t|a 'b' #(c) $d\n" in plain(b"".join(execution.stream(0)))


def test_a_credential_arrives_and_stays_out_of_the_records(bench: Bench) -> None:
    secret = bench.repo.parent / "key"
    secret.write_text("s3cr3t\n")
    request = bench.request('test "$KEY" = s3cr3t && echo right', credentials={"KEY": secret})
    execution = bench.start(request)
    assert "right\n" in plain(b"".join(execution.stream(0)))
    execution.release()
    holders = [path for path in request.directory.rglob("*") if path.is_file() and b"s3cr3t" in path.read_bytes()]
    assert holders == []


def test_input_reaches_it(bench: Bench) -> None:
    execution = bench.run('echo ready; read line; echo "got $line"; exit 0')
    chunks = execution.stream(0)
    read_until(chunks, "ready\n")
    execution.send(b"a 'message'\n")
    read_until(chunks, "got a 'message'\n")


def test_an_interrupt_reaches_it_as_it_is(bench: Bench) -> None:
    """No bracketed paste, no Enter: in a terminal it is keys that are pressed."""
    execution = bench.run("stty -icanon -echo 2>/dev/null; echo ready; head -c 1 | od -An -tx1; exit 0")
    chunks = execution.stream(0)
    read_until(chunks, "ready\n")
    execution.interrupt(b"\x1b")
    execution.close_input()
    assert read_until(chunks, "\n").split() == ["1b"]


def test_an_interrupt_of_one_that_ended_is_refused(bench: Bench) -> None:
    execution = bench.run("exit 0")
    execution.wait(DEADLINE)
    with pytest.raises(BrokenPipeError):
        execution.interrupt(b"\x1b")


def test_input_stays_open_until_it_is_closed(bench: Bench) -> None:
    execution = bench.run("echo ready; cat; echo end")
    chunks = execution.stream(0)
    read_until(chunks, "ready\n")
    execution.send(b"one\n")
    read_until(chunks, "one\n")
    execution.send(b"two\n")
    read_until(chunks, "two\n")
    execution.close_input()
    execution.close_input()
    read_until(chunks, "end\n")
    assert execution.wait(DEADLINE) == (0, "", False)


@without_terminal
def test_the_first_input_comes_first_and_once(bench: Bench) -> None:
    script = 'read one; read two; echo "<$one> <$two>"; read three; echo "<$three>"'
    request = bench.request(script, input=b"the prompt\n")
    execution = bench.start(request)
    chunks = execution.stream(0)
    execution.send(b"a message\n")
    read_until(chunks, "<the prompt> <a message>\n")
    again = bench.executor.find(request)
    assert again is not None
    again.send(b"another\n")
    read_until(chunks, "<another>\n")


@without_terminal
def test_more_input_than_a_pipe_holds_arrives_before_what_is_sent(bench: Bench) -> None:
    lines = b"".join(b"line %d of the prompt\n" % number for number in range(150_000))
    script = f'until test -e go; do sleep 0.05; done; head -c {len(lines)} | cksum; read line; echo "<$line>"'
    request = bench.request(script, input=lines)
    execution = bench.start(request)
    chunks = execution.stream(0)
    (bench.worktree / "go").touch()
    execution.send(b"a message\n")
    seen = read_until(chunks, "<a message>\n")
    checked = subprocess.run(["cksum"], input=lines, capture_output=True, check=True).stdout.decode()
    assert seen.startswith(checked)


@without_terminal
@pytest.mark.parametrize("first", [b"all of it\n", b""])
def test_input_that_ends_ends_behind_the_first(bench: Bench, first: bytes) -> None:
    execution = bench.start(bench.request("cat; echo end", input=first, input_ends=True))
    assert plain(b"".join(execution.stream(0))) == plain(first) + "end\n"
    assert execution.wait(DEADLINE) == (0, "", False)
    with pytest.raises(BrokenPipeError):
        execution.send(b"more\n")


@without_terminal
def test_input_that_was_closed_takes_no_more(bench: Bench) -> None:
    execution = bench.run("cat; echo end; until test -e go; do sleep 0.05; done")
    execution.close_input()
    read_until(execution.stream(0), "end\n")
    with pytest.raises(BrokenPipeError):
        execution.send(b"more\n")
    (bench.worktree / "go").touch()


def test_input_of_one_that_ended_is_refused(bench: Bench) -> None:
    execution = bench.run("exit 0")
    execution.wait(DEADLINE)
    with pytest.raises(BrokenPipeError):
        execution.send(b"too late\n")


def test_a_stream_is_taken_up_where_it_was_left(bench: Bench) -> None:
    request = bench.request("printf '%s\\n' one two three; read go; printf '%s\\n' four")
    execution = bench.start(request)
    chunks = execution.stream(0)
    read_until(chunks, "three\n")
    del chunks
    log = request.directory / "stream.log"
    offset = log.stat().st_size
    again = bench.executor.find(request)
    assert again is not None
    again.send(b"go\n")
    rest = b"".join(again.stream(offset))
    assert "four\n" in plain(rest)
    assert "three" not in plain(rest)
    assert log.read_bytes()[offset:] == rest


def test_a_long_line_arrives_whole(bench: Bench) -> None:
    execution = bench.run("head -c 100000 /dev/zero | tr '\\0' x; echo; echo end")
    text = plain(b"".join(execution.stream(0)))
    assert text.count("x") >= 100000
    assert text.endswith("x\nend\n") or "end\n" in text


def test_a_new_process_finds_it(bench: Bench) -> None:
    request = bench.request("echo ready; read line; exit 7")
    execution = bench.start(request)
    read_until(execution.stream(0), "ready\n")
    record = request.directory / "request.json"
    record.write_text(request.model_dump_json())
    program = (
        "import sys, pathlib; from scopecraft_git import plugins; from scopecraft_git.protocols import ExecRequest\n"
        "request = ExecRequest.model_validate_json(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "execution = plugins.executor(sys.argv[2]).find(request)\n"
        "execution.send(b'go\\n'); print(execution.wait(30).code)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(record), bench.executor.name],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert (found.stdout, found.stderr) == ("7\n", "")


def test_one_that_was_never_started_is_not_found(bench: Bench) -> None:
    assert bench.executor.find(bench.request("true")) is None


def test_one_that_ended_is_still_found(bench: Bench) -> None:
    request = bench.request("exit 4")
    bench.start(request).wait(DEADLINE)
    found = bench.executor.find(request)
    assert found is not None
    ended = found.poll()
    assert ended is not None
    assert ended.code == 4


@pytest.mark.parametrize("number", [Signals.SIGINT, Signals.SIGTERM, Signals.SIGKILL])
def test_a_signal_ends_it(bench: Bench, number: Signals) -> None:
    execution = bench.run("echo ready; while :; do sleep 1; done")
    read_until(execution.stream(0), "ready\n")
    execution.terminate(number)
    ended = execution.wait(DEADLINE)
    assert ended is not None
    assert ended.code != 0


def test_it_may_answer_an_interrupt(bench: Bench) -> None:
    execution = bench.run("trap 'echo stopping; exit 5' INT; echo ready; while :; do sleep 0.05; done")
    chunks = execution.stream(0)
    read_until(chunks, "ready\n")
    execution.terminate(Signals.SIGINT)
    read_until(chunks, "stopping\n")
    ended = execution.wait(DEADLINE)
    assert ended is not None
    assert ended.code == 5


def test_a_signal_after_its_end_is_no_error(bench: Bench) -> None:
    execution = bench.run("exit 0")
    execution.wait(DEADLINE)
    execution.terminate()
    execution.pause()
    execution.resume()


def test_paused_it_stands_still(bench: Bench) -> None:
    execution = bench.run("echo ready; while :; do echo x >>count; done")
    read_until(execution.stream(0), "ready\n")
    count = bench.worktree / "count"
    until(count.exists)
    execution.pause()
    sizes = [-1]

    def steady() -> bool:
        sizes.append(count.stat().st_size)
        return sizes[-1] == sizes[-2]

    until(steady)
    assert execution.wait(0.2) is None
    assert count.stat().st_size == sizes[-1]
    execution.resume()
    until(lambda: count.stat().st_size > sizes[-1])


def test_one_that_is_not_held_may_be_resumed(bench: Bench) -> None:
    execution = bench.run("echo ready; read line; exit 3")
    read_until(execution.stream(0), "ready\n")
    execution.resume()
    execution.resume()
    execution.send(b"go\n")
    ended = execution.wait(DEADLINE)
    assert ended is not None
    assert ended.code == 3


def test_a_new_process_finds_it_held(bench: Bench) -> None:
    request = bench.request('echo ready; read line; echo "got $line"; exit 3')
    execution = bench.start(request)
    read_until(execution.stream(0), "ready\n")
    execution.pause()
    found = bench.executor.find(request)
    assert found is not None
    found.pause()
    try:
        found.send(b"go\n")
        given = True
    except TimeoutError:
        given = False  # an executor may take nothing for one that is held
    assert found.wait(0.3) is None
    found.resume()
    if not given:
        found.send(b"go\n")
    ended = found.wait(DEADLINE)
    assert ended is not None
    assert ended.code == 3


@pytest.mark.parametrize("number", [Signals.SIGTERM, Signals.SIGKILL])
def test_one_that_is_held_can_be_ended(bench: Bench, number: Signals) -> None:
    execution = bench.run("echo ready; while :; do sleep 1; done")
    read_until(execution.stream(0), "ready\n")
    execution.pause()
    execution.terminate(number)
    ended = execution.wait(DEADLINE)
    assert ended is not None
    assert ended.code != 0


def test_what_remains_is_what_lives(bench: Bench) -> None:
    request = bench.request("echo ready; read line")
    execution = bench.start(request)
    read_until(execution.stream(0), "ready\n")
    assert list(bench.executor.remains()) == [request.session_id]
    execution.terminate(Signals.SIGKILL)
    execution.wait(DEADLINE)
    execution.release()
    assert list(bench.executor.remains()) == []


def test_what_remains_elsewhere_is_not_ours(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = bench.run("echo ready; read line")
    read_until(execution.stream(0), "ready\n")
    monkeypatch.setenv("SCOPECRAFT_HOME", str(bench.repo.parent / "another home"))
    assert list(bench.executor.remains()) == []


def test_there_is_evidence_of_one_that_lives_and_of_one_that_is_gone(bench: Bench) -> None:
    execution = bench.run("echo ready; read line")
    read_until(execution.stream(0), "ready\n")
    living = execution.evidence()
    assert living
    execution.terminate(Signals.SIGKILL)
    execution.wait(DEADLINE)
    execution.release()
    assert execution.evidence() not in (living, "")


def test_release_can_be_repeated(bench: Bench) -> None:
    execution = bench.run("exit 0")
    execution.wait(DEADLINE)
    execution.release()
    execution.release()


def test_nothing_to_import_is_no_error(bench: Bench) -> None:
    execution = bench.run("exit 0")
    execution.wait(DEADLINE)
    assert execution.import_commits() == []
