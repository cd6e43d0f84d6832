"""Work in processes of its own, so that a crash or a hang costs one task and not the program.

Native code (decoders, networks) can end a process without an exception, and can hang where no
exception reaches it. Each worker process has a pipe of its own and shares no lock with the others,
so one that is killed at any moment stops nobody else.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

from wan_prep import errors
from wan_prep.errors import TimeLimitReached, WanPrepError, WorkerDied

# Threads and locks of this process, MediaPipe's among them, do not survive a fork.
_SPAWN = multiprocessing.get_context("spawn")
_END_S = 3.0
"""What a process that is told to end has for putting its files away."""
_READY = "ready"


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers:
    """Processes that each hold one function and call it with what is submitted.

    count: how many.  function: a picklable callable of one argument; each process gets a copy and
        keeps it, so that what it loads is loaded once.  memory_bytes: what each process may take,
        where the system can hold it to that (Linux); None: as much as there is.

    A context manager; leaving it ends the processes, whatever they do.
    """

    def __init__(
        self, count: int, function: Callable[[Any], Any], *, memory_bytes: int | None = None
    ) -> None:
        self._function, self._memory_bytes = function, memory_bytes
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="wan-prep-worker")
        self._slots: SimpleQueue[_Worker | None] = SimpleQueue()
        for _ in range(count):
            self._slots.put(None)  # started when there is something to do
        self._running: set[_Worker] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    def submit(self, argument: Any, *, time_limit_s: float | None = None) -> Future[Any]:
        """What the function returns for `argument`, later.

        The future raises what the function raises, and
            WorkerDied: the process crashed, or was killed.
            TimeLimitReached: it took longer than `time_limit_s`; the process was ended.
            WanPrepError: no process can be started.
        """
        return self._threads.submit(self._run, argument, time_limit_s)

    def _run(self, argument: Any, time_limit_s: float | None) -> Any:
        worker = self._slots.get()
        try:
            if worker is None or not worker.is_alive:  # it may have been killed while it waited
                worker = self._started(worker)
            answer = worker.call(argument, time_limit_s)
        except BaseException as exc:
            if worker is not None:
                self._end(worker)
            self._slots.put(None)
            if self._is_closed:
                raise WorkerDied("the work was given up") from exc
            raise
        self._slots.put(worker)
        if isinstance(answer, _Raised):
            raise answer.as_exception()
        return answer

    def _started(self, before: _Worker | None) -> _Worker:
        if before is not None:
            self._end(before)
        with self._lock:
            if self._is_closed:
                raise WorkerDied("the work was given up")
            worker = _Worker(self._function, self._memory_bytes)
            self._running.add(worker)
        try:
            worker.wait_until_ready()
        except BaseException:
            self._end(worker)
            raise
        return worker

    def _end(self, worker: _Worker) -> None:
        with self._lock:
            self._running.discard(worker)
        worker.end()

    def close(self) -> None:
        """End the processes; what is being worked on is given up."""
        with self._lock:
            self._is_closed = True
            running = list(self._running)
        for worker in running:
            worker.ask_to_end()
        for worker in running:
            worker.end()
        self._threads.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _exc: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()


class _Worker:
    """One process, and this end of its pipe."""

    def __init__(self, function: Callable[[Any], Any], memory_bytes: int | None) -> None:
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(
            target=_serve, args=(theirs, function, memory_bytes), daemon=True
        )
        self._process.start()
        theirs.close()  # so that its end is noticed here

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    def wait_until_ready(self) -> None:
        """Raises WanPrepError: the process ended before it could work."""
        try:
            self._pipe.recv()
        except (EOFError, OSError) as exc:
            raise WanPrepError(
                f"a worker process could not start ({self._how_it_ended()}); in a script, call "
                'this below the line if __name__ == "__main__":'
            ) from exc

    def call(self, argument: Any, time_limit_s: float | None) -> Any:
        """The answer, or what was raised there."""
        try:
            self._pipe.send(argument)
            if not self._pipe.poll(time_limit_s):
                raise TimeLimitReached(f"it took longer than {time_limit_s:g} s and was given up")
            return self._pipe.recv()
        except (EOFError, OSError) as exc:
            raise WorkerDied(f"its process ended while at work ({self._how_it_ended()})") from exc

    def _how_it_ended(self) -> str:
        self._process.join(_END_S)
        code = self._process.exitcode
        if code is None:
            return "it does not answer"
        if code < 0:
            try:
                return f"signal {signal.Signals(-code).name}"
            except ValueError:
                return f"signal {-code}"
        return f"exit code {code}"

    def ask_to_end(self) -> None:
        self._process.terminate()

    def end(self) -> None:
        self._process.terminate()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()


@dataclass(frozen=True)
class _Raised:
    """An exception on its way here: by name and message, since not each can be copied."""

    name: str
    message: str

    def as_exception(self) -> Exception:
        if self.name == "MemoryError":
            return WorkerDied("it needs more memory than a worker may take")
        kind = getattr(errors, self.name, None)
        if not (isinstance(kind, type) and issubclass(kind, WanPrepError)):
            return RuntimeError(f"{self.name}: {self.message}")
        try:
            return kind(self.message)
        except TypeError:  # it takes more than its message
            return WanPrepError(self.message)


# ---- in the worker process


def _serve(pipe: Connection, function: Callable[[Any], Any], memory_bytes: int | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which ends this one
    signal.signal(signal.SIGTERM, _end_tidily)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if memory_bytes is not None:
        _hold_memory_to(memory_bytes)
    try:
        pipe.send(_READY)
        while True:
            argument = pipe.recv()
            try:
                answer = function(argument)
            except Exception as exc:
                answer = _Raised(type(exc).__name__, str(exc))
            pipe.send(answer)
    except (EOFError, OSError):  # the program is gone
        pass


def _hold_memory_to(memory_bytes: int) -> None:
    """What asks for more gets a MemoryError, or ends the process: the task's loss alone."""
    if sys.platform != "linux":  # elsewhere this limit does not count memory that is mapped
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))


def _end_tidily(_signal: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would interrupt the putting away
    raise SystemExit(1)  # so that files that are half written are put away


def _end_with_parent() -> None:
    """A program that was killed cannot end its workers, and one that hangs would stay."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
