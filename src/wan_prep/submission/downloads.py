"""Files from addresses: streamed to a temporary file, hashed, renamed; never with the key."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urljoin, urlsplit

from wan_prep.errors import DownloadFailed
from wan_prep.media.files import sha256_of
from wan_prep.profile import Submission
from wan_prep.submission.decisions import poll_pause_s
from wan_prep.submission.flows import Clock
from wan_prep.submission.intent import is_url, shown_url
from wan_prep.submission.wire import Answer, Broken, Exchange, Flow, Outcome, Pause, ask

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LATER = frozenset({408, 425, 429})


@dataclass(frozen=True)
class Fetched:
    path: Path
    sha256: str
    size_bytes: int


class PartFile:
    """The unfinished file; refuses more bytes than the limit."""

    def __init__(self, url: str, path: Path, file: IO[bytes], limit_bytes: int | None) -> None:
        self.path = path
        self._url = url
        self.size_bytes = 0
        self._file = file
        self._limit_bytes = limit_bytes
        self._digest = hashlib.sha256()

    def write(self, chunk: bytes, /) -> None:
        self.size_bytes += len(chunk)
        if self._limit_bytes is not None and self.size_bytes > self._limit_bytes:
            raise DownloadFailed(
                f"{shown_url(self._url)} has more than {self._limit_bytes / 1e6:.0f} MB, which is "
                "the most that is fetched; shorten or re-encode it"
            )
        self._digest.update(chunk)
        self._file.write(chunk)

    def finished(self) -> str:
        """All bytes on disk; returns their sha256."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._digest.hexdigest()


def suffix_of(url: str, otherwise: str) -> str:
    """The file name extension of an address, if it has a plain one."""
    suffix = PurePosixPath(urlsplit(url).path).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else otherwise


def fetched(
    url: str,
    target: Path,
    figures: Submission,
    clock: Clock,
    *,
    limit_bytes: int | None = None,
    overwrite: bool = False,
) -> Flow[Fetched]:
    """Download an address to `target`, which appears whole or not at all.

    limit_bytes: what is larger is refused while it arrives.
    overwrite: whether a file with other content may be replaced.

    Raises:
        DownloadFailed: not there, not whole, too large, in the way of a file, or no room for it.
    """
    attempts = int(figures.limit("attempts"))
    attempt = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        while True:
            attempt += 1
            with _part_of(url, target, limit_bytes) as part:
                outcome = yield from _followed(url, part, figures)
                if isinstance(outcome, Answer) and outcome.status == 200 and part.size_bytes:
                    return _kept(part, target, overwrite=overwrite)
            is_final = isinstance(outcome, Answer) and not _may_come(outcome.status)
            if is_final or attempt == attempts:
                raise DownloadFailed(
                    f"{shown_url(url)} cannot be downloaded ({_reason(outcome)}); try again later"
                )
            yield Pause(poll_pause_s(attempt - 1, clock.jitter, figures))
    except OSError as exc:
        raise DownloadFailed(
            f"{target} cannot be written ({exc.strerror}); make room or choose another folder"
        ) from exc


def _followed(url: str, part: PartFile, figures: Submission) -> Flow[Outcome]:
    """The answer behind redirects; they are followed here only, because no key goes along."""
    for _ in range(int(figures.limit("redirects_max")) + 1):
        outcome = yield from ask(
            Exchange(
                "GET",
                url,
                headers={"Accept": "*/*", "Accept-Encoding": "identity"},
                into=part,
                within_s=figures.limit("transfer"),
            )
        )
        if isinstance(outcome, Broken) or outcome.status not in _REDIRECTS:
            return outcome
        try:
            url = urljoin(url, outcome.headers.get("location", ""))
        except ValueError:  # it leads nowhere, which the answer's status says
            return outcome
        if not is_url(url):
            return outcome
    return outcome


def _may_come(status: int) -> bool:
    """A 200 that brought nothing counts as well."""
    return status in _LATER or status >= 500 or status == 200


def _reason(outcome: Outcome) -> str:
    if isinstance(outcome, Broken):
        return outcome.reason
    return "an empty file" if outcome.status == 200 else f"HTTP {outcome.status}"


def _kept(part: PartFile, target: Path, *, overwrite: bool) -> Fetched:
    sha256 = part.finished()
    if target.exists() and not overwrite and sha256_of(target) != sha256:
        raise DownloadFailed(
            f"{target} exists with other content; choose another folder, or --overwrite"
        )
    part.path.replace(target)
    return Fetched(target, sha256, part.size_bytes)


@contextmanager
def _part_of(url: str, target: Path, limit_bytes: int | None) -> Iterator[PartFile]:
    """A hidden file beside the target; gone afterwards unless it was renamed."""
    path = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with path.open("xb") as file:
            yield PartFile(url, path, file, limit_bytes)
    finally:
        path.unlink(missing_ok=True)
