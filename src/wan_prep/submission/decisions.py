"""What to do next, given what came back: one pure state machine for every kind of request.

No clock, no socket, no disk: an outcome and a few figures go in, one decision comes out.
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
    TaskResult,
    data_of,
    message_of,
    named_task,
    one_line,
    opened,
)
from wan_prep.submission.wire import HttpResponse, NoResponse, Outcome

# 408 Request Timeout, 425 Too Early, 429 Too Many Requests: the same request may do later.
LATER = frozenset({408, 425, 429})

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
    """The service has the task, under this id."""

    service_id: str
    status: str | None


@dataclass(frozen=True)
class NotSent:
    """No byte left this machine, so the request may be sent again."""

    reason: str


@dataclass(frozen=True)
class Refused:
    """The service clearly said no: there is no task, and nothing is billed."""

    error: Rejected | RateLimited


@dataclass(frozen=True)
class Unclear:
    """Perhaps accepted. `service_id` is set where the response names one."""

    reason: str
    service_id: str | None = None


PostDecision = Accepted | NotSent | Refused | Unclear


def after_post(outcome: Outcome, now: datetime) -> PostDecision:
    """Decide after the paid request.

    Accepted needs a 2xx with an id and nothing that contradicts; refused needs a 4xx, in the status
    line or in the envelope, and no id; all else leaves it unclear whether money was spent.
    """
    if isinstance(outcome, NoResponse):
        return Unclear(outcome.reason) if outcome.may_have_arrived else NotSent(outcome.reason)
    said, is_2xx = f"HTTP {outcome.status}", 200 <= outcome.status < 300
    is_named, service_id = named_task(outcome.content)
    envelope, reason = Envelope(), "no reason given"
    try:
        envelope = opened(outcome.content)
        data_of(envelope, Receipt)
    except ReplyInvalid as exc:
        reason = str(exc)
    # A refusal that names a task is not a clear one.
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


def refusal(
    response: HttpResponse, now: datetime, code: int | None = None
) -> Rejected | RateLimited:
    """The error for a 4xx, in the status line or in the envelope."""
    status = code or response.status
    message = message_of(response.content) or "no reason given"
    if status == 429:
        seconds = retry_after_s(response, now)
        when = "later" if seconds is None else f"in {seconds:.0f} s"
        return RateLimited(
            f"the service takes no more requests for now (429: {message}); try again {when}",
            retry_after_s=seconds,
        )
    advice = f"; {_ADVICE[status]}" if status in _ADVICE else ""
    return Rejected(f"the service refused ({status}: {message}){advice}", status=status)


# ------------------------------------------------------------------ queries, which cost nothing


@dataclass(frozen=True)
class Usable:
    """A 2xx with an envelope that agrees."""

    response: HttpResponse


@dataclass(frozen=True)
class RetryLater:
    """Send it again; not before `retry_after_s`, where the service named a time."""

    reason: str
    retry_after_s: float | None = None
    is_rate_limit: bool = False


QueryDecision = Usable | RetryLater | Refused


def after_query(outcome: Outcome, now: datetime) -> QueryDecision:
    """Decide after a request that may be repeated: result, history, upload ticket."""
    if isinstance(outcome, NoResponse):
        return RetryLater(outcome.reason)
    if outcome.status in LATER or outcome.status >= 500:
        return _later(f"HTTP {outcome.status}", outcome, now, outcome.status)
    if outcome.status >= 400:
        return Refused(refusal(outcome, now))
    if outcome.status >= 300:
        return RetryLater(f"HTTP {outcome.status}: a redirect, which is not followed with the key")
    try:
        envelope = opened(outcome.content)
    except ReplyInvalid as exc:
        return RetryLater(str(exc))
    if envelope.is_success:
        return Usable(outcome)
    if envelope.is_refusal and envelope.code not in LATER:
        return Refused(refusal(outcome, now, code=envelope.code))
    return _later(f"code {envelope.code}", outcome, now, envelope.code)


def _later(said: str, response: HttpResponse, now: datetime, code: int | None) -> RetryLater:
    message = message_of(response.content)
    return RetryLater(
        f"{said}: {message}" if message else said,
        retry_after_s(response, now),
        is_rate_limit=code == 429,
    )


# ------------------------------------------------------------------ the result


@dataclass(frozen=True)
class Running:
    """Not ended. A status that is not known here counts as running, too."""

    status: str


@dataclass(frozen=True)
class Ended:
    task: TaskResult


@dataclass(frozen=True)
class GiveUp:
    """Sending it again is of no use."""

    error: SubmissionError


PollDecision = Running | Ended | RetryLater | GiveUp


def after_poll(
    outcome: Outcome, service_id: str, *, age_s: float, now: datetime, config: Submission
) -> PollDecision:
    """Decide after a look at a task.

    age_s: s since the submission, by clocks that may be wrong. A task that was just accepted may
        not be found yet; one older than the service keeps them, no longer.
    """
    decision = after_query(outcome, now)
    if isinstance(decision, RetryLater):
        return decision
    if isinstance(decision, Refused):
        is_not_found = isinstance(decision.error, Rejected) and decision.error.status == 404
        if is_not_found and age_s < config.limit("not_found_grace"):
            return RetryLater("HTTP 404: not found yet")
        if is_not_found and age_s > config.limit("history_kept"):
            # Not an end: the clock that makes it so old may be wrong, and an end is for good.
            kept_days = config.limit("history_kept") / 86400
            return GiveUp(
                SubmissionError(
                    f"HTTP 404: not found; by this machine's clock it is older than the "
                    f"{kept_days:.0f} days for which the service keeps a task"
                )
            )
        return GiveUp(decision.error)
    try:
        task = data_of(opened(decision.response.content), TaskResult)
    except ReplyInvalid as exc:
        return RetryLater(str(exc))
    if task.id not in (None, service_id):
        return RetryLater("the answer is about another task")
    return Ended(task) if task.status in TERMINAL else Running(task.status)


# ------------------------------------------------------------------ time


def poll_pause_s(round_: int, jitter: Callable[[], float], config: Submission) -> float:
    """The pause after round `round_`: grows from `poll_first` to `poll_longest`.

    jitter: gives 0 … 1, which shortens a pause by up to a quarter, but never below `poll_first`.
    """
    first, longest = config.limit("poll_first"), config.limit("poll_longest")
    full = min(longest, first * config.limit("poll_growth") ** min(round_, 100))
    return max(first, full * (1.0 - 0.25 * jitter()))


def retry_after_s(response: HttpResponse, now: datetime) -> float | None:
    """The Retry-After header, given as seconds or as a date, in s; None without a usable one."""
    given = response.headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit():
        return float(given[:9])
    try:
        moment = parsedate_to_datetime(given)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, (moment - now).total_seconds())
