"""Local files to addresses: by upload ticket, else by form; once per content until it expires."""

from __future__ import annotations

from dataclasses import replace

from wan_prep.errors import (
    InputPathError,
    Rejected,
    ReplyInvalid,
    ServiceUnreachable,
    UploadFailed,
)
from wan_prep.submission.flows import Context, asked
from wan_prep.submission.intent import Input
from wan_prep.submission.schema import UploadDone, UploadTicket, data_of, opened
from wan_prep.submission.wire import Answer, Exchange, FileBody, Flow, ask

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
_USUAL = {"image": ".png", "video": ".mp4"}

# The ticket call does not exist there; the form may.
_NO_TICKETS = frozenset({404, 405, 410, 501})


def address_of(given: Input, context: Context) -> Flow[str]:
    """The URL under which the service finds an input; uploads it unless that was done already.

    Raises:
        UploadFailed, Rejected, RateLimited: it is not there.
        InputPathError: the file is no longer what was checked.
    """
    if given.path is None or given.sha256 is None:
        return given.source
    base_url = context.connection.base_url
    reused_s = context.limit("upload_reused")
    kept = context.journal.upload_url(given.sha256, base_url, reused_s=reused_s)
    if kept is not None:
        return kept
    try:
        url = yield from _by_ticket(given, context)
        if url is None:
            url = yield from _by_form(given, context)
    except OSError as exc:
        raise InputPathError(f"{given.source}: cannot be read any more ({exc.strerror})") from exc
    context.journal.keep_upload(given.sha256, base_url, url, reused_s=reused_s)
    return url


def _by_ticket(given: Input, context: Context) -> Flow[str | None]:
    """None where no ticket brought the file there: the form is left to try."""
    attempts = int(context.limit("attempts"))
    for attempt in range(attempts):
        file = _file(given)
        try:
            ticket = yield from _ticket(file, context)
        except (ReplyInvalid, ServiceUnreachable):
            return None
        except Rejected as exc:
            if exc.status in _NO_TICKETS:
                return None
            raise
        # A ticket is for one attempt; its address is signed, so the key stays here.
        put = Exchange(
            "PUT",
            ticket.upload.url,
            headers=ticket.upload.headers,
            file=file,
            within_s=context.limit("transfer"),
        )
        outcome = yield from ask(put)
        if isinstance(outcome, Answer) and 200 <= outcome.status < 300:
            _must_be_the_same(given, outcome)
            return ticket.download_url
        if attempt < attempts - 1:
            yield context.pause(attempt)
    return None


def _ticket(file: FileBody, context: Context) -> Flow[UploadTicket]:
    wanted = {
        "filename": file.name,
        "size": file.size_bytes,
        "content_type": file.content_type,
    }
    path = context.figures.paths.upload
    answer = yield from asked(context.api("POST", path, json=wanted), context)
    return data_of(opened(answer.content), UploadTicket)


def _by_form(given: Input, context: Context) -> Flow[str]:
    form = replace(
        context.api("POST", context.figures.paths.upload_form),
        file=_file(given, form_name="file"),
        within_s=context.limit("transfer"),
    )
    try:
        answer = yield from asked(form, context)
        done = data_of(opened(answer.content), UploadDone)
    except (ReplyInvalid, ServiceUnreachable) as exc:
        raise UploadFailed(
            f"the {given.kind} could not be uploaded ({exc}); nothing was submitted; try again"
        ) from exc
    _must_be_the_same(given, answer)
    return done.download_url


def _file(given: Input, form_name: str | None = None) -> FileBody:
    """A neutral name goes along: one's own file names are nobody's business."""
    assert given.path is not None
    suffix = given.path.suffix.lower()
    if suffix not in _CONTENT_TYPES:
        suffix = _USUAL[given.kind]
    size_bytes = given.path.stat().st_size
    if size_bytes != given.size_bytes:
        raise _changed(given)
    name = f"{given.kind}{suffix}"
    return FileBody(given.path, size_bytes, name, _CONTENT_TYPES[suffix], form_name)


def _must_be_the_same(given: Input, answer: Answer) -> None:
    if answer.sent_sha256 != given.sha256:
        raise _changed(given)


def _changed(given: Input) -> InputPathError:
    return InputPathError(
        f"{given.source} changed since it was checked; nothing was submitted; start again"
    )
