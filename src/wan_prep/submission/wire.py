"""A request and its outcome, as values; `transport` sends the one and returns the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class FileBody:
    """A file that is streamed as it is (`form_name` None), or as one field of a form."""

    path: Path
    size_bytes: int
    name: str
    content_type: str
    form_name: str | None = None


class ByteSink(Protocol):
    """Takes a response's bytes piece by piece, instead of memory."""

    def write(self, chunk: bytes, /) -> None: ...


@dataclass(frozen=True)
class HttpRequest:
    """One request. Nothing is added to it but what HTTP itself needs."""

    method: str
    url: str
    with_key: bool = False
    """Whether the API key goes along; only ever to the API's own host."""
    json: dict[str, Any] | None = None
    file: FileBody | None = None
    headers: dict[str, str] = field(default_factory=dict)
    into: ByteSink | None = None
    """Takes the body of a 2xx response."""
    within_s: float = 120.0
    """The whole response must be there by then."""


@dataclass(frozen=True)
class HttpResponse:
    """A whole response. The API key is cut out of `content` before anyone sees it."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    content: bytes = b""
    sent_sha256: str | None = None
    """Of the file that was sent, taken from the bytes while they were sent."""


@dataclass(frozen=True)
class NoResponse:
    """No whole response. `may_have_arrived` is False only where no byte of the request left."""

    may_have_arrived: bool
    reason: str


Outcome = HttpResponse | NoResponse
