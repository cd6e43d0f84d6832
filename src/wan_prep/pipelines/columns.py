"""Callables over columns: what an engine for many rows calls in each of its workers.

Each takes a dict of columns (lists or arrays of one length) and returns a dict of lists. Each can
be pickled; the networks are loaded in the worker that first needs them, and stay loaded. A row that
goes wrong says so in its own cells and never raises.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from wan_prep.api.fixing import NormalizedPair, normalize, plan
from wan_prep.api.judging import check
from wan_prep.api.looking import Kind, PathLike
from wan_prep.documents import written_path
from wan_prep.errors import WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.isolation import Workers
from wan_prep.pipelines.looking import Judging, Looker, bytes_of
from wan_prep.pipelines.rows import PairResult, PairRow, echo, failed, judged
from wan_prep.planning.options import PlanOptions
from wan_prep.pose.estimator import PoseEstimator
from wan_prep.remote.scratch import Scratch
from wan_prep.remote.sources import shown

if TYPE_CHECKING:
    from wan_prep.report.model import Report

Columns = Mapping[str, Sequence[Any]]


class _OverRows(ABC):
    """A callable over columns that works row by row, in this process or in one of its own.

    isolated: rows are worked on in a process beside this one, so that a crash in native code, or a
        row that takes longer than `time_limit_s`, costs that row alone.
    estimator: another pose network; it stays in this process, so it cannot be `isolated`.
    """

    def __init__(
        self,
        judging: Judging | None = None,
        *,
        isolated: bool = False,
        time_limit_s: float | None = None,
        estimator: PoseEstimator | None = None,
        **settings: Any,
    ) -> None:
        if judging is not None and settings:
            raise WanPrepError("give one object of settings, or settings by name, and not both")
        if time_limit_s is not None and not isolated:
            raise WanPrepError("a time limit needs isolated=True: only a process can be stopped")
        if isolated and estimator is not None:
            raise WanPrepError("an estimator of your own stays in this process: leave out isolated")
        self.looker = Looker(judging or Judging(**settings), estimator)
        self._isolated, self._time_limit_s = isolated, time_limit_s
        self._workers: Workers | None = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_workers": None}

    @property
    def judging(self) -> Judging:
        return self.looker.judging

    def __call__(self, columns: Columns) -> dict[str, list[Any]]:
        rows = [self.row(cells) for cells in _rows_of(columns)]
        return {name: [row[name] for row in rows] for name in self.names}

    def row(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """One row; what goes wrong is in its cells."""
        try:
            return self._isolated_row(cells) if self._isolated else self._row(cells)
        except Exception as exc:  # one bad row never ends the others: it says what happened
            return self._failed(cells, exc)

    def _isolated_row(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        if self._workers is None:
            inside = copy(self)
            inside._isolated = False
            memory_bytes = int(self.judging.figures.limit("worker_memory_max"))
            self._workers = Workers(1, inside.row, memory_bytes=memory_bytes)
        limit_s = self._time_limit_s or self.judging.figures.limit("task_time_max")
        waiting = self._workers.submit(dict(cells), time_limit_s=limit_s)
        try:
            answer: dict[str, Any] = waiting.result()
        except WanPrepError as exc:
            return self.given_up(cells, exc)
        return answer

    def given_up(self, cells: Mapping[str, Any], exc: WanPrepError) -> dict[str, Any]:
        """One row whose process gave no answer; `exc` says what became of that."""
        return self._failed(cells, type(exc)(f"{self._work_on(cells)} failed: {exc}"))

    def in_its_own_process(self, time_limit_s: float | None) -> Self:
        """The same, `isolated`."""
        same = copy(self)
        same._isolated, same._time_limit_s = True, time_limit_s
        return same

    def close(self) -> None:
        """End the process of its own, and let go of the networks."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None
        self.looker.close()

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """The columns that come out."""

    @abstractmethod
    def _row(self, cells: Mapping[str, Any]) -> dict[str, Any]: ...

    @abstractmethod
    def _failed(self, cells: Mapping[str, Any], exc: Exception) -> dict[str, Any]: ...

    @abstractmethod
    def _work_on(self, cells: Mapping[str, Any]) -> str:
        """What is done with a row, in words."""


