"""httpx at its edge: what its exceptions mean, and what it is not allowed to add or say."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from wan_prep.errors import DownloadFailed, ServiceUnreachable, SubmissionUnknown, WaitEnded
from wan_prep.profile import default_profile
from wan_prep.rehearsal.server import FakeService
from wan_prep.submission.client import fetch
from wan_prep.submission.transport import FAILURES, MAY_HAVE_ARRIVED, Transport, no_response
from wan_prep.submission.wire import HttpRequest, HttpResponse, NoResponse, Outcome

EXCEPTIONS = sorted(
    (
        found
        for name in dir(httpx)
        if isinstance(found := getattr(httpx, name), type) and issubclass(found, Exception)
    ),
    key=lambda found: found.__name__,
)
NOTHING_LEFT = {
    "InvalidURL",
    "UnsupportedProtocol",
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
}


def made(kind: type[Exception]) -> Exception:
    """An exception of httpx, with whatever its making needs."""
    request = httpx.Request("GET", "https://a.example/?Signature=secret-query")
    if kind is httpx.HTTPStatusError:
        return httpx.HTTPStatusError("m", request=request, response=httpx.Response(500))
    try:
        return kind("https://a.example/?Signature=secret-query")
    except TypeError:
        return kind()


class Raising(httpx.BaseTransport):
    """Raises for the requests that a test is about; passes the others on."""

    def __init__(self, inner: Any, kind: type[Exception], method: str) -> None:
        self.inner, self.kind, self.method = inner, kind, method

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == self.method:
            raise made(self.kind)
        response: httpx.Response = self.inner.handle_request(request)
        return response


def test_every_exception_of_httpx_has_a_row() -> None:
    assert {kind.__name__ for kind in EXCEPTIONS} == {kind.__name__ for kind in MAY_HAVE_ARRIVED}
    assert all(issubclass(kind, FAILURES) for kind in EXCEPTIONS)
    assert {k.__name__ for k, arrived in MAY_HAVE_ARRIVED.items() if not arrived} == NOTHING_LEFT


@pytest.mark.parametrize("kind", EXCEPTIONS, ids=lambda kind: kind.__name__)
def test_an_exception_during_the_post_is_one_of_ours(
    kind: type[Exception], desk: Any, tools: Any
) -> None:
    desk.wrap = lambda inner: Raising(inner, kind, "POST")
    nothing_left = kind.__name__ in NOTHING_LEFT
    with pytest.raises(ServiceUnreachable if nothing_left else SubmissionUnknown) as caught:
        desk.submit(tools.url_pair())
    assert desk.only_job().state == ("not_sent" if nothing_left else "unknown")
    assert desk.time.slept == ([2.0, 3.0] if nothing_left else [])
    assert "secret-query" not in str(caught.value)


@pytest.mark.parametrize("kind", EXCEPTIONS, ids=lambda kind: kind.__name__)
def test_an_exception_while_asking_is_waited_out(
    kind: type[Exception], desk: Any, tools: Any, tmp_path: Path
) -> None:
    (job,) = desk.submit(tools.url_pair())
    desk.wrap = lambda inner: Raising(inner, kind, "GET")
    with pytest.raises(WaitEnded):
        desk.wait(job.id, timeout_s=5)
    with pytest.raises(DownloadFailed):
        fetch(
            "https://a.example/x",
            tmp_path,
            "video",
            profile=tools.patient(attempts=1),
            http=Raising(None, kind, "GET"),
        )


def test_a_new_exception_is_taken_for_the_worst() -> None:
    class NewError(httpx.HTTPError):
        pass

    class NewConnectError(httpx.ConnectError):
        pass

    assert no_response(NewError("m")).may_have_arrived
    assert not no_response(NewConnectError("m")).may_have_arrived


def test_the_systems_word_is_kept() -> None:
    failure = httpx.ConnectError("m")
    failure.__cause__ = socket.gaierror(-2, "Name or service not known")
    assert no_response(failure).reason == "no connection: Name or service not known"


# ---- the key, and the API's own host


@dataclass
class Wire:
    """A transport whose requests are kept, and answered with `content`."""

    key: str = "k" * 20
    content: bytes = b""
    sent: list[httpx.Request] = field(default_factory=list)

    def send(self, request: HttpRequest) -> Outcome:
        def answered(received: httpx.Request) -> httpx.Response:
            self.sent.append(received)
            return httpx.Response(200, content=self.content)

        return Transport(
            default_profile().submission,
            base_url="https://api.example",
            api_key=SecretStr(self.key),
            http=httpx.MockTransport(answered),
        ).send(request)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.evil/x",
        "https://api.example@evil.example/x",
        "https://evil.example/api.example",
        "http://api.example/x",
        "https://api.example:444/x",
        "//evil.example",
    ],
)
def test_the_key_goes_to_no_other_host(url: str) -> None:
    wire = Wire()
    outcome = wire.send(HttpRequest("GET", url, with_key=True))
    assert outcome == NoResponse(False, "not a usable address")
    assert wire.sent == []


@pytest.mark.parametrize("url", ["https://api.example/x", "https://API.example:443/x"])
def test_the_key_goes_to_its_host(url: str) -> None:
    wire = Wire()
    wire.send(HttpRequest("GET", url, with_key=True))
    assert wire.sent[0].headers["authorization"] == "Bearer " + "k" * 20


def test_nothing_is_added_to_a_request() -> None:
    wire = Wire()
    wire.send(HttpRequest("GET", "https://a.example/x"))
    assert dict(wire.sent[0].headers) == {"host": "a.example"}


@pytest.mark.parametrize(
    ("key", "content", "seen"),
    [
        ("k" * 20, b'{"said": "' + b"k" * 20 + b'"}', b'{"said": "[key]"}'),
        ('quoted"key\\x', json.dumps({"said": 'quoted"key\\x'}).encode(), b'{"said": "[key]"}'),
        # What is no secret is not cut out of everything.
        ("id", b'{"id": 1}', b'{"id": 1}'),
    ],
)
def test_a_key_in_an_answer_is_cut_out(key: str, content: bytes, seen: bytes) -> None:
    outcome = Wire(key, content).send(HttpRequest("GET", "https://a.example/x"))
    assert isinstance(outcome, HttpResponse)
    assert outcome.content == seen


def test_the_surroundings_change_nothing(
    desk: Any, service: FakeService, tools: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No proxy and no netrc is read from the environment."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password netrc-password\n")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    (job,) = desk.submit(tools.url_pair())
    assert desk.wait(job.id).succeeded
    assert {seen.headers.get("authorization") for seen in service.seen} == {
        f"Bearer {tools.KEY}",
        None,
    }


class KeepingAlive(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # the server's own spelling
        self.send_response_only(204)
        self.end_headers()


def test_every_connection_is_used_once() -> None:
    """One that is kept may be closed under a POST, which would then look sent."""
    with ThreadingHTTPServer(("127.0.0.1", 0), KeepingAlive) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        transport = Transport(default_profile().submission)
        outcome = transport.send(HttpRequest("GET", f"http://127.0.0.1:{server.server_port}/"))
        assert isinstance(outcome, HttpResponse)
        assert transport._http._pool.connections == []  # type: ignore[attr-defined]
        transport.close()
        server.shutdown()
