"""Every fault at every step: how often the POST arrived, what the journal says, the exit code.

Each row runs against a real server on loopback: first `submit`, then `wait` in a client of its own,
as if started later.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from wan_prep.errors import SubmissionError
from wan_prep.rehearsal.server import FakeService, step_of


@dataclass(frozen=True)
class Row:
    """What is expected: names of errors (or "ok", or how the task ended), exit codes, states."""

    faults: tuple[str, ...]
    submit: tuple[str, int, str | None]
    wait: tuple[str, int, str | None] | None = None
    posts: int = 1
    upload: bool = False
    quick: bool = False
    """The fault is silence: be impatient with it."""
    connection: str = ""
    aside: bool = False
    """What came instead of the file is kept under another name."""

    @property
    def name(self) -> str:
        return ",".join(self.faults) or self.connection or "no fault"


def row(*faults: str, submit: Any, wait: Any = None, **options: Any) -> Row:
    return Row(faults, submit, wait, **options)


ACCEPTED = ("ok", 0, "submitted")
COMPLETED = ("completed", 0, "completed")
UNKNOWN = ("SubmissionUnknown", 3, "unknown")
REJECTED = ("Rejected", 2, "rejected")
LIMITED = ("RateLimited", 2, "rejected")
NOT_SENT = ("ServiceUnreachable", 2, "not_sent")
NO_ENTRY = (2, None)
NOTHING_TO_WAIT_FOR = ("SubmissionError", 2, "rejected")
ENDED_EARLY = ("WaitEnded", 3, "submitted")
NO_FILE = ("DownloadFailed", 2, "completed")

CONNECTIONS = [
    # Not a byte left: tried three times, then nothing is owed.
    *(
        row(submit=NOT_SENT, posts=0, connection=name)
        for name in ("no such host", "refused", "no TLS there", "connect timeout", "pool timeout")
    ),
]
REFUSALS = [
    *(
        row(f"submit={code}", submit=REJECTED, wait=NOTHING_TO_WAIT_FOR)
        for code in (400, 401, 402, 403, 404, 408, 409, 413, 422, 451)
    ),
    *(row(f"submit=code:{code}", submit=REJECTED) for code in (400, 401, 402, 403, 422)),
    row("submit=429", submit=LIMITED),
    row("submit=429:30", submit=LIMITED),
    row("submit=code:429", submit=LIMITED),
]
# The service accepted nothing: the look-up finds nothing, and says so.
IN_DOUBT = [
    *(
        row(f"submit={what}", submit=UNKNOWN, wait=UNKNOWN)
        for what in (
            *("500", "502", "503", "504", "503:30"),
            *("close", "reset", "reset-half", "cut", "garbage", "redirect", "300"),
            *("html", "empty", "array", "nested", "not-utf8", "bad-gzip"),
            *("data-null", "data-list", "no-data", "code:500", "code:0"),
        )
    ),
    row("submit=hang", submit=UNKNOWN, wait=UNKNOWN, quick=True),
    row("submit=drip", submit=UNKNOWN, wait=UNKNOWN, quick=True),
    row("submit=huge", submit=UNKNOWN, wait=UNKNOWN),
]
# The service accepted, and we were not told, or not clearly: the look-up finds it.
ACCEPTED_UNTOLD = [
    *(
        row(f"submit={what}", submit=UNKNOWN, wait=COMPLETED)
        for what in (
            *("done+500", "done+502", "done+503", "done+504"),
            *("done+close", "done+reset", "done+reset-half", "done+cut", "done+garbage"),
            *("done+html", "done+empty", "done+data-null", "cut-json", "no-id"),
            *("wrong-types", "bad-id", "recode:500", "recode:402", "status:402", "status:409"),
        )
    ),
    row("submit=done+hang", submit=UNKNOWN, wait=COMPLETED, quick=True),
    row("submit=done+drip", submit=UNKNOWN, wait=COMPLETED, quick=True),
    row("submit=done+500", "history=503*", submit=UNKNOWN, wait=UNKNOWN),
    row("submit=done+500", "history=401*", submit=UNKNOWN, wait=UNKNOWN),
    row("submit=done+500", "history=html*", submit=UNKNOWN, wait=UNKNOWN),
    row("submit=done+500", "history=429:9999*", submit=UNKNOWN, wait=UNKNOWN),
    row("submit=done+500", "history=data-null*", submit=UNKNOWN, wait=UNKNOWN),
    row("submit=done+500", "history=503", "history=cut", submit=UNKNOWN, wait=COMPLETED),
]
# What is odd but says all that matters.
ODD_BUT_CLEAR = [
    row(f"submit={what}", submit=ACCEPTED, wait=COMPLETED)
    for what in ("odd-extras", "odd-status", "recode:201")
]
POLLING = [
    row(submit=ACCEPTED, wait=COMPLETED),
    *(
        row(f"result={what}", submit=ACCEPTED, wait=COMPLETED)
        for what in (
            *("404", "408", "429", "429:7", "500", "503:9"),
            *("close", "reset", "reset-half", "cut", "garbage", "redirect"),
            *("html", "empty", "array", "cut-json", "data-null", "nested", "not-utf8"),
            *("wrong-types", "other-id", "odd-status", "odd-outputs", "code:500", "bad-gzip"),
            *("is:paused", "is:created", "no-id", "odd-extras"),
        )
    ),
    row("result=hang", submit=ACCEPTED, wait=COMPLETED, quick=True),
    row("result=drip", submit=ACCEPTED, wait=COMPLETED, quick=True),
    *(
        row(f"result={what}", submit=ACCEPTED, wait=ENDED_EARLY)
        for what in ("500*", "html*", "is:paused*", "404*", "401*", "403*", "code:401*", "reset*")
    ),
    row("result=429:99999", submit=ACCEPTED, wait=ENDED_EARLY),
    *(
        row(f"result=is:{status}", submit=ACCEPTED, wait=(status, 1, status))
        for status in ("failed", "cancelled", "timeout", "deleted")
    ),
    *(
        row(f"result={what}*", submit=ACCEPTED, wait=("NoOutputs", 2, "completed"))
        for what in ("no-outputs", "null-outputs")
    ),
]
DOWNLOADS = [
    *(
        row(f"output={what}", submit=ACCEPTED, wait=COMPLETED)
        for what in ("500", "503", "429", "close", "reset", "reset-half", "cut", "empty", "html")
    ),
    row("output=hang", submit=ACCEPTED, wait=COMPLETED, quick=True),
    *(
        row(f"output={what}*", submit=ACCEPTED, wait=NO_FILE)
        for what in ("403", "404", "410", "500", "cut", "reset", "empty", "redirect")
    ),
    *(
        row(f"output={what}*", submit=ACCEPTED, wait=NO_FILE, aside=True)
        for what in ("html", "array", "not-utf8", "half-file")
    ),
]
UPLOADS = [
    row(*faults, submit=ACCEPTED, wait=COMPLETED, upload=True)
    for faults in (
        (),
        ("ticket=500",),
        ("ticket=reset",),
        ("ticket=429:3",),
        ("ticket=500*",),
        ("ticket=404*",),
        ("ticket=data-null*",),
        ("ticket=html*",),
        ("ticket=array*",),
        ("put=403",),
        ("put=500",),
        ("put=reset",),
        ("put=close",),
        ("put=403*",),
        ("put=close*",),
        ("put=403*", "form=503"),
    )
] + [
    row(*faults, submit=(error, *NO_ENTRY), posts=0, upload=True)
    for error, *faults in (
        ("Rejected", "ticket=401*"),
        ("Rejected", "ticket=402*"),
        ("Rejected", "ticket=413*"),
        ("RateLimited", "ticket=429*"),
        ("RateLimited", "ticket=429:99999"),
        ("Rejected", "ticket=404*", "form=401*"),
        ("Rejected", "put=403*", "form=413*"),
        ("UploadFailed", "put=403*", "form=500*"),
        ("UploadFailed", "ticket=html*", "form=data-null*"),
        ("UploadFailed", "ticket=reset*", "form=reset*"),
    )
]
ROWS = [
    *(CONNECTIONS + REFUSALS + IN_DOUBT + ACCEPTED_UNTOLD + ODD_BUT_CLEAR),
    *(POLLING + DOWNLOADS + UPLOADS),
]


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def desk(
    given: Row,
    tools: Any,
    tmp_path: Path,
    service: FakeService,
    closed_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    service.add_faults(*given.faults)
    desk = tools.Desk(tmp_path, service.base_url, tools.patient(reply_max=1_000_000))
    if given.quick:
        desk.wrap = lambda inner: Impatient(inner, service, given.faults[0], desk.time)
    if given.connection == "no such host":

        def unresolved(*_args: object, **_options: object) -> object:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        desk.base_url = "https://api.example"
        monkeypatch.setattr(socket, "getaddrinfo", unresolved)
    elif given.connection == "refused":
        desk.base_url = f"http://127.0.0.1:{closed_port}"
    elif given.connection == "no TLS there":
        desk.base_url = service.base_url.replace("http:", "https:")
    elif given.connection:
        exception = {"connect timeout": httpx.ConnectTimeout, "pool timeout": httpx.PoolTimeout}
        desk.wrap = lambda _: Raising(exception[given.connection])
    return desk


class Impatient(httpx.BaseTransport):
    """Waits for the faulty answer 0.2 s only, and calls every piece of it ten seconds.

    Whatever else is asked has all the time that users have: the machine may be busy.
    """

    def __init__(self, inner: Any, service: FakeService, fault: str, time: Any) -> None:
        self.inner, self.time = inner, time
        self.service, self.step = service, fault.partition("=")[0]

    def is_faulty(self, request: httpx.Request) -> bool:
        if step_of(request.method, request.url.path) != self.step:
            return False
        if self.service.count(self.step):
            return False
        request.extensions["timeout"]["read"] = 0.2
        return True

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        is_faulty = self.is_faulty(request)
        response: httpx.Response = self.inner.handle_request(request)
        if not is_faulty:
            return response
        stream = Slow(response.stream, self.time)
        return httpx.Response(response.status_code, headers=response.headers, stream=stream)

    def close(self) -> None:
        self.inner.close()


class Slow(httpx.SyncByteStream):
    def __init__(self, inner: Any, time: Any) -> None:
        self.inner, self.time = inner, time

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.inner:
            self.time.sleep(10.0)
            yield chunk

    def close(self) -> None:
        self.inner.close()


class Raising(httpx.BaseTransport):
    def __init__(self, exception: type[Exception]) -> None:
        self.exception = exception

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise self.exception("as told")


@pytest.mark.parametrize("given", ROWS, ids=lambda row: row.name)
def test_a_fault(given: Row, tools: Any, desk: Any, service: FakeService, tmp_path: Path) -> None:
    intent = tools.local_pair(tmp_path) if given.upload else tools.url_pair()

    error: SubmissionError | None = None
    try:
        desk.submit(intent, upload=given.upload)
    except SubmissionError as exc:
        error = exc
    jobs = desk.journal.jobs()
    found = (
        "ok" if error is None else type(error).__name__,
        tools.exit_code(error),
        jobs[0].state if jobs else None,
    )
    assert (found, service.count("submit")) == (given.submit, given.posts), error
    if error is not None:
        assert "\n" not in str(error)

    if given.wait is None:
        return
    prediction = None
    error = None
    try:
        prediction = desk.wait(desk.only_job().id, timeout_s=300)
    except SubmissionError as exc:
        error = exc
    found = (
        type(error).__name__ if prediction is None else prediction.status,
        tools.exit_code(error, prediction),
        desk.only_job().state,
    )
    assert (found, service.count("submit")) == (given.wait, given.posts), error
    outputs = desk.only_job().outputs
    if given.wait == COMPLETED:
        (output,) = outputs
        assert Path(output.path).stat().st_size > 0
        assert output.sha256 is not None
    elif given.aside:
        (aside,) = desk.out.iterdir()
        assert aside.name.startswith(f"{desk.only_job().id}-1.mp4.unusable-")
        assert str(aside) in str(error)
    elif desk.out.exists():
        assert list(desk.out.iterdir()) == [], "nothing unfinished is left"
