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
from wan_prep.submission.decisions import (
    Accepted,
    NotSent,
    PostStep,
    Refused,
    Unclear,
    after_post,
)
from wan_prep.submission.flows import Context
from wan_prep.submission.intent import Input, Intent, must_be_allowed
from wan_prep.submission.jobs import Job, JobInput, State
from wan_prep.submission.journal import new_id
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
    path = None if given.path is None else str(given.path.absolute())
    return JobInput(source=given.source, url=url, sha256=given.sha256, path=path)


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
            journal.doubt(job, "interrupted while it was sent")
        raise
    if isinstance(step, Accepted):
        return _accepted(job, step, context)
    if isinstance(step, Refused):
        raise _noted(step.error, job, context, state="rejected", error=str(step.error))
    if isinstance(step, NotSent):
        unreachable = ServiceUnreachable(
            f"the service cannot be reached ({step.reason}); nothing was sent; check the network "
            "and WAVESPEED_BASE_URL, then submit again"
        )
        raise _noted(unreachable, job, context, state="not_sent", error=step.reason)
    raise _in_doubt(job, step, context)


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


def _accepted(job: Job, step: Accepted, context: Context) -> Job:
    try:
        return context.journal.settle(
            job, state="submitted", service_id=step.service_id, status=step.status
        )
    except JournalError as exc:
        raise SubmissionUnknown(
            f"the service accepted this as {step.service_id}, but the journal could not note it "
            f"({exc}); do not submit again: mend that, then `wan-prep jobs --reconcile`",
            job_id=job.id,
        ) from exc


def _noted(
    refusal: SubmissionError, job: Job, context: Context, *, state: State, error: str
) -> SubmissionError:
    """A clear no, once it is in the journal; with what else its reader must know."""
    try:
        note = context.journal.settle(job, state=state, error=error).note
    except JournalError as exc:
        refusal.__cause__ = exc
        note = (
            f"the journal could not note that ({exc}), so {job.id} still counts as perhaps sent: "
            "mend that, then submit with --resubmit"
        )
    if note is not None:
        refusal.args = (f"{refusal}; {note}",)
    return refusal


def _in_doubt(job: Job, step: Unclear, context: Context) -> SubmissionUnknown:
    """What is to be raised once the doubt is in the journal, with the id if there is one."""
    reason = step.reason
    if step.service_id is not None:
        reason += f"; it may be the service's task {step.service_id}"
    cause = None
    try:
        if step.service_id is None:
            context.journal.doubt(job, step.reason)
        else:
            context.journal.settle(
                job, state="unknown", service_id=step.service_id, error=step.reason
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
