"""Exchanges in httpx's terms: the one module that knows what httpx needs and what it raises.

Transports are driven directly, without `httpx.Client`: no redirect is followed, no cookie kept, no
netrc and no proxy setting read, no header added that was not asked for, and no address logged
(the client logs whole URLs, signed ones included).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
from pydantic import SecretStr

from wan_prep.profile import Submission
from wan_prep.submission.wire import Answer, Broken, Exchange, HashingReader

CHUNK_BYTES = 64 * 1024

# Every connection is used once: one that was kept may be closed under a POST, which would then
# look as if it had perhaps arrived.
LIMITS = httpx.Limits(max_keepalive_connections=0)

# httpx exception → whether a byte of the request may have left this machine. The most specific
# class that is listed counts.
MAY_HAVE_ARRIVED: dict[type[Exception], bool] = {
    httpx.InvalidURL: False,
    httpx.UnsupportedProtocol: False,
    httpx.ConnectError: False,  # no such host, refused, unreachable, TLS
    httpx.ConnectTimeout: False,
    httpx.PoolTimeout: False,
    httpx.ReadTimeout: True,
    httpx.WriteTimeout: True,
    httpx.TimeoutException: True,
    httpx.ReadError: True,
    httpx.WriteError: True,
    httpx.CloseError: True,
    httpx.NetworkError: True,
    httpx.LocalProtocolError: True,
    httpx.RemoteProtocolError: True,
    httpx.ProtocolError: True,
    httpx.ProxyError: True,
    httpx.DecodingError: True,
    httpx.TooManyRedirects: True,
    httpx.TransportError: True,
    httpx.RequestError: True,
    httpx.HTTPStatusError: True,
    httpx.HTTPError: True,
    httpx.CookieConflict: True,
    httpx.StreamConsumed: True,
    httpx.StreamClosed: True,
    httpx.ResponseNotRead: True,
    httpx.RequestNotRead: True,
    httpx.StreamError: True,
}
FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError)

_REASONS: dict[type[Exception], str] = {
    httpx.InvalidURL: "not a usable address",
    httpx.UnsupportedProtocol: "not an http or https address",
    httpx.ConnectTimeout: "no connection in time",
    httpx.ConnectError: "no connection",
    httpx.PoolTimeout: "no connection in time",
    httpx.ReadTimeout: "no answer in time",
    httpx.WriteTimeout: "the request could not be sent in time",
    httpx.ReadError: "the connection broke while the answer was read",
    httpx.WriteError: "the connection broke while the request was sent",
    httpx.RemoteProtocolError: "the answer was cut off or is not HTTP",
    httpx.LocalProtocolError: "the request cannot be sent as HTTP",
    httpx.DecodingError: "the answer's compression is damaged",
}


def broken(exc: Exception) -> Broken:
    """What an exception of httpx means for the request. Its text may hold an address; this not."""
    lineage = type(exc).__mro__
    arrived = next((MAY_HAVE_ARRIVED[c] for c in lineage if c in MAY_HAVE_ARRIVED), True)
    reason = next((_REASONS[c] for c in lineage if c in _REASONS), "the connection failed")
    cause = _system_reason(exc)
    return Broken(arrived, f"{reason}: {cause}" if cause else reason)


def _system_reason(exc: BaseException | None) -> str:
    """The operating system's word for it: no such host, connection refused, …"""
    while exc is not None:
        if isinstance(exc, OSError) and exc.strerror:
            return exc.strerror
        exc = exc.__cause__ or exc.__context__
    return ""


class Wrapper:
    """Makes httpx requests of exchanges, and answers of responses."""

    def __init__(self, base_url: str, api_key: SecretStr | None, figures: Submission) -> None:
        self._origin = _origin(base_url) if base_url else None
        self._api_key = api_key
        self._figures = figures

    def request(self, exchange: Exchange, reader: HashingReader | None) -> httpx.Request:
        """reader: the opened file of `exchange.file`."""
        url = httpx.URL(exchange.url)
        headers = dict(exchange.headers)
        if exchange.with_key:
            headers |= self._authorization(url)
        figures = self._figures
        silence = figures.limit("silence")
        extensions = {
            "timeout": {
                "connect": figures.limit("connect"),
                "pool": figures.limit("connect"),
                "read": silence,
                "write": silence,
            }
        }
        body: dict[str, Any] = {}
        if exchange.json is not None:
            body["json"] = exchange.json
        elif exchange.file is not None and reader is not None:
            file = exchange.file
            if file.form_name is None:
                body["stream"] = _FileStream(reader)
                headers = {
                    "Host": url.netloc.decode("ascii"),
                    "Content-Length": str(file.size_bytes),
                    **headers,
                }
            else:
                # Typed as a file object; read() and fileno() are all that is used of it.
                form: Any = (file.name, reader, file.content_type)
                body["files"] = {file.form_name: form}
        return httpx.Request(exchange.method, url, headers=headers, extensions=extensions, **body)

    def answer(
        self, response: httpx.Response, content: bytes, reader: HashingReader | None
    ) -> Answer:
        """Ready to be shown: the key is cut out of it."""
        secret = self._api_key.get_secret_value() if self._api_key else ""
        # A service that quotes the key in its answer must not bring it into a log. What is
        # shorter than this is no secret, and cutting it out would spoil the JSON.
        if len(secret) >= 8:
            for written in (secret, json.dumps(secret)[1:-1]):
                content = content.replace(written.encode(), b"[key]")
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, content, reader.sha256 if reader else None)

    def receiver(self, exchange: Exchange, monotonic: Callable[[], float]) -> Receiver:
        return Receiver(exchange, int(self._figures.limit("reply_max")), monotonic)

    def _authorization(self, url: httpx.URL) -> dict[str, str]:
        if self._api_key is None or _origin(str(url)) != self._origin:
            raise httpx.InvalidURL("the key is for the API's own host only")
        return {"Authorization": f"Bearer {self._api_key.get_secret_value()}"}


class Receiver:
    """Takes an answer's body in pieces, and says when it is too much or takes too long."""

    def __init__(
        self, exchange: Exchange, content_max: int, monotonic: Callable[[], float]
    ) -> None:
        self._exchange = exchange
        self._content_max = content_max
        self._monotonic = monotonic
        self._deadline = monotonic() + exchange.within_s
        self._content = bytearray()

    @property
    def content(self) -> bytes:
        return bytes(self._content)

    def take(self, chunk: bytes, status: int) -> Broken | None:
        """None: go on."""
        into = self._exchange.into
        if into is not None and 200 <= status < 300:
            into.write(chunk)
        else:
            self._content += chunk
        if len(self._content) > self._content_max:
            return Broken(True, f"an answer of more than {self._content_max} bytes")
        if self._monotonic() > self._deadline:
            return Broken(True, f"no whole answer within {self._exchange.within_s:g} s")
        return None


class _FileStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A file's bytes, for either kind of transport."""

    def __init__(self, reader: HashingReader) -> None:
        self._reader = reader

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._reader.read(CHUNK_BYTES):
            yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := self._reader.read(CHUNK_BYTES):
            yield chunk


def _origin(url: str) -> tuple[str, str, int | None]:
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host, parsed.port
