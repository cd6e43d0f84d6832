"""Files of results: one line a row, in the order of the manifest, whatever happens.

While a batch runs, results are appended to `NAME.part` in the order in which rows finish; each line
is whole before the next begins, so a run that was killed loses at most the rows it was working on.
At the end the file gets its name, sorted. What it holds is the same however often the batch was
stopped and went on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout
from pydantic import ValidationError

from wan_prep.errors import ManifestError
from wan_prep.parquet import load_pyarrow
from wan_prep.pipelines.rows import PairResult
from wan_prep.writing import written_whole

SUFFIXES = (".jsonl", ".parquet")
_ROWS_AT_ONCE = 512
_COLUMN_KINDS = {
    **dict.fromkeys(("schema_version", "row", "seed"), "int"),
    **dict.fromkeys(("score", "score_at_best_start", "score_before"), "float"),
    **dict.fromkeys(("usd_low", "usd_high"), "float"),
    "codes": "list",
}
"""Of a Parquet file, where they are not text."""
_SYNC_BYTES = 1_000_000
"""What may be lost, besides work, when the machine loses its power."""


class Results:
    """The result file of one batch, to be written or gone on with; a context manager.

    path: ends in .jsonl or .parquet.  overwrite: begin anew, whatever stands there.
    retry_failed: rows that failed in an earlier run have no result.

    Raises:
        ManifestError: another ending, another batch is writing it, or what stands there is no file
            of results.
        DependencyMissing: Parquet without pyarrow.
    """

    def __init__(
        self, path: str | Path, *, overwrite: bool = False, retry_failed: bool = False
    ) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in SUFFIXES:
            raise ManifestError(
                f"{path}: expected a name for the results that ends in {' or '.join(SUFFIXES)}"
            )
        self._is_parquet = self.path.suffix.lower() == ".parquet"
        if self._is_parquet:
            load_pyarrow()
        self._overwrite = overwrite
        self._without = {"skipped", "failed"} if retry_failed else {"skipped"}
        self._part = self.path.with_name(f"{self.path.name}.part")
        self._lock = FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=0)
        self._is_copy = False
        """Whether the part holds no more than the finished file it was made of."""
        self.goes_on = False
        """Whether an earlier run began these results, even if it noted nothing."""
        self._places: dict[int, tuple[int, str]] = {}
        """Row: where its line begins in the file, and its key."""

    def __enter__(self) -> Self:
        if not self.path.parent.is_dir():  # the lock would make it
            raise ManifestError(f"{self.path}: cannot be written, there is no such folder")
        try:
            self._lock.acquire()
        except Timeout as exc:
            raise ManifestError(
                f"{self.path}: another batch is writing these results; wait for it, or name "
                "another file with -o"
            ) from exc
        except OSError as exc:
            raise ManifestError(f"{self.path}: cannot be written ({exc.strerror})") from exc
        try:
            with self._mapped():
                self._begin()
        except BaseException:
            self._unlock()
            raise
        return self

    def _begin(self) -> None:
        if self._overwrite:
            self._part.unlink(missing_ok=True)
        elif self._part.exists():
            self.goes_on = True
        elif self.path.exists():
            self._take_up_finished()
        # Binary: places are counted in bytes.
        self._file = self._part.open("ab+")
        self._unsynced = 0
        self._read_part()

    def _take_up_finished(self) -> None:
        """A finished file, gone on with: the part is made of it."""
        with written_whole(self._part) as scratch, scratch.open("wb") as part:
            for result in read_results(self.path):
                part.write(_line_of(result))
        self._is_copy = self.goes_on = True

    def _read_part(self) -> None:
        """Note where each row's line is; cut off a line that was not finished."""
        self._file.seek(0)
        place = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            result = _result_of(line, self._part)
            if result.row is not None and result.status not in self._without:
                self._places[result.row] = (place, result.key or "")
            place += len(line)
        self._file.truncate(place)

    @property
    def keys(self) -> dict[int, str]:
        """Of the rows that have a result, by number."""
        return {row: key for row, (_, key) in self._places.items()}

    @property
    def count(self) -> int:
        return len(self._places)

    def __contains__(self, row: int) -> bool:
        return row in self._places

    def add(self, result: PairResult) -> None:
        """Keep the result of one row. Raises ManifestError: the disk is full."""
        assert result.row is not None
        line = _line_of(result)
        place = self._file.seek(0, os.SEEK_END)
        with self._mapped():
            self._file.write(line)
            self._file.flush()
            self._unsynced += len(line)
            if self._unsynced > _SYNC_BYTES:
                os.fsync(self._file.fileno())
                self._unsynced = 0
        self._places[result.row] = (place, result.key or "")
        self._is_copy = False

    def get(self, row: int) -> PairResult | None:
        if row not in self._places:
            return None
        self._file.seek(self._places[row][0])
        return _result_of(self._file.readline(), self._part)

    def finish(self, results: Callable[[], Iterator[PairResult]]) -> None:
        """Give the file its name, with these results, and let the part go.

        Raises ManifestError: the disk is full.
        """
        with self._mapped(), written_whole(self.path) as scratch:
            if self._is_parquet:
                _write_parquet(scratch, results())
            else:
                with scratch.open("wb") as file:
                    for result in results():
                        file.write(_line_of(result))
        self._file.close()
        self._part.unlink()

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _exc: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # the disk is full, as what led here says
            self._file.close()
        with suppress(OSError):  # it got its name, and no part is left
            if self._is_copy or self._part.stat().st_size == 0:
                self._part.unlink()
        self._unlock()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise ManifestError(
                f"{self.path}: cannot be written ({exc.strerror}); what is done is kept: make room "
                "and give the same command again, which goes on"
            ) from exc

    def _unlock(self) -> None:
        # While it is held; whoever waits for it notices that the file is another one.
        Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()


