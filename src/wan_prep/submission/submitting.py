"""From an intent to jobs: uploads, the journal's entry, one POST, the service's id."""

from __future__ import annotations

from contextlib import suppress

from wan_prep.errors import (
    JournalError,
    PartlySubmitted,
    ServiceUnreachable,
    SubmissionError,
    SubmissionUnknown,
)
from wan_prep.submission.decisions import Accepted, NotSent, PostStep, Refused, after_post
from wan_prep.submission.flows import Context
from wan_prep.submission.intent import Input, Intent, must_be_allowed
from wan_prep.submission.jobs import Job, JobInput
from wan_prep.submission.journal import Journal, new_id
from wan_prep.submission.schema import AnimateRequest, Parameters
from wan_prep.submission.uploads import address_of
from wan_prep.submission.waiting import refreshed
from wan_prep.submission.wire import Flow, ask


def submission(
    intent: Intent, context: Context, *, upload: bool, resubmit: bool
) -> Flow[tuple[Job, ...]]:
    """Submit every wanted variation, each once.

    Raises:
        UploadNotAllowed, AlreadySubmitted: nothing was sent.
        UploadFailed, ServiceUnreachable, Rejected, RateLimited: nothing was accepted.
        SubmissionUnknown: it may have been accepted.
        PartlySubmitted: some variations were accepted before one of the above happened.
    """
    must_be_allowed((intent.image, intent.video), upload=upload)
    batch = new_id()
    if not resubmit:
        for draft in _drafts(intent, context, batch=batch):
            context.journal.refuse_repetition(draft)
    image_url = yield from address_of(intent.image, context)
    video_url = yield from address_of(intent.video, context)
    jobs: list[Job] = []
    for parameters in intent.variations():
        draft = _draft(intent, parameters, context, batch, image_url, video_url)
        try:
            jobs.append((yield from _submitted(draft, parameters, context, resubmit=resubmit)))
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


def earlier_jobs(intent: Intent, context: Context) -> Flow[tuple[Job, ...]]:
    """Open or unknown jobs for the same work, each looked up: what became of them."""
    found = {
        job.id: job
        for draft in _drafts(intent, context, batch="")
        for job in context.journal.earlier(draft)
    }
    looked_up = []
    for job in found.values():
        looked_up.append((yield from refreshed(job, context)))
    return tuple(looked_up)


def _drafts(intent: Intent, context: Context, *, batch: str) -> tuple[Job, ...]:
    """The entries an intent would make, with placeholders for files that are not uploaded."""
    urls = intent.image.placeholder, intent.video.placeholder
    return tuple(
        _draft(intent, parameters, context, batch, *urls) for parameters in intent.variations()
    )


def _draft(
    intent: Intent,
    parameters: Parameters,
    context: Context,
    batch: str,
    image_url: str,
    video_url: str,
) -> Job:
    now = context.clock.now()
    return Job(
        id=new_id(),
        batch=batch,
        state="submitting",
        base_url=context.connection.base_url,
        model=intent.model,
        image=_as_job_input(intent.image, image_url),
        video=_as_job_input(intent.video, video_url),
        mode=parameters.mode,
        resolution=parameters.resolution,
        prompt=parameters.prompt,
        seed=parameters.seed,
        cost=intent.job_cost(),
        created_at=now,
        updated_at=now,
    )


def _as_job_input(given: Input, url: str) -> JobInput:
    return JobInput(source=given.source, url=url, sha256=given.sha256)


def _submitted(
    draft: Job, parameters: Parameters, context: Context, *, resubmit: bool
) -> Flow[Job]:
    """Journal first; then the POST; then whatever became of it into the journal at once."""
    request = AnimateRequest(
        image=draft.image.url, video=draft.video.url, **parameters.model_dump()
    )
    journal = context.journal
    job = journal.claim(draft, resubmit=resubmit)
    try:
        step = yield from _posted(request, job.model, context)
    except BaseException:
        # Ctrl-C, or a fault of ours, while the POST may be on its way. Should the journal fail as
        # well, "submitting" is on disk and means the same.
        with suppress(JournalError):
            journal.answered(job, "unknown", error="interrupted while it was sent")
        raise
    error = _error(step, job)
    try:
        noted = _noted(job, step, journal)
    except JournalError as exc:
        if isinstance(step, Accepted):
            raise SubmissionUnknown(
                f"the service accepted this as {step.service_id}, but the journal could not note "
                f"it ({exc}); do not submit again: mend that, then `wan-prep jobs --reconcile`",
                job_id=job.id,
            ) from exc
        assert error is not None
        error.args = (f"{error}; and the journal could not note that for {job.id} ({exc})",)
        raise error from exc
    if error is not None:
        raise error
    return noted


def _noted(job: Job, step: PostStep, journal: Journal) -> Job:
    if isinstance(step, Accepted):
        return journal.answered(job, "submitted", service_id=step.service_id, status=step.status)
    if isinstance(step, Refused):
        return journal.answered(job, "rejected", error=str(step.error))
    if isinstance(step, NotSent):
        return journal.answered(job, "not_sent", error=step.reason)
    return journal.answered(job, "unknown", service_id=step.service_id, error=step.reason)


def _error(step: PostStep, job: Job) -> SubmissionError | None:
    """What the user is told where the POST was not clearly accepted."""
    if isinstance(step, Accepted):
        return None
    if isinstance(step, Refused):
        return step.error
    if isinstance(step, NotSent):
        return ServiceUnreachable(
            f"the service cannot be reached ({step.reason}); nothing was sent; check the network "
            "and WAVESPEED_BASE_URL, then submit again"
        )
    named = "" if step.service_id is None else f", but names it {step.service_id}"
    return SubmissionUnknown(
        f"it is not known whether the service accepted this ({step.reason}{named}); do not submit "
        f"again: `wan-prep wait {job.id}` looks it up and waits for it, `wan-prep jobs "
        "--reconcile` looks it up",
        job_id=job.id,
    )


def _posted(request: AnimateRequest, model: str, context: Context) -> Flow[PostStep]:
    """One POST. It is repeated only where no byte of it has left this machine."""
    path = context.figures.paths.submit.format(model=model)
    attempts = int(context.limit("attempts"))
    attempt = 0
    while True:
        outcome = yield from ask(context.api("POST", path, json=request.body()))
        step = after_post(outcome, context.clock.now())
        attempt += 1
        if not isinstance(step, NotSent) or attempt == attempts:
            return step
        yield context.pause(attempt - 1)
