"""Every error this library raises on purpose.

::

    WanPrepError
    ├── InputPathError      the path itself: missing, a directory, not a regular file, no permission
    │   ├── FetchFailed     an address could not be fetched: not there, not allowed, cut, too large
    │   └── FetchRefused    an address that is not fetched: its protocol, its host, its redirect
    ├── MediaUnreadable     the path is fine, its content is not: empty, garbage, cut, over a limit
    ├── ProfileError        a profile or settings file that does not say what it must
    ├── PoseModelError      the pose model is missing, not a bundle, or refused by its runtime
    ├── DependencyMissing   a package, or a system library that a package links, is not there
    ├── CacheError          the cache of evidence cannot be used: make room, mend it, do without
    ├── EvidenceMissing     a report was asked for what only its evidence knows
    ├── SourceChanged       a file is no longer the one that it was, or changes while it is read
    ├── OutputExists        a file that would be written is there already
    ├── RowInvalid          a row of a table of pairs that names no pair
    ├── ManifestError       a table of pairs, or a file of results, that cannot be used
    ├── WorkerDied          a process that worked on a file crashed, or was killed
    ├── TimeLimitReached    a file or a pair took longer than it may
    ├── NormalizeFailed     a file could not be written, or what was written is not what was planned
    └── SubmissionError     something about a paid submission; nothing else is known of it
        ├── ApiKeyError         no key, or one that cannot be a key: set WAVESPEED_API_KEY
        ├── UploadNotAllowed    a local file would leave the machine: allow it, or give a URL
        ├── GateRefused         the pair is not worth paying for, or over a limit: fix it (1)
        │   └── CostTooHigh     it may cost more than was allowed (1)
        ├── UploadFailed        a file did not reach the service; nothing was submitted
        ├── ServiceUnreachable  no byte left the machine, or no answer to a harmless question
        ├── Rejected            the service said no; nothing is billed
        ├── RateLimited         the service said later; nothing is billed
        ├── AlreadySubmitted    the same work is open: wait for that one (3)
        ├── SubmissionUnknown   it may have been accepted: wait or reconcile, do not repeat (3)
        ├── PartlySubmitted     some of the wanted variations run, the rest was refused (3)
        ├── WaitEnded           the task goes on, the waiting does not: wait again (3)
        ├── Interrupted         Ctrl-C at the command line, beside a task that may go on (130)
        ├── JobNotFound         the journal knows no such job
        ├── NoOutputs           the service calls a task completed and names no output
        ├── DownloadFailed      a file could not be fetched or kept: try again
        ├── ReplyInvalid        an answer that is not what the service documents
        └── JournalError        the journal cannot be read or written: make room, mend it

A command ends with the error's `exit_code`: 2 (the tool could not do its job) unless the tree says
(1), a refusal, (3), submitted or possibly submitted, or (130), interrupted. `MediaUnreadable` never
leaves the library through `check` or `observe`: it becomes a finding about the file (exit code 1).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from wan_prep.fragments import printable

UnreadableKind = Literal[
    "empty",  # zero bytes
    "not_media",  # no decoder recognises the content
    "wrong_kind",  # a still where a video is expected, a video where an image is expected
    "no_video_stream",  # a media file without moving pictures, audio only
    "no_frames",  # a video stream of which not one frame decodes
    "truncated",  # cut so that nothing can be used
    "corrupt",  # recognised, but its content cannot be decoded
    "too_large",  # over the limit of pixels, refused before allocation
    "unsupported",  # recognised, but no decoder is installed for it
    "crashed",  # the process that looked at it ended
    "too_slow",  # looking at it took longer than it may
]


class WanPrepError(Exception):
    """Base of all errors of this library.

    Its message is one printable line, whatever the names of files in it hold: it can be logged and
    shown as it is.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class InputPathError(WanPrepError):
    """The path cannot be opened as a regular file."""


class FetchFailed(InputPathError):
    """A file given by its address could not be fetched."""


class FetchRefused(InputPathError):
    """An address that is not fetched, or not without being asked for."""


