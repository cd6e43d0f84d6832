"""Requests to the service with the patience that each may be given: tries, pauses, Retry-After."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from wan_prep.errors import RateLimited, ServiceUnreachable, SubmissionError
from wan_prep.profile import Submission
from wan_prep.submission.decisions import Refused, RetryLater, Usable, after_query, poll_pause_s
from wan_prep.submission.environment import Connection
from wan_prep.submission.jobs import utc_now
from wan_prep.submission.transport import Transport
from wan_prep.submission.wire import HttpRequest, HttpResponse, Outcome

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True)
class TimeSource:
    """Time and chance, so that tests can give their own."""

    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic
    """In s."""
    sleep: Callable[[float], object] = time.sleep
    jitter: Callable[[], float] = field(default=random.random)
    """Gives 0 … 1."""


class Session:
    """A transport, the service's figures, and a clock. Any number of threads may use one at once.

    connection: the API and its key; None where only other addresses are asked.
    http: the httpx transport to send over; None for a plain one.
    time: None for the real one.
    """

    def __init__(
        self,
        config: Submission,
        *,
        connection: Connection | None = None,
        http: httpx.BaseTransport | None = None,
        time: TimeSource | None = None,
    ) -> None:
        self.config, self.time = config, time or TimeSource()
        self.base_url = "" if connection is None else connection.base_url
        self._transport = Transport(
            config,
            base_url=self.base_url,
            api_key=None if connection is None else connection.api_key,
            http=http,
            monotonic=self.time.monotonic,
        )

    def close(self) -> None:
        self._transport.close()

    def limit(self, name: str) -> float:
        return self.config.limit(name)

    def api_request(
        self, method: str, path: str, *, json: dict[str, Any] | None = None
    ) -> HttpRequest:
        """A request to the API itself, with the key."""
        url = self.base_url + path
        return HttpRequest(method, url, with_key=True, json=json, within_s=self.limit("reply"))

    def send(self, request: HttpRequest) -> Outcome:
        """Send a request once, whatever comes of it."""
        return self._transport.send(request)

    def pause_s(self, round_: int) -> float:
        """How long to pause after the try number `round_`, counted from 0."""
        return poll_pause_s(round_, self.time.jitter, self.config)

    def tries(self) -> Iterator[None]:
        """One turn for each try that a request is given, with growing pauses between them."""
        for k in range(int(self.limit("attempts"))):
            if k > 0:
                self.time.sleep(self.pause_s(k - 1))
            yield

    def ask(self, request: HttpRequest) -> HttpResponse:
        """Send what may be sent again, until there is a usable response or the tries are over.

        Raises:
            Rejected, RateLimited: the service refused. ServiceUnreachable: no usable response.
        """
        attempts, longest_s = int(self.limit("attempts")), self.limit("poll_longest")
        attempt = 0
        while True:
            attempt += 1
            decision = after_query(self.send(request), self.time.now())
            if isinstance(decision, Refused):
                raise decision.error
            if isinstance(decision, Usable):
                return decision.response
            pause_s = max(self.pause_s(attempt - 1), decision.retry_after_s or 0.0)
            if attempt == attempts or pause_s > longest_s:
                raise _given_up(decision, attempt)
            self.time.sleep(pause_s)


def _given_up(last: RetryLater, attempts: int) -> SubmissionError:
    if last.is_rate_limit:
        return RateLimited(
            f"the service takes no more requests for now ({last.reason}); try again later",
            retry_after_s=last.retry_after_s,
        )
    return ServiceUnreachable(
        f"no usable answer from the service in {attempts} attempts ({last.reason}); try again later"
    )
