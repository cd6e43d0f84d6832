"""The rehearsal server as users start it, driven by the environment alone."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from wan_prep.errors import Rejected
from wan_prep.rehearsal.faults import Fault
from wan_prep.rehearsal.server import FakeService, clip, main
from wan_prep.submission.client import Client

Started = tuple[subprocess.Popen[str], str]

# Ctrl-C is heard even where whoever started the tests ignores it, as shells do beside other work.
_INTERRUPTIBLE = """
import signal, sys
from wan_prep.rehearsal.server import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""


@pytest.fixture
def start() -> Iterator[Callable[..., Started]]:
    """Starts the program on a free port; ends it afterwards."""
    running: list[subprocess.Popen[str]] = []

    def started(*options: str) -> Started:
        process = subprocess.Popen(
            [sys.executable, "-c", _INTERRUPTIBLE, "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline()

    yield started
    for process in running:
        process.kill()
        process.communicate()


def test_a_rehearsal_from_the_environment_alone(
    start: Callable[..., Started], tools: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = tmp_path / "finished.mp4"
    finished.write_bytes(clip(30))
    process, line = start("--video", str(finished), "--polls", "1")
    found = re.fullmatch(
        r"export WAVESPEED_BASE_URL=(http://127\.0\.0\.1:\d+) WAVESPEED_API_KEY=(\S+)\n", line
    )
    assert found is not None
    monkeypatch.setitem(os.environ, "WAVESPEED_BASE_URL", found[1])
    monkeypatch.setitem(os.environ, "WAVESPEED_API_KEY", found[2])
    monkeypatch.setitem(os.environ, "WAN_PREP_HOME", str(tmp_path / "home"))

    with Client.from_environment() as client:
        (job,) = client.submit(tools.local_pair(tmp_path), upload=True)
    with Client.from_environment() as client:
        assert [job.id for job in client.unfinished()] == [job.id]
        prediction = client.wait(job.id, folder=tmp_path / "out")
    assert Path(str(prediction.outputs[0].path)).read_bytes() == clip(30)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert [said.split()[0] for said in out.splitlines()] == [
        *("ticket", "put", "ticket", "put"),
        *("submit", "result", "output"),
    ]
    assert "Signature" not in out
    assert found[2] not in out


def test_a_fault_from_the_command_line(
    start: Callable[..., Started], tools: Any, tmp_path: Path
) -> None:
    _, line = start("--fault", "submit=402")
    base_url = line.split("=")[1].split()[0]
    desk = tools.Desk(tmp_path, base_url)
    with pytest.raises(Rejected, match="402"):
        desk.submit(tools.url_pair())
    assert desk.submit(tools.url_pair())[0].state == "submitted"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--fault", "submit"],
        ["--fault", "submit=nonsense"],
        ["--fault", "dance=503"],
        ["--video", "/nothing/here.mp4"],
    ],
)
def test_what_it_does_not_understand(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_faults_as_they_are_written() -> None:
    assert Fault.parse("result=429:7") == Fault("result", "429", "7")
    assert Fault.parse("submit=done+reset") == Fault("submit", "reset", after_work=True)
    assert Fault.parse("put=403*") == Fault("put", "403", every_time=True)
    assert Fault.parse("result=is:on hold*") == Fault("result", "is", "on hold", every_time=True)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"seed": -2}, "seed"),
        ({"mode": "dance"}, "mode"),
        ({"loop": True}, "loop"),
        ({"image": "hero.png"}, "image"),
    ],
)
def test_it_refuses_what_the_services_page_does_not_allow(
    service: FakeService, change: dict[str, Any], field: str
) -> None:
    body = {"image": "https://a.example/1.png", "video": "https://a.example/2.mp4", **change}
    answer = httpx.post(
        f"{service.base_url}/api/v3/wavespeed-ai/wan-2.2/animate",
        json=body,
        headers={"Authorization": "Bearer rehearsal"},
        trust_env=False,
    )
    assert answer.status_code == 422
    assert answer.json()["message"].startswith(field)
    assert service.tasks == {}


def test_it_wants_a_key_for_the_api_and_none_elsewhere(service: FakeService) -> None:
    # It closes every connection without a word: none may be kept for the next request.
    one_each = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(trust_env=False, base_url=service.base_url, limits=one_each) as client:
        assert client.post("/api/v3/wavespeed-ai/wan-2.2/animate", json={}).status_code == 401
        leaked = client.put("/put/x", headers={"Authorization": "Bearer k"})
        assert leaked.status_code == 400
        assert client.get("/nothing", headers={"Authorization": "Bearer k"}).status_code == 404