class ObserveFiles(_OverRows):
    """Columns `path` and `kind` (image or video) in; `path`, `kind`, `evidence`, `error_kind` and
    `error` out.

    evidence: bytes for the columns `image_evidence` and `video_evidence` of `CheckPairs`, which
        then opens no file. So each file of a table is looked at once, and the pairs are cheap.
    """

    names = ("path", "kind", "evidence", "error_kind", "error")

    def _row(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        kind = cells["kind"]
        if kind not in ("image", "video"):
            raise WanPrepError(f"kind {kind!r}: expected image or video")
        seen = self.looker.look(str(cells["path"]), kind)
        return self._answer(cells, evidence=bytes_of(seen))

    def _failed(self, cells: Mapping[str, Any], exc: Exception) -> dict[str, Any]:
        wrong = failed(exc)
        return self._answer(cells, error_kind=wrong["error_kind"], error=wrong["error"])

    def _work_on(self, cells: Mapping[str, Any]) -> str:
        return f"{shown(cells['path'])}: looking at this {cells['kind']}"

    def _answer(self, cells: Mapping[str, Any], **found: Any) -> dict[str, Any]:
        given = {"path": cells.get("path"), "kind": cells.get("kind")}
        return dict.fromkeys(self.names) | given | found


class CheckPairs(_OverRows):
    """Judge each row's pair.

    In: columns `image` and `video`, if wanted `mode`, `resolution`, `prompt`, `seed` and `id`, and
    `image_evidence` and `video_evidence` of `ObserveFiles`. Out: the columns of `PairResult`.

    Each worker looks at a file once, as long as it remembers it (the last 64). To look once at each
    file in all workers together, give a `cache` that they share, or the evidence.
    The settings are those of `wan_prep.check`, by name.
    """

    names = tuple(PairResult.model_fields)

    def _row(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        row = PairRow.of(cells)
        report = self._checked(row, cells)
        return self.result(
            cells, status="checked", **judged(report, with_report=self.judging.with_report)
        )

    def _checked(self, row: PairRow, cells: Mapping[str, Any]) -> Report:
        return check(
            self._evidence(row.image, cells.get("image_evidence"), "image"),
            self._evidence(row.video, cells.get("video_evidence"), "video"),
            mode=row.mode or self.judging.mode,
            resolution=row.resolution or self.judging.resolution,
            profile=self.judging.figures,
            select=self.judging.select,
            ignore=self.judging.ignore,
        )

    def _evidence(self, path: str, given: Any, kind: Kind) -> Evidence:
        if isinstance(given, bytes):
            return self.looker.unpacked(given)
        return self.looker.look(path, kind)

    def _failed(self, cells: Mapping[str, Any], exc: Exception) -> dict[str, Any]:
        return self.result(cells, **failed(exc))

    def _work_on(self, _cells: Mapping[str, Any]) -> str:
        return "working on this pair"

    def result(self, cells: Mapping[str, Any], **found: Any) -> dict[str, Any]:
        """The columns of one row: what it says, and what was found."""
        said = echo(cells, self.judging.mode, self.judging.resolution)
        return PairResult(**said | found).model_dump()


class FixPairs(CheckPairs):
    """Make each row's pair fit, in a folder of its own; columns as of `CheckPairs`.

    folder: where the folders are made. Each is named by the row's `id` where that is a plain name,
        else by the names of the files.
    options: as for `wan_prep.plan`.  overwrite: replace what stands in such a folder.

    A pair of which a file cannot be read is `failed`, with the verdict and the codes that say why.
    """

    def __init__(
        self,
        folder: PathLike,
        judging: Judging | None = None,
        *,
        options: PlanOptions | None = None,
        overwrite: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(judging, **settings)
        self.folder = Path(folder)
        self._options, self._overwrite = options, overwrite

    def _row(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        row = PairRow.of(cells)
        before = self._checked(row, cells)
        given = judged(before, with_report=self.judging.with_report)
        was = {"verdict_before": before.verdict, "score_before": before.score}
        try:
            pair = self._fixed(row, before)
        except WanPrepError as exc:
            return self.result(cells, **given, **was, **failed(exc))
        after = judged(pair.after, with_report=self.judging.with_report)
        return self.result(
            cells, status="fixed", folder=written_path(str(pair.folder)), **was, **after
        )

    def _fixed(self, row: PairRow, before: Report) -> NormalizedPair:
        figures, network = self.judging.figures, self.looker.estimator
        with Scratch(self.judging.remote, figures) as remote:
            made = plan(
                before,
                self._options,
                video=row.video,
                profile=figures,
                estimator=network,
                remote=remote,
            )
            return normalize(
                made,
                self.folder / row.folder_name,
                image=row.image,
                video=row.video,
                overwrite=self._overwrite,
                profile=figures,
                estimator=network,
                remote=remote,
            )


def _rows_of(columns: Columns) -> Iterator[dict[str, Any]]:
    """Raises WanPrepError: the columns differ in length."""
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise WanPrepError(f"columns of one length expected, found lengths {sorted(lengths)}")
    lists = {name: _as_list(column) for name, column in columns.items()}
    for k in range(lengths.pop() if lengths else 0):
        yield {name: values[k] for name, values in lists.items()}


def _as_list(column: Sequence[Any]) -> list[Any]:
    """Plain values: arrays of numpy, pandas and Arrow have types of their own."""
    for name in ("to_pylist", "tolist"):
        plain = getattr(column, name, None)
        if plain is not None:
            values: list[Any] = plain()
            return values
    return list(column)
