"""Files in object stores, through fsspec: the one module that imports it.

fsspec's own address parsing, which chains protocols and opens local files, is not used: the file
system of one store is made, and asked for one key.
"""

from __future__ import annotations

from typing import Any

from wan_prep.errors import DependencyMissing, FetchFailed, WanPrepError
from wan_prep.remote.sink import FetchLimits, Sink
from wan_prep.remote.sources import STORES, scheme_of, shown

_CHUNK_BYTES = 8 * 1024 * 1024
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"}


def fetch_store(address: str, sink: Sink, limits: FetchLimits) -> None:
    """Fetch an object of a store into `sink`, with the user's own credentials for that store.

    Raises:
        DependencyMissing: the package for that store is not installed.
        FetchFailed: not there, not allowed, not whole, or no answer.
    """
    name = shown(address)
    scheme = scheme_of(address)
    try:
        import fsspec

        kind = fsspec.get_filesystem_class(scheme)
    except ImportError as exc:
        raise DependencyMissing(
            f"{scheme}:// needs {STORES[scheme]}: pip install 'wan-prep[remote]'"
        ) from exc
    try:
        store = kind(
            skip_instance_cache=True, use_listings_cache=False, **_patience(scheme, limits)
        )
        # Without a cache each read is one request for one part.
        with store.open(address, "rb", cache_type="none") as file:
            _must_be_a_file(file.details, name)
            sink.expect(file.size)
            while chunk := file.read(_CHUNK_BYTES):
                sink.write(chunk)
            size_bytes = file.size
    except WanPrepError:
        raise
    except Exception as exc:  # each store's client has exceptions of its own
        # Their texts may hold what is secret, so they are not repeated.
        raise FetchFailed(f"{name} cannot be fetched: {_reason(exc)}") from exc
    if sink.size_bytes != size_bytes:
        raise FetchFailed(
            f"{name} was cut off: {sink.size_bytes} bytes came of {size_bytes}; try again"
        )


def _must_be_a_file(details: dict[str, Any], name: str) -> None:
    if details.get("type") != "file":
        raise FetchFailed(f"{name} is a folder; give the address of one file")


def _patience(scheme: str, limits: FetchLimits) -> dict[str, Any]:
    """How long the clients of the stores wait, in their own words."""
    if STORES[scheme] == "s3fs":
        times = {"connect_timeout": limits.connect_s, "read_timeout": limits.silence_s}
        return {"config_kwargs": times}
    return {"requests_timeout": limits.silence_s}


def _reason(exc: BaseException) -> str:
    names = {kind.__name__ for kind in type(exc).__mro__}
    if isinstance(exc, FileNotFoundError):
        return "it is not there; check the address"
    if names & _NO_CREDENTIALS:
        return "no credentials were found; log in to the store as its own tools ask you to"
    if isinstance(exc, PermissionError):
        return "the store does not allow it; check your credentials and what they may read"
    if isinstance(exc, TimeoutError) or any("Timeout" in each for each in names):
        return "no answer in time; try again"
    if any("Connect" in each for each in names):
        return "no connection to the store; check its address in your settings, and the network"
    return f"the store's client failed ({type(exc).__name__}); try again, or download it"
