"""What is an address and what a path, and what may be fetched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from wan_prep.addresses import shown_url, split_url
from wan_prep.errors import FetchRefused

HTTP = ("http", "https")
STORES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}
"""Object stores, and the package through which fsspec reaches them."""

# Two letters at least, so that a Windows drive is none. fsspec chains protocols with "::".
_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+)(?P<chained>::[^/]*)?://", re.IGNORECASE)
# Addresses of IPv4 inside those of IPv6 (RFC 6052).
_TRANSLATED = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class RemotePolicy:
    """What may be fetched, besides what the address itself names.

    allow_local_hosts: hosts whose address is one of this machine or of a private network, too. An
        address in a list may be a stranger's, who would have this machine ask its neighbours.
    allow_redirects: to other hosts, too.
    """

    allow_local_hosts: bool = False
    allow_redirects: bool = False


def is_remote(source: object) -> bool:
    """Whether a source is an address, such as `s3://bucket/clip.mp4`, and not a path.

    A file whose path looks like one is meant by `./http://…`.
    """
    return isinstance(source, str) and _ADDRESS.match(source) is not None


def shown(source: object) -> str:
    """A source as reports and messages name it: a path as it is, an address without user and query,
    which may be secret."""
    if not is_remote(source):
        return str(source)
    try:
        return shown_url(str(source))
    except ValueError:  # it is no usable address, which whoever fetches it says
        return f"{str(source).partition(':')[0]}://…"


def scheme_of(address: str) -> str:
    """The protocol of an address that may be fetched.

    Raises:
        FetchRefused: another protocol, a chain of them, or characters that no address has.
    """
    found = _ADDRESS.match(address)
    assert found is not None, "an address"
    scheme = found["scheme"].lower()
    if found["chained"]:
        raise FetchRefused(
            f"{scheme}{found['chained']}://…: chained protocols are not opened; give the address "
            "of the file itself"
        )
    if scheme == "file":
        raise FetchRefused("file://…: give the path of the file itself, without file://")
    if scheme not in (*HTTP, *STORES):
        known = ", ".join(f"{each}://" for each in (*HTTP, *STORES))
        raise FetchRefused(
            f"{scheme}://…: files are fetched from {known}; download this one, and give its path"
        )
    try:
        parts = split_url(address)
    except ValueError:
        parts = None
    is_odd = re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", address)
    has_key = scheme in HTTP or (parts is not None and parts.path.strip("/"))
    if is_odd or parts is None or not parts.hostname or not has_key:
        raise FetchRefused(
            f"{scheme}://…: no usable address; expected one such as {scheme}://"
            f"{'example.com' if scheme in HTTP else 'bucket'}/clip.mp4"
        )
    if scheme in STORES and "@" in parts.netloc:
        raise FetchRefused(
            f"{scheme}://…: keys do not belong into the address of a store; hand them over as its "
            "own tools do, in the environment or their settings"
        )
    return scheme


def is_local(address: str) -> bool:
    """Whether an IP address is one of this machine, of a private network, of the link, or any other
    that is not of the public internet."""
    ip = ip_address(address)
    inner = _inner(ip) if isinstance(ip, IPv6Address) else None
    return not ip.is_global or ip.is_multicast or (inner is not None and is_local(str(inner)))


def _inner(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that one of IPv6 stands for."""
    if ip in _TRANSLATED:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour
