"""From a job to its outputs on disk: poll the result, note every step, download."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from wan_prep.errors import (
    NoOutputs,
    RateLimited,
    Rejected,
    ReplyInvalid,
    ServiceUnreachable,
    SubmissionError,
    SubmissionUnknown,
    WaitEnded,
)
from wan_prep.media.files import sha256_of
from wan_prep.submission.decisions import Ended, Later, PollStep, Running, Stop, after_poll
from wan_prep.submission.downloads import fetched, suffix_of
from wan_prep.submission.flows import Context
from wan_prep.submission.jobs import ENDED, OPEN, UNCLEAR, Job, Output, Prediction
from wan_prep.submission.reconciling import Reconciled, reconciled
from wan_prep.submission.schema import Task
from wan_prep.submission.wire import Flow, Pause, ask


@dataclass(frozen=True)
class Tick:
    """One look at a job while waiting."""

    job: Job
    elapsed_s: float
    """Since the submission."""
    note: str
    """The service's status, or why it could not be had this time."""


Progress = Callable[[Tick], None]


def unwatched(_tick: Tick) -> None:
    return None


def waited(
    name: str,
    context: Context,
    *,
    folder: Path,
    timeout_s: float | None,
    overwrite: bool,
    progress: Progress,
) -> Flow[Prediction]:
    """Wait for a job's end and have its outputs in `folder`; what is there already is kept.

    name: a local or a service's id.
    timeout_s: the longest wait; None for the profile's.

    Raises:
        JobNotFound: not in the journal. SubmissionUnknown: it cannot be found at the service.
        WaitEnded: the task goes on. NoOutputs, DownloadFailed: completed, but nothing is here.
    """
    job = context.journal.job(name)
    _must_be_of_this_service(job, context)
    if job.state in ("rejected", "not_sent"):
        raise SubmissionError(
            f"{job.summary()}: nothing was accepted, so there is nothing to wait for; submit again"
        )
    if job.state not in ENDED or (job.state == "completed" and not job.outputs):
        if job.service_id is None:
            job = yield from _identified(job, context)
        limit_s = context.limit("wait") if timeout_s is None else timeout_s
        job = yield from _polled(job, context, limit_s, progress)
    if job.state == "completed" and not job.outputs:
        raise NoOutputs(
            f"{job.id}: the service calls {job.service_id} completed but names no output; "
            f"`wan-prep wait {job.id}` asks again; if it stays so, ask the service's support"
        )
    service_id = job.service_id
    for position in range(len(job.outputs)):
        job = yield from _downloaded(job, position, folder, context, overwrite=overwrite)
        _must_be_the_same_task(job, service_id)
    return Prediction.of(job)


def refreshed(job: Job, context: Context) -> Flow[Job]:
    """One look at what became of a job, without waiting; as it is where nothing is to be had."""
    if job.service_id is None:
        try:
            job = (yield from reconciled(job, context)).job
        except (Rejected, RateLimited, ServiceUnreachable, ReplyInvalid):
            return job
    if job.service_id is None:
        return job
    step = yield from _looked_at(job, job.service_id, context)
    return _noted(job, job.service_id, step, context)


def all_reconciled(context: Context) -> Flow[tuple[Reconciled, ...]]:
    """Every unclear entry of this service, looked up.

    Raises:
        Rejected, RateLimited, ServiceUnreachable, ReplyInvalid: the history could not be read.
    """
    found = []
    for job in context.journal.jobs(UNCLEAR):
        if job.base_url != context.connection.base_url:
            continue
        if job.service_id is None:
            found.append((yield from reconciled(job, context)))
        else:
            now = yield from refreshed(job, context)
            found.append(Reconciled(now, 1, now.summary()))
    return tuple(found)


def unfinished_jobs(context: Context) -> tuple[Job, ...]:
    """What a wait for everything waits for, oldest first: of this service, and not older than it
    keeps results."""
    kept = timedelta(seconds=context.limit("history_kept"))
    return tuple(
        job
        for job in context.journal.jobs()
        if job.is_unfinished
        and job.base_url == context.connection.base_url
        and context.clock.now() - job.created_at <= kept
    )


def _must_be_of_this_service(job: Job, context: Context) -> None:
    if job.base_url != context.connection.base_url:
        raise SubmissionError(
            f"{job.id} was submitted to {job.base_url}, not to {context.connection.base_url}; "
            "set WAVESPEED_BASE_URL to the former"
        )


