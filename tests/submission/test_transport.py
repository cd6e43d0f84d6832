"""httpx at its edge: what its exceptions mean, and what it is not allowed to add or say."""

from __future__ import annotations

import json
import socket
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
from wan_prep.submission.client import fetch, plain_transport
from wan_prep.submission.transport import FAILURES, MAY_HAVE_ARRIVED, Wrapper, broken
from wan_prep.submission.wire import Exchange

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


class Raising(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Raises for the requests that a test is about; passes the others on."""

    def __init__(self, inner: Any, kind: type[Exception], method: str) -> None:
        self.inner, self.kind, self.method = inner, kind, method

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == self.method:
            raise made(self.kind)
        response: httpx.Response = self.inner.handle_request(request)
        return response

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == self.method:
            raise made(self.kind)
        response: httpx.Response = await self.inner.handle_async_request(request)
        return response


def test_every_exception_of_httpx_has_a_row() -> None:
    assert {kind.__name__ for kind in EXCEPTIONS} == {kind.__name__ for kind in MAY_HAVE_ARRIVED}
    assert all(issubclass(kind, FAILURES) for kind in EXCEPTIONS)
    assert {k.__name__ for k, arrived in MAY_HAVE_ARRIVED.items() if not arrived} == NOTHING_LEFT


@pytest.mark.parametrize("kind", EXCEPTIONS, ids=lambda kind: kind.__name__)
def test_an_exception_during_the_post_is_one_of_ours(
    kind: type[Exception], both: Any, tools: Any
) -> None:
    both.wrap = lambda inner: Raising(inner, kind, "POST")
    nothing_left = kind.__name__ in NOTHING_LEFT
    with pytest.raises(ServiceUnreachable if nothing_left else SubmissionUnknown) as caught:
        both.submit(tools.url_pair())
    assert both.only_job().state == ("not_sent" if nothing_left else "unknown")
    assert both.time.slept == ([2.0, 3.0] if nothing_left else [])
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
            transport=Raising(None, kind, "GET"),
        )


def test_a_new_exception_is_taken_for_the_worst() -> None:
    class NewError(httpx.HTTPError):
        pass

    class NewConnectError(httpx.ConnectError):
        pass

    assert broken(NewError("m")).may_have_arrived
    assert not broken(NewConnectError("m")).may_have_arrived


def test_the_systems_word_is_kept() -> None:
    failure = httpx.ConnectError("m")
    failure.__cause__ = socket.gaierror(-2, "Name or service not known")
    assert broken(failure).reason == "no connection: Name or service not known"


# ---- the key, and the API's own host


def wrapper(base_url: str = "https://api.example") -> Wrapper:
    return Wrapper(base_url, SecretStr("k" * 20), default_profile().submission)


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
    with pytest.raises(httpx.InvalidURL, match="own host only"):
        wrapper().request(Exchange("GET", url, with_key=True), None)


@pytest.mark.parametrize("url", ["https://api.example/x", "https://API.example:443/x"])
def test_the_key_goes_to_its_host(url: str) -> None:
    request = wrapper().request(Exchange("GET", url, with_key=True), None)
    assert request.headers["authorization"] == "Bearer " + "k" * 20


def test_nothing_is_added_to_a_request() -> None:
    request = wrapper().request(Exchange("GET", "https://a.example/x"), None)
    assert dict(request.headers) == {"host": "a.example"}


def test_a_short_key_does_not_spoil_answers() -> None:
    """What is no secret is not cut out of everything."""
    short = Wrapper("https://api.example", SecretStr("id"), default_profile().submission)
    assert short.answer(httpx.Response(200), b'{"id": 1}', None).content == b'{"id": 1}'
    long = wrapper().answer(httpx.Response(200), b'{"said": "' + b"k" * 20 + b'"}', None)
    assert long.content == b'{"said": "[key]"}'
    odd = Wrapper("https://api.example", SecretStr('quoted"key\\x'), default_profile().submission)
    echo = json.dumps({"said": 'quoted"key\\x'}).encode()
    assert odd.answer(httpx.Response(200), echo, None).content == b'{"said": "[key]"}'


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
    with ThreadingHTTPServer(("127.0.0.1", 0), KeepingAlive) as server, plain_transport() as ours:
        server.daemon_threads = True
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        response = ours.handle_request(httpx.Request("GET", url))
        response.read()
        response.close()
        assert ours._pool.connections == []  # type: ignore[attr-defined]
        server.shutdown()