class MediaUnreadable(WanPrepError):
    """The file is there, but no picture can be had from it; `kind` says why."""

    def __init__(self, kind: UnreadableKind, message: str) -> None:
        super().__init__(message)
        self.kind: UnreadableKind = kind


class ProfileError(WanPrepError):
    """A profile or settings file is not valid."""


class PoseModelError(WanPrepError):
    """The pose model cannot be loaded."""


class DependencyMissing(WanPrepError):
    """Something that must be installed is not."""


class CacheError(WanPrepError):
    """The cache of evidence cannot be used. Looking at files goes on without it, with a warning;
    only what looks after the cache itself raises this."""


class EvidenceMissing(WanPrepError):
    """The report carries no evidence; `observe` both files again, or load a saved report."""


class SourceChanged(WanPrepError):
    """The source of a plan is not the file it was, or a file was written while it was read; try
    again."""


class OutputExists(WanPrepError):
    """Something stands where a file is to be written, and nothing is overwritten unasked."""


class RowInvalid(WanPrepError):
    """A row of a table that names no pair, or holds what cannot be."""


class ManifestError(WanPrepError):
    """A table of pairs cannot be read, or the results beside it are those of another one."""


class WorkerDied(WanPrepError):
    """The process that worked on something ended without an answer; nothing else is known of it."""


class TimeLimitReached(WanPrepError):
    """Something took longer than was allowed, and was given up."""


class NormalizeFailed(WanPrepError):
    """A planned file could not be written, or did not come out as planned; nothing was kept."""


class SubmissionError(WanPrepError):
    """Base of what can go wrong around a paid submission."""


class ApiKeyError(SubmissionError):
    """WAVESPEED_API_KEY is not set, or holds what cannot be a key."""


class UploadNotAllowed(SubmissionError):
    """Local files go up only when asked: `upload=True`, `--upload`."""


class GateRefused(SubmissionError):
    """The pair should not be paid for as it is."""

    exit_code = 1


class CostTooHigh(GateRefused):
    """The high estimate is above the limit, or there is a limit and no estimate."""


class UploadFailed(SubmissionError):
    """A file did not reach the service in any of the attempts; nothing was submitted."""


class ServiceUnreachable(SubmissionError):
    """The service gave no answer, and nothing that costs money can have reached it."""


class Rejected(SubmissionError):
    """The service refused (4xx); `status` is its code."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class RateLimited(SubmissionError):
    """The service wants fewer requests (429); `retry_after_s` is its own word, if it gave one."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AlreadySubmitted(SubmissionError):
    """The journal holds an open or unknown entry for the same work; `job_id` names it."""

    exit_code = 3

    def __init__(self, message: str, *, job_id: str) -> None:
        super().__init__(message)
        self.job_id = job_id


class SubmissionUnknown(SubmissionError):
    """It may have been accepted and billed; `job_id` names the journal's entry."""

    exit_code = 3

    def __init__(self, message: str, *, job_id: str) -> None:
        super().__init__(message)
        self.job_id = job_id


class PartlySubmitted(SubmissionError):
    """`job_ids` were accepted before another variation was refused (`__cause__`)."""

    exit_code = 3

    def __init__(self, message: str, *, job_ids: tuple[str, ...]) -> None:
        super().__init__(message)
        self.job_ids = job_ids


class WaitEnded(SubmissionError):
    """Waiting stopped before the task did; `job_id` resumes it, `service_id` is its name there."""

    exit_code = 3

    def __init__(self, message: str, *, job_id: str, service_id: str) -> None:
        super().__init__(message)
        self.job_id, self.service_id = job_id, service_id


class Interrupted(SubmissionError):
    """The user stopped the command; the message says what goes on without it."""

    exit_code = 130


class JobNotFound(SubmissionError):
    """The journal has no entry of this name."""


class NoOutputs(SubmissionError):
    """Completed, billed, and nothing to download."""


class DownloadFailed(SubmissionError):
    """A file could not be fetched, or not be written."""


class ReplyInvalid(SubmissionError):
    """An answer that does not hold what the service documents."""


class JournalError(SubmissionError):
    """The journal cannot be read or written."""
