"""The report: what `check` answers, as a value that round-trips through JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wan_prep.analyzers import RULES
from wan_prep.documents import DocumentPath, json_text
from wan_prep.errors import EvidenceMissing, InputPathError, WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.findings import Finding, Severity
from wan_prep.fragments import badge, card, inert, table
from wan_prep.measures.model import Measures
from wan_prep.pose.body import Shot
from wan_prep.pose.choice import LARGEST, Person
from wan_prep.profile import Family, Mode, Resolution
from wan_prep.writing import refuse_replacing, write_text

Verdict = Literal["ready", "risky", "not_ready"]


class _ReportModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Tool(_ReportModel):
    name: str
    version: str


class ProfileId(_ReportModel):
    name: str
    version: str
    sha256: str


class PoseModelId(_ReportModel):
    name: str
    sha256: str


class Scores(_ReportModel):
    """0 … 1 each; None where nothing of the family could be measured, or nothing of it applies."""

    media: float | None
    aspect: float | None
    framing: float | None
    pose: float | None
    subject: float | None
    clip: float | None


class ImageFacts(_ReportModel):
    """Upright size; everything but the path is None where the file cannot be read."""

    path: DocumentPath
    sha256: str | None = None
    size_bytes: int | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    color_mode: str | None = None
    exif_orientation: int | None = None
    frame_count: int | None = None


class VideoFacts(_ReportModel):
    """Upright size; everything but the path is None where the file cannot be read."""

    path: DocumentPath
    sha256: str | None = None
    size_bytes: int | None = None
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    fps: float | None = None
    frame_count: int | None = None
    is_vfr: bool | None = None
    rotation_deg: int | None = None
    is_mirrored: bool | None = None
    sample_aspect_ratio: float | None = None
    is_interlaced: bool | None = None
    is_hdr: bool | None = None
    is_truncated: bool | None = None
    container: str | None = None
    codec: str | None = None
    has_audio: bool | None = None


class ImageSubject(_ReportModel):
    """person: whom the picture was looked at for.  neck_xy: the middle between the shoulders; None
    for a head alone, which has the middle of its face as head_xy. yaw_deg: of the torso, or of a
    head alone.
    face_px: side of the face's box in px of the upright picture in its own size;
    face_confidence: 1 from a face network, at most 0.3 where only the head is known."""

    found: bool
    person: Person = LARGEST
    shot: Shot | None = None
    frame_height_m: float | None = None
    neck_xy: tuple[float, float] | None = None
    head_xy: tuple[float, float] | None = None
    headroom: float | None = None
    cut_edges: tuple[str, ...] = ()
    yaw_deg: float | None = None
    face_px: float | None = None
    face_yaw_deg: float | None = None
    face_confidence: float | None = None
    others: int = 0


class VideoSubject(_ReportModel):
    """As at the first frame, where the person is in it; presence and people over the clip."""

    found: bool
    person: Person = LARGEST
    presence: float
    shot: Shot | None = None
    frame_height_m: float | None = None
    neck_xy: tuple[float, float] | None = None
    head_xy: tuple[float, float] | None = None
    headroom: float | None = None
    cut_edges: tuple[str, ...] = ()
    yaw_deg: float | None = None
    face_px: float | None = None
    face_yaw_deg: float | None = None
    face_confidence: float | None = None
    people_max: int = 0
    absent_s: tuple[tuple[float, float], ...] = ()
    face_seen: float | None = None


class Subjects(_ReportModel):
    image: ImageSubject
    video: VideoSubject


class MeasuresOverTime(_ReportModel):
    first: Measures
    typical: Measures
    best: Measures


class Output(_ReportModel):
    """What the service is predicted to make of the pair; None where it is not known.

    frames, fps, duration_s: of the result. segments, segments_most: in how many parts of
    `segment_frames` frames it is rendered, where these share `segment_overlap` frames, or
    `segment_overlap_most`; filler_frames: rendered to fill the last part, and cut off.

    person_ratio: the person's share of the picture's height in the result over that in the video,
    above 1 where they are larger in the result, as `person_from` suggests. animate: from the video,
    which is fitted into the image's shape. replace: from the image, which is fitted into the
    video's shape, because results tend to follow it.
    """

    width: int
    height: int
    bars_px: int
    segments: int
    frames: int | None = None
    fps: float | None = None
    duration_s: float | None = None
    segments_most: int | None = None
    segment_frames: int | None = None
    segment_overlap: int | None = None
    segment_overlap_most: int | None = None
    filler_frames: int | None = None
    person_ratio: float | None = None
    person_from: Literal["image", "video"] | None = None
    basis: Literal["wan source"] = "wan source"


class CostFigures(_ReportModel):
    seconds: float
    usd_low: float
    usd_high: float


class Report(_ReportModel):
    """Whether an image and a video fit together, with the reasons."""

    schema_version: Literal[1] = 1
    tool: Tool
    profile: ProfileId
    pose_model: PoseModelId
    mode: Mode
    resolution: Resolution
    verdict: Verdict
    score: float
    score_at_best_start: float | None
    scores: Scores
    image: ImageFacts
    video: VideoFacts
    subject: Subjects
    measures: MeasuresOverTime
    best_start_s: float | None
    cuts_s: tuple[float, ...]
    output: Output | None
    findings: tuple[Finding, ...]
    """Gravest first; within one severity what costs the pair most comes first."""
    passed: tuple[str, ...]
    not_applicable: tuple[str, ...]
    deselected: tuple[str, ...]
    cost: CostFigures | None
    image_evidence: Evidence | None = Field(default=None, repr=False)
    video_evidence: Evidence | None = Field(default=None, repr=False)

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity is Severity.WARNING)

    def family_words(self, family: str) -> str:
        """A family's score of 100, or why it has none: unknown, or not asked as nothing of it
        applies."""
        score = getattr(self.scores, family)
        if score is not None:
            return f"{100 * score:.0f}"
        codes = {rule.code for rule in RULES if rule.family == family}
        is_read = self.image.width is not None and self.video.width is not None
        is_open = any(f.code in codes and f.status == "inconclusive" for f in self.findings)
        is_moot = is_read and not is_open and not codes.isdisjoint(self.not_applicable)
        return "not asked" if is_moot else "unknown"

    def evidence(self) -> tuple[Evidence, Evidence]:
        """(image, video) evidence.

        Raises:
            EvidenceMissing: the report was made from JSON without it.
        """
        if self.image_evidence is None or self.video_evidence is None:
            raise EvidenceMissing(
                "this report carries no evidence; call wan_prep.observe on both files and check "
                "again, or load a report that was written by Report.save"
            )
        return self.image_evidence, self.video_evidence

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        scores = ", ".join(f"{family} {self.family_words(family)}" for family in get_args(Family))
        rows = [
            ("pair", f"{inert(self.image.path)} driven by {inert(self.video.path)}"),
            ("scores", inert(scores)),
        ]
        if self.cost is not None:
            low, high = f"${self.cost.usd_low:.2f}", f"${self.cost.usd_high:.2f}"
            rows.append(("cost", low if low == high else f"{low} to {high}"))
        # One missing body hides seven measures, which then all say the same.
        said: dict[str, Finding] = {}
        for finding in (*self.errors, *self.warnings):
            said.setdefault(finding.message, finding)
        rest = len(self.findings) - len(said)
        head = (
            f"{badge(self.verdict)} <b>{self.score:.1f}</b> of 100, {self.mode}, {self.resolution}"
        )
        more = f"<div>and {rest} more finding{'' if rest == 1 else 's'}</div>" if rest else ""
        shown = (finding._repr_html_() for finding in said.values())
        return card(head, table(rows), *shown, more)

    def public_dict(self) -> dict[str, Any]:
        """The document of `check --format json`: without the evidence."""
        return self.model_dump(mode="json", exclude={"image_evidence", "video_evidence"})

    def public_json(self) -> str:
        return json_text(self.public_dict(), indent=2)

    def save(self, path: str | Path) -> None:
        """Write everything, evidence included; the file appears whole or not at all.

        Raises:
            InputPathError: it cannot be written, or is a file of the pair.
        """
        refuse_replacing(path, (self.image.path, self.video.path))
        try:
            write_text(Path(path), self.model_dump_json())
        except OSError as exc:
            raise InputPathError(f"{path}: cannot write this report ({exc.strerror})") from exc

    @classmethod
    def load(cls, path: str | Path) -> Report:
        """Read what `save` or `check --format json` wrote.

        Raises:
            InputPathError: no such file. WanPrepError: not a report.
        """
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except OSError as exc:
            raise InputPathError(f"{path}: cannot read this report ({exc.strerror})") from exc
        except (ValidationError, UnicodeDecodeError) as exc:
            raise WanPrepError(f"{path}: not a report of wan-prep") from exc
