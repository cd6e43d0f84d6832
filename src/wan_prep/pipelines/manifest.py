"""Tables of pairs: CSV, JSON lines, Parquet, or two folders matched by name."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wan_prep.errors import ManifestError, RowInvalid
from wan_prep.parquet import load_pyarrow
from wan_prep.pipelines.rows import PairRow
from wan_prep.ranking.files import files_named
from wan_prep.remote.sources import is_remote

Cells = Mapping[str, Any]
Rows = Iterator[Cells | RowInvalid]
REQUIRED = ("image", "video")
_BATCH_ROWS = 256


@dataclass(frozen=True)
class Manifest:
    """A table of pairs that can be read any number of times, row by row.

    folder: what relative paths in it are relative to.
    names: of its columns, as far as the first row tells.
    rows: reads it from the beginning. The cells of each row by column, or why a row cannot be read;
        raises ManifestError where the file cannot be read any further.
    unmatched: files of one folder that have no partner in the other.
    """

    folder: Path
    names: tuple[str, ...]
    rows: Callable[[], Rows]
    unmatched: tuple[str, ...] = ()

    @property
    def ignored(self) -> tuple[str, ...]:
        """Columns that mean nothing here."""
        return tuple(name for name in self.names if name not in PairRow.model_fields)


def open_manifest(table: str | Path, videos: str | Path | None = None) -> Manifest:
    """The table in a file; or, of two folders, the pairs of files with one name.

    Raises:
        ManifestError: it is of no known kind, cannot be read, or has no columns image and video.
        InputPathError: a folder has no file of its kind.
        DependencyMissing: Parquet without pyarrow.
    """
    path = Path(table)
    if videos is not None:
        return _of_folders(path, Path(videos))
    if path.is_dir():
        raise ManifestError(
            f"{path} is a folder: name a second one with the videos, which are matched by name, or "
            f"a table ({', '.join(_READERS)})"
        )
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise ManifestError(
            f"{path}: expected a table of pairs, a file that ends in {', '.join(_READERS)}"
        )
    names = _names_in(path, read)
    return Manifest(path.parent, names, lambda: read(path))


def with_whole_paths(cells: Cells, folder: Path) -> dict[str, Any]:
    """The same cells, with files named from where the program runs; addresses stay as they are."""
    whole = dict(cells)
    for name in REQUIRED:
        value = cells.get(name)
        if isinstance(value, str) and value and not is_remote(value):
            whole[name] = str(folder / value)
    return whole


def _names_in(path: Path, read: Callable[[Path], Rows]) -> tuple[str, ...]:
    """Raises ManifestError: no row, or no columns image and video."""
    first = next(read(path), None)
    if first is None:
        raise ManifestError(f"{path}: expected at least one pair, found none")
    if isinstance(first, RowInvalid):
        return ()
    names = tuple(first)
    if any(name not in names for name in REQUIRED):
        raise ManifestError(
            f"{path}: expected the columns {' and '.join(REQUIRED)}, found "
            f"{', '.join(names) or 'none'}"
        )
    return names


def _csv_rows(path: Path) -> Rows:
    """Commas, semicolons or tabs, whichever the first line has most of."""
    number = 0
    try:
        # Spreadsheets write a mark before the first letter, which utf-8-sig drops.
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = max(",;\t", key=file.readline().count)
            file.seek(0)
            lines = csv.reader(file, delimiter=delimiter)
            names = [name.strip() for name in next(lines, [])]
            for cells in lines:
                number = lines.line_num
                if len(cells) > len(names):
                    yield RowInvalid(
                        f"line {number} has {len(cells)} cells, and the first line names "
                        f"{len(names)}: put a cell with a {delimiter!r} in it into quotation marks"
                    )
                elif any(cells):
                    values = [cell.strip() for cell in cells]
                    yield dict(zip(names, values, strict=False))
    except (csv.Error, UnicodeDecodeError, OSError) as exc:
        raise _unreadable(path, exc, after_line=number) from exc


def _json_rows(path: Path) -> Rows:
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _json_row(line, number)
    except (UnicodeDecodeError, OSError) as exc:
        raise _unreadable(path, exc, after_line=number) from exc


def _json_row(line: str, number: int) -> Cells | RowInvalid:
    try:
        cells = json.loads(line)
    except (ValueError, RecursionError):
        return RowInvalid(f"line {number} is not JSON")
    return cells if isinstance(cells, dict) else RowInvalid(f"line {number} is no JSON object")


def _parquet_rows(path: Path) -> Rows:
    pyarrow, parquet = load_pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH_ROWS):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as exc:
        raise _unreadable(path, exc) from exc


_READERS: dict[str, Callable[[Path], Rows]] = {
    ".csv": _csv_rows,
    ".tsv": _csv_rows,
    ".jsonl": _json_rows,
    ".ndjson": _json_rows,
    ".parquet": _parquet_rows,
}


def _of_folders(images: Path, videos: Path) -> Manifest:
    """Pairs of files whose names agree but for what follows the last dot, in order of name."""
    stems: dict[str, dict[str, list[str]]] = {}
    for kind, folder in (("image", images), ("video", videos)):
        if not folder.is_dir():
            raise ManifestError(f"{folder}: expected a folder of {kind}s, matched by name")
        for path in files_named([folder], "image" if kind == "image" else "video"):
            stems.setdefault(Path(path).stem, {}).setdefault(kind, []).append(str(path))
    pairs = [
        {"image": image, "video": video, "id": stem}
        for stem, found in sorted(stems.items())
        for image in found.get("image", ())
        for video in found.get("video", ())
    ]
    if not pairs:
        raise ManifestError(
            f"no image in {images} has the name of a video in {videos}: files are matched by what "
            "stands before the last dot, as hero.png and hero.mp4"
        )
    alone = tuple(
        path
        for found in stems.values()
        if len(found) == 1
        for paths in found.values()
        for path in paths
    )
    return Manifest(Path(), (*REQUIRED, "id"), lambda: iter(pairs), alone)


def _unreadable(path: Path, exc: Exception, *, after_line: int = 0) -> ManifestError:
    if isinstance(exc, FileNotFoundError):
        return ManifestError(f"{path}: no such file")
    reason = getattr(exc, "strerror", None) or (
        "it is not UTF-8 text" if isinstance(exc, UnicodeDecodeError) else str(exc)
    )
    where = f" after line {after_line}" if after_line else ""
    return ManifestError(f"{path}: cannot read this table{where} ({reason})")
