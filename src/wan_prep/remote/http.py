"""Files over http: redirects followed by hand, and no address connected to that was not looked at.

httpcore is driven directly, because it lets a connection be made to the very IP address that was
checked: a name that is looked up twice may have another address the second time. Nothing is read
from the environment, and no cookie is kept.
"""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import httpcore
import httpx

from wan_prep.errors import FetchFailed, FetchRefused
from wan_prep.remote.sink import FetchLimits, Sink
from wan_prep.remote.sources import HTTP, RemotePolicy, is_local, shown

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WORDS = {
    401: "the server wants a user and a password; give an address that is signed, or download it",
    403: "the server does not allow it; give an address that is signed and not expired",
    404: "it is not there; check the address",
    410: "it is gone; check the address",
    429: "the server takes no more requests for now; try again later",
}
# The reason of the most specific class that is listed counts.
_REASONS: dict[type[Exception], str] = {
    httpcore.ConnectTimeout: "no connection in time",
    httpcore.ConnectError: "no connection",
    httpcore.ReadTimeout: "nothing came for too long",
    httpcore.TimeoutException: "no answer in time",
    httpcore.RemoteProtocolError: "the answer was cut off or is not HTTP",
    httpcore.NetworkError: "the connection broke",
}


def fetch_http(address: str, sink: Sink, policy: RemotePolicy, limits: FetchLimits) -> None:
    """Fetch an http address into `sink`.

    Raises:
        FetchRefused: a local address, or a redirect to another host, and the policy allows neither.
        FetchFailed: not there, not allowed, not whole, or not in time.
    """
    # Each connection is used once, and nothing is asked twice: a file is one request.
    with httpcore.ConnectionPool(
        max_keepalive_connections=0, network_backend=_Guard(policy)
    ) as pool:
        here, user = _parsed(address)
        for _ in range(limits.redirects + 1):
            there = _fetched(pool, here, user, sink, limits)
            if there is None:
                return
            if _origin(there) != _origin(here):
                user = None
                _must_be_followed(here, there, policy)
            here = there
    raise FetchFailed(f"{shown(address)} redirects more than {limits.redirects} times; check it")


def _fetched(
    pool: httpcore.ConnectionPool,
    url: httpx.URL,
    user: str | None,
    sink: Sink,
    limits: FetchLimits,
) -> httpx.URL | None:
    """Reads the file at `url` into `sink`; or where it redirects to."""
    name = shown(str(url))
    headers: dict[bytes | str, bytes | str] = {
        "Host": url.netloc,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "User-Agent": "wan-prep",
    }
    if user is not None:
        headers["Authorization"] = user
    timeout = {"connect": limits.connect_s, "pool": limits.connect_s}
    timeout |= {"read": limits.silence_s, "write": limits.silence_s}
    target = httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )
    try:
        with pool.stream("GET", target, headers=headers, extensions={"timeout": timeout}) as answer:
            told = {key.lower().decode("latin-1"): value for key, value in answer.headers}
            if answer.status in _REDIRECTS:
                return _joined(url, told.get("location", b""))
            if answer.status != 200:
                words = _WORDS.get(answer.status, "try again later, or download it")
                raise FetchFailed(f"{name} cannot be fetched (HTTP {answer.status}): {words}")
            if told.get("content-encoding", b"identity").lower() != b"identity":
                raise FetchFailed(
                    f"{name} comes compressed, which was not asked for; download it and give its "
                    "path"
                )
            length = told.get("content-length", b"")
            if length.isdigit():
                sink.expect(int(length))
            for chunk in answer.iter_stream():
                sink.write(chunk)
            return None
    except tuple(_REASONS) as exc:
        reason = next(_REASONS[c] for c in type(exc).__mro__ if c in _REASONS)
        cause = _system_reason(exc)
        raise FetchFailed(
            f"{name} cannot be fetched ({reason}{f': {cause}' if cause else ''}); try again, or "
            "download it and give its path"
        ) from exc
    except httpcore.LocalProtocolError as exc:
        raise FetchRefused(f"{name}: no usable address; check it") from exc


def _parsed(address: str) -> tuple[httpx.URL, str | None]:
    """An address without its user, and the header that names the user."""
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, ValueError) as exc:
        raise FetchRefused(f"{shown(address)}: no usable address; check it") from exc
    if url.scheme not in HTTP or not url.host:
        raise FetchRefused(f"{shown(address)}: no usable http address; check it")
    if not url.userinfo:
        return url, None
    name, _, password = url.userinfo.partition(b":")
    plain = f"{unquote(name.decode())}:{unquote(password.decode())}".encode()
    header = f"Basic {base64.b64encode(plain).decode()}"
    return url.copy_with(username=None, password=None), header


def _joined(here: httpx.URL, location: bytes) -> httpx.URL:
    name = shown(str(here))
    try:
        there = here.join(location.decode("ascii")) if location else None
    except (httpx.InvalidURL, ValueError):
        there = None
    if there is None or there.scheme not in HTTP or not there.host:
        raise FetchRefused(f"{name} redirects to what is no http address; give the file's own")
    return there.copy_with(username=None, password=None, fragment=None)


def _must_be_followed(here: httpx.URL, there: httpx.URL, policy: RemotePolicy) -> None:
    is_upgrade = (
        here.host == there.host
        and (here.scheme, there.scheme) == ("http", "https")
        and here.port is None
        and there.port is None
    )
    if is_upgrade:
        return
    if here.scheme == "https" and there.scheme == "http":
        raise FetchRefused(
            f"{shown(str(here))} redirects to plain http, which anybody on the way may read; give "
            "the file's own address"
        )
    if not policy.allow_redirects:
        raise FetchRefused(
            f"{shown(str(here))} redirects to another host, {there.netloc.decode()}; give the "
            "file's own address, or allow it with --allow-redirects (allow_redirects=True)"
        )


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _system_reason(exc: BaseException | None) -> str:
    """The operating system's word for it: no such host, connection refused, …"""
    while exc is not None:
        if isinstance(exc, OSError) and exc.strerror:
            return exc.strerror
        exc = exc.__cause__ or exc.__context__
    return ""


class _Guard(httpcore.NetworkBackend):
    """Looks a name up once, and connects to the addresses that were found if they are allowed."""

    def __init__(self, policy: RemotePolicy) -> None:
        self._policy, self._plain = policy, httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            raise httpcore.ConnectError(str(exc)) from exc
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        if not self._policy.allow_local_hosts and any(map(is_local, addresses)):
            raise FetchRefused(
                f"{host} is this machine or one of a private network, and nothing is fetched from "
                "there unasked; allow it with --allow-local-hosts (allow_local_hosts=True)"
            )
        failed: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                return self._plain.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failed = exc
        raise failed
