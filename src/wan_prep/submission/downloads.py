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
from wan_prep.submission.intent import Kind, is_url, shown_url
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


def not_an_input(path: Path, kind: Kind, *, max_pixels: int) -> str | None:
    """Why a file cannot be an input: not even its first frame decodes. None where it can.

    What is media of the other kind, or too large, is for the check to say.
    """
    from wan_prep.media.images import probe_image, read_image
    from wan_prep.media.probe import probe_video

    try:
        if kind == "video":
            probe_video(path, max_pixels=max_pixels)
        else:
            read_image(path, probe_image(path, max_pixels=max_pixels), max_pixels=max_pixels)
    except MediaUnreadable as exc:
        return None if exc.kind in ("unsupported", "wrong_kind", "too_large") else str(exc)
    return None


def fetched(
    url: str,
    target: Path,
    figures: Submission,
    clock: Clock,
    *,
    trouble_of: Callable[[Path], str | None],
    is_kept_aside: bool = False,
    limit_bytes: int | None = None,
    overwrite: bool = False,
) -> Flow[Fetched]:
    """Download an address to `target`, which appears whole, as media, or not at all.

    It counts when its length and its type are those of media that has arrived whole, and
    `trouble_of` has nothing against its content.

    trouble_of: why a file is not what it should be; None where it is.
    is_kept_aside: whether what does not count is kept beside `target` under another name.
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
                with scratch.open("wb") as file:
                    part = PartFile(url, file, limit_bytes)
                    outcome = yield from _followed(url, part, figures)
                    sha256 = part.finished()
                trouble = _trouble(outcome, part.size_bytes)
                trouble = trouble or trouble_of(scratch)
                if trouble is None:
                    _must_be_free(target, sha256, overwrite=overwrite)
                    return Fetched(target, sha256, part.size_bytes)
                is_final = isinstance(outcome, Answer) and not _may_come(outcome.status)
                if is_final or attempt == attempts:
                    aside = ""
                    if is_kept_aside and part.size_bytes and _is_200(outcome):
                        aside = f"; what came is kept as {_kept_aside(scratch, target, sha256)}"
                    raise DownloadFailed(
                        f"{shown_url(url)} cannot be downloaded ({trouble}){aside}; try again later"
                    )
                yield Pause(poll_pause_s(attempt - 1, clock.jitter, figures))
    except InputPathError as exc:  # a folder in its place
        raise DownloadFailed(str(exc)) from exc
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


def _is_200(outcome: Outcome) -> bool:
    return isinstance(outcome, Answer) and outcome.status == 200


def _trouble(outcome: Outcome, size_bytes: int) -> str | None:
    """Why what arrived is not a whole file of media, by all that was said of it."""
    if isinstance(outcome, Broken):
        return outcome.reason
    if outcome.status != 200:
        return f"HTTP {outcome.status}"
    if not size_bytes:
        return "an empty file"
    told = outcome.headers.get("content-length", "")
    # The length of what was sent, which was packed where an encoding is named.
    is_packed = outcome.headers.get("content-encoding", "identity") != "identity"
    if told.isascii() and told.isdigit() and not is_packed and int(told) != size_bytes:
        return f"{size_bytes} bytes, and {told} were announced"
    kind = outcome.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.partition("/")[0] not in _MEDIA and kind not in _UNTOLD:
        return f"the server calls it {one_line(kind, 60)}, which is no media"
    return None


def _must_be_free(target: Path, sha256: str, *, overwrite: bool) -> None:
    if target.exists() and not overwrite and sha256_of(target) != sha256:
        raise DownloadFailed(
            f"{target} exists with other content; choose another folder, or --overwrite"
        )


def _kept_aside(scratch: Path, target: Path, sha256: str) -> Path:
    """The same content has the same name, and another one's is not replaced."""
    aside = target.with_name(f"{target.name}.unusable-{sha256[:8]}")
    scratch.replace(aside)
    return aside
