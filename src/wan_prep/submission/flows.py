"""What every flow works with, and how questions that cost nothing are asked again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from wan_prep.errors import RateLimited, ServiceUnreachable, SubmissionError
from wan_prep.profile import Submission
from wan_prep.submission.decisions import Later, Refused, Usable, after_question, poll_pause_s
from wan_prep.submission.environment import Connection
from wan_prep.submission.jobs import utc_now
from wan_prep.submission.journal import Journal
from wan_prep.submission.wire import Answer, Exchange, Flow, Pause, ask


@dataclass(frozen=True)
class Clock:
    """Time and chance, so that tests have their own."""

    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = field(default=random.random)


@dataclass(frozen=True)
class Context:
    """Where a flow asks, what it writes to, and how patient it is."""

    connection: Connection
    journal: Journal
    figures: Submission
    clock: Clock

    def limit(self, name: str) -> float:
        return self.figures.limit(name)

    def api(self, method: str, path: str, *, json: dict[str, Any] | None = None) -> Exchange:
        """A request to the API itself, with the key."""
        url = self.connection.base_url + path
        return Exchange(method, url, with_key=True, json=json, within_s=self.limit("reply"))

    def pause(self, round_: int) -> Pause:
        return Pause(poll_pause_s(round_, self.clock.jitter, self.figures))


def asked(exchange: Exchange, context: Context) -> Flow[Answer]:
    """Ask what costs nothing, a few times if need be.

    Raises:
        Rejected, RateLimited: the service refused. ServiceUnreachable: no usable answer.
    """
    attempts = int(context.limit("attempts"))
    longest_s = context.limit("poll_longest")
    attempt = 0
    while True:
        attempt += 1
        step = after_question((yield from ask(exchange)), context.clock.now())
        if isinstance(step, Refused):
            raise step.error
        if isinstance(step, Usable):
            return step.answer
        pause_s = max(context.pause(attempt - 1).seconds, step.retry_after_s or 0.0)
        if attempt == attempts or pause_s > longest_s:
            raise _given_up(step, attempt)
        yield Pause(pause_s)


def _given_up(step: Later, attempts: int) -> SubmissionError:
    if step.is_rate_limit:
        return RateLimited(
            f"the service takes no more requests for now ({step.reason}); try again later",
            retry_after_s=step.retry_after_s,
        )
    return ServiceUnreachable(
        f"no usable answer from the service in {attempts} attempts ({step.reason}); try again later"
    )
