"""httpx at its edge: what its exceptions mean, and what it is not allowed to add or say."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from wan_prep.profile import default_profile
from wan_prep.rehearsal.server import FakeService
from wan_prep.submission.client import Client
from wan_prep.submission.environment import Connection
from wan_prep.submission.transport import Transport, no_response
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
PERHAPS_ARRIVED = {
    *("ReadTimeout", "WriteTimeout", "TimeoutException", "ReadError", "WriteError", "CloseError"),
    *("NetworkError", "LocalProtocolError", "RemoteProtocolError", "ProtocolError", "ProxyError"),
    *("DecodingError", "TooManyRedirects", "TransportError", "RequestError", "HTTPStatusError"),
    *("HTTPError", "CookieConflict", "StreamConsumed", "StreamClosed", "ResponseNotRead"),
    *("RequestNotRead", "StreamError"),
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


@pytest.mark.parametrize("kind", EXCEPTIONS, ids=lambda kind: kind.__name__)
def test_an_exception_of_httpx_becomes_no_response(kind: type[Exception]) -> None:
    def raising(_request: httpx.Request) -> httpx.Response:
        raise made(kind)

    transport = Transport(default_profile().submission, http=httpx.MockTransport(raising))
    outcome = transport.send(HttpRequest("GET", "https://a.example/?Signature=secret-query"))
    assert isinstance(outcome, NoResponse)
    assert outcome.may_have_arrived == (kind.__name__ not in NOTHING_LEFT)
    assert "secret-query" not in outcome.reason


def test_httpx_has_no_exception_that_was_not_thought_about() -> None:
    """A new one counts as perhaps arrived. Whether that is right is to be looked up in httpx."""
    assert {kind.__name__ for kind in EXCEPTIONS} == NOTHING_LEFT | PERHAPS_ARRIVED


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


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    config = default_profile().submission
    read = []

    def endless() -> Iterator[bytes]:
        while True:
            read.append(1)
            yield b" " * 1_000_000

    http = httpx.MockTransport(lambda _: httpx.Response(200, content=endless()))
    outcome = Transport(config, http=http).send(HttpRequest("GET", "https://a.example/x"))
    most = int(config.limit("reply_max"))
    assert outcome == NoResponse(True, f"an answer of more than {most} bytes")
    assert len(read) == most // 1_000_000 + 1


def test_the_surroundings_change_nothing(
    desk: Any, service: FakeService, tools: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No proxy, no netrc and no certificates are read from the environment."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password netrc-password\n")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "no certificates here"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    service.polls_until_completed = 1
    connection = Connection(service.base_url, SecretStr(tools.KEY))
    with Client(connection, desk.journal) as client:  # over the transport that users have
        (job,) = client.submit(tools.url_pair())
        assert client.wait(job.id, folder=desk.out).succeeded
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
