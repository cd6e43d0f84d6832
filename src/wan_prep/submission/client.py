"""The sync client: carries flows out over an injected httpx transport."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from wan_prep.profile import Profile, default_profile
from wan_prep.submission.downloads import Fetched, fetched, suffix_of
from wan_prep.submission.environment import Connection
from wan_prep.submission.flows import Clock, Context
from wan_prep.submission.intent import Intent, Kind
from wan_prep.submission.jobs import Job, Prediction
from wan_prep.submission.journal import Journal
from wan_prep.submission.reconciling import Reconciled
from wan_prep.submission.submitting import earlier_jobs, submission
from wan_prep.submission.transport import FAILURES, LIMITS, Receiver, Wrapper, broken
from wan_prep.submission.waiting import (
    Progress,
    all_reconciled,
    overdue_jobs,
    unfinished_jobs,
    unwatched,
    waited,
)
from wan_prep.submission.wire import (
    Broken,
    Exchange,
    Flow,
    HashingReader,
    Outcome,
    Pause,
    T,
)


def plain_transport() -> httpx.HTTPTransport:
    """Nothing is read from the environment: no proxy, no netrc, no certificates of one's own."""
    return httpx.HTTPTransport(trust_env=False, limits=LIMITS)


class Runner:
    """Drives a flow: each exchange over the transport, each pause by sleeping."""

    def __init__(
        self,
        wrapper: Wrapper,
        transport: httpx.BaseTransport,
        *,
        clock: Clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._wrapper, self._transport = wrapper, transport
        self._clock, self._sleep = clock, sleep

    def run(self, flow: Flow[T]) -> T:
        """What happens while an effect is carried out (Ctrl-C, a full disk) is raised inside the
        flow, at the place that asked for it: so it can note what it knows."""
        outcome: Outcome | None = None
        failure: BaseException | None = None
        with closing(flow):
            while True:
                try:
                    effect = flow.send(outcome) if failure is None else flow.throw(failure)
                except StopIteration as end:
                    result: T = end.value
                    return result
                outcome, failure = None, None
                try:
                    if isinstance(effect, Pause):
                        self._sleep(effect.seconds)
                    else:
                        outcome = self._exchanged(effect)
                except BaseException as exc:
                    failure = exc

    def _exchanged(self, exchange: Exchange) -> Outcome:
        with ExitStack() as stack:
            reader = None
            if exchange.file is not None:
                file = stack.enter_context(exchange.file.path.open("rb", buffering=0))
                reader = HashingReader(file)
            receiver = self._wrapper.receiver(exchange, self._clock.monotonic)
            try:
                request = self._wrapper.request(exchange, reader)
                response = self._transport.handle_request(request)
                stack.callback(_close, response)
                if (trouble := _received(response, receiver)) is not None:
                    return trouble
            except FAILURES as exc:
                return broken(exc)
            return self._wrapper.answer(response, receiver.content, reader)


def _received(response: httpx.Response, receiver: Receiver) -> Broken | None:
    for chunk in response.iter_bytes():
        if (trouble := receiver.take(chunk, response.status_code)) is not None:
            return trouble
    return None


def _close(response: httpx.Response) -> None:
    """The answer is had by now; how the connection takes its leave changes nothing."""
    with suppress(*FAILURES):
        response.close()


class Client:
    """Submits, waits, looks up. One may be used for many jobs, by one thread at a time."""

    def __init__(
        self,
        connection: Connection,
        journal: Journal,
        *,
        profile: Profile | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        figures = (profile or default_profile()).submission
        clock = clock or Clock()
        self._transport = transport or plain_transport()
        self._context = Context(connection, journal, figures, clock)
        wrapper = Wrapper(connection.base_url, connection.api_key, figures)
        self._runner = Runner(wrapper, self._transport, clock=clock, sleep=sleep)

    @classmethod
    def from_environment(cls, profile: Profile | None = None) -> Self:
        """Key, host and journal as the environment says.

        Raises:
            ApiKeyError: no key. SubmissionError: no usable host.
        """
        return cls(Connection.from_environment(), Journal.at_home(), profile=profile)

    def earlier(self, intent: Intent) -> tuple[Job, ...]:
        """Open or unknown jobs for the same work, each looked up: what became of them."""
        return self._runner.run(earlier_jobs(intent, self._context))

    def submit(
        self, intent: Intent, *, upload: bool = False, resubmit: bool = False
    ) -> tuple[Job, ...]:
        """Submit every wanted variation of an intent, each exactly once; see `submission`."""
        flow = submission(intent, self._context, upload=upload, resubmit=resubmit)
        return self._runner.run(flow)

    def wait(
        self,
        name: str,
        *,
        folder: Path,
        timeout_s: float | None = None,
        overwrite: bool = False,
        progress: Progress = unwatched,
    ) -> Prediction:
        """Wait for a job and download its outputs to `folder`; see `waited`."""
        flow = waited(
            name,
            self._context,
            folder=folder,
            timeout_s=timeout_s,
            overwrite=overwrite,
            progress=progress,
        )
        return self._runner.run(flow)

    def unfinished(self) -> tuple[Job, ...]:
        """Jobs that a wait for everything waits for; see `unfinished_jobs`."""
        return unfinished_jobs(self._context)

    def overdue(self) -> tuple[Job, ...]:
        """Jobs that a wait for everything leaves out; see `overdue_jobs`."""
        return overdue_jobs(self._context)

    def reconcile(self) -> tuple[Reconciled, ...]:
        """Look every unclear submission up in the service's history; see `all_reconciled`."""
        return self._runner.run(all_reconciled(self._context))

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _exc: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()


def fetch(
    url: str,
    folder: Path,
    kind: Kind,
    *,
    profile: Profile | None = None,
    transport: httpx.BaseTransport | None = None,
) -> Fetched:
    """Fetch an input given by URL for the check: without any key, and no more than could be
    uploaded.

    Raises:
        DownloadFailed: not there, not whole, not media, or too large.
    """
    figures = (profile or default_profile()).submission
    clock = Clock()
    target = folder / f"{kind}{suffix_of(url, '')}"
    with transport or plain_transport() as chosen:
        runner = Runner(Wrapper("", None, figures), chosen, clock=clock)
        limit_bytes = int(figures.limit("upload_max"))
        return runner.run(fetched(url, target, figures, clock, limit_bytes=limit_bytes))
