"""kill -9 in the middle of a submission: nothing that was paid for is forgotten or paid twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wan_prep.errors import SubmissionUnknown
from wan_prep.rehearsal.server import FakeService, ReceivedRequest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

# Loads everything once; then, for every line on stdin, forks a process that submits, waits, and
# kills itself at a named moment, or before the n-th line of the submission package, or never.
_NURSERY = """
import json, os, signal, sys
from fractions import Fraction
from pathlib import Path
from pydantic import SecretStr

from wan_prep.submission import transfer, transport
from wan_prep.submission.client import Client
from wan_prep.submission.environment import Connection
from wan_prep.submission.intent import intend, local_input
from wan_prep.submission.journal import Journal
from wan_prep.submission.session import TimeSource

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def dying(owner, name, *, before=False, when=lambda *a, **k: True):
    real = getattr(owner, name)
    def patched(*args, **options):
        if before and when(*args, **options):
            die()
        found = real(*args, **options)
        if when(*args, **options):
            die()
        return found
    setattr(owner, name, patched)

is_post = lambda _self, request: request.url.endswith("/animate")
is_upload = lambda _self, request: request.method == "PUT"
to = lambda state: lambda *_a, **changes: changes.get("state") == state
MOMENTS = {
    "before the upload": lambda: dying(transport.Transport, "send", before=True, when=is_upload),
    "after an upload": lambda: dying(transport.Transport, "send", when=is_upload),
    "before the entry": lambda: dying(Journal, "claim", before=True),
    "after the entry": lambda: dying(Journal, "claim"),
    "before the POST": lambda: dying(transport.Transport, "send", before=True, when=is_post),
    "after the POST": lambda: dying(transport.Transport, "send", when=is_post),
    "before the id is noted": lambda: dying(Journal, "change", before=True, when=to("submitted")),
    "after the id is noted": lambda: dying(Journal, "change", when=to("submitted")),
    "after the end is noted": lambda: dying(Journal, "change", when=to("completed")),
    "in the download": lambda: dying(transfer.HashingWriter, "write"),
    "before the rename": lambda: dying(transfer.HashingWriter, "finished"),
    "after the rename": lambda: dying(Journal, "keep_output", before=True),
}
def run(base_url, home, moment):
    lines = 0
    last = int(moment) if moment.isdigit() else None

    def trace(frame, event, argument):
        nonlocal lines
        if "submission" not in frame.f_code.co_filename:
            return None
        if event == "line":
            lines += 1
            if lines == last:
                die()
        return trace

    intent = intend(
        local_input(home / "hero.png", "image"), local_input(home / "dance.mp4", "video"),
        mode="animate", resolution="480p", duration=Fraction(7),
    )
    if moment in MOMENTS:
        MOMENTS[moment]()
    connection = Connection(base_url, SecretStr("k" * 20))
    time = TimeSource(sleep=lambda s: None)
    with Client(connection, Journal(home / "journal.sqlite3"), time=time) as client:
        sys.settrace(None if moment in MOMENTS else trace)
        (job,) = client.submit(intent, upload=True)
        client.wait(job.id, folder=home / "out")
        sys.settrace(None)
    return lines

for line in sys.stdin:
    base_url, home, moment = json.loads(line)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, str(run(base_url, Path(home), moment)).encode())
        os._exit(0)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    os.close(writing)
    print(os.waitstatus_to_exitcode(status), os.read(reading, 20).decode() or "0", flush=True)
    os.close(reading)
"""

MOMENTS = {
    # moment: (POSTs, how `wait` ends)
    "before the upload": (0, "nothing"),
    "after an upload": (0, "nothing"),
    "before the entry": (0, "nothing"),
    "after the entry": (0, "unknown"),
    "before the POST": (0, "unknown"),
    "after the POST": (1, "completed"),
    "before the id is noted": (1, "completed"),
    "after the id is noted": (1, "completed"),
    "after the end is noted": (1, "completed"),
    "in the download": (1, "completed"),
    "before the rename": (1, "completed"),
    "after the rename": (1, "completed"),
}


class Nursery:
    """Starts processes that submit, and tells how they ended."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _NURSERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, desk: Any, moment: str) -> int:
        """The process id of a new child."""
        assert self._process.stdin is not None
        told = json.dumps([desk.base_url, str(desk.home), moment])
        self._process.stdin.write(f"{told}\n")
        self._process.stdin.flush()
        return int(self._said())

    def end(self) -> tuple[int, int]:
        """The child's exit code (negative: the signal), and how many lines it came through."""
        code, lines = self._said().split()
        return int(code), int(lines)

    def run(self, desk: Any, moment: str) -> tuple[int, int]:
        self.start(desk, moment)
        return self.end()

    def close(self) -> None:
        self._process.communicate()

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    running = Nursery()
    yield running
    running.close()


def recovered(desk: Any) -> str:
    """What another process finds out afterwards."""
    jobs = desk.journal.jobs()
    if not jobs:
        return "nothing"
    (job,) = jobs
    try:
        prediction = desk.wait(job.id)
    except SubmissionUnknown:
        return "unknown"
    assert [path.name for path in desk.out.glob("*.mp4")] == [f"{job.id}-1.mp4"]
    return str(prediction.status)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_a_moment(
    nursery: Nursery, desk: Any, service: FakeService, tools: Any, moment: str
) -> None:
    tools.local_pair(desk.home)
    assert nursery.run(desk, moment) == (-signal.SIGKILL, 0)
    posts, end = MOMENTS[moment]
    assert service.count("submit") == posts
    assert recovered(desk) == end
    assert service.count("submit") == posts, "nothing is sent a second time"


def test_killed_while_the_service_works(
    nursery: Nursery, desk: Any, service: FakeService, tools: Any
) -> None:
    """The POST has arrived, no answer has been given."""
    tools.local_pair(desk.home)
    children: list[int] = []
    started = threading.Event()

    def kill(seen: ReceivedRequest) -> None:
        if seen.step == "submit":
            started.wait()
            os.kill(children[0], signal.SIGKILL)

    service.on_worked = kill
    children.append(nursery.start(desk, "never"))
    started.set()
    assert nursery.end() == (-signal.SIGKILL, 0)
    assert desk.only_job().state == "submitting"
    assert (service.count("submit"), recovered(desk)) == (1, "completed")
    assert service.count("submit") == 1


def test_killed_at_ten_random_points(
    nursery: Nursery, service: FakeService, tmp_path: Path, tools: Any
) -> None:
    """Points are lines of the submission package, one drawn from each tenth of a whole run."""

    def desk_in(name: str) -> Any:
        (tmp_path / name).mkdir()
        tools.local_pair(tmp_path / name)
        return tools.Desk(tmp_path / name, service.base_url)

    chance = random.Random(5)
    ends = []
    code, lines = nursery.run(desk_in("whole"), "never")
    assert (code, lines > 1000) == (0, True)
    for k in range(10):
        service.restart()
        desk = desk_in(str(k))
        point = chance.randrange(lines * k // 10 + 1, lines * (k + 1) // 10)
        assert nursery.run(desk, str(point))[0] == -signal.SIGKILL
        posts = service.count("submit")
        end = recovered(desk)
        assert service.count("submit") == posts <= 1
        assert end in (["completed"] if posts else ["nothing", "unknown"])
        ends.append(end)
    assert {"nothing", "completed"} <= set(ends), ends
