"""Submitting for real, as users do it: processes of their own, and a rehearsal server as another.

What was paid for survives whatever happens to them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from wan_prep.rehearsal.server import clip

FIXTURES = Path(__file__).parents[2] / "fixtures"
URLS = ["https://media.example/hero.png", "https://media.example/dance.mp4"]
UNLOOKED = [*URLS, "--no-check", "--duration", "7", "--yes", "-q"]

Done = subprocess.CompletedProcess[str]


@dataclass
class Rehearsal:
    """The server's process, and the environment that points at it."""

    process: subprocess.Popen[str]
    environment: dict[str, str]

    def await_request(self, step: str) -> None:
        """Returns when the next request of this step has arrived."""
        assert self.process.stdout is not None
        while not (line := self.process.stdout.readline()).startswith(step):
            assert line, f"the server ended before any {step}"


Rehearse = Callable[..., Rehearsal]


# Ctrl-C is heard even where whoever started the tests ignores it.
INTERRUPTIBLE = """
import signal
from wan_prep.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "wan_prep", *arguments]


@pytest.fixture
def rehearse(tmp_path: Path) -> Iterator[Rehearse]:
    running: list[subprocess.Popen[str]] = []

    def start(*options: str) -> Rehearsal:
        process = subprocess.Popen(
            [sys.executable, "-m", "wan_prep.submission.fake", "--port", "0", *options],
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        pointed = dict(re.findall(r"(\w+)=(\S+)", process.stdout.readline()))
        home = {"WAN_PREP_HOME": str(tmp_path / "home")}
        return Rehearsal(process, os.environ | pointed | home)

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., Done]:
    """Runs one command to its end, without a terminal."""

    def run(rehearsal: Rehearsal, *arguments: str) -> Done:
        return subprocess.run(
            command(*arguments),
            cwd=tmp_path,
            env=rehearsal.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.model
def test_from_a_pair_to_a_finished_video(
    rehearse: Rehearse, call: Callable[..., Done], tmp_path: Path
) -> None:
    finished = tmp_path / "finished.mp4"
    finished.write_bytes(clip(30))
    rehearsal = rehearse("--video", str(finished), "--polls", "1")
    pair = [str(FIXTURES / "reference.png"), str(FIXTURES / "driving.mp4")]
    options = ["--upload", "--yes", "--max-cost", "0.20", "--format", "json"]
    submitted = call(rehearsal, "submit", *pair, *options)
    assert submitted.returncode == 0, submitted.stderr
    (job,) = json.loads(submitted.stdout)["jobs"]
    assert job["video"]["sha256"] == sha256((FIXTURES / "driving.mp4").read_bytes()).hexdigest()
    waited = call(rehearsal, "wait", "-o", "results", "--format", "json")
    assert (waited.returncode, waited.stderr) == (0, "")
    (prediction,) = json.loads(waited.stdout)["predictions"]
    (output,) = prediction["outputs"]
    assert prediction["job"]["id"] == job["id"]
    assert output["sha256"] == sha256(clip(30)).hexdigest()
    assert (tmp_path / "results" / f"{job['id']}-1.mp4").read_bytes() == clip(30)


def test_a_dry_run_opens_no_socket(tmp_path: Path) -> None:
    """Watched from outside; that the check opens none is tested with the check."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    log = tmp_path / "calls.txt"
    watched = [strace, "-f", "-qq", "-e", "trace=network", "-o", str(log)]
    trial = subprocess.run([*watched, "true"], capture_output=True, text=True, check=False)
    if trial.returncode != 0:
        pytest.skip(f"strace may not trace here: {trial.stderr.strip()[-120:]}")
    video = str(FIXTURES / "driving.mp4")
    done = subprocess.run(
        [*watched, *command("submit", URLS[0], video, "--dry-run", "--resubmit")],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["cost"] == {"seconds": 5.0, "usd_low": 0.2, "usd_high": 0.2}
    assert re.findall(r".*AF_(?:INET|INET6|PACKET)\b.*", log.read_text("utf-8", "replace")) == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ("submit=done+hang", 0, "found, the service calls it"),
        ("submit=hang", 3, "probably never accepted"),
    ],
)
def test_killed_while_submitting(
    fault: str,
    code: int,
    said: str,
    rehearse: Rehearse,
    call: Callable[..., Done],
    tmp_path: Path,
) -> None:
    rehearsal = rehearse("--polls", "1", "--fault", fault)
    environment = rehearsal.environment
    with subprocess.Popen(command("submit", *UNLOOKED), cwd=tmp_path, env=environment) as submitter:
        rehearsal.await_request("submit")
        submitter.kill()
    assert call(rehearsal, "submit", *UNLOOKED).returncode == 3, "not paid for twice"
    looked_up = call(rehearsal, "jobs", "--reconcile")
    assert (looked_up.returncode, looked_up.stderr) == (code, "")
    assert said in looked_up.stdout
    assert call(rehearsal, "wait", "-q").returncode == code


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_interrupted_while_waiting(
    rehearse: Rehearse, call: Callable[..., Done], tmp_path: Path
) -> None:
    rehearsal = rehearse("--polls", "1", "--fault", "result=hang")
    job = call(rehearsal, "submit", *UNLOOKED).stdout.strip()
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "wait", job],
        cwd=tmp_path,
        env=rehearsal.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as waiter:
        rehearsal.await_request("result")
        waiter.send_signal(signal.SIGINT)
        out, err = waiter.communicate()
    assert (waiter.returncode, out) == (130, "")
    assert err == f"wan-prep: {job} goes on; `wan-prep wait {job}` takes it up again\n"
    assert call(rehearsal, "wait", job, "-q").returncode == 0
    assert (tmp_path / f"{job}-1.mp4").is_file()
