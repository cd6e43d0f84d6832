"""Outcomes listed by a person in a CSV file: read and checked, before any medium is looked at."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from wan_prep.errors import InputPathError, WanPrepError
from wan_prep.fragments import printable
from wan_prep.learning.outcome import Result, Why
from wan_prep.profile import Mode, Resolution

_MOST_BYTES = 50_000_000
"""Of a list: over a hundred thousand outcomes, and soon read."""


class ListedOutcome(BaseModel):
    """One row: a pair by its two files, or by the report that was saved of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    image: Path | None = None
    video: Path | None = None
    report: Path | None = None
    mode: Mode | None = None
    resolution: Resolution | None = None
    outcome: Result
    why: Why | None = None

    @field_validator("mode", "resolution", "outcome", "why", mode="before")
    @classmethod
    def _small(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _names_a_pair(self) -> Self:
        if (self.image is None) != (self.video is None):
            raise ValueError("expected both image and video")
        if (self.image is None) == (self.report is None):
            raise ValueError("expected image and video, or a report instead of them")
        return self


def read_listing(path: str | Path) -> tuple[ListedOutcome, ...]:
    """The rows of a CSV file in UTF-8 whose first line names its columns: image and video, or
    report; outcome; and if wanted mode, resolution and why. Paths are relative to the file.

    Raises:
        InputPathError: the file cannot be read, or a row names a file that is not there.
        WanPrepError: a column or a word that cannot be; the message names the line.
    """
    source = Path(path)
    text = _text_of(source)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        _must_be_columns(header, path)
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as exc:
        raise WanPrepError(f"{path}: line {reader.line_num}: not CSV ({exc})") from exc
    if not rows:
        raise WanPrepError(f"{path}: expected an outcome below the line of names, found none")
    return tuple(_listed(row, header, f"{path}: line {line}", source.parent) for line, row in rows)


def _text_of(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise InputPathError(f"{path}: expected a CSV file, found a folder or a device")
        if path.stat().st_size > _MOST_BYTES:
            raise WanPrepError(
                f"{path}: expected a list of outcomes of {_MOST_BYTES // 1_000_000} MB at most"
            )
        text = path.read_text("utf-8-sig")
    except OSError as exc:
        raise InputPathError(f"{path}: cannot read this list ({exc.strerror})") from exc
    except ValueError as exc:  # a path with a zero byte, or bytes that are no text
        raise InputPathError(f"{path}: cannot read this list (it is not UTF-8 text)") from exc
    return text


def _must_be_columns(header: list[str], path: str | Path) -> None:
    known = tuple(ListedOutcome.model_fields)
    unknown = [name for name in header if name not in known]
    if unknown or len(set(header)) != len(header):
        wrong = unknown[0] if unknown else max(header, key=header.count)
        what = "unknown column" if unknown else "two columns"
        raise WanPrepError(
            f"{path}: {what} {printable(wrong)[:60]!r}; known are {', '.join(known)}"
        )
    if "outcome" not in header or not ({"image", "video"} <= set(header) or "report" in header):
        raise WanPrepError(
            f"{path}: expected the columns image, video and outcome, or report and outcome"
        )


def _listed(row: list[str], header: list[str], where: str, folder: Path) -> ListedOutcome:
    if len(row) != len(header):
        raise WanPrepError(f"{where}: expected {len(header)} cells, found {len(row)}")
    cells = {name: cell.strip() for name, cell in zip(header, row, strict=True) if cell.strip()}
    try:
        listed = ListedOutcome.model_validate(cells)
    except ValidationError as exc:
        first = exc.errors()[0]
        column = ".".join(str(part) for part in first["loc"])
        found = f" (found {printable(str(first['input']))[:60]!r})" if column in cells else ""
        raise WanPrepError(
            f"{where}: {f'{column}: ' if column else ''}{first['msg']}{found}"
        ) from exc
    files = {
        name: folder / own
        for name in ("image", "video", "report")
        if (own := getattr(listed, name)) is not None
    }
    for file in files.values():
        if not _is_there(file):
            raise InputPathError(f"{where}: {printable(str(file))[:300]} is not a file")
    return listed.model_copy(update=files)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
