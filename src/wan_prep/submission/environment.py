"""What the environment says: the key and the host."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from wan_prep.addresses import service_root, split_url
from wan_prep.errors import ApiKeyError, SubmissionError
from wan_prep.profile import default_profile

KEY_VARIABLE = "WAVESPEED_API_KEY"
URL_VARIABLE = "WAVESPEED_BASE_URL"


@dataclass(frozen=True)
class Connection:
    """The API's address and the key. The key does not appear in its repr."""

    base_url: str
    """In its one spelling; see `service_root`."""
    api_key: SecretStr

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", service_root(self.base_url))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Connection:
        """Raises ApiKeyError: no key, or none that can be one. SubmissionError: no usable host."""
        return cls(base_url(environ), api_key(environ))


def api_key(environ: Mapping[str, str] = os.environ) -> SecretStr:
    """The key of WAVESPEED_API_KEY, which is the only way to hand it over.

    Raises:
        ApiKeyError: not set, empty, or with characters that no key and no header has.
    """
    given = environ.get(KEY_VARIABLE, "")
    if not given.strip():
        raise ApiKeyError(
            f"no API key: set {KEY_VARIABLE} (keys are made at https://wavespeed.ai/accesskey)"
        )
    if re.search(r"\s", given):
        raise ApiKeyError(
            f"{KEY_VARIABLE} contains a space or a line break, which no key does; "
            "copy the key again, without anything around it"
        )
    if not re.fullmatch(r"[!-~]+", given):
        raise ApiKeyError(
            f"{KEY_VARIABLE} contains characters that no key has (expected printable ASCII); "
            "copy the key again"
        )
    return SecretStr(given)


def base_url(environ: Mapping[str, str] = os.environ) -> str:
    """WAVESPEED_BASE_URL, else the official host.

    Raises:
        SubmissionError: not an https address, nor an http one of this machine.
    """
    given = environ.get(URL_VARIABLE, "").strip()
    if not given:
        return default_profile().submission.base_url
    try:
        parts = split_url(given)
    except ValueError as exc:
        raise SubmissionError(f"{URL_VARIABLE}: {given!r} is no address ({exc})") from exc
    host = parts.hostname or ""
    if parts.username or parts.query or parts.fragment or not host or re.search(r"\s", given):
        raise SubmissionError(
            f"{URL_VARIABLE}: expected scheme, host, port and path only, such as "
            "https://api.wavespeed.ai"
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(host)):
        raise SubmissionError(
            f"{URL_VARIABLE}: expected https:// (http:// only for this machine, because the key "
            f"would travel readable), found {given!r}"
        )
    return service_root(given)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
