"""What is particular to agents that run as processes of this machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from signal import Signals
from typing import Any

import psutil
import pytest

from scopecraft_git.errors import AgentMissingError, CannotAttachError, StartFailedError
from scopecraft_git.executors import launch, launching
from scopecraft_git.protocols import ExecRequest, Execution
from tests.executors.contract import DEADLINE, Bench, plain, read_until, until

pytestmark = pytest.mark.parametrize("bench", ["local"], indirect=True)

WAITS = 'echo ready; read line; echo "got $line"'


def process(request: ExecRequest) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((request.directory / "process.json").read_bytes())
    return document


def forge(request: ExecRequest, **known: Any) -> None:
    (request.directory / "process.json").write_text(json.dumps(process(request) | known))


def ready(bench: Bench, script: str = WAITS, **more: Any) -> tuple[ExecRequest, Iterator[bytes]]:
    """A session whose agent has said so, and the rest of its output."""
    request = bench.request(script, **more)
    chunks = bench.start(request).stream(0)
    read_until(chunks, "ready\n")
    return request, chunks


def orphaned(bench: Bench, script: str) -> tuple[ExecRequest, Execution]:
    """A session whose launcher was killed, as one finds it."""
    request, _ = ready(bench, script)
    os.kill(process(request)["parent"], Signals.SIGKILL)
    until(lambda: not launch.birth(process(request)["parent"]))
    found = bench.executor.find(request)
    assert found is not None
    return request, found


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of ours, and older: the system tells births in hundredths of a second."""
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as other:
        begun = time.monotonic()
        until(lambda: time.monotonic() > begun + 0.02)
        yield other
        other.kill()


def lives_on(other: subprocess.Popen[bytes]) -> None:
    """A signal would have ended it by then."""
    with pytest.raises(subprocess.TimeoutExpired):
        other.wait(0.2)
    assert psutil.Process(other.pid).status() != psutil.STATUS_STOPPED


# Started once


