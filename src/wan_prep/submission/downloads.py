"""Files from addresses: streamed aside, hashed, looked at, renamed; never with the key."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urljoin, urlsplit

from wan_prep.errors import DownloadFailed, InputPathError, MediaUnreadable
from wan_prep.media.files import sha256_of
from wan_prep.profile import Submission
from wan_prep.submission.decisions import poll_pause_s
from wan_prep.submission.flows import Clock
from wan_prep.submission.intent import is_url, shown_url
from wan_prep.submission.schema import one_line
from wan_prep.submission.wire import Answer, Broken, Exchange, Flow, Outcome, Pause, ask
from wan_prep.writing import written_whole

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LATER = frozenset({408, 425, 429})
_MEDIA = frozenset({"video", "image", "audio"})
# Types that say nothing, as object stores use them: the content decides. And MP4's own other name.
_UNTOLD = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/mp4"})


@dataclass(frozen=True)
class Fetched:
    path: Path
    sha256: str
    size_bytes: int


class PartFile:
    """The unfinished file; refuses more bytes than the limit."""

    def __init__(self, url: str, file: IO[bytes], limit_bytes: int | None) -> None:
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
        """All bytes handed on; returns their sha256."""
        self._file.flush()
        return self._digest.hexdigest()


@dataclass(frozen=True)
class _Arrived:
    """What one attempt brought."""

    outcome: Outcome
    sha256: str
    size_bytes: int

    @property
    def is_something(self) -> bool:
        """Whether there is content, and the server called it the answer."""
        is_200 = isinstance(self.outcome, Answer) and self.outcome.status == 200
        return is_200 and self.size_bytes > 0

    @property
    def is_final(self) -> bool:
        """Whether another attempt is of no use. A 200 that brought the wrong thing may be one."""
        if isinstance(self.outcome, Broken):
            return False
        status = self.outcome.status
        return not (status in _LATER or status >= 500 or status == 200)

    @property
    def trouble(self) -> str | None:
        """Why it is not a whole file of media, by all that was said of it."""
        if isinstance(self.outcome, Broken):
            return self.outcome.reason
        if self.outcome.status != 200:
            return f"HTTP {self.outcome.status}"
        if not self.size_bytes:
            return "an empty file"
        headers = self.outcome.headers
        told = headers.get("content-length", "")
        # It is the length of what was sent, which was packed where an encoding is named.
        is_packed = headers.get("content-encoding", "identity") != "identity"
        is_told = told.isascii() and told.isdigit() and not is_packed
        if is_told and int(told) != self.size_bytes:
            return f"{self.size_bytes} bytes came of {told} that were announced"
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind.partition("/")[0] in _MEDIA or kind in _UNTOLD:
            return None
        return f"the server calls it {one_line(kind, 60)}, which is no media"


def suffix_of(url: str, otherwise: str) -> str:
    """The file name extension of an address, if it has a plain one."""
    suffix = PurePosixPath(urlsplit(url).path).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else otherwise


def not_a_clip(path: Path) -> str | None:
    """Why a file is no clip: not even its first frame decodes. None where it is one."""
    from wan_prep.media.probe import probe_video

    try:
        probe_video(path)
    except MediaUnreadable as exc:
        # Only what no decoder is installed for is nothing that can be said of the file.
        return None if exc.kind == "unsupported" else str(exc)
    return None


def fetched(
    url: str,
    target: Path,
    figures: Submission,
    clock: Clock,
    *,
    trouble_of: Callable[[Path], str | None] | None = None,
    limit_bytes: int | None = None,
    overwrite: bool = False,
) -> Flow[Fetched]:
    """Download an address to `target`, which appears whole, as media, or not at all.

    It counts when its length is the one that was announced, its type is one of media, and
    `trouble_of` has nothing against its content. What arrived and does not count is kept aside
    where there is a `trouble_of`, because then it may be all there is of something paid for.

    trouble_of: why a file's content is not what it should be; None where it is.
    limit_bytes: what is larger is refused while it arrives.
    overwrite: whether a file with other content may be replaced.

    Raises:
        DownloadFailed: not there, not whole, not media, too large, in the way of a file, or no
            room for it.
    """
    attempts = int(figures.limit("attempts"))
    attempt = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(target) as scratch:
            while True:
                attempt += 1
                came = yield from _into(scratch, url, limit_bytes, figures)
                trouble = came.trouble
                if trouble is None and trouble_of is not None:
                    trouble = trouble_of(scratch)
                if trouble is None:
                    _must_be_free(target, came.sha256, overwrite=overwrite)
                    return Fetched(target, came.sha256, came.size_bytes)
                if came.is_final or attempt == attempts:
                    failed = f"{shown_url(url)} cannot be downloaded ({trouble}); try again later"
                    if trouble_of is not None and came.is_something:
                        aside = keep_aside(scratch, target, came.sha256)
                        failed += f"; what came instead is kept as {aside}"
                    raise DownloadFailed(failed)
                yield Pause(poll_pause_s(attempt - 1, clock.jitter, figures))
    except InputPathError as exc:  # a folder in its place
        raise DownloadFailed(str(exc)) from exc
    except OSError as exc:
        raise DownloadFailed(
            f"{target} cannot be written ({exc.strerror}); make room or choose another folder"
        ) from exc


def _into(scratch: Path, url: str, limit_bytes: int | None, figures: Submission) -> Flow[_Arrived]:
    with scratch.open("wb") as file:
        part = PartFile(url, file, limit_bytes)
        outcome = yield from _followed(url, part, figures)
        return _Arrived(outcome, part.finished(), part.size_bytes)


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


def _must_be_free(target: Path, sha256: str, *, overwrite: bool) -> None:
    if target.exists() and not overwrite and sha256_of(target) != sha256:
        raise DownloadFailed(
            f"{target} exists with other content; choose another folder, or --overwrite"
        )


def keep_aside(path: Path, target: Path, sha256: str) -> Path:
    """Rename what is not the file that belongs at `target`; returns its name. The same content has
    the same name, and another one's is not replaced."""
    aside = target.with_name(f"{target.name}.unusable-{sha256[:8]}")
    path.replace(aside)
    return aside
