"""What a flow asks of a transport, and what comes back.

A flow is a generator: it yields an `Exchange` or a `Pause` and is sent the `Outcome`. It knows
neither sockets nor clocks that block, so one flow serves the sync and the async client.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar


@dataclass(frozen=True)
class FileBody:
    """A file that is streamed as it is (`form_name` None), or as one field of a form."""

    path: Path
    size_bytes: int
    name: str
    content_type: str
    form_name: str | None = None


class Sink(Protocol):
    """Where an answer's bytes go instead of into memory."""

    def write(self, chunk: bytes, /) -> None: ...


@dataclass(frozen=True)
class Exchange:
    """One request and its answer."""

    method: str
    url: str
    with_key: bool = False
    """Whether the API key goes along; only ever to the API's own host."""
    json: dict[str, Any] | None = None
    file: FileBody | None = None
    headers: dict[str, str] = field(default_factory=dict)
    into: Sink | None = None
    """Takes the body of a 2xx answer."""
    within_s: float = 120.0
    """The whole answer must be there by then."""


@dataclass(frozen=True)
class Pause:
    seconds: float


@dataclass(frozen=True)
class Answer:
    """A whole answer. The API key is cut out of `content` before anyone sees it."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    content: bytes = b""
    sent_sha256: str | None = None
    """Of the file that was streamed, as it was while streaming."""


@dataclass(frozen=True)
class Broken:
    """No whole answer. `may_have_arrived` is False only where no byte of the request left."""

    may_have_arrived: bool
    reason: str


Outcome = Answer | Broken
T = TypeVar("T")
Flow = Generator[Exchange | Pause, Outcome | None, T]


def ask(exchange: Exchange) -> Flow[Outcome]:
    outcome = yield exchange
    assert outcome is not None
    return outcome


class HashingReader:
    """A file being sent; its digest is that of the bytes handed out."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._digest.update(chunk)
        return chunk

    def fileno(self) -> int:
        """Lets the form's length be known beforehand."""
        return self._file.fileno()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()
