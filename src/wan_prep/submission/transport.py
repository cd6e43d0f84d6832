"""Sends one request over httpx; the one module that knows what httpx needs and what it raises.

httpx's transports are driven directly, without `httpx.Client`: no redirect is followed, no cookie
kept, no netrc and no proxy setting read, no header added that was not asked for, and no address
logged (the client logs whole URLs, signed ones included).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import IO, Any

import httpx
from pydantic import SecretStr

from wan_prep.profile import Submission
from wan_prep.submission.wire import HttpRequest, HttpResponse, NoResponse, Outcome

_CHUNK_BYTES = 64 * 1024

# Every connection is used once: one that was kept may be closed under a POST, which would then
# look as if it had perhaps arrived.
LIMITS = httpx.Limits(max_keepalive_connections=0)

_FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError)

# Raised before a byte of the request has left. All other failures may mean that it has arrived.
_NOTHING_LEFT = (
    httpx.InvalidURL,
    httpx.UnsupportedProtocol,
    httpx.ConnectError,  # no such host, refused, unreachable, TLS
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
)

# The reason of the most specific class that is listed counts.
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


def no_response(exc: Exception) -> NoResponse:
    """What an exception of httpx means for its request. The exception's text may hold a secret
    address, so it is not repeated."""
    reason = next(
        (_REASONS[c] for c in type(exc).__mro__ if c in _REASONS), "the connection failed"
    )
    cause = _system_reason(exc)
    may_have_arrived = not isinstance(exc, _NOTHING_LEFT)
    return NoResponse(may_have_arrived, f"{reason}: {cause}" if cause else reason)


def _system_reason(exc: BaseException | None) -> str:
    """The operating system's word for it: no such host, connection refused, …"""
    while exc is not None:
        if isinstance(exc, OSError) and exc.strerror:
            return exc.strerror
        exc = exc.__cause__ or exc.__context__
    return ""


class HashingReader:
    """A file being sent. `sha256` is of the bytes that were read so far."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._digest.update(chunk)
        return chunk

    def fileno(self) -> int:
        """Lets httpx find out the length of a form beforehand."""
        return self._file.fileno()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class Transport:
    """Sends requests over an httpx transport. Any number of threads may use one at once.

    base_url: the API's own; the key goes to its origin (scheme, host and port) and nowhere else.
    http: None for a connection that reads nothing from the environment: no proxy, no netrc, no
        certificates of one's own.
    """

    def __init__(
        self,
        config: Submission,
        *,
        base_url: str = "",
        api_key: SecretStr | None = None,
        http: httpx.BaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._origin = _origin(base_url) if base_url else None
        self._api_key = api_key
        self._http = http or httpx.HTTPTransport(trust_env=False, limits=LIMITS)
        self._monotonic = monotonic

    def close(self) -> None:
        self._http.close()

    def send(self, request: HttpRequest) -> Outcome:
        """Send a request once and read its whole response.

        Raises:
            OSError: the file to be sent cannot be read. Also whatever `request.into` raises.
        """
        deadline = self._monotonic() + request.within_s
        reader = None
        with ExitStack() as stack:
            if request.file is not None:
                file = stack.enter_context(request.file.path.open("rb", buffering=0))
                reader = HashingReader(file)
            try:
                response = self._http.handle_request(self._for_httpx(request, reader))
                stack.callback(_close, response)
                content = self._content(response, request, deadline)
            except _FAILURES as exc:
                return no_response(exc)
        if isinstance(content, NoResponse):
            return content
        headers = {name.lower(): value for name, value in response.headers.items()}
        sent_sha256 = None if reader is None else reader.sha256
        return HttpResponse(response.status_code, headers, self._without_key(content), sent_sha256)

    def _for_httpx(self, request: HttpRequest, reader: HashingReader | None) -> httpx.Request:
        """reader: the opened file of `request.file`."""
        url = httpx.URL(request.url)
        headers = dict(request.headers)
        if request.with_key:
            headers |= self._authorization(url)
        connect_s, silence_s = self._config.limit("connect"), self._config.limit("silence")
        timeout = {"connect": connect_s, "pool": connect_s, "read": silence_s, "write": silence_s}
        body: dict[str, Any] = {}
        if request.json is not None:
            body["json"] = request.json
        elif request.file is not None and reader is not None:
            file = request.file
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
        extensions = {"timeout": timeout}
        return httpx.Request(request.method, url, headers=headers, extensions=extensions, **body)

    def _authorization(self, url: httpx.URL) -> dict[str, str]:
        if self._api_key is None or _origin(str(url)) != self._origin:
            raise httpx.InvalidURL("the key is for the API's own host only")
        return {"Authorization": f"Bearer {self._api_key.get_secret_value()}"}

    def _content(
        self, response: httpx.Response, request: HttpRequest, deadline: float
    ) -> bytes | NoResponse:
        """The body, unless `request.into` takes it; or that it is too long or comes too late.

        deadline: on the monotonic clock, in s.
        """
        content_max = int(self._config.limit("reply_max"))
        sink = request.into if 200 <= response.status_code < 300 else None
        content = bytearray()
        for chunk in response.iter_bytes():
            if sink is None:
                content += chunk
            else:
                sink.write(chunk)
            if len(content) > content_max:
                return NoResponse(True, f"an answer of more than {content_max} bytes")
            if self._monotonic() > deadline:
                return NoResponse(True, f"no whole answer within {request.within_s:g} s")
        return bytes(content)

    def _without_key(self, content: bytes) -> bytes:
        """A service that quotes the key in its answer must not bring it into a log."""
        secret = self._api_key.get_secret_value() if self._api_key else ""
        # What is shorter than this is no secret, and cutting it out would spoil the JSON.
        if len(secret) >= 8:
            for written in (secret, json.dumps(secret)[1:-1]):
                content = content.replace(written.encode(), b"[key]")
        return content


class _FileStream(httpx.SyncByteStream):
    def __init__(self, reader: HashingReader) -> None:
        self._reader = reader

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._reader.read(_CHUNK_BYTES):
            yield chunk


def _close(response: httpx.Response) -> None:
    """The response was read by now, so an error while closing its connection changes nothing."""
    with suppress(*_FAILURES):
        response.close()


def _origin(url: str) -> tuple[str, str, int | None]:
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host, parsed.port
