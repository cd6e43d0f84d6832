"""Files on their way: up to an address that the service can read, and down from one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO
from urllib.parse import urljoin

from wan_prep.addresses import is_url, shown_url
from wan_prep.errors import (
    DownloadFailed,
    InputPathError,
    MediaUnreadable,
    Rejected,
    ReplyInvalid,
    ServiceUnreachable,
    UploadFailed,
)
from wan_prep.media.files import sha256_of
from wan_prep.submission.decisions import LATER
from wan_prep.submission.intent import Input
from wan_prep.submission.journal import Journal
from wan_prep.submission.schema import UploadDone, UploadTicket, data_of, one_line, opened
from wan_prep.submission.session import Session
from wan_prep.submission.wire import FileBody, HttpRequest, HttpResponse, NoResponse, Outcome
from wan_prep.writing import written_whole

_CONTENT_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".avi": "video/x-msvideo",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
}
_USUAL_SUFFIX = {"image": ".png", "video": ".mp4"}

# The service has no ticket call; it may have the form.
_NO_TICKETS = frozenset({404, 405, 410, 501})

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MEDIA = frozenset({"video", "image", "audio"})
# Types that tell nothing, as object stores use them, and MP4's own other name: the content decides.
_UNTOLD = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/mp4"})


# ------------------------------------------------------------------ up


def uploaded(given: Input, session: Session, journal: Journal) -> str:
    """The URL under which the service finds an input; uploads it unless that was done already.

    An upload ticket is tried first, with a new one for every try, then the form.

    Raises:
        UploadFailed, Rejected, RateLimited: it is not there.
        InputPathError: the file is no longer what was checked.
    """
    if given.path is None or given.sha256 is None:
        return given.source
    reused_s = session.limit("upload_reused")
    kept = journal.upload_url(given.sha256, session.base_url, reused_s=reused_s)
    if kept is not None:
        return kept
    try:
        url = _by_ticket(given, session) or _by_form(given, session)
    except OSError as exc:
        raise InputPathError(f"{given.source}: cannot be read any more ({exc.strerror})") from exc
    journal.keep_upload(given.sha256, session.base_url, url, reused_s=reused_s)
    return url


def _by_ticket(given: Input, session: Session) -> str | None:
    """None where no ticket brought the file there."""
    for _ in session.tries():
        file = _file(given)
        wanted = {
            "filename": file.name,
            "size": file.size_bytes,
            "content_type": file.content_type,
        }
        request = session.api_request("POST", session.config.paths.upload, json=wanted)
        try:
            ticket = data_of(opened(session.ask(request).content), UploadTicket)
        except (ReplyInvalid, ServiceUnreachable):
            return None
        except Rejected as exc:
            if exc.status in _NO_TICKETS:
                return None
            raise
        # The ticket's address is signed, so the key does not go along.
        outcome = session.send(
            HttpRequest(
                "PUT",
                ticket.upload.url,
                headers=ticket.upload.headers,
                file=file,
                within_s=session.limit("transfer"),
            )
        )
        if isinstance(outcome, HttpResponse) and 200 <= outcome.status < 300:
            _must_be_the_same(given, outcome)
            return ticket.download_url
    return None


def _by_form(given: Input, session: Session) -> str:
    request = replace(
        session.api_request("POST", session.config.paths.upload_form),
        file=_file(given, form_name="file"),
        within_s=session.limit("transfer"),
    )
    try:
        response = session.ask(request)
        done = data_of(opened(response.content), UploadDone)
    except (ReplyInvalid, ServiceUnreachable) as exc:
        raise UploadFailed(
            f"the {given.kind} could not be uploaded ({exc}); nothing was submitted; try again"
        ) from exc
    _must_be_the_same(given, response)
    return done.download_url


def _file(given: Input, form_name: str | None = None) -> FileBody:
    """The file under a neutral name, because the user's own file names are private."""
    assert given.path is not None
    suffix = given.path.suffix.lower()
    if suffix not in _CONTENT_TYPES:
        suffix = _USUAL_SUFFIX[given.kind]
    size_bytes = given.path.stat().st_size
    if size_bytes != given.size_bytes:
        raise _changed(given)
    name = f"{given.kind}{suffix}"
    return FileBody(given.path, size_bytes, name, _CONTENT_TYPES[suffix], form_name)


def _must_be_the_same(given: Input, response: HttpResponse) -> None:
    if response.sent_sha256 != given.sha256:
        raise _changed(given)


def _changed(given: Input) -> InputPathError:
    return InputPathError(
        f"{given.source} changed since it was checked; nothing was submitted; start again"
    )


# ------------------------------------------------------------------ down


@dataclass(frozen=True)
class DownloadedFile:
    path: Path
    sha256: str
    size_bytes: int


