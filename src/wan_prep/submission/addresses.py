"""One spelling for addresses that are the same to the service; no address is opened here."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from httpx import URL

_UNRESERVED = frozenset(string.ascii_letters + string.digits + "-._~")


def plain_url(url: str) -> str:
    """An http address as it is sent: scheme and host in lower case and ASCII, no default port, no
    dot segments, no fragment (RFC 3986, 6.2.2 and 6.2.3). Anything else comes back as it is.

    Percent-encodings stay as they are: a signature may be over them.
    """
    parts = _taken_apart(url)
    return url if parts is None else _spelled(parts)


def address_key(url: str) -> str:
    """Equal for addresses that lead to the same place: `plain_url`, one spelling of
    percent-encodings, and no dot at the end of the host. For comparing, not for sending."""
    parts = _taken_apart(url)
    if parts is None:
        return url
    rooted = parts.copy_with(host=parts.host.rstrip(".")) if parts.host.endswith(".") else parts
    return re.sub(r"%[0-9A-Fa-f]{2}", _octet, _spelled(rooted))


def base_address(url: str) -> str:
    """The address of a host to which paths are appended: `address_key` without a slash at its
    end."""
    return address_key(url).rstrip("/")


def is_usable(url: str) -> bool:
    """Whether a request can be made of it."""
    return _taken_apart(url) is not None


def _taken_apart(url: str) -> URL | None:
    from httpx import URL, InvalidURL

    scheme, mark, rest = url.partition("://")
    if not mark or scheme.lower() not in ("http", "https"):
        return None
    try:
        parts = URL(f"{scheme.lower()}://{rest}")
        _ = parts.host  # a host of which IDNA makes nothing is found out here
    except (InvalidURL, ValueError):
        return None
    return parts if parts.host else None


def _spelled(parts: URL) -> str:
    user = f"{parts.userinfo.decode('ascii')}@" if parts.userinfo else ""
    authority = f"{user}{parts.netloc.decode('ascii')}"
    return f"{parts.scheme}://{authority}{parts.raw_path.decode('ascii')}"


def _octet(found: re.Match[str]) -> str:
    character = chr(int(found[0][1:], 16))
    return character if character in _UNRESERVED else found[0].upper()
