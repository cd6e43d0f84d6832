"""The client: submits an intent, waits for its outputs, looks unclear submissions up.

Every step that costs money is in the journal before it is taken, and every answer right after it
came.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from wan_prep.addresses import suffix_of
from wan_prep.errors import (
    JournalError,
    NoOutputs,
    PartlySubmitted,
    ServiceUnreachable,
    SubmissionError,
    SubmissionUnknown,
    WaitEnded,
)
from wan_prep.media.files import sha256_of
from wan_prep.profile import Profile, default_profile
from wan_prep.submission.decisions import (
    Accepted,
    Ended,
    GiveUp,
    NotSent,
    PollDecision,
    PostDecision,
    Refused,
    RetryLater,
    Running,
    Unclear,
    after_post,
)
from wan_prep.submission.environment import Connection
from wan_prep.submission.intent import Intent, must_be_allowed
from wan_prep.submission.jobs import (
    ENDED,
    Job,
    JobOutput,
    Prediction,
    State,
    new_id,
)
from wan_prep.submission.journal import Journal
from wan_prep.submission.lookup import Lookup, Reconciliation
from wan_prep.submission.schema import AnimateRequest, Parameters
from wan_prep.submission.session import Session, TimeSource
from wan_prep.submission.transfer import (
    downloaded,
    keep_aside,
    not_a_clip,
    uploaded,
)
from wan_prep.writing import refuse_replacing


@dataclass(frozen=True)
class WaitProgress:
    """One look at a job while waiting."""

    job: Job
    elapsed_s: float
    """Since the submission."""
    note: str
    """The service's status, or why it could not be had this time."""


