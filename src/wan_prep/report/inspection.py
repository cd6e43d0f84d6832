"""What was seen in one file, as a document: `inspect`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from wan_prep.analyzers import RULES
from wan_prep.documents import json_text
from wan_prep.evidence import Evidence, Observation
from wan_prep.findings import Finding, PairContext
from wan_prep.geometry import view_angles
from wan_prep.profile import Mode, Profile, Resolution
from wan_prep.report.assemble import (
    Selection,
    image_facts,
    image_subject,
    video_facts,
    video_subject,
)
from wan_prep.report.model import ImageFacts, ImageSubject, Tool, VideoFacts, VideoSubject
from wan_prep.report.scoring import evaluate


class _InspectionModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OtherInTrack(_InspectionModel):
    """Somebody beside the subject. box: left, top, right, bottom as fractions of the upright
    picture; share: of its area; confidence: 1 where two networks agree."""

    box: tuple[float, float, float, float]
    share: float
    confidence: float


class Track(_InspectionModel):
    """The subject through time, T samples (1 for an image); where `found` is false the rest is
    None. keypoints_xy: [T][33][2] fractions of width and height of the upright picture;
    view_matrix: [T][3][3] body into camera; view_deg: [T][yaw, pitch, roll]; is_head: [T] whether
    only the head is in the picture, and joints below it are a guess; others: [T][N]."""

    times_s: tuple[float, ...]
    found: tuple[bool, ...]
    keypoints_xy: tuple[list[list[float]] | None, ...]
    visibility: tuple[list[float] | None, ...]
    px_per_m: tuple[float | None, ...]
    view_matrix: tuple[list[list[float]] | None, ...]
    view_deg: tuple[tuple[float, float, float] | None, ...]
    is_head: tuple[bool | None, ...]
    others: tuple[tuple[OtherInTrack, ...], ...]


class Inspection(_InspectionModel):
    schema_version: Literal[1] = 1
    tool: Tool
    kind: Literal["image", "video"]
    file: ImageFacts | VideoFacts
    subject: ImageSubject | VideoSubject
    cuts_s: tuple[float, ...]
    findings: tuple[Finding, ...]
    track: Track

    def public_dict(self) -> dict[str, Any]:
        """The document of `inspect --format json`."""
        return self.model_dump(mode="json")

    def public_json(self) -> str:
        return json_text(self.public_dict())


def build_inspection(
    evidence: Evidence,
    *,
    mode: Mode,
    resolution: Resolution,
    profile: Profile,
    tool: Tool,
    selection: Selection | None = None,
) -> Inspection:
    """One file's evidence as a document, with the findings that need no partner."""
    nothing = Evidence(kind="video" if evidence.kind == "image" else "image", path="")
    image, video = (evidence, nothing) if evidence.kind == "image" else (nothing, evidence)
    context = PairContext(image, video, mode, resolution, profile)
    chosen = (selection or Selection()).validated()
    is_image = evidence.kind == "image"
    # Single frames say nothing of the clip they are from.
    single = not is_image and evidence.sample_interval is None and bool(evidence.observations)
    own = [
        r
        for r in RULES
        if r.about == evidence.kind
        and chosen.wants(r.code, r.name)
        and not (single and r.family in ("subject", "clip"))
    ]
    return Inspection(
        tool=tool,
        kind=evidence.kind,
        file=image_facts(evidence) if is_image else video_facts(evidence),
        subject=image_subject(evidence) if is_image else video_subject(evidence),
        cuts_s=tuple(round(float(t), 4) for t in evidence.cuts),
        findings=tuple(r.finding for r in evaluate(context, own) if r.finding is not None),
        track=_track(evidence),
    )


def _track(evidence: Evidence) -> Track:
    seen = evidence.observations
    subjects = [o.subject for o in seen]
    views = [None if s is None else s.view_matrix for s in subjects]
    return Track(
        times_s=tuple(float(o.time) for o in seen),
        found=tuple(s is not None for s in subjects),
        keypoints_xy=tuple(None if s is None else s.keypoints_xy.tolist() for s in subjects),
        visibility=tuple(None if s is None else s.visibility.tolist() for s in subjects),
        px_per_m=tuple(None if s is None else s.px_per_m for s in subjects),
        view_matrix=tuple(None if v is None else v.tolist() for v in views),
        view_deg=tuple(None if v is None else tuple(view_angles(v)) for v in views),
        is_head=tuple(None if s is None else s.is_head for s in subjects),
        others=tuple(_others(o) for o in seen),
    )


def _others(observation: Observation) -> tuple[OtherInTrack, ...]:
    sure = observation.others_confidence
    return tuple(
        OtherInTrack(
            box=tuple(round(float(edge), 4) for edge in box),
            share=round(float(box.area), 4),
            confidence=sure[k] if k < len(sure) else 1.0,
        )
        for k, box in enumerate(observation.others)
    )
