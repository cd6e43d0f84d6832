"""The timeline of a clip: its tracks, marks and words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wan_prep.analyzers import BY_CODE
from wan_prep.findings import Judged, PairContext
from wan_prep.planning.model import Plan
from wan_prep.report.model import Report
from wan_prep.report.scoring import evaluate
from wan_prep.report.words import grouped
from wan_prep.stills import Still
from wan_prep.visual.measured import Form, degrees, percent, px, times, tolerance_words
from wan_prep.visual.pictures import best_observation
from wan_prep.visual.series import TimelineSample, samples
from wan_prep.visual.timeline import Axis, Cell, Curve, cells, curve


@dataclass(frozen=True)
class TimelineTrack:
    """One measure over time; `span` and `tolerance` are its range and its tolerance in words."""

    name: str
    span: str
    tolerance: str
    curve: Curve

    @property
    def is_measured(self) -> bool:
        return bool(self.curve.path or self.curve.dots)


@dataclass(frozen=True)
class Mark:
    """A mark on the axis: its left end and its width (0 for a moment), as shares of the axis."""

    left: float
    width: float
    title: str


@dataclass(frozen=True)
class MarkRow:
    """One row of the timeline: the times at which a finding shows."""

    codes: tuple[str, ...]
    """Several where findings say the same."""
    name: str
    severity: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class KeptInterval:
    """A part of the clip that the plan keeps; its ends as shares of the axis."""

    left: float
    right: float
    words: str


@dataclass(frozen=True)
class Timeline:
    axis: Axis
    ticks: tuple[tuple[float, str], ...]
    tracks: tuple[TimelineTrack, ...]
    cells: tuple[Cell, ...]
    """One for each sample."""
    said: tuple[str, ...]
    people_most: int
    marks: tuple[MarkRow, ...]
    cuts: tuple[tuple[float, str], ...]
    best: tuple[float, str] | None
    kept: tuple[KeptInterval, ...]
    """In the order of time."""
    thumbnails: tuple[Still, ...]
    presence: str
    people: str

    @property
    def gone(self) -> list[tuple[float, float]]:
        """(start, end) of the parts that the plan leaves out, as shares of the axis; empty without
        a plan."""
        if not self.kept:
            return []
        lefts, rights = [k.left for k in self.kept], [k.right for k in self.kept]
        gaps = zip([0.0, *rights], [*lefts, 1.0], strict=True)
        return [(a, b) for a, b in gaps if b > a]


@dataclass(frozen=True)
class TrackKind:
    """What a track shows: `value` in the unit of its tolerance, and `form`, which writes it."""

    name: str
    tolerance: str
    value: Callable[[TimelineSample], float | None]
    form: Form
    is_signed: bool = False


def _log_zoom(sample: TimelineSample) -> float | None:
    return None if sample.zoom_ratio is None else math.log(sample.zoom_ratio)


TRACKS = (
    TrackKind("Pose distance", "pose", lambda s: s.pose_deg, degrees),
    TrackKind("Zoom", "zoom", _log_zoom, times, is_signed=True),
    TrackKind("View", "view", lambda s: s.view_deg, degrees),
    TrackKind("Face size", "face_px", lambda s: s.face_px, px),
)


def tracks_of(context: PairContext) -> tuple[TrackKind, ...]:
    """The tracks of a pair's timeline: of heads none for the pose."""
    are_heads = context.typical is not None and context.typical.by_head
    return tuple(kind for kind in TRACKS if not (are_heads and kind.tolerance == "pose"))


