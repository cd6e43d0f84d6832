"""One pair of a table, and what became of it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from wan_prep.documents import written_path
from wan_prep.errors import RowInvalid, WanPrepError, WorkerDied
from wan_prep.profile import Mode, Resolution
from wan_prep.remote.sources import shown
from wan_prep.report.model import Report

SCHEMA_VERSION = 1
"""Of `PairResult`, the lines of a result file. It rises when a name changes its meaning or goes."""

Status = Literal["checked", "fixed", "failed", "skipped"]
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


class PairRow(BaseModel):
    """One row of a table of pairs; only `image` and `video` are required.

    image, video: paths or addresses.  mode, resolution: those of the whole table where nothing is
        said.
    prompt, seed, id: not judged; they come back in the result, for whoever submits the pair.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    image: str
    video: str
    mode: Mode | None = None
    resolution: Resolution | None = None
    prompt: str | None = None
    seed: int | None = None
    id: str | None = None

    @classmethod
    def of(cls, cells: Mapping[str, Any]) -> Self:
        """The row of these cells; what is empty, None or not a number counts as not said.

        Raises RowInvalid: a file is not named, or a cell holds what cannot be.
        """
        said = {name: cells[name] for name in cls.model_fields if not _is_empty(cells.get(name))}
        try:
            return cls.model_validate(said)
        except ValidationError as exc:
            first = exc.errors()[0]
            name = str(first["loc"][0])
            what = "is missing" if first["type"] == "missing" else f"is {said.get(name)!r}"
            hint = "" if first["type"] == "missing" else f": {first['msg'].lower()}"
            raise RowInvalid(f"{name} {what}{hint}") from exc

    @field_validator("image", "video", "prompt", "id", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        # An id such as 17 comes as a number out of JSON and Parquet.
        return _text(value) if isinstance(value, int | float) else value

    @field_validator("mode", "resolution", mode="before")
    @classmethod
    def _as_spelled(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @property
    def content_sha256(self) -> str:
        return hashlib.sha256(json.dumps(self.model_dump()).encode()).hexdigest()

    @property
    def folder_name(self) -> str:
        """A name for what is made of this row: its id where that is a plain name of a file."""
        if self.id is not None and _PLAIN_NAME.fullmatch(self.id):
            return self.id
        named = [self.id] if self.id is not None else [_stem(self.image), _stem(self.video)]
        plain = "-".join(re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") for name in named)
        return f"{plain[:80] or 'pair'}-{self.content_sha256[:8]}"


class PairResult(BaseModel):
    """What became of one row: a line of a result file.

    status: `checked` and `fixed` have a verdict; `failed` has an error; `skipped` rows were not
        looked at, because the batch ended before them.
    verdict, score, score_at_best_start, codes, usd_low, usd_high: of the pair; of the written pair
        where it was fixed. codes: of the findings that are errors or warnings. usd: the estimated
        cost of submitting it.
    verdict_before, score_before: of the given pair, where it was fixed.
    folder: where the fixed pair lies.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    schema_version: int = SCHEMA_VERSION
    row: int | None = None
    """In the manifest, counted from 1."""
    id: str | None = None
    image: str | None = None
    video: str | None = None
    mode: str | None = None
    resolution: str | None = None
    prompt: str | None = None
    seed: int | None = None
    status: Status
    verdict: Literal["ready", "risky", "not_ready"] | None = None
    score: float | None = None
    score_at_best_start: float | None = None
    codes: tuple[str, ...] = ()
    usd_low: float | None = None
    usd_high: float | None = None
    verdict_before: Literal["ready", "risky", "not_ready"] | None = None
    score_before: float | None = None
    folder: str | None = None
    error_kind: str | None = None
    error: str | None = None
    report: str | None = None
    """The report as JSON, where it was asked for."""
    key: str | None = None
    """Of the row and of how the batch judges: by it a batch that goes on knows what is done."""

    @property
    def is_good(self) -> bool:
        return self.verdict in ("ready", "risky") and self.status in ("checked", "fixed")


def judged(report: Report, *, with_report: bool) -> dict[str, Any]:
    """The fields of a result that come from a report."""
    found: dict[str, Any] = {
        "verdict": report.verdict,
        "score": report.score,
        "score_at_best_start": report.score_at_best_start,
        "codes": tuple(dict.fromkeys(f.code for f in (*report.errors, *report.warnings))),
    }
    if report.cost is not None:
        found["usd_low"] = report.cost.usd_low
        found["usd_high"] = report.cost.usd_high
    if with_report:
        found["report"] = report.public_json()
    return found


def failed(exc: BaseException) -> dict[str, Any]:
    """The fields of a result that come from what went wrong."""
    if isinstance(exc, MemoryError):
        exc = WorkerDied("it needs more memory than a worker may take")
    message = str(exc) if isinstance(exc, WanPrepError) else f"{type(exc).__name__}: {exc}"
    kind = type(exc).__name__ if isinstance(exc, WanPrepError) else "InternalError"
    return {"status": "failed", "error_kind": kind, "error": written_path(message)}


def echo(cells: Mapping[str, Any], mode: str, resolution: str) -> dict[str, Any]:
    """The fields of a result that only repeat the row, whether or not they make sense."""
    said: dict[str, Any] = {"mode": mode, "resolution": resolution}
    for name in PairRow.model_fields:
        value = cells.get(name)
        if not _is_empty(value):
            # An address without what may be secret in it.
            said[name] = shown(_text(value)) if name in ("image", "video") else _text(value)
    if not re.fullmatch(r"[+-]?\d{1,18}", said.get("seed", "")):
        said.pop("seed", None)
    return said


def _text(value: Any) -> str:
    # A column of whole numbers with one empty cell comes out of pandas as 17.0.
    is_whole = isinstance(value, float) and value.is_integer()
    return written_path(str(int(value) if is_whole else value))


def _is_empty(value: Any) -> bool:
    # pandas and Daft hand over an empty cell as NaN.
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _stem(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/").partition("?")[0]).stem
