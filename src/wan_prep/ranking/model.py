"""A ranking as a value: the best pairs, and the files that could not take part."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from wan_prep.documents import DocumentPath, json_text
from wan_prep.errors import EvidenceMissing
from wan_prep.evidence import Evidence
from wan_prep.fragments import badge, card, csv_cell, inert
from wan_prep.parquet import load_pyarrow
from wan_prep.profile import Mode, Resolution
from wan_prep.report.model import PoseModelId, ProfileId, Tool, Verdict

TopPer = Literal["image", "video"]


class _RankingModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RankedPair(_RankingModel):
    """One pair, as `check` judges it."""

    rank: int
    """From 1; equal scores keep the order in which the files were given."""
    image: DocumentPath
    video: DocumentPath
    score_at_best_start: float
    """0 … 100: what pairs are ranked by."""
    best_start_s: float
    """Where the clip would begin then, in s from its first frame."""
    score: float
    """0 … 100, with the clip from its beginning."""
    verdict: Verdict
    """With the clip from its beginning."""
    codes: tuple[str, ...]
    """Of findings that are errors or warnings, the gravest first."""
    to_do: str | None
    """What helps most; None where nothing has to be done."""
    usd_low: float
    usd_high: float
    """What the whole clip would cost."""


class SetAside(_RankingModel):
    """A file that is in no pair, and why."""

    kind: Literal["image", "video"]
    path: DocumentPath
    reason: str


class Ranking(_RankingModel):
    """The best pairs of a set, best first. Iterating gives its pairs."""

    schema_version: Literal[1] = 1
    tool: Tool
    profile: ProfileId
    pose_model: PoseModelId
    mode: Mode
    resolution: Resolution
    image_count: int
    video_count: int
    """Files that were paired, each with each."""
    top: int
    top_per: TopPer | None
    """How many pairs were asked for: of all, or for each image or video."""
    pairs: tuple[RankedPair, ...]
    set_aside: tuple[SetAside, ...]
    files: tuple[Evidence, ...] = Field(default=(), exclude=True, repr=False)
    """Evidence of the files that were paired; not part of its JSON."""

    @property
    def pair_count(self) -> int:
        """How many pairs were compared."""
        return self.image_count * self.video_count

    def __iter__(self) -> Iterator[RankedPair]:  # type: ignore[override]
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, place: int) -> RankedPair:
        return self.pairs[place]

    def evidence_of(self, kind: Literal["image", "video"], path: str) -> Evidence:
        """Raises EvidenceMissing: the ranking was read from its JSON."""
        for seen in self.files:
            if (seen.kind, seen.path) == (kind, path):
                return seen
        raise EvidenceMissing(
            f"this ranking has no evidence of {path}; rank the files again with wan_prep.rank"
        )

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file that was given."""
        return (*(e.path for e in self.files), *(file.path for file in self.set_aside))

    def to_json(self) -> str:
        return json_text(self.model_dump(mode="json"), indent=2)

    def to_csv(self) -> str:
        """The pairs as a table: one line each below a line of names; codes are parted by blanks.
        Text is made inert, see `csv_cell`."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(RankedPair.model_fields), lineterminator="\n")
        writer.writeheader()
        for pair in self.pairs:
            row = pair.model_dump() | {"codes": " ".join(pair.codes)}
            writer.writerow({name: csv_cell(value) for name, value in row.items()})
        return text.getvalue()

    def to_parquet(self, path: str) -> None:
        """Write the pairs as a Parquet file.

        Raises:
            DependencyMissing: pyarrow is not installed. OSError: the file cannot be written.
        """
        pa, pq = load_pyarrow()
        text, number = pa.string(), pa.float64()
        kinds = {"rank": pa.int64(), "codes": pa.list_(text)} | dict.fromkeys(
            ("score_at_best_start", "best_start_s", "score", "usd_low", "usd_high"), number
        )
        schema = pa.schema([(name, kinds.get(name, text)) for name in RankedPair.model_fields])
        rows = [pair.model_dump(mode="json") for pair in self.pairs]
        pq.write_table(pa.Table.from_pylist(rows, schema), path)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        head = (
            f"<b>{len(self)} best of {self.pair_count:,} pairs</b> {self.mode}, {self.resolution}"
        )
        names = ("", "at best start", "verdict", "image", "video", "begin at", "what to do")
        cells = [
            (
                pair.rank,
                f"<b>{pair.score_at_best_start:.2f}</b>",
                badge(pair.verdict),
                inert(pair.image),
                inert(pair.video),
                f"{pair.best_start_s:.2f} s",
                inert(pair.to_do or ""),
            )
            for pair in self.pairs
        ]
        heading = "".join(f'<th scope="col" style="text-align:left">{name}</th>' for name in names)
        body = "".join(
            "<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in row) + "</tr>"
            for row in cells
        )
        aside = "".join(
            f"<div>{inert(file.path)}: {inert(file.reason)}</div>" for file in self.set_aside
        )
        table = f"<table><thead><tr>{heading}</tr></thead><tbody>{body}</tbody></table>"
        return card(head, table, f"<div><b>Set aside</b></div>{aside}" if aside else "")
