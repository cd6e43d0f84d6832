"""The async client: the same flows as the sync one, over an async httpx transport."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from wan_prep.profile import Profile, default_profile
from wan_prep.submission.environment import Connection
from wan_prep.submission.flows import Clock, Context
from wan_prep.submission.intent import Intent
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


class AsyncRunner:
    """Drives a flow like `Runner`.

    What touches the disk (the journal's short writes, pieces of files) happens in the event loop.
    """

    def __init__(
        self,
        wrapper: Wrapper,
        transport: httpx.AsyncBaseTransport,
        *,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._wrapper, self._transport = wrapper, transport
        self._clock, self._sleep = clock, sleep

    async def run(self, flow: Flow[T]) -> T:
        """What happens while an effect is carried out is raised inside the flow: cancellation,
        too."""
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
                        await self._sleep(effect.seconds)
                    else:
                        outcome = await self._exchanged(effect)
                except BaseException as exc:
                    failure = exc

    async def _exchanged(self, exchange: Exchange) -> Outcome:
        async with AsyncExitStack() as stack:
            reader = None
            if exchange.file is not None:
                file = stack.enter_context(exchange.file.path.open("rb", buffering=0))
                reader = HashingReader(file)
            receiver = self._wrapper.receiver(exchange, self._clock.monotonic)
            try:
                request = self._wrapper.request(exchange, reader)
                response = await self._transport.handle_async_request(request)
                stack.push_async_callback(_close, response)
                if (trouble := await _received(response, receiver)) is not None:
                    return trouble
            except FAILURES as exc:
                return broken(exc)
            return self._wrapper.answer(response, receiver.content, reader)


async def _received(response: httpx.Response, receiver: Receiver) -> Broken | None:
    async for chunk in response.aiter_bytes():
        if (trouble := receiver.take(chunk, response.status_code)) is not None:
            return trouble
    return None


async def _close(response: httpx.Response) -> None:
    """The answer is had by now; how the connection takes its leave changes nothing."""
    with suppress(*FAILURES):
        await response.aclose()


class AsyncClient:
    """`Client` for pipelines: any number of jobs at once in one event loop."""

    def __init__(
        self,
        connection: Connection,
        journal: Journal,
        *,
        profile: Profile | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        figures = (profile or default_profile()).submission
        clock = clock or Clock()
        self._transport = transport or httpx.AsyncHTTPTransport(trust_env=False, limits=LIMITS)
        self._context = Context(connection, journal, figures, clock)
        wrapper = Wrapper(connection.base_url, connection.api_key, figures)
        self._runner = AsyncRunner(wrapper, self._transport, clock=clock, sleep=sleep)

    @classmethod
    def from_environment(cls, profile: Profile | None = None) -> Self:
        """Key, host and journal as the environment says.

        Raises:
            ApiKeyError: no key. SubmissionError: no usable host.
        """
        return cls(Connection.from_environment(), Journal.at_home(), profile=profile)

    async def earlier(self, intent: Intent) -> tuple[Job, ...]:
        """Open or unknown jobs for the same work, each looked up: what became of them."""
        return await self._runner.run(earlier_jobs(intent, self._context))

    async def submit(
        self, intent: Intent, *, upload: bool = False, resubmit: bool = False
    ) -> tuple[Job, ...]:
        """Submit every wanted variation of an intent, each exactly once; see `submission`."""
        flow = submission(intent, self._context, upload=upload, resubmit=resubmit)
        return await self._runner.run(flow)

    async def wait(
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
        return await self._runner.run(flow)

    def unfinished(self) -> tuple[Job, ...]:
        """Jobs that a wait for everything waits for; see `unfinished_jobs`."""
        return unfinished_jobs(self._context)

    def overdue(self) -> tuple[Job, ...]:
        """Jobs that a wait for everything leaves out; see `overdue_jobs`."""
        return overdue_jobs(self._context)

    async def reconcile(self) -> tuple[Reconciled, ...]:
        """Look every unclear submission up in the service's history; see `all_reconciled`."""
        return await self._runner.run(all_reconciled(self._context))

    async def close(self) -> None:
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _exc: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()
