"""One spelling for each address, so that another spelling is not paid for a second time."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, quote, unquote, urlsplit

import idna

_PARTS = re.compile(
    r"(?P<scheme>https?)://(?:(?P<user>[^/?#]*)@)?(?P<host>\[[^]/?#]*]|[^:/?#@]*)(?::(?P<port>[0-9]*))?"
    r"(?P<rest>(?:[/?][^#]*)?)(?:#.*)?",
    re.IGNORECASE | re.DOTALL,
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")
_RESERVED_OR_ESCAPED = ":/?#[]@!$&'()*+,;=%"


@dataclass(frozen=True)
class _Parts:
    scheme: str
    user: str | None
    host: str
    port: int | None
    """None for the scheme's default port."""
    rest: str
    """Path and query; begins with a slash."""

    @classmethod
    def of(cls, url: str) -> _Parts | None:
        found = _PARTS.fullmatch(url)
        if found is None:
            return None
        scheme = found["scheme"].lower()
        port = int(found["port"]) if found["port"] else None
        if port == _DEFAULT_PORTS[scheme]:
            port = None
        rest = found["rest"]
        if not rest.startswith("/"):
            rest = f"/{rest}"
        return cls(scheme, found["user"], found["host"].lower(), port, rest)

    def __str__(self) -> str:
        user = "" if self.user is None else f"{self.user}@"
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{user}{self.host}{port}{self.rest}"


def is_url(source: str | Path) -> bool:
    """Whether an input is an http address, which the service fetches by itself."""
    return isinstance(source, str) and re.match(r"(?i)https?://", source) is not None


def shown_url(url: str) -> str:
    """An address without query and user, which may be secret."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def suffix_of(url: str, otherwise: str) -> str:
    """The file name extension of an address, if it has a plain one."""
    suffix = PurePosixPath(urlsplit(url).path).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else otherwise


def split_url(url: str) -> SplitResult:
    """The parts of an address. Raises ValueError: it has none, or an impossible port."""
    parts = urlsplit(url)
    _ = parts.port
    return parts


def canonical(url: str) -> str:
    """An http address in RFC 3986's normal form, except for path and query.

    Scheme and host become lower case; the default port and the fragment go; an empty path becomes
    "/". Path and query stay as they are, because an address may be signed letter by letter. What is
    not an http address is returned unchanged.
    """
    parts = _Parts.of(url)
    return url if parts is None else str(parts)


def is_same_address(url: str, other: str) -> bool:
    """Whether two addresses are equivalent by RFC 3986, dot segments and escapes included.

    In doubt the answer is yes: a wrong yes asks a person before paying, a wrong no pays twice.
    """
    return _compared(url) == _compared(other)


def service_root(url: str) -> str:
    """A service's base address in the spelling that `is_same_address` compares, without slashes at
    the end."""
    return _compared(url).rstrip("/")


def _compared(url: str) -> str:
    parts = _Parts.of(url)
    if parts is None:
        return url
    path, mark, query = re.sub("%([0-9a-fA-F]{2})", _escape, parts.rest).partition("?")
    rest = quote(f"{_without_dots(path)}{mark}{query}", safe=_RESERVED_OR_ESCAPED)
    return str(replace(parts, host=_one_host(parts.host), rest=rest))


def _one_host(host: str) -> str:
    """A host as it is looked up: in ASCII (IDNA 2008), IPv6 in its short form, no dot at the end.
    Anything but a host is returned unchanged."""
    if host.startswith("["):
        try:
            return f"[{IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            return host
    named = unquote(host).lower()
    try:
        named = named if named.isascii() else idna.encode(named, uts46=True).decode()
    except idna.IDNAError:
        return host
    return named.rstrip(".") if re.fullmatch(r"[^\s/?#@:\[\]%]+", named) else host


def _escape(found: re.Match[str]) -> str:
    """An unreserved character as itself, any other escape in capitals."""
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else found[0].upper()


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