def _must_be_the_same_task(job: Job, service_id: str | None) -> None:
    """Another process may have learned meanwhile that a look-up had found the wrong task."""
    if job.service_id != service_id:
        raise SubmissionUnknown(
            f"{job.id}: {service_id}, which was taken for its task, is another; "
            f"`wan-prep wait {job.id}` waits for its own",
            job_id=job.id,
        )


def _identified(job: Job, context: Context) -> Flow[Job]:
    """The job with the service's id, from the history."""
    try:
        result = yield from reconciled(job, context)
    except (Rejected, RateLimited, ServiceUnreachable, ReplyInvalid) as exc:
        raise SubmissionUnknown(
            f"{job.id}: whether it was accepted is not known, and the history cannot be read "
            f"({exc}); do not submit again; `wan-prep wait {job.id}` tries again",
            job_id=job.id,
        ) from exc
    if not result.is_clear:
        raise SubmissionUnknown(result.said, job_id=job.id)
    return result.job


def _polled(job: Job, context: Context, timeout_s: float, progress: Progress) -> Flow[Job]:
    """The job once it has ended; every change is in the journal before anything else happens."""
    service_id = job.service_id
    assert service_id is not None
    deadline = context.clock.monotonic() + timeout_s
    round_ = 0
    while True:
        step = yield from _looked_at(job, service_id, context)
        job = _noted(job, service_id, step, context)
        _must_be_the_same_task(job, service_id)
        note = _note(step)
        progress(Tick(job, _age_s(job, context), note))
        if isinstance(step, Ended):
            return job
        left_s = deadline - context.clock.monotonic()
        asked_s = step.retry_after_s if isinstance(step, Later) else None
        if isinstance(step, Stop) or left_s <= 0 or (asked_s is not None and asked_s > left_s):
            raise WaitEnded(
                f"{job.id} ({service_id} at the service) is not known to have ended after "
                f"{_age_s(job, context):.0f} s: {note}; `wan-prep wait {job.id}` waits again, do "
                "not submit again",
                job_id=job.id,
                service_id=service_id,
            ) from (step.error if isinstance(step, Stop) else None)
        pause_s = context.pause(round_).seconds
        yield Pause(min(left_s, max(pause_s, asked_s or 0.0)))
        round_ += 1


def _looked_at(job: Job, service_id: str, context: Context) -> Flow[PollStep]:
    # By id: the address that the reply offers could lead anywhere, and the key goes along.
    path = context.figures.paths.result.format(id=service_id)
    outcome = yield from ask(context.api("GET", path))
    return after_poll(
        outcome,
        service_id,
        age_s=_age_s(job, context),
        now=context.clock.now(),
        figures=context.figures,
    )


def _noted(job: Job, service_id: str, step: PollStep, context: Context) -> Job:
    known = (job.state, job.status, job.error)
    if isinstance(step, Running) and known != ("submitted", step.status, None):
        return context.journal.change(
            job.id, only_as=service_id, state="submitted", status=step.status, error=None
        )
    if isinstance(step, Stop) and str(step.error) != job.error:
        return context.journal.change(job.id, only_as=service_id, error=str(step.error))
    if isinstance(step, Ended):
        task = step.task
        return context.journal.change(
            job.id,
            # A completed entry is touched only to add the outputs that it lacks.
            only_from=OPEN if job.state in OPEN else {"completed"},
            only_as=service_id,
            state=task.status,
            status=task.status,
            error=task.error or None,
            outputs=_outputs(task),
        )
    return job


def _outputs(task: Task) -> tuple[Output, ...]:
    return tuple(Output(url=url, nsfw=task.nsfw(k)) for k, url in enumerate(task.outputs))


def _note(step: PollStep) -> str:
    if isinstance(step, Running):
        return step.status
    if isinstance(step, Ended):
        return step.task.status
    return step.reason if isinstance(step, Later) else str(step.error)


def _age_s(job: Job, context: Context) -> float:
    return max(0.0, (context.clock.now() - job.created_at).total_seconds())


def _downloaded(
    job: Job, position: int, folder: Path, context: Context, *, overwrite: bool
) -> Flow[Job]:
    output = job.outputs[position]
    target = folder.absolute() / f"{job.id}-{position + 1}{suffix_of(output.url, '.mp4')}"
    if output.path == str(target) and target.is_file() and sha256_of(target) == output.sha256:
        return job
    kept = yield from fetched(
        output.url, target, context.figures, context.clock, overwrite=overwrite
    )
    found = output.model_copy(update={"path": str(kept.path), "sha256": kept.sha256})
    return context.journal.keep_output(job.id, position, found)