def read_results(path: Path) -> Iterator[PairResult]:
    """The results in a file, in order.

    Raises:
        ManifestError: it is no file of results.  DependencyMissing: Parquet without pyarrow.
    """
    if path.suffix.lower() == ".parquet":
        pyarrow, parquet = load_pyarrow()
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(_ROWS_AT_ONCE):
                    for cells in batch.to_pylist():
                        yield PairResult.model_validate(cells)
        except (pyarrow.ArrowException, OSError, ValidationError) as exc:
            raise _not_ours(path) from exc
        return
    try:
        with path.open("rb") as lines:
            for line in lines:
                yield _result_of(line, path)
    except OSError as exc:
        raise ManifestError(f"{path}: cannot be read ({exc.strerror})") from exc


def _line_of(result: PairResult) -> bytes:
    return result.model_dump_json().encode() + b"\n"


def _result_of(line: bytes, path: Path) -> PairResult:
    try:
        return PairResult.model_validate_json(line)
    except ValidationError as exc:
        raise _not_ours(path) from exc


def _not_ours(path: Path) -> ManifestError:
    return ManifestError(
        f"{path} is there already, and holds no results of wan-prep batch; name another file with "
        "-o, or replace it with --overwrite"
    )


def _write_parquet(path: Path, results: Iterator[PairResult]) -> None:
    pyarrow, parquet = load_pyarrow()
    kinds = {
        "int": pyarrow.int64(),
        "float": pyarrow.float64(),
        "list": pyarrow.list_(pyarrow.string()),
    }
    names = PairResult.model_fields
    schema = pyarrow.schema(
        [(n, kinds.get(_COLUMN_KINDS.get(n, ""), pyarrow.string())) for n in names]
    )
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while rows := list(islice(results, _ROWS_AT_ONCE)):
            cells = [row.model_dump() for row in rows]
            writer.write_table(pyarrow.Table.from_pylist(cells, schema=schema))
