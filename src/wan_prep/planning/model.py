"""The plan: what `fix` will do to each file, and why; a value that round-trips through JSON.

Its operations (`image`, `video`) are enough to repeat a run exactly; the rest explains them.
Times are exact fractions of seconds from the first displayed frame of the source. Pixels are those
of the upright, square-pixel picture.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from wan_prep.documents import DocumentPath, json_text
from wan_prep.errors import InputPathError, WanPrepError
from wan_prep.findings import Applicability
from wan_prep.fragments import badge, card, inert, table
from wan_prep.planning.options import ImageFormat, PadMethod, PlanOptions
from wan_prep.pose.choice import LARGEST, Person
from wan_prep.profile import Mode, Resolution
from wan_prep.report.model import (
    CostFigures,
    Output,
    PoseModelId,
    ProfileId,
    Report,
    Tool,
    Verdict,
)

Color = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
Px = Annotated[int, Field(gt=0)]

PLAN_NAME = "plan.json"
OUTPUT_NAME = (
    r"^(reference\.(png|jpg)|driving(-\d+)?\.mp4|before\.json|report(-\d+)?\.json|report\.html)$"
)
"""Every name that `fix` may give to a file, besides plan.json."""
OutputName = Annotated[str, Field(pattern=OUTPUT_NAME)]


class _PlanModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Window(_PlanModel):
    """A rectangle in px; where it reaches beyond the picture, that part is padded."""

    left: int
    top: int
    width: Px
    height: Px

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height


class Geometry(_PlanModel):
    """Turn, cut, pad, scale, in this order; never stretch beyond the rounding to whole px."""

    rotate_deg: float = 0.0
    """Clockwise turn of the picture's content about its centre; the canvas keeps its size."""
    window: Window
    width: Px
    height: Px
    """Size in px that is written."""
    pad: PadMethod = "edge"
    pad_color: Color = "#000000"


class ImageOperations(_PlanModel):
    """What becomes of the reference image."""

    source: DocumentPath
    sha256: str
    name: OutputName
    """File name written: `reference.png` or `reference.jpg`."""
    copy_bytes: bool = False
    """Nothing is needed: the file is copied as it is. The rest is then None or unused."""
    geometry: Geometry | None = None
    """None only where bytes are copied."""
    format: ImageFormat = "png"
    jpeg_quality: Annotated[int, Field(ge=95, le=100)] = 95
    background: Color | None = None
    """What shows through transparent parts; None: the colours stored under them."""

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.copy_bytes != (self.geometry is None):
            raise ValueError("either bytes are copied or there is a geometry")
        return self


class Span(_PlanModel):
    """One file cut from the clip: [start, end) in s of the source."""

    name: OutputName
    """File name written: `driving.mp4`, or `driving-01.mp4` …"""
    start: Fraction
    end: Fraction

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not 0 <= self.start < self.end:
            raise ValueError("a span must begin at 0 or later, and end after it begins")
        return self


class VideoOperations(_PlanModel):
    """What becomes of the driving video; every span is written with the same geometry."""

    source: DocumentPath
    sha256: str
    spans: tuple[Span, ...] = Field(min_length=1)
    copy_bytes: bool = False
    """Nothing is needed: the file is copied as it is. The rest is then None or unused."""
    geometry: Geometry | None = None
    fps: Fraction | None = None
    """Constant rate written; None only where bytes are copied."""
    deinterlace: bool = False
    tone_map: bool = False
    """HDR → BT.709 SDR."""
    audio: Literal["none", "copy", "aac"] = "none"

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.copy_bytes != (self.geometry is None) or self.copy_bytes != (self.fps is None):
            raise ValueError("either bytes are copied or there are a geometry and a rate")
        if self.copy_bytes and len(self.spans) != 1:
            raise ValueError("a copied file is one span")
        return self


class PublishedFile(_PlanModel):
    """A file that `fix` wrote into a folder."""

    name: OutputName
    sha256: str


class Published(_PlanModel):
    """What a folder holds besides its plan.json."""

    complete: bool
    """False while `fix` renames its files: each may then be the old one, the new one or missing."""
    files: tuple[PublishedFile, ...]


class PlanStep(_PlanModel):
    """One thing that would help: done by this plan, offered, or left to a person."""

    codes: tuple[str, ...]
    """The checks it answers to; empty where it follows from another step."""
    about: Literal["image", "video", "pair"]
    applicability: Applicability
    applied: bool
    title: str
    """What: `cut the clip to 1.25-6.40 s`."""
    reason: str
    """Why: `there the pose matches the image best (71 points, 58 at the beginning)`."""


class Foreseen(_PlanModel):
    """What the check of the written pair is expected to say, from the evidence at hand."""

    score: float
    verdict: Verdict


class Plan(_PlanModel):
    """What `fix` will do, and why. Made by `wan_prep.plan`, carried out by `wan_prep.normalize`."""

    schema_version: Literal[1] = 1
    tool: Tool
    profile: ProfileId
    mode: Mode
    resolution: Resolution
    """The pair is prepared for this one; at another the service would add bars."""
    pose_model: PoseModelId
    deselected: tuple[str, ...]
    """Codes of the checks that do not count, before or after."""
    checked_from: Fraction
    checked_until: Fraction | None
    """The part of the clip that was checked, in s; None: to its end."""
    image_person: Person = LARGEST
    video_person: Person = LARGEST
    """Whom the sources were looked at for."""
    options: PlanOptions
    """What a person decided."""
    image: ImageOperations
    video: VideoOperations
    steps: tuple[PlanStep, ...]
    """Applied ones first, in the order in which they happen; then offered, then manual."""
    score: float
    verdict: Verdict
    """As checked before."""
    foreseen: Foreseen
    output: Output
    cost_before: CostFigures
    cost: CostFigures
    """Of the first span, or of all spans together where the clip is split."""
    published: Published | None = None
    """None until the plan was carried out; then what lies in the folder of its plan.json."""
    before: Report | None = Field(default=None, repr=False)
    """The report it was made from; left out of plan.json."""

    @property
    def changes_anything(self) -> bool:
        return not (self.image.copy_bytes and self.video.copy_bytes)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        rows = [
            (_who(step), f"<b>{inert(step.title)}</b> {inert(step.reason)}") for step in self.steps
        ]
        head = (
            f"{badge(self.verdict)} <b>{self.score:.1f}</b> → "
            f"{badge(self.foreseen.verdict)} <b>{self.foreseen.score:.1f}</b> expected"
        )
        return card(head, table(rows) if rows else "<div>nothing to do</div>")

    def public_dict(self) -> dict[str, Any]:
        """The document of `plan --format json` and of plan.json: without the report."""
        return self.model_dump(mode="json", exclude={"before"})

    def public_json(self) -> str:
        return json_text(self.public_dict(), indent=2)

    @classmethod
    def load(cls, path: str | Path) -> Plan:
        """Read a plan.json.

        Raises:
            InputPathError: no such file. WanPrepError: not a plan.
        """
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except OSError as exc:
            raise InputPathError(f"{path}: cannot read this plan ({exc.strerror})") from exc
        except (ValidationError, UnicodeDecodeError) as exc:
            raise WanPrepError(f"{path}: not a plan of wan-prep") from exc


def _who(step: PlanStep) -> str:
    if step.applied:
        return "by fix"
    return "by hand" if step.applicability is Applicability.MANUAL else "offered"