class Client:
    """Submits, waits, looks up. Any number of threads may use one client at once.

    http: the httpx transport to send over; None for a plain one.
    time: clock, sleep and chance; None for the real ones.
    """

    def __init__(
        self,
        connection: Connection,
        journal: Journal,
        *,
        profile: Profile | None = None,
        http: httpx.BaseTransport | None = None,
        time: TimeSource | None = None,
    ) -> None:
        config = (profile or default_profile()).submission
        self._journal = journal
        self._session = Session(config, connection=connection, http=http, time=time)
        self._time, self._base_url = self._session.time, self._session.base_url
        self._lookup = Lookup(self._session, journal)

    @classmethod
    def from_environment(cls, profile: Profile | None = None) -> Self:
        """A client with key, host and journal as the environment says.

        Raises:
            ApiKeyError: no key. SubmissionError: no usable host.
        """
        return cls(Connection.from_environment(), Journal.at_home(), profile=profile)

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _exc: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -------------------------------------------------------------- submit

    def submit(
        self,
        intent: Intent,
        *,
        upload: bool = False,
        resubmit: bool = False,
        judgement: str | None = None,
    ) -> tuple[Job, ...]:
        """Submit every wanted variation of an intent, each exactly once.

        upload: whether local files may leave this machine.
        resubmit: pay for the same work a second time.
        judgement: how the pair was judged; the journal keeps it with each job.

        Raises:
            UploadNotAllowed, AlreadySubmitted: nothing was sent.
            UploadFailed, ServiceUnreachable, Rejected, RateLimited: nothing was accepted.
            SubmissionUnknown: it may have been accepted.
            PartlySubmitted: some variations were accepted before one of the above happened.
        """
        must_be_allowed((intent.image, intent.video), upload=upload)
        batch = new_id()
        if not resubmit:
            for entry in self._entries(intent, batch=batch):
                self._journal.refuse_repetition(entry)
        image_url = uploaded(intent.image, self._session, self._journal)
        video_url = uploaded(intent.video, self._session, self._journal)
        jobs: list[Job] = []
        for parameters in intent.variations():
            entry = intent.entry(
                parameters,
                base_url=self._base_url,
                now=self._time.now(),
                batch=batch,
                image_url=image_url,
                video_url=video_url,
            )
            try:
                jobs.append(self._submit_one(entry, parameters, resubmit, judgement))
            except SubmissionError as exc:
                if not jobs:
                    raise
                ids = tuple(job.id for job in jobs)
                raise PartlySubmitted(
                    f"{len(jobs)} of {intent.count} variations were submitted ({', '.join(ids)}), "
                    f"then: {exc}",
                    job_ids=ids,
                ) from exc
        return tuple(jobs)

    def earlier(self, intent: Intent) -> tuple[Job, ...]:
        """Open or unknown jobs for the same work, each after one look at what became of it."""
        found = {
            job.id: job for entry in self._entries(intent) for job in self._journal.earlier(entry)
        }
        return tuple(self._lookup.refreshed(job) for job in found.values())

    def _entries(self, intent: Intent, *, batch: str = "") -> list[Job]:
        """What the journal would hold of an intent, before its files are uploaded."""
        return [
            intent.entry(parameters, base_url=self._base_url, now=self._time.now(), batch=batch)
            for parameters in intent.variations()
        ]

    def _submit_one(
        self, entry: Job, parameters: Parameters, resubmit: bool, judgement: str | None
    ) -> Job:
        """The entry into the journal, the POST, and what came of it into the journal at once."""
        request = AnimateRequest(
            image=entry.image.url, video=entry.video.url, **parameters.model_dump()
        )
        job = self._journal.claim(entry, resubmit=resubmit, judgement=judgement)
        try:
            decision = self._post(request, job.model)
        except BaseException:
            # Ctrl-C, or a fault of ours, while the POST may be on its way. Should the journal fail
            # as well, "submitting" is on disk and means the same.
            with suppress(JournalError):
                self._journal.doubt(job, "interrupted while it was sent")
            raise
        if isinstance(decision, Accepted):
            return self._accepted(job, decision)
        if isinstance(decision, Refused):
            error: SubmissionError = decision.error
            raise self._refused(error, job, state="rejected", reason=str(error))
        if isinstance(decision, NotSent):
            error = ServiceUnreachable(
                f"the service cannot be reached ({decision.reason}); nothing was sent; check the "
                "network and WAVESPEED_BASE_URL, then submit again"
            )
            raise self._refused(error, job, state="not_sent", reason=decision.reason)
        raise self._in_doubt(job, decision)

    def _post(self, request: AnimateRequest, model: str) -> PostDecision:
        """Send the paid request once; again only while no byte of it has left this machine."""
        path = self._session.config.paths.submit.format(model=model)
        decision: PostDecision
        for _ in self._session.tries():
            outcome = self._session.send(
                self._session.api_request("POST", path, json=request.body())
            )
            decision = after_post(outcome, self._time.now())
            if not isinstance(decision, NotSent):
                break
        return decision

    def _accepted(self, job: Job, decision: Accepted) -> Job:
        try:
            return self._journal.settle(
                job, state="submitted", service_id=decision.service_id, status=decision.status
            )
        except JournalError as exc:
            raise SubmissionUnknown(
                f"the service accepted this as {decision.service_id}, but the journal could not "
                f"note it ({exc}); do not submit again: mend that, then `wan-prep jobs "
                "--reconcile`",
                job_id=job.id,
            ) from exc

    def _refused(
        self, error: SubmissionError, job: Job, *, state: State, reason: str
    ) -> SubmissionError:
        """The error to raise once a clear no is in the journal, with what else must be known."""
        try:
            note = self._journal.settle(job, state=state, error=reason).note
        except JournalError as exc:
            error.__cause__ = exc
            note = (
                f"the journal could not note that ({exc}), so {job.id} still counts as perhaps "
                "sent: mend that, then submit with --resubmit"
            )
        if note is not None:
            error.args = (f"{error}; {note}",)
        return error

    def _in_doubt(self, job: Job, decision: Unclear) -> SubmissionUnknown:
        """The error to raise once the doubt is in the journal, with the service's id if known."""
        reason = decision.reason
        if decision.service_id is not None:
            reason += f"; it may be the service's task {decision.service_id}"
        cause = None
        try:
            if decision.service_id is None:
                self._journal.doubt(job, decision.reason)
            else:
                self._journal.settle(
                    job, state="unknown", service_id=decision.service_id, error=decision.reason
                )
        except JournalError as exc:
            cause = exc
            reason += f"; the journal could not note that: {exc}"
        unknown = SubmissionUnknown(
            f"it is not known whether the service accepted this ({reason}); do not submit again: "
            f"`wan-prep wait {job.id}` looks it up and waits for it, `wan-prep jobs --reconcile` "
            "looks it up",
            job_id=job.id,
        )
        unknown.__cause__ = cause
        return unknown

    def reconcile(self) -> tuple[Reconciliation, ...]:
        """Look every unclear submission of this service up in its history.

        Raises:
            Rejected, RateLimited, ServiceUnreachable, ReplyInvalid: the history could not be read.
        """
        return self._lookup.all_reconciled()

    # -------------------------------------------------------------- wait

    def wait(
        self,
        name: str,
        *,
        folder: Path,
        timeout_s: float | None = None,
        overwrite: bool = False,
        progress: Callable[[WaitProgress], None] | None = None,
    ) -> Prediction:
        """Wait for a job's end and have its outputs in `folder`; what is there already is kept.

        name: a local or a service's id.
        timeout_s: the longest wait in s; None for the profile's.
        overwrite: whether an output may replace another file of its name.
        progress: called after each look at the job.

        Raises:
            SubmissionError: a time to wait that cannot be. JobNotFound: not in the journal.
            SubmissionUnknown: it cannot be found at the service.
            WaitEnded: the task goes on. NoOutputs, DownloadFailed: completed, but nothing is here.
            InputPathError: an output would take the place of one of the job's own inputs.
        """
        if timeout_s is not None and not 0 <= timeout_s < math.inf:
            raise SubmissionError(f"timeout is {timeout_s:g}; expected 0 or more seconds to wait")
        job = self._journal.job(name)
        if job.base_url != self._base_url:
            raise SubmissionError(
                f"{job.id} was submitted to {job.base_url}, not to {self._base_url}; "
                "set WAVESPEED_BASE_URL to the former"
            )
        limit_s = self._session.limit("wait") if timeout_s is None else timeout_s
        deadline = self._time.monotonic() + limit_s
        while True:
            if job.state not in ENDED or (job.state == "completed" and not job.outputs):
                job = self._polled(job, deadline, progress)
            if job.state == "completed" and not job.outputs:
                raise NoOutputs(
                    f"{job.id}: the service calls {job.service_id} completed but names no output; "
                    f"`wan-prep wait {job.id}` asks again; if it stays so, ask the service's "
                    "support"
                )
            service_id = job.service_id
            for position, place in enumerate(_places(job, folder)):
                job = self._downloaded(job, position, place, overwrite=overwrite)
                if job.service_id != service_id:
                    break
            if job.service_id == service_id:
                return Prediction.of(job)
            # Meanwhile another process noted that the job is another task: wait for that one.

    def unfinished(self) -> tuple[Job, ...]:
        """What a wait for everything waits for, oldest first: the jobs of this service that are
        not older than it keeps results."""
        return tuple(job for job in self._all_unfinished() if not self._lookup.is_overdue(job))

    def overdue(self) -> tuple[Job, ...]:
        """What a wait for everything leaves out: jobs that the service keeps no longer by this
        machine's clock. The clock may be wrong, so they do not count as ended."""
        return tuple(job for job in self._all_unfinished() if self._lookup.is_overdue(job))

    def _all_unfinished(self) -> list[Job]:
        jobs = self._journal.jobs()
        return [job for job in jobs if job.is_unfinished and job.base_url == self._base_url]

    def _polled(
        self, job: Job, deadline: float, progress: Callable[[WaitProgress], None] | None
    ) -> Job:
        """The job once it has ended; every change is in the journal before anything else happens.

        deadline: on the monotonic clock, in s.
        """
        round_ = 0
        while True:
            job, service_id = self._lookup.identified(job)
            decision = self._lookup.look(job, service_id)
            job = self._lookup.noted(job, decision)
            if job.service_id != service_id:  # that was about a task which is not the job's
                continue
            note, age_s = _note(decision), self._lookup.age_s(job)
            if progress is not None:
                progress(WaitProgress(job, age_s, note))
            if isinstance(decision, Ended):
                return job
            left_s = deadline - self._time.monotonic()
            asked_s = decision.retry_after_s if isinstance(decision, RetryLater) else None
            is_too_late = left_s <= 0 or (asked_s is not None and asked_s > left_s)
            if isinstance(decision, GiveUp) or is_too_late:
                raise WaitEnded(
                    f"{job.id} ({service_id} at the service) is not known to have ended after "
                    f"{age_s:.0f} s: {note}; `wan-prep wait {job.id}` waits again, do not submit "
                    "again",
                    job_id=job.id,
                    service_id=service_id,
                ) from (decision.error if isinstance(decision, GiveUp) else None)
            pause_s = max(self._session.pause_s(round_), asked_s or 0.0)
            self._time.sleep(min(left_s, pause_s))
            round_ += 1

    def _downloaded(self, job: Job, position: int, target: Path, *, overwrite: bool) -> Job:
        """The entry once its output number `position` is at `target`."""
        output = job.outputs[position]
        if _is_as_noted(output, target):
            if not_a_clip(target) is None:
                return job
            # Earlier versions kept whatever came. The file is ours to move, and its name is needed.
            aside = keep_aside(target, target, str(output.sha256))
            self._journal.change(
                job.id,
                only_if=lambda entry: entry.service_id == job.service_id,
                note=f"what was taken for the output is no clip and is kept as {aside}",
            )
        kept = downloaded(
            output.url, target, self._session, trouble_of=not_a_clip, overwrite=overwrite
        )
        found = output.model_copy(update={"path": str(kept.path), "sha256": kept.sha256})
        return self._journal.keep_output(job.id, position, found)


def _note(decision: PollDecision) -> str:
    if isinstance(decision, Running):
        return decision.status
    if isinstance(decision, Ended):
        return decision.task.status
    return decision.reason if isinstance(decision, RetryLater) else str(decision.error)


def _places(job: Job, folder: Path) -> tuple[Path, ...]:
    """Where each output goes. Raises InputPathError: that is one of the job's own inputs."""
    places = tuple(
        folder.absolute() / f"{job.id}-{position}{suffix_of(output.url, '.mp4')}"
        for position, output in enumerate(job.outputs, 1)
    )
    # Entries of earlier versions have the path as it was given only.
    sources = [one.path or one.source for one in (job.image, job.video)]
    for place in places:
        refuse_replacing(place, sources)
    return places


def _is_as_noted(output: JobOutput, target: Path) -> bool:
    return output.path == str(target) and target.is_file() and sha256_of(target) == output.sha256
