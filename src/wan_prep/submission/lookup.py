"""What became of a submission: its id in the service's history, its state by that id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from wan_prep.addresses import is_same_address
from wan_prep.errors import (
    RateLimited,
    Rejected,
    ReplyInvalid,
    ServiceUnreachable,
    SubmissionError,
    SubmissionUnknown,
)
from wan_prep.submission.decisions import Ended, PollDecision, Running, after_poll
from wan_prep.submission.jobs import OPEN, UNCLEAR, Job, JobOutput
from wan_prep.submission.journal import Journal
from wan_prep.submission.schema import HistoryItem, HistoryPage, data_of, opened
from wan_prep.submission.session import Session

# Why the history cannot be read.
_NO_HISTORY = (Rejected, RateLimited, ServiceUnreachable, ReplyInvalid)


@dataclass(frozen=True)
class Reconciliation:
    """A job after it was looked up; `matches` tasks of the history can be it."""

    job: Job
    matches: int
    said: str

    @property
    def is_clear(self) -> bool:
        return self.job.service_id is not None or self.job.state not in UNCLEAR


class Lookup:
    """Finds out what became of submissions: their id in the history, their state by id."""

    def __init__(self, session: Session, journal: Journal) -> None:
        self._session, self._journal = session, journal

    def identified(self, job: Job) -> tuple[Job, str]:
        """The job with the service's id, from the history if need be.

        Raises:
            SubmissionError: nothing was accepted. SubmissionUnknown: the id cannot be found.
        """
        _must_be_accepted(job)
        if job.service_id is None:
            try:
                found = self.reconciled(job)
            except _NO_HISTORY as exc:
                raise SubmissionUnknown(
                    f"{job.id}: whether it was accepted is not known, and the history cannot be "
                    f"read ({exc}); do not submit again; `wan-prep wait {job.id}` tries again",
                    job_id=job.id,
                ) from exc
            if not found.is_clear:
                raise SubmissionUnknown(found.said, job_id=job.id)
            job = found.job
            _must_be_accepted(job)
        assert job.service_id is not None
        return job, job.service_id

    def look(self, job: Job, service_id: str) -> PollDecision:
        """One look at a task. It is asked for by id: the address that the service offers could
        lead anywhere, and the key goes along."""
        session = self._session
        path = session.config.paths.result.format(id=service_id)
        return after_poll(
            session.send(session.api_request("GET", path)),
            service_id,
            age_s=self.age_s(job),
            now=session.time.now(),
            config=session.config,
        )

    def noted(self, job: Job, decision: PollDecision) -> Job:
        """The entry with what the service said of its task; unchanged if it has another task by
        now."""

        def is_news(entry: Job) -> bool:
            # A completed entry is touched only to add the outputs that it lacks.
            lacks = isinstance(decision, Ended) and entry.state == "completed" and not entry.outputs
            return entry.service_id == job.service_id and (entry.state in OPEN or lacks)

        if isinstance(decision, Running):
            return self._journal.change(
                job.id, only_if=is_news, state="submitted", status=decision.status, error=None
            )
        if isinstance(decision, Ended):
            task = decision.task
            return self._journal.change(
                job.id,
                only_if=is_news,
                state=task.status,
                status=task.status,
                error=task.error or None,
                outputs=tuple(
                    JobOutput(url=url, nsfw=task.nsfw(k)) for k, url in enumerate(task.outputs)
                ),
            )
        return self._journal.job(job.id)

    def age_s(self, job: Job) -> float:
        """Since the submission, in s."""
        return max(0.0, (self._session.time.now() - job.created_at).total_seconds())

    def all_reconciled(self) -> tuple[Reconciliation, ...]:
        """Look every unclear submission of this service up.

        Raises:
            Rejected, RateLimited, ServiceUnreachable, ReplyInvalid: the history could not be read.
        """
        found = []
        for job in self._journal.jobs(UNCLEAR):
            if job.base_url != self._session.base_url:
                continue
            if job.service_id is None:
                found.append(self.reconciled(job))
            else:
                now = self.refreshed(job)
                found.append(Reconciliation(now, 1, now.summary()))
        return tuple(found)

    def reconciled(self, job: Job) -> Reconciliation:
        """Attach the service's id to an unclear entry, if exactly one task of the history fits."""
        tasks, is_all = tasks_like(job, self._session)
        now, matches = self._journal.attach(job.id, tasks)
        if now.service_id is not None:
            said = f"{job.id}: found, the service calls it {now.service_id}"
        elif now.state not in UNCLEAR:
            said = now.summary()
        elif matches > 1:
            said = (
                f"{job.id}: {matches} tasks of the service's history fit, so none is attached; "
                "look at the history on the service's site"
            )
        elif self.is_overdue(job):
            said = f"{job.id}: too old, the service's history ends after {self._kept.days} days"
        elif not is_all:
            said = (
                f"{job.id}: no task was found that fits, but not all of the service's history was "
                "read, because it is too long; look at the history on the service's site before "
                "you submit again"
            )
        else:
            said = (
                f"{job.id}: no task of the service's history fits, so it was probably never "
                "accepted; if the history on the service's site shows none either, --resubmit "
                "submits it again"
            )
        return Reconciliation(now, matches, said)

    def refreshed(self, job: Job) -> Job:
        """The job after one look at what became of it; unchanged where that cannot be found out."""
        if job.service_id is None:
            try:
                job = self.reconciled(job).job
            except _NO_HISTORY:
                return job
        if job.service_id is None:
            return job
        return self.noted(job, self.look(job, job.service_id))

    def is_overdue(self, job: Job) -> bool:
        """Whether the service keeps a job's task no longer, by this machine's clock."""
        return self._session.time.now() - job.created_at > self._kept

    @property
    def _kept(self) -> timedelta:
        """How long the service keeps tasks and results."""
        return timedelta(seconds=self._session.limit("history_kept"))


