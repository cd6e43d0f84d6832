"""What to do next, given what came back: one pure state machine for every kind of request.

No clock, no socket, no disk: an outcome and a few figures go in, one step comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from wan_prep.errors import RateLimited, Rejected, ReplyInvalid, SubmissionError
from wan_prep.profile import Submission
from wan_prep.submission.schema import (
    TERMINAL,
    Envelope,
    Receipt,
    Task,
    data_of,
    message_of,
    named_task,
    one_line,
    opened,
)
from wan_prep.submission.wire import Answer, Broken, Outcome

# 408 Request Timeout, 425 Too Early, 429 Too Many Requests: the same request may do later.
_LATER = frozenset({408, 425, 429})

_ADVICE = {
    401: "the key is not accepted: check WAVESPEED_API_KEY",
    402: "the account's balance is too low: top it up",
    403: "this key may not do that: check the account and the key's rights",
    404: "check WAVESPEED_BASE_URL and the profile's paths",
    413: "a file or the request is too large: shorten or re-encode it",
    422: "a field is not accepted: compare --dry-run with the service's page",
}


# ------------------------------------------------------------------ the paid request


@dataclass(frozen=True)
class Accepted:
    """The task exists and has this id."""

    service_id: str
    status: str | None


@dataclass(frozen=True)
class NotSent:
    """No byte left, so trying again repeats nothing."""

    reason: str


@dataclass(frozen=True)
class Refused:
    """A clear no: no task, nothing billed."""

    error: Rejected | RateLimited


@dataclass(frozen=True)
class Unclear:
    """Perhaps accepted. `service_id` where the answer names one all the same."""

    reason: str
    service_id: str | None = None


PostStep = Accepted | NotSent | Refused | Unclear


def after_post(outcome: Outcome, now: datetime) -> PostStep:
    """Only a clear answer is taken for one; whatever else came back leaves money in doubt."""
    if isinstance(outcome, Broken):
        return Unclear(outcome.reason) if outcome.may_have_arrived else NotSent(outcome.reason)
    said, is_2xx = f"HTTP {outcome.status}", 200 <= outcome.status < 300
    is_named, service_id = named_task(outcome.content)
    envelope, reason = Envelope(), "no reason given"
    try:
        envelope = opened(outcome.content)
        data_of(envelope, Receipt)
    except ReplyInvalid as exc:
        reason = str(exc)
    # A no beside a task is not a clear one.
    if not is_named and 400 <= outcome.status < 500:
        return Refused(refusal(outcome, now))
    if not is_named and is_2xx and envelope.is_refusal:
        return Refused(refusal(outcome, now, code=envelope.code))
    if is_2xx and envelope.is_success and envelope.data is not None and service_id is not None:
        status = envelope.data.get("status")
        return Accepted(service_id, (isinstance(status, str) and one_line(status)) or None)
    if envelope.code is not None and envelope.code != outcome.status:
        said += f" with code {envelope.code}"
    return Unclear(f"{said}: {message_of(outcome.content) or reason}", service_id)


def refusal(answer: Answer, now: datetime, code: int | None = None) -> Rejected | RateLimited:
    """The error for a 4xx, in the status line or in the envelope."""
    status = code or answer.status
    message = message_of(answer.content) or "no reason given"
    if status == 429:
        seconds = retry_after_s(answer, now)
        when = "later" if seconds is None else f"in {seconds:.0f} s"
        return RateLimited(
            f"the service takes no more requests for now (429: {message}); try again {when}",
            retry_after_s=seconds,
        )
    advice = f"; {_ADVICE[status]}" if status in _ADVICE else ""
    return Rejected(f"the service refused ({status}: {message}){advice}", status=status)


# ------------------------------------------------------------------ questions that cost nothing


@dataclass(frozen=True)
class Usable:
    """An answer with a 2xx and an envelope that agrees."""

    answer: Answer


@dataclass(frozen=True)
class Later:
    """Ask again; not before `retry_after_s`, where the service named a time."""

    reason: str
    retry_after_s: float | None = None
    is_rate_limit: bool = False


Step = Usable | Later | Refused


def after_question(outcome: Outcome, now: datetime) -> Step:
    """For requests that may be repeated: result, history, upload tickets."""
    if isinstance(outcome, Broken):
        return Later(outcome.reason)
    if outcome.status in _LATER or outcome.status >= 500:
        return _later(f"HTTP {outcome.status}", outcome, now, outcome.status)
    if outcome.status >= 400:
        return Refused(refusal(outcome, now))
    if outcome.status >= 300:
        return Later(f"HTTP {outcome.status}: a redirect, which is not followed with the key")
    try:
        envelope = opened(outcome.content)
    except ReplyInvalid as exc:
        return Later(str(exc))
    if envelope.is_success:
        return Usable(outcome)
    if envelope.is_refusal and envelope.code not in _LATER:
        return Refused(refusal(outcome, now, code=envelope.code))
    return _later(f"code {envelope.code}", outcome, now, envelope.code)


def _later(said: str, answer: Answer, now: datetime, code: int | None) -> Later:
    message = message_of(answer.content)
    return Later(
        f"{said}: {message}" if message else said,
        retry_after_s(answer, now),
        is_rate_limit=code == 429,
    )


# ------------------------------------------------------------------ the result


@dataclass(frozen=True)
class Running:
    """Not ended. An unknown status is carried like a known one."""

    status: str


@dataclass(frozen=True)
class Ended:
    task: Task


@dataclass(frozen=True)
class Stop:
    """Asking on is of no use."""

    error: SubmissionError


PollStep = Running | Ended | Later | Stop


def after_poll(
    outcome: Outcome, service_id: str, *, age_s: float, now: datetime, figures: Submission
) -> PollStep:
    """`age_s`: since the submission, by clocks that may be wrong; a task just accepted may not be
    found yet, and one that is older than the service's memory not any more."""
    step = after_question(outcome, now)
    if isinstance(step, Later):
        return step
    if isinstance(step, Refused):
        is_not_found = isinstance(step.error, Rejected) and step.error.status == 404
        if is_not_found and age_s < figures.limit("not_found_grace"):
            return Later("HTTP 404: not found yet")
        if is_not_found and age_s > figures.limit("history_kept"):
            # Not an end: the clock that makes it so old may be wrong, and an end is for good.
            kept_days = figures.limit("history_kept") / 86400
            return Stop(
                SubmissionError(
                    f"HTTP 404: not found; by this machine's clock it is older than the "
                    f"{kept_days:.0f} days for which the service keeps a task"
                )
            )
        return Stop(step.error)
    try:
        task = data_of(opened(step.answer.content), Task)
    except ReplyInvalid as exc:
        return Later(str(exc))
    if task.id not in (None, service_id):
        return Later("the answer is about another task")
    return Ended(task) if task.status in TERMINAL else Running(task.status)


# ------------------------------------------------------------------ time


def poll_pause_s(round_: int, jitter: Callable[[], float], figures: Submission) -> float:
    """From `poll_first` growing to `poll_longest`, up to a quarter earlier by chance.

    jitter: gives 0 … 1. The first pause is not shortened.
    """
    first, longest = figures.limit("poll_first"), figures.limit("poll_longest")
    full = min(longest, first * figures.limit("poll_growth") ** min(round_, 100))
    return max(first, full * (1.0 - 0.25 * jitter()))


def retry_after_s(answer: Answer, now: datetime) -> float | None:
    """The Retry-After header: seconds, or a date; None where it is absent or says nothing."""
    given = answer.headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit():
        return float(given[:9])
    try:
        moment = parsedate_to_datetime(given)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, (moment - now).total_seconds())
