"""Work in processes of its own: what one task does to its process costs no other task."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import scripted
from wan_prep.errors import (
    InputPathError,
    TimeLimitReached,
    WanPrepError,
    WorkerDied,
)
from wan_prep.isolation import Workers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def one() -> Iterator[Workers]:
    with Workers(1, scripted.perform) as workers:
        yield workers


def test_answers_come_back(one: Workers) -> None:
    waiting = [one.submit({"k": k}) for k in range(20)]
    assert [each.result() for each in waiting] == [{"k": k} for k in range(20)]


def test_a_process_is_kept_for_the_next_task(one: Workers) -> None:
    assert one.submit("pid").result() == one.submit("pid").result() != os.getpid()


@pytest.mark.parametrize(("task", "said"), [("crash", "signal SIGSEGV"), ("exit", "exit code 7")])
def test_a_process_that_dies_costs_its_task_alone(one: Workers, task: str, said: str) -> None:
    before, fatal, after = one.submit(1), one.submit(task), one.submit(2)
    assert before.result() == 1
    with pytest.raises(WorkerDied, match=said):
        fatal.result()
    assert after.result() == 2


def test_a_task_that_takes_too_long_is_given_up(one: Workers) -> None:
    pid = one.submit("pid").result()
    with pytest.raises(TimeLimitReached, match=r"longer than 0\.2 s"):
        one.submit("hang", time_limit_s=0.2).result()
    assert one.submit("pid").result() != pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_takes_no_more_memory_than_it_may() -> None:
    with Workers(1, bytes, memory_bytes=500_000_000) as workers:
        assert len(workers.submit(1_000_000).result()) == 1_000_000
        with pytest.raises(WorkerDied, match="more memory than a worker may take"):
            workers.submit(1_000_000_000).result()
        assert workers.submit(1).result() == b"\0"


def test_a_process_that_was_killed_while_it_waited_is_replaced(one: Workers) -> None:
    pid = one.submit("pid").result()
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it may take a moment; whose it is waits too
    assert one.submit(5).result() == 5


def test_a_second_word_to_end_does_not_interrupt_the_putting_away(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with Workers(1, scripted.perform) as workers:
        assert workers.submit("slow to end").result() == "slow to end"
    assert capfd.readouterr() == ("put away\n", "")


def test_exceptions_come_back_as_what_they_are(one: Workers) -> None:
    with pytest.raises(InputPathError, match="no such file"):
        one.submit("refuse").result()
    # One that takes more than a message cannot be made again from it.
    with pytest.raises(WanPrepError, match="it may run"):
        one.submit("unknown").result()
    with pytest.raises(RuntimeError, match="ZeroDivisionError: division by zero"):
        one.submit("fault").result()


def test_leaving_ends_what_hangs() -> None:
    with Workers(2, scripted.perform) as workers:
        pid = workers.submit("pid").result()
        hanging = [workers.submit("hang") for _ in range(3)]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    # Two were at work, one had not begun.
    assert sum(each.cancelled() for each in hanging) <= 1
    for each in hanging:
        if not each.cancelled():
            with pytest.raises(WorkerDied):
                each.result()


def test_a_process_that_cannot_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with Workers(1, scripted.FailsToStart()) as workers:
        monkeypatch.setenv("WAN_PREP_SCRIPT", "die")
        with pytest.raises(WanPrepError, match=r"could not start \(exit code 3\)"):
            workers.submit(1).result()
        # Nothing of it stays.
        assert not workers._running


PROGRAM = """
import os, sys
from scripted import perform
from wan_prep.isolation import Workers

if __name__ == "__main__":
    workers = Workers(1, perform)
    print(workers.submit("pid").result(), flush=True)
    if sys.argv[1] == "busy":
        workers.submit("hang")
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_workers_end_with_a_program_that_is_killed(tmp_path: Path, state: str) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    ran = subprocess.run(
        [sys.executable, str(script), state],
        env=os.environ | {"PYTHONPATH": path},
        # A pipe is at its end when nobody holds it any more: the worker neither.
        stdout=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL
    assert ran.stdout.strip().isdigit()
