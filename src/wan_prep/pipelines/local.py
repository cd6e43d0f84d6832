"""The engine for one machine: worker processes, each file looked at once, then the cheap pairs."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any

from wan_prep.errors import TimeLimitReached, WorkerDied
from wan_prep.isolation import Workers, cores
from wan_prep.pipelines.columns import CheckPairs, ObserveFiles
from wan_prep.pipelines.known import FileKey, KnownFile, KnownFiles, NumberedRow, with_evidence

AHEAD_PER_WORKER = 8
"""Rows that are begun for each worker, so that none waits for the next."""


@dataclass(frozen=True)
class _Task:
    is_pair: bool
    cells: dict[str, Any]


class _Work:
    """What each worker holds: it looks at files and works on pairs with one set of networks."""

    def __init__(self, pairs: CheckPairs) -> None:
        self._pairs = pairs
        self._files = ObserveFiles(pairs.judging)
        self._files.looker = pairs.looker

    def __call__(self, task: _Task) -> dict[str, Any]:
        return self._pairs.row(task.cells) if task.is_pair else self._files.row(task.cells)


@dataclass
class _Begun:
    """A row on its way, with its files that are known."""

    row: NumberedRow
    files: dict[FileKey, KnownFile] = field(default_factory=dict)


def run_on_this_machine(
    rows: Iterable[NumberedRow],
    pairs: CheckPairs,
    *,
    workers: int | None = None,
    time_limit_s: float | None = None,
) -> Generator[tuple[int, dict[str, Any]], None, None]:
    """The number and the result of each row, in the order in which they end.

    workers: processes; None for one a core.  time_limit_s: for looking at one file, and for working
        on one pair whose files were looked at; None is the profile's.

    Raises WanPrepError: no process can be started, which is no row's fault.
    """
    count = workers or cores()
    figures = pairs.judging.figures
    memory_bytes = int(figures.limit("worker_memory_max"))
    with Workers(count, _Work(pairs), memory_bytes=memory_bytes) as pool:
        flow = _Flow(pool, pairs, time_limit_s or figures.limit("task_time_max"))
        coming = iter(rows)
        is_over = False
        while True:
            while not is_over and flow.size < count * AHEAD_PER_WORKER:
                row = next(coming, None)
                is_over = row is None
                if row is not None:
                    flow.begin(row)
            if flow.size == 0:
                return
            yield from flow.results()


class _Flow:
    """Rows on their way through the workers; each file is handed out once at a time."""

    def __init__(self, pool: Workers, pairs: CheckPairs, time_limit_s: float | None) -> None:
        self._pool, self._pairs, self._time_limit_s = pool, pairs, time_limit_s
        self._files = ObserveFiles(pairs.judging)
        self._looking: dict[Future[Any], FileKey] = {}
        self._waiting: dict[FileKey, list[_Begun]] = {}
        self._working: dict[Future[Any], NumberedRow] = {}
        self._ended: list[tuple[int, dict[str, Any]]] = []
        self._known = KnownFiles()
        self.size = 0

    def begin(self, row: NumberedRow) -> None:
        self.size += 1
        begun = _Begun(row)
        for file in row.files:
            known = self._known.get(file)
            if known is not None:
                self._tell(begun, file, known)
            elif file in self._waiting:
                self._waiting[file].append(begun)
            else:
                self._waiting[file] = [begun]
                self._looking[self._submitted(_Task(False, _cells_of(file)))] = file

    def results(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The results that are there; where there are none, after something has ended."""
        if not self._ended:
            done, _ = wait([*self._looking, *self._working], return_when=FIRST_COMPLETED)
            for future in done:
                if future in self._looking:
                    self._note(self._looking.pop(future), future)
                else:
                    self._ended.append(self._worked_on(self._working.pop(future), future))
        while self._ended:
            self.size -= 1
            yield self._ended.pop()

    def _submitted(self, task: _Task) -> Future[Any]:
        return self._pool.submit(task, time_limit_s=self._time_limit_s)

    def _note(self, file: FileKey, future: Future[Any]) -> None:
        """What became of looking at a file, for all rows that wait for it."""
        try:
            answer = future.result()
        except (WorkerDied, TimeLimitReached) as exc:
            answer = self._files.given_up(_cells_of(file), exc)
        known = self._known.note(file, answer)
        for begun in self._waiting.pop(file):
            self._tell(begun, file, known)

    def _tell(self, begun: _Begun, file: FileKey, known: KnownFile) -> None:
        """One of a row's files is known; once both are, the pair is worked on."""
        begun.files[file] = known
        if len(begun.files) < len(begun.row.files):
            return
        cells, wrong = with_evidence(begun.row, begun.files)
        if wrong is not None:
            self._ended.append((begun.row.number, self._pairs.result(cells, **wrong)))
        else:
            self._working[self._submitted(_Task(True, cells))] = begun.row

    def _worked_on(self, row: NumberedRow, future: Future[Any]) -> tuple[int, dict[str, Any]]:
        try:
            return row.number, future.result()
        except (WorkerDied, TimeLimitReached) as exc:
            return row.number, self._pairs.given_up(row.cells, exc)


def _cells_of(file: FileKey) -> dict[str, Any]:
    kind, path = file
    return {"kind": kind, "path": path}
