"""Unknown submissions, looked up in the service's history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from wan_prep.submission.addresses import is_same_address
from wan_prep.submission.flows import Context, asked
from wan_prep.submission.jobs import UNCLEAR, Job
from wan_prep.submission.schema import HistoryItem, HistoryPage, data_of, opened
from wan_prep.submission.wire import Flow


@dataclass(frozen=True)
class Reconciled:
    """A job after its look-up; `matches` tasks in the history could be it."""

    job: Job
    matches: int
    said: str

    @property
    def is_clear(self) -> bool:
        return self.job.service_id is not None or self.job.state not in UNCLEAR


def reconciled(job: Job, context: Context) -> Flow[Reconciled]:
    """Attach the service's id to an unknown submission, if exactly one task of its history fits.

    Raises:
        Rejected, RateLimited, ServiceUnreachable, ReplyInvalid: the history could not be read.
    """
    after, before = window(job, context)
    found = []
    page = 0
    while page < context.limit("history_pages_max"):
        page += 1
        items, is_last = yield from _page(page, job.model, after, before, context)
        found += [item for item in items if fits(item, job, after, before)]
        if is_last:
            break
    now, matches = context.journal.attach(job.id, {item.id for item in found})
    if now.service_id is not None:
        said = f"{job.id}: found, the service calls it {now.service_id}"
    elif now.state not in UNCLEAR:
        said = now.summary()
    else:
        said = _unclear(job, matches, context)
    return Reconciled(now, matches, said)


def window(job: Job, context: Context) -> tuple[datetime, datetime]:
    """When the task must have been created, if it was: clocks may differ by `history_slack`."""
    slack = timedelta(seconds=context.limit("history_slack"))
    one_try_s = context.limit("connect") + context.limit("poll_longest")
    longest_s = context.limit("attempts") * one_try_s + context.limit("reply")
    sent_until = job.created_at + timedelta(seconds=longest_s)
    return job.created_at - slack, max(sent_until, job.updated_at) + slack


def fits(item: HistoryItem, job: Job, after: datetime, before: datetime) -> bool:
    """Whether a task of the history can be this job: same model, time and inputs, and nothing
    that it tells of its parameters differs."""
    told = item.inputs
    if item.model not in ("", job.model):
        return False
    for name, url in (("image", job.image.url), ("video", job.video.url)):
        if not is_same_address(str(told.get(name)), url):
            return False
    created = _moment(item.created_at)
    if created is not None and not after <= created <= before:
        return False
    ours = {"mode": job.mode, "resolution": job.resolution, "prompt": job.prompt or ""}
    if job.seed >= 0:  # the service may show the seed it drew for a random one
        ours["seed"] = str(job.seed)
    return all(
        str(told[name]) == value for name, value in ours.items() if told.get(name) is not None
    )


def _page(
    page: int, model: str, after: datetime, before: datetime, context: Context
) -> Flow[tuple[tuple[HistoryItem, ...], bool]]:
    size = int(context.limit("history_page"))
    query = {
        "page": page,
        "page_size": size,
        "model": model,
        "created_after": _iso(after),
        "created_before": _iso(before),
        "include_inputs": True,
    }
    answer = yield from asked(
        context.api("POST", context.figures.paths.history, json=query), context
    )
    listed = data_of(opened(answer.content), HistoryPage)
    return listed.readable(), len(listed.items) < size


def _unclear(job: Job, matches: int, context: Context) -> str:
    if matches > 1:
        return (
            f"{job.id}: {matches} tasks of the service's history fit, so none is attached; "
            "look at the history on the service's site"
        )
    kept = timedelta(seconds=context.limit("history_kept"))
    if context.clock.now() - job.created_at > kept:
        return f"{job.id}: too old, the service's history ends after {kept.days} days"
    return (
        f"{job.id}: no task of the service's history fits, so it was probably never accepted; "
        "if the history on the service's site shows none either, --resubmit submits it again"
    )


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