def timeline(
    report: Report, context: PairContext, thumbnails: Sequence[Still], plan: Plan | None
) -> Timeline | None:
    """The timeline of a report; None where the clip has no samples."""
    seen = samples(context)
    if not seen:
        return None
    video = context.video
    start, end = float(video.start), float(video.start + video.span)
    axis = Axis(start, max(end, seen[-1].time_s))
    subject = report.subject.video
    best = best_observation(report)
    return Timeline(
        axis=axis,
        ticks=tuple((axis.share(t), f"{t:g} s") for t in axis.ticks_s()),
        tracks=tuple(_track(m, seen, axis, context) for m in tracks_of(context)),
        cells=cells(seen, axis),
        said=tuple(_said(s) for s in seen),
        people_most=max(1, *(s.people for s in seen)),
        marks=tuple(_marks(report, context, axis)),
        cuts=tuple((axis.share(t), f"cut at {t:.2f} s") for t in report.cuts_s),
        best=None if best is None else _best(float(best.time), axis),
        kept=() if plan is None else tuple(_kept(plan, axis)),
        thumbnails=tuple(thumbnails),
        presence=f"in {percent(subject.presence)} of the clip",
        people="nobody" if not subject.people_max else f"at most {subject.people_max}",
    )


def _best(time_s: float, axis: Axis) -> tuple[float, str]:
    return axis.share(time_s), f"best start, {time_s:.2f} s"


def _track(
    measure: TrackKind, seen: Sequence[TimelineSample], axis: Axis, context: PairContext
) -> TimelineTrack:
    tolerance, profile = context.tolerance(measure.tolerance), context.profile
    values = [v for s in seen if (v := measure.value(s)) is not None]
    span = "not measured"
    if values:
        low, high = measure.form(min(values)), measure.form(max(values))
        span = low if low == high else f"{low} to {high}"
    return TimelineTrack(
        name=measure.name,
        span=span,
        tolerance=tolerance_words(tolerance, profile, measure.form),
        curve=curve(
            seen, axis, measure.value, tolerance, profile.severity, is_signed=measure.is_signed
        ),
    )


def _said(s: TimelineSample) -> str:
    if not s.is_present:
        return f"{s.time_s:.2f} s: the person is not recognised"
    parts = [
        None if s.pose_deg is None else f"pose {s.pose_deg:.0f}° away",
        None if s.zoom_ratio is None else f"zoom {s.zoom_ratio:.2f}×",
        None if s.view_deg is None else f"view {s.view_deg:.0f}° away",
        "no face recognised" if s.face_px is None else f"face {s.face_px:.0f} px",
        None if s.people < 2 else f"{s.people} people",
    ]
    return f"{s.time_s:.2f} s: {', '.join(part for part in parts if part)}"


def _marks(report: Report, context: PairContext, axis: Axis) -> list[MarkRow]:
    """A row for every finding that concerns certain times."""
    rules = [BY_CODE[finding.code] for finding in report.findings]
    answers = {result.rule.code: result.answer for result in evaluate(context, rules)}
    rows = []
    for codes, finding in grouped(report.findings):
        answer, rule = answers[finding.code], BY_CODE[finding.code]
        spans = answer.spans_s if isinstance(answer, Judged) else ()
        spans = spans or ((finding.span_s,) if finding.span_s else ())
        if not spans and rule.at_start:
            spans = ((axis.start_s, axis.start_s),)
        if spans:
            marks = tuple(_mark(a, b, finding.message, axis) for a, b in spans)
            rows.append(MarkRow(tuple(codes), rule.name, finding.severity.value, marks))
    return rows


def _mark(start_s: float, end_s: float, message: str, axis: Axis) -> Mark:
    when = f"{start_s:.2f} s" if start_s == end_s else f"{start_s:.2f} to {end_s:.2f} s"
    left = axis.share(start_s)
    return Mark(left, axis.share(end_s) - left, f"{when}: {message}")


def _kept(plan: Plan, axis: Axis) -> list[KeptInterval]:
    return [
        KeptInterval(
            axis.share(float(span.start)),
            axis.share(float(span.end)),
            f"{span.name}: {float(span.start):.2f} to {float(span.end):.2f} s",
        )
        for span in plan.video.spans
    ]
