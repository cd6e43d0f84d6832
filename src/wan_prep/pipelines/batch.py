"""A manifest becomes a file of results: resumable, within a budget, each row one line."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args

from wan_prep.api.judging import tool
from wan_prep.api.looking import PathLike
from wan_prep.errors import ManifestError, OutputExists, RowInvalid, WanPrepError
from wan_prep.pipelines.columns import CheckPairs, FixPairs
from wan_prep.pipelines.known import NumberedRow
from wan_prep.pipelines.local import run_on_this_machine
from wan_prep.pipelines.looking import Judging
from wan_prep.pipelines.manifest import Manifest, open_manifest, with_whole_paths
from wan_prep.pipelines.results import Results
from wan_prep.pipelines.rows import PairResult, PairRow, echo, failed
from wan_prep.planning.options import PlanOptions
from wan_prep.pose.choice import PersonChoice
from wan_prep.writing import refuse_replacing

Engine = Literal["local", "ray"]


@dataclass(frozen=True)
class BatchProgress:
    """How far a batch is. done: rows with a result, those of earlier runs among them."""

    done: int
    total: int


@dataclass(frozen=True)
class BatchSummary:
    """What became of the rows of a manifest.

    counts: rows by verdict, and by status where there is none.  codes: rows by the code of a
        finding that is an error or a warning.
    usd_low, usd_high: the estimated cost of submitting the pairs that are ready.
    known: rows that had a result before this run.
    ignored: columns that mean nothing here.  unmatched: files of one folder without a partner.
    """

    results: Path
    total: int
    known: int
    counts: dict[str, int]
    codes: dict[str, int]
    usd_low: Decimal
    usd_high: Decimal
    is_all_good: bool
    ignored: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()


def run_batch(
    manifest: PathLike,
    videos: PathLike | None = None,
    *,
    results: PathLike,
    fix: PathLike | None = None,
    options: PlanOptions | None = None,
    engine: Engine = "local",
    workers: int | None = None,
    address: str | None = None,
    time_limit_s: float | None = None,
    budget_usd: Decimal | None = None,
    retry_failed: bool = False,
    overwrite: bool = False,
    judging: Judging | None = None,
    progress: Callable[[BatchProgress], None] = lambda _progress: None,
) -> BatchSummary:
    """Check, or fix, every pair of a manifest; one line of results for each row, in its order.

    manifest: a table with the columns image and video (.csv, .jsonl, .parquet), paths relative to
        it; or a folder of images, with `videos` the folder of videos of the same names.
    results: a .jsonl or .parquet file. Where an earlier run was stopped, or rows were added, this
        one goes on: a row that has a result and says the same is not worked on again.
    fix: a folder; each pair is repaired into a folder of its own in it.  options: as for `plan`.
    engine: `local`, or `ray` with the `address` of a cluster, None for one on this machine.
    workers: processes at once; None for one a core.
    time_limit_s: for looking at one file, and for working on one pair of files that were looked at;
        None is the profile's.
    budget_usd: rows after those whose ready pairs may be submitted for this much are `skipped`.
    retry_failed: work again on rows that failed in an earlier run.
    overwrite: begin anew, whatever `results` and the folders of `fix` hold.
    judging: how; its mode and resolution are those of rows that say none.

    Raises:
        ManifestError: the manifest cannot be read, or the results cannot be written.
        OutputExists: `results` holds other rows, or rows that were judged in another way.
        DependencyMissing: Parquet without pyarrow, or no Ray.
    """
    if engine not in get_args(Engine):
        raise WanPrepError(f"engine {engine!r}: expected {' or '.join(get_args(Engine))}")
    how = judging or Judging(with_report=False)
    table = open_manifest(manifest, videos)
    refuse_replacing(results, [manifest])
    with Results(results, overwrite=overwrite, retry_failed=retry_failed) as kept:
        batch = _Batch(table, kept, how, _settings_sha256(how, fix, options), budget_usd, fix)
        known = batch.agree_with_earlier_runs()
        pairs: CheckPairs = CheckPairs(how)
        if fix is not None:
            # What this batch wrote and could not note before it was stopped is written again.
            may_replace = overwrite or kept.goes_on
            pairs = FixPairs(fix, how, options=options, overwrite=may_replace)
        progress(BatchProgress(kept.count, batch.total))
        to_do = batch.to_do(pairs)
        if engine == "local":
            answers = run_on_this_machine(to_do, pairs, workers=workers, time_limit_s=time_limit_s)
        else:
            from wan_prep.pipelines.on_ray import run_on_ray

            answers = run_on_ray(
                to_do, pairs, workers=workers, time_limit_s=time_limit_s, address=address
            )
        with closing(answers):  # whoever works is told to stop before the results are finished
            for number, answer in answers:
                batch.note(number, answer)
                progress(BatchProgress(kept.count, batch.total))
                if batch.is_over_budget:
                    break
        kept.finish(batch.results)
        return batch.summary(known)


class _Batch:
    """The rows of a manifest, held against the results there are."""

    def __init__(
        self,
        table: Manifest,
        kept: Results,
        how: Judging,
        settings_sha256: str,
        budget_usd: Decimal | None,
        fix: PathLike | None,
    ) -> None:
        self._table, self._kept, self._how = table, kept, how
        self._settings, self._budget_usd = settings_sha256, budget_usd
        self._is_fixing = fix is not None
        self.total = 0
        self._in_order = 0
        """Rows from the first one on that all have a result."""
        self._spent_usd = Decimal(0)
        """For the ready pairs among those."""
        self._skipped_from: int | None = None
        self._under_way: dict[int, tuple[dict[str, Any], str]] = {}
        self._counts: Counter[str] = Counter()
        self._codes: Counter[str] = Counter()
        self._usd_low = self._usd_high = Decimal(0)
        self._is_all_good = True

    # -------------------------------------------------------------- rows

    def _rows(self) -> Iterator[tuple[int, dict[str, Any], PairRow | RowInvalid]]:
        """Number, cells, and what they say."""
        for number, cells in enumerate(self._table.rows(), 1):
            if isinstance(cells, RowInvalid):
                yield number, {}, cells
                continue
            try:
                yield number, dict(cells), PairRow.of(cells)
            except RowInvalid as exc:
                yield number, dict(cells), exc

    def _key(self, row: PairRow | RowInvalid) -> str:
        said = str(row) if isinstance(row, RowInvalid) else row.content_sha256
        how = (said, self._how.mode, self._how.resolution, self._settings)
        return hashlib.sha256("\n".join(how).encode("utf-8", "replace")).hexdigest()[:16]

    def agree_with_earlier_runs(self) -> int:
        """How many rows have a result already.

        Raises:
            OutputExists: a result is that of another row, or was judged in another way.
            ManifestError: two pairs would be fixed into one folder.
        """
        known = self._kept.keys
        folders: dict[str, int] = {}
        for number, _cells, row in self._rows():
            self.total = number
            if known.pop(number, None) not in (None, self._key(row)):
                raise self._others(f"row {number} says other than its result there")
            if self._is_fixing and isinstance(row, PairRow):
                first = folders.setdefault(row.folder_name, number)
                if first != number:
                    raise ManifestError(
                        f"rows {first} and {number} would both be fixed into the folder "
                        f"{row.folder_name}: give each row an id of its own"
                    )
        if known:
            raise self._others(f"it has a row {max(known)}, and the manifest ends before")
        return self._kept.count

    def _others(self, why: str) -> OutputExists:
        return OutputExists(
            f"{self._kept.path} holds results of another manifest or of other settings ({why}); "
            "name another file with -o, or begin anew with --overwrite"
        )

    def to_do(self, pairs: CheckPairs) -> Iterator[NumberedRow]:
        """The rows that name a pair and have no result yet; a row that names none gets its own."""
        self._advance()
        for number, cells, row in self._rows():
            if self.is_over_budget:
                return
            if number in self._kept:
                continue
            self._under_way[number] = (cells, self._key(row))
            if isinstance(row, RowInvalid):
                self.note(number, pairs.result(cells, **failed(row)))
            else:
                yield NumberedRow(number, with_whole_paths(row.model_dump(), self._table.folder))

    # -------------------------------------------------------------- results

    def note(self, number: int, answer: dict[str, Any]) -> None:
        """Keep the result of a row, which names the files as the manifest does."""
        cells, key = self._under_way.pop(number)
        said = echo(cells, self._how.mode, self._how.resolution)
        self._kept.add(PairResult(**answer | said | {"row": number, "key": key}))
        self._advance()

    def _advance(self) -> None:
        """Hold the budget against the rows in their order, whichever end first."""
        while self._budget_usd is not None and not self.is_over_budget:
            result = self._kept.get(self._in_order + 1)
            if result is None:
                return
            spent = self._spent_usd + _usd_of(result)[1]
            if spent > self._budget_usd:
                self._skipped_from = self._in_order + 1
                return
            self._spent_usd = spent
            self._in_order += 1

    @property
    def is_over_budget(self) -> bool:
        return self._skipped_from is not None

    def results(self) -> Iterator[PairResult]:
        """One for each row, in order; counted on the way."""
        for number, cells, _ in self._rows():
            result = None
            if self._skipped_from is None or number < self._skipped_from:
                result = self._kept.get(number)
            if result is None:
                said = echo(cells, self._how.mode, self._how.resolution)
                result = PairResult(**said, row=number, status="skipped")
            self._count(result)
            yield result

    def _count(self, result: PairResult) -> None:
        self._counts[result.verdict or result.status] += 1
        self._codes.update(result.codes)
        low, high = _usd_of(result)
        self._usd_low += low
        self._usd_high += high
        self._is_all_good &= result.is_good

    def summary(self, known: int) -> BatchSummary:
        return BatchSummary(
            results=self._kept.path,
            total=self.total,
            known=known,
            counts=dict(self._counts.most_common()),
            codes=dict(self._codes.most_common()),
            usd_low=self._usd_low,
            usd_high=self._usd_high,
            is_all_good=self._is_all_good,
            ignored=self._table.ignored,
            unmatched=self._table.unmatched,
        )


def _usd_of(result: PairResult) -> tuple[Decimal, Decimal]:
    """What submitting a pair may cost, if it is ready; nothing otherwise."""
    if result.verdict != "ready" or result.usd_low is None or result.usd_high is None:
        return Decimal(0), Decimal(0)
    # Through their shortest decimal forms: they were cents.
    return Decimal(str(result.usd_low)), Decimal(str(result.usd_high))


def _settings_sha256(how: Judging, fix: PathLike | None, options: PlanOptions | None) -> str:
    """Of everything but the row that a result depends on."""
    persons = [str(PersonChoice.of(who)) for who in (how.image_person, how.video_person)]
    said = {
        "tool": tool().version,
        "profile": how.figures.sha256,
        "pose_model": None if how.pose_model is None else str(how.pose_model),
        "persons": persons,
        "select": how.select,
        "ignore": how.ignore,
        "with_report": how.with_report,
        "fix": None if fix is None else str(Path(fix).absolute()),
        "options": None if options is None else asdict(options),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()