def downloaded(
    url: str,
    target: Path,
    session: Session,
    *,
    trouble_of: Callable[[Path], str | None] | None = None,
    limit_bytes: int | None = None,
    overwrite: bool = False,
) -> DownloadedFile:
    """Download an address to `target`, which appears whole, as media, or not at all. No key goes
    along.

    A file counts when its length is the one that was announced, its type is one of media, and
    `trouble_of` finds nothing. Where there is a `trouble_of`, content that does not count is kept
    under another name, because it may be all that there is of something paid for.

    trouble_of: why a file's content is not what it should be; None where it is.
    limit_bytes: what is larger is refused while it arrives.
    overwrite: whether a file with other content may be replaced.

    Raises:
        DownloadFailed: not there, not whole, not media, too large, in the way of a file, or no
            room for it.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(target) as scratch:
            for _ in session.tries():
                attempt = _attempt(scratch, url, limit_bytes, session)
                trouble = attempt.trouble
                if trouble is None and trouble_of is not None:
                    trouble = trouble_of(scratch)
                if trouble is None:
                    _must_be_free(target, attempt.sha256, overwrite=overwrite)
                    return DownloadedFile(target, attempt.sha256, attempt.size_bytes)
                if attempt.is_final:
                    break
            failed = f"{shown_url(url)} cannot be downloaded ({trouble}); try again later"
            if trouble_of is not None and attempt.is_something:
                aside = keep_aside(scratch, target, attempt.sha256)
                failed += f"; what came instead is kept as {aside}"
            raise DownloadFailed(failed)
    except InputPathError as exc:  # a folder in its place
        raise DownloadFailed(str(exc)) from exc
    except OSError as exc:
        raise DownloadFailed(
            f"{target} cannot be written ({exc.strerror}); make room or choose another folder"
        ) from exc


class HashingWriter:
    """A file being downloaded, hashed on the way. Raises DownloadFailed beyond `limit_bytes`."""

    def __init__(self, url: str, file: IO[bytes], limit_bytes: int | None) -> None:
        self._url, self._file, self._limit_bytes = url, file, limit_bytes
        self._digest = hashlib.sha256()
        self.size_bytes = 0

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
        """Hands all bytes on to the system; returns their sha256."""
        self._file.flush()
        return self._digest.hexdigest()


@dataclass(frozen=True)
class _Attempt:
    """What one attempt at a download brought."""

    outcome: Outcome
    sha256: str
    size_bytes: int

    @property
    def is_something(self) -> bool:
        """Whether content came with a 200."""
        is_200 = isinstance(self.outcome, HttpResponse) and self.outcome.status == 200
        return is_200 and self.size_bytes > 0

    @property
    def is_final(self) -> bool:
        """Whether another attempt is of no use. A 200 with the wrong content may be followed by
        the right one."""
        if isinstance(self.outcome, NoResponse):
            return False
        status = self.outcome.status
        return not (status in LATER or status >= 500 or status == 200)

    @property
    def trouble(self) -> str | None:
        """Why this is not a whole file of media, by status, length and type."""
        if isinstance(self.outcome, NoResponse):
            return self.outcome.reason
        if self.outcome.status != 200:
            return f"HTTP {self.outcome.status}"
        if not self.size_bytes:
            return "an empty file"
        headers = self.outcome.headers
        told = headers.get("content-length", "")
        # With an encoding it is the length of the packed content.
        is_packed = headers.get("content-encoding", "identity") != "identity"
        is_told = told.isascii() and told.isdigit() and not is_packed
        if is_told and int(told) != self.size_bytes:
            return f"{self.size_bytes} bytes came of {told} that were announced"
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind.partition("/")[0] in _MEDIA or kind in _UNTOLD:
            return None
        return f"the server calls it {one_line(kind, 60)}, which is no media"


def _attempt(scratch: Path, url: str, limit_bytes: int | None, session: Session) -> _Attempt:
    with scratch.open("wb") as file:
        writer = HashingWriter(url, file, limit_bytes)
        outcome = _followed(url, writer, session)
        return _Attempt(outcome, writer.finished(), writer.size_bytes)


def _followed(url: str, writer: HashingWriter, session: Session) -> Outcome:
    """The response behind redirects. Only downloads follow them, because no key goes along."""
    for _ in range(int(session.limit("redirects_max")) + 1):
        outcome = session.send(
            HttpRequest(
                "GET",
                url,
                headers={"Accept": "*/*", "Accept-Encoding": "identity"},
                into=writer,
                within_s=session.limit("transfer"),
            )
        )
        if isinstance(outcome, NoResponse) or outcome.status not in _REDIRECTS:
            return outcome
        try:
            url = urljoin(url, outcome.headers.get("location", ""))
        except ValueError:  # it leads nowhere; the status tells that it was a redirect
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
    """Rename a file that does not belong at `target`; returns its new path.

    The name follows from the content, so the same content is kept once, and no other is replaced.
    """
    aside = target.with_name(f"{target.name}.unusable-{sha256[:8]}")
    path.replace(aside)
    return aside


def not_a_clip(path: Path) -> str | None:
    """Why a file is not a clip: its first frame does not decode. None where it does."""
    from wan_prep.media.probe import probe_video

    try:
        probe_video(path)
    except MediaUnreadable as exc:
        # A missing decoder says nothing about the file.
        return None if exc.kind == "unsupported" else str(exc)
    return None
