"""From a job to its outputs on disk: poll the result, note every step, download."""

from __future__ import annotations

import math
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
from wan_prep.submission.downloads import fetched, keep_aside, not_a_clip, suffix_of
from wan_prep.submission.flows import Context
from wan_prep.submission.jobs import ENDED, OPEN, UNCLEAR, Job, Output, Prediction
from wan_prep.submission.reconciling import Reconciled, reconciled
from wan_prep.submission.schema import Task
from wan_prep.submission.wire import Flow, Pause, ask
from wan_prep.writing import refuse_replacing


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
        SubmissionError: a time to wait that cannot be. JobNotFound: not in the journal.
        SubmissionUnknown: it cannot be found at the service.
        WaitEnded: the task goes on. NoOutputs, DownloadFailed: completed, but nothing is here.
        InputPathError: an output would take the place of one of the job's own inputs.
    """
    if timeout_s is not None and not 0 <= timeout_s < math.inf:
        raise SubmissionError(f"timeout is {timeout_s:g}; expected 0 or more seconds to wait")
    job = context.journal.job(name)
    _must_be_of_this_service(job, context)
    limit_s = context.limit("wait") if timeout_s is None else timeout_s
    deadline = context.clock.monotonic() + limit_s
    while True:
        if job.state not in ENDED or (job.state == "completed" and not job.outputs):
            job = yield from _polled(job, context, deadline, progress)
        if job.state == "completed" and not job.outputs:
            raise NoOutputs(
                f"{job.id}: the service calls {job.service_id} completed but names no output; "
                f"`wan-prep wait {job.id}` asks again; if it stays so, ask the service's support"
            )
        places = _places(job, folder)
        for position, place in enumerate(places):
            now = yield from _downloaded(job, position, place, context, overwrite=overwrite)
            if now.service_id != job.service_id:  # its own task is known meanwhile: another one
                break
            job = now
        else:
            return Prediction.of(job)
        job = now


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
    return _noted(job, step, context)


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
    return tuple(job for job in _unfinished(context) if not _is_overdue(job, context))


def overdue_jobs(context: Context) -> tuple[Job, ...]:
    """What a wait for everything leaves out: by our clock, the service keeps it no longer. It is
    not an end, because the clock may be wrong."""
    return tuple(job for job in _unfinished(context) if _is_overdue(job, context))


def _unfinished(context: Context) -> tuple[Job, ...]:
    return tuple(
        job
        for job in context.journal.jobs()
        if job.is_unfinished and job.base_url == context.connection.base_url
    )


def _is_overdue(job: Job, context: Context) -> bool:
    kept = timedelta(seconds=context.limit("history_kept"))
    return context.clock.now() - job.created_at > kept


def _must_be_of_this_service(job: Job, context: Context) -> None:
    if job.base_url != context.connection.base_url:
        raise SubmissionError(
            f"{job.id} was submitted to {job.base_url}, not to {context.connection.base_url}; "
            "set WAVESPEED_BASE_URL to the former"
        )


def _identified(job: Job, context: Context) -> Flow[Job]:
    """The job with the service's id, from the history if need be."""
    if job.state in ("rejected", "not_sent"):
        raise SubmissionError(
            f"{job.summary()}: nothing was accepted, so there is nothing to wait for; submit again"
        )
    if job.service_id is not None:
        return job
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
    if result.job.service_id is None:
        return (yield from _identified(result.job, context))
    return result.job


def _polled(job: Job, context: Context, deadline: float, progress: Progress) -> Flow[Job]:
    """The job once it has ended; every change is in the journal before anything else happens.

    deadline: on the monotonic clock, in s.
    """
    round_ = 0
    while True:
        job = yield from _identified(job, context)
        service_id = job.service_id
        assert service_id is not None
        step = yield from _looked_at(job, service_id, context)
        job = _noted(job, step, context)
        if job.service_id != service_id:  # that was about a task which is not the job's
            continue
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


def _noted(job: Job, step: PollStep, context: Context) -> Job:
    """The entry with what the service said of its task; as it is by now, if it has another one."""

    def is_news(entry: Job) -> bool:
        # A completed entry is touched only to add the outputs that it lacks.
        lacks = isinstance(step, Ended) and entry.state == "completed" and not entry.outputs
        return entry.service_id == job.service_id and (entry.state in OPEN or lacks)

    if isinstance(step, Running):
        return context.journal.change(
            job.id, only_if=is_news, state="submitted", status=step.status, error=None
        )
    if isinstance(step, Ended):
        task = step.task
        return context.journal.change(
            job.id,
            only_if=is_news,
            state=task.status,
            status=task.status,
            error=task.error or None,
            outputs=_outputs(task),
        )
    return context.journal.job(job.id)


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


def _is_as_noted(output: Output, target: Path) -> bool:
    return output.path == str(target) and target.is_file() and sha256_of(target) == output.sha256


def _downloaded(
    job: Job, position: int, target: Path, context: Context, *, overwrite: bool
) -> Flow[Job]:
    output = job.outputs[position]
    if _is_as_noted(output, target):
        if not_a_clip(target) is None:
            return job
        # Earlier versions kept whatever came. It is ours to move, and the name is needed.
        aside = keep_aside(target, target, str(output.sha256))
        context.journal.change(
            job.id,
            only_if=lambda entry: entry.service_id == job.service_id,
            note=f"what was taken for the output is no clip and is kept as {aside}",
        )
    kept = yield from fetched(
        output.url,
        target,
        context.figures,
        context.clock,
        trouble_of=not_a_clip,
        overwrite=overwrite,
    )
    found = output.model_copy(update={"path": str(kept.path), "sha256": kept.sha256})
    return context.journal.keep_output(job.id, position, found)
