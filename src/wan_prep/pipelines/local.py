"""The engine for one machine: worker processes, each file looked at once, then the cheap pairs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any

from wan_prep.errors import WanPrepError
from wan_prep.isolation import Workers, cores
from wan_prep.pipelines.columns import CheckPairs, Kind, ObserveFiles
from wan_prep.pipelines.rows import failed

FileKey = tuple[Kind, str]
AHEAD_PER_WORKER = 8
"""Rows that are begun for each worker, so that none waits for the next."""
REMEMBERED_BYTES = 64_000_000
"""Of evidence that is held for rows to come; what was used longest ago goes first."""
LOST_MOST = 10_000
"""Files that cannot be looked at, which are remembered so that nobody tries them again."""
KINDS: tuple[Kind, ...] = ("image", "video")


@dataclass(frozen=True)
class NumberedRow:
    """A row that names a pair, and its number in the manifest."""

    number: int
    cells: dict[str, Any]


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
    """A row on its way: what is known of its files."""

    row: NumberedRow
    open: int = len(KINDS)
    """Files of which nothing is known yet."""
    evidence: dict[Kind, bytes] = field(default_factory=dict)
    wrong: dict[str, Any] | None = None
    """The fields of the result that say why one of them was not seen."""


def run_on_this_machine(
    rows: Iterable[NumberedRow],
    pairs: CheckPairs,
    *,
    workers: int | None = None,
    time_limit_s: float | None = None,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number and the result of each row, in the order in which they end.

    workers: processes; None for one a core.  time_limit_s: for looking at one file, and for working
        on one pair whose files were looked at; None is the profile's.
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
        self._looking: dict[Future[Any], FileKey] = {}
        self._waiting: dict[FileKey, list[_Begun]] = {}
        self._working: dict[Future[Any], NumberedRow] = {}
        self._ended: list[tuple[int, dict[str, Any]]] = []
        self._known: OrderedDict[FileKey, bytes] = OrderedDict()
        self._known_bytes = 0
        self._lost: dict[FileKey, dict[str, Any]] = {}
        """Files that cannot be looked at, with the fields of a result that say why."""
        self.size = 0

    def begin(self, row: NumberedRow) -> None:
        self.size += 1
        begun = _Begun(row)
        for kind in KINDS:
            file = (kind, row.cells[kind])
            if file in self._waiting:
                self._waiting[file].append(begun)
            elif file in self._known or file in self._lost:
                self._tell(begun, file)
            else:
                self._waiting[file] = [begun]
                task = _Task(is_pair=False, cells={"kind": kind, "path": row.cells[kind]})
                self._looking[self._submitted(task)] = file

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
        kind, path = file
        try:
            answer = future.result()
        except WanPrepError as exc:
            gone = {**failed(exc), "error": f"{path}: looking at this {kind} failed: {exc}"}
            self._lost[file] = gone
        else:
            seen = answer["evidence"]
            if seen is None:
                self._lost[file] = {
                    "status": "failed",
                    "error_kind": answer["error_kind"],
                    "error": answer["error"],
                }
            else:
                self._known[file] = seen
                self._known_bytes += len(seen)
        for begun in self._waiting.pop(file):
            self._tell(begun, file)
        self._make_room()

    def _tell(self, begun: _Begun, file: FileKey) -> None:
        """One of a row's files is known; once both are, the pair is worked on."""
        if file in self._lost:
            begun.wrong = begun.wrong or self._lost[file]
        else:
            self._known.move_to_end(file)
            begun.evidence[file[0]] = self._known[file]
        begun.open -= 1
        if begun.open:
            return
        cells = begun.row.cells
        if begun.wrong is not None:
            self._ended.append((begun.row.number, self._pairs.result(cells, **begun.wrong)))
            return
        came_along = {f"{kind}_evidence": seen for kind, seen in begun.evidence.items()}
        task = _Task(is_pair=True, cells=cells | came_along)
        self._working[self._submitted(task)] = begun.row

    def _worked_on(self, row: NumberedRow, future: Future[Any]) -> tuple[int, dict[str, Any]]:
        try:
            return row.number, future.result()
        except WanPrepError as exc:
            wrong = {**failed(exc), "error": f"working on this pair failed: {exc}"}
            return row.number, self._pairs.result(row.cells, **wrong)

    def _make_room(self) -> None:
        while self._known_bytes > REMEMBERED_BYTES and len(self._known) > 1:
            _, seen = self._known.popitem(last=False)
            self._known_bytes -= len(seen)
        while len(self._lost) > LOST_MOST:
            del self._lost[next(iter(self._lost))]