def _must_be_accepted(job: Job) -> None:
    if job.state in ("rejected", "not_sent"):
        raise SubmissionError(
            f"{job.summary()}: nothing was accepted, so there is nothing to wait for; submit again"
        )


# ------------------------------------------------------------------ the history


def tasks_like(job: Job, session: Session) -> tuple[set[str], bool]:
    """The ids of all tasks in the history that can be this job, and whether all of it was read.

    Raises:
        Rejected, RateLimited, ServiceUnreachable, ReplyInvalid: the history could not be read.
    """
    after, before = window(job, session)
    size = int(session.limit("history_page"))
    query = {
        "page_size": size,
        "model": job.model,
        "created_after": _iso(after),
        "created_before": _iso(before),
        "include_inputs": True,
    }
    found: set[str] = set()
    for page in range(1, int(session.limit("history_pages_max")) + 1):
        request = session.api_request(
            "POST", session.config.paths.history, json={"page": page, **query}
        )
        listed = data_of(opened(session.ask(request).content), HistoryPage)
        found |= {item.id for item in listed.readable() if fits(item, job, after, before)}
        if len(listed.items) < size:
            return found, True
    return found, False


def window(job: Job, session: Session) -> tuple[datetime, datetime]:
    """When the task must have been created, if it was; clocks may differ by `history_slack`."""
    slack = timedelta(seconds=session.limit("history_slack"))
    one_try_s = session.limit("connect") + session.limit("poll_longest")
    longest_s = session.limit("attempts") * one_try_s + session.limit("reply")
    sent_until = job.created_at + timedelta(seconds=longest_s)
    return job.created_at - slack, max(sent_until, job.updated_at) + slack


def fits(item: HistoryItem, job: Job, after: datetime, before: datetime) -> bool:
    """Whether a task of the history can be this job: same model, time and addresses, and none of
    the parameters that it tells differs."""
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


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