def test_killed_at_any_line_of_a_start_it_is_started_once_by_the_next(bench: Bench) -> None:
    script = 'echo "$OF_THE_USER" >>starts-$SESSION; cat >>starts-$SESSION'
    request = bench.request(script, input=b"the prompt\n", input_ends=True)
    record = request.directory / "request.json"
    record.write_text(request.model_dump_json())
    command = [sys.executable, "-m", "tests.executors.killed", "local", str(record)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50


def test_what_a_start_cut_short_left_is_no_session(bench: Bench) -> None:
    request = bench.request("exit 0")
    for name in ("process.lock", "stderr.log", "launch.json", "stdin"):
        (request.directory / name).touch()
    assert bench.executor.find(request) is None
    assert list(bench.executor.remains()) == []
    assert bench.start(request).wait(DEADLINE) == (0, "", False)


def test_a_launcher_that_is_about_to_start_the_agent_is_waited_for(bench: Bench) -> None:
    request = bench.request("read line")
    bench.start(request)
    assert bench.executor.find(request) is not None
    assert (request.directory / "process.json").exists()


def test_a_credential_that_is_gone_by_then_is_the_agents_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = bench.repo.parent / "key"
    secret.write_text("s3cr3t")
    request = bench.request("exit 0", credentials={"KEY": secret})
    monkeypatch.setattr(launching, "_check_readable", lambda *_: secret.unlink(missing_ok=True))
    execution = bench.start(request)
    assert execution.wait(DEADLINE) == (127, "", False)
    assert (request.directory / "stderr.log").read_text() == f"{secret}: No such file or directory\n"
    assert not (request.directory / "launch.json").exists()


def test_a_folder_that_cannot_be_written_is_an_error_for_the_user(bench: Bench) -> None:
    request = bench.request("exit 0", directory=bench.repo / "README.md")
    with pytest.raises(StartFailedError):
        bench.executor.start(request)


# Whose process it is


def test_a_process_that_got_the_agents_pid_is_left_alone(bench: Bench, bystander: subprocess.Popen[bytes]) -> None:
    request, found = orphaned(bench, "echo ready; exec sleep 1000")
    agent = process(request)["group"]
    forge(request, group=bystander.pid)
    ended = found.poll()
    for number in (Signals.SIGINT, Signals.SIGTERM, Signals.SIGKILL):
        found.terminate(number)
    found.pause()
    found.resume()
    os.killpg(agent, Signals.SIGKILL)
    assert ended is not None
    assert ended.lost
    lives_on(bystander)
    assert found.evidence() == "nothing of it is left"
    assert list(bench.executor.remains()) == []


def test_a_process_that_got_a_pid_while_the_launcher_ends_is_left_alone(
    bench: Bench, bystander: subprocess.Popen[bytes]
) -> None:
    request, _ = ready(bench)
    agent = process(request)["group"]
    forge(request, group=bystander.pid, parent=bystander.pid)
    bench.started[0].terminate(Signals.SIGKILL)
    bench.started[0].close_input()
    lives_on(bystander)
    forge(request, group=agent)


# Launchers that are killed


def test_an_agent_outlives_its_launcher_and_is_followed_on(bench: Bench) -> None:
    request, found = orphaned(bench, "echo ready; until test -e go; do sleep 0.05; done; echo more; exit 3")
    assert found.poll() is None
    assert list(bench.executor.remains()) == [request.session_id]
    assert found.evidence().startswith(f"process {process(request)['group']} (sh), ")
    (bench.worktree / "go").touch()
    assert plain(b"".join(found.stream(0))) == "ready\nmore\n"
    ended = found.wait(DEADLINE)
    assert ended is not None
    assert (ended.code, ended.lost) == (-1, True)
    launcher = process(request)["parent"]
    said = f"its launcher (pid {launcher}) was killed, and nobody saw its exit status; its last sign of life was 20"
    assert ended.reason.startswith(said)
    assert list(bench.executor.remains()) == []


def test_an_agent_that_outlives_its_launcher_can_be_held_and_ended(bench: Bench) -> None:
    _, found = orphaned(bench, "echo ready; while :; do echo x >>count; done")
    count = bench.worktree / "count"
    until(count.exists)
    found.pause()
    sizes = [-1]

    def steady() -> bool:
        sizes.append(count.stat().st_size)
        return sizes[-1] == sizes[-2]

    until(steady)
    assert found.poll() is None
    found.resume()
    until(lambda: count.stat().st_size > sizes[-1])
    found.terminate()
    ended = found.wait(DEADLINE)
    assert ended is not None
    assert ended.lost


def test_after_a_restart_of_the_machine_it_is_lost(bench: Bench) -> None:
    request, found = orphaned(bench, "echo ready; exec sleep 1000")
    found.terminate(Signals.SIGKILL)
    found.wait(DEADLINE)
    forge(request, boot="an earlier one")
    ended = found.poll()
    assert ended is not None
    assert ended.lost
    assert ended.reason.startswith("the machine was restarted; its last sign of life was 20")


def test_a_record_of_the_end_is_believed_before_all_else(bench: Bench) -> None:
    request, found = orphaned(bench, "echo ready; exec sleep 1000")
    (request.directory / "exit.json").write_text('{"code": 3, "closed": ""}')
    assert found.poll() == (3, "", False)
    assert list(bench.executor.remains()) == []
    os.killpg(process(request)["group"], Signals.SIGKILL)


def test_a_record_that_the_machine_went_down_on_is_none(bench: Bench) -> None:
    request = bench.request("exit 0")
    (request.directory / "process.lock").touch()
    (request.directory / "process.json").touch()
    assert bench.executor.find(request) is None


# What it does with its processes


def test_the_evidence_of_one_that_lives_is_its_processes(bench: Bench) -> None:
    request, _ = ready(bench, "sleep 1000 & echo ready; wait")
    assert re.fullmatch(
        rf"process {process(request)['group']} \(sh\), 2 processes, \d+\.\d s of processor time",
        bench.started[0].evidence(),
    )


def test_messages_of_several_senders_do_not_mix(bench: Bench) -> None:
    _, chunks = ready(bench, "echo ready; exec awk '{ print substr($0, 1, 1) substr($0, length($0)) }'")
    execution = bench.started[0]
    with ThreadPoolExecutor() as pool:
        sent = [pool.submit(execution.send, letter.encode() * 200_000 + b"\n") for letter in "abcdefgh"]
    assert [one.exception() for one in sent] == [None] * 8
    execution.close_input()
    assert sorted(plain(b"".join(chunks)).split()) == ["aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh"]


def test_there_is_no_screen_to_attach_to(bench: Bench) -> None:
    with pytest.raises(CannotAttachError):
        bench.executor.attach(bench.request("exit 0"))


def test_what_is_missing_is_said_before(bench: Bench) -> None:
    with pytest.raises(AgentMissingError, match="no-such-agent"):
        bench.executor.check(bench.settings, ["no-such-agent"])
