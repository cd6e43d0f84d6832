"""Figures of reports, plans, evidence and outcomes for notebooks, drawn with matplotlib.

    import wan_prep
    wan_prep.figures.timeline(report).savefig("timeline.png")

Each function returns a new `matplotlib.figure.Figure` that belongs to no global state; in Jupyter
it is shown once `%matplotlib inline` has been said. Pictures are taken out of the files that the
evidence names, unless `pictures` is handed over.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from wan_prep.errors import DependencyMissing, EvidenceMissing
from wan_prep.evidence import Evidence
from wan_prep.fragments import printable
from wan_prep.geometry import Box, Size
from wan_prep.learning.summary import OutcomeSummary
from wan_prep.planning.model import Plan
from wan_prep.profile import Mode, Profile, Resolution, default_profile
from wan_prep.report.keypoints import model_canvas
from wan_prep.report.model import Report
from wan_prep.visual.annotated_frames import (
    AnnotatedFrame,
    CropDrawing,
    pair_annotated_frames,
    planned_crops,
)
from wan_prep.visual.pictures import Pictures, best_observation, pair_pictures
from wan_prep.visual.pose_frames import draw_pose, joints_at
from wan_prep.visual.series import TimelineSample, context_of, samples
from wan_prep.visual.timeline import limits
from wan_prep.visual.timeline_tracks import TrackKind, tracks_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from wan_prep.findings import PairContext
    from wan_prep.visual.drawing import Drawing

_PAINT = {"image": "#1e7fe0", "video": "#d6337f"}
_BANDS = ("#d5f0e1", "#edf0f4", "#fdeac4", "#fad9d6")
"""fine, note, warning, error"""


def timeline(report: Report, *, plan: Plan | None = None, profile: Profile | None = None) -> Figure:
    """Pose distance, zoom, view, face size and people along the clip, with their tolerances.

    plan: its parts of the clip are marked. profile: the one the report was made with.

    Raises:
        EvidenceMissing: the report carries no evidence. DependencyMissing: no matplotlib.
    """
    context = context_of(report, profile)
    seen = samples(context)
    tracks = tracks_of(context)
    figure = _figure(9.0, 7.5)
    axes = figure.subplots(len(tracks) + 1, 1, sharex=True, squeeze=False)[:, 0]
    for ax, kind in zip(axes, tracks, strict=False):
        _draw_track(ax, kind, seen, context)
    times = [s.time_s for s in seen]
    axes[-1].step(times, [s.people for s in seen], where="mid", color="#465466")
    axes[-1].set_ylabel("people")
    axes[-1].set_yticks(range(max(2, *(s.people + 1 for s in seen))))
    axes[-1].set_ylim(bottom=0)
    axes[-1].set_xlabel("time in the clip, s")
    best = best_observation(report)
    for ax in axes:
        for cut_s in report.cuts_s:
            ax.axvline(cut_s, color="#171c24", linestyle=":", linewidth=1.0)
        if best is not None:
            ax.axvline(float(best.time), color=_PAINT["video"], linewidth=1.5)
        for span in () if plan is None else plan.video.spans:
            ax.axvspan(float(span.start), float(span.end), fill=False, edgecolor=_PAINT["image"])
    axes[0].set_title(f"{_name(report.image.path)} against {_name(report.video.path)}")
    return figure


def overlay(
    report: Report, pictures: Pictures | None = None, *, profile: Profile | None = None
) -> Figure:
    """Image, first frame and best start with skeleton, shot frame, neck or head line and face box.

    Raises:
        EvidenceMissing: the report carries no evidence. DependencyMissing: no matplotlib.
        InputPathError, MediaUnreadable: a file is no longer where or what it was.
    """
    context = context_of(report, profile)
    annotated_frames = pair_annotated_frames(report, context, pictures or pair_pictures(report))
    figure = _figure(4.0 * max(1, len(annotated_frames)), 5.0)
    for ax, frame in _panels(figure, annotated_frames):
        ax.imshow(frame.still.rgb())
        ax.set_title(frame.title)
        ax.set_xlabel("\n".join(frame.facts), fontsize=8)
        if frame.drawing is not None:
            _draw_body(ax, frame.drawing, _PAINT[frame.kind])
        ax.set(xlim=(0, frame.still.width), ylim=(frame.still.height, 0), xticks=[], yticks=[])
    return figure


def windows(
    plan: Plan,
    report: Report | None = None,
    pictures: Pictures | None = None,
    *,
    profile: Profile | None = None,
) -> Figure:
    """The windows that a plan crops out of the image and of the first frame.

    report: the one the plan was made from, where the plan does not carry it.

    Raises:
        EvidenceMissing: there is no report, or it carries no evidence.
        DependencyMissing, InputPathError, MediaUnreadable: as `overlay`.
    """
    made_from = report or plan.before
    if made_from is None:
        raise EvidenceMissing("this plan carries no report; hand over the one it was made from")
    context = context_of(made_from, profile)
    annotated_frames = pair_annotated_frames(
        made_from, context, pictures or pair_pictures(made_from)
    )
    shown = planned_crops(plan, context, annotated_frames)
    figure = _figure(4.5 * max(1, len(shown)), 5.0)
    cut_of = {frame.key: cut for frame, cut in shown}
    for ax, frame in _panels(figure, [frame for frame, _ in shown]):
        ax.set_title(frame.title)
        ax.set(xticks=[], yticks=[])
        _draw_window(ax, frame, cut_of[frame.key])
    return figure


def skeleton(
    evidence: Evidence,
    time_s: float = 0.0,
    *,
    mode: Mode = "animate",
    resolution: Resolution = "480p",
    partner: Evidence | None = None,
    profile: Profile | None = None,
) -> Figure:
    """OpenPose's drawing of the subject at one time, in the picture that the model is shown.

    time_s: s from the first displayed frame of the file. partner: evidence of the other file of the
        pair, for the mode in which that one decides the shape; None takes both to have one ratio.

    Raises:
        EvidenceMissing: the evidence is of a file that could not be read.
        DependencyMissing: no matplotlib.
    """
    for each in (evidence, partner):
        if each is not None and each.info is None:
            raise EvidenceMissing(f"{each.path} could not be read, so nothing was seen in it")
    figures = profile or default_profile()
    size = None
    if partner is not None and partner.info is not None:
        size = Size(partner.info.width, partner.info.height)
    canvas = model_canvas(evidence, mode, resolution, figures, partner=size)
    frame_s = 1 / Fraction(str(figures.limit("model_fps")))
    joints = joints_at(evidence.observations, Fraction(str(time_s)), frame_s)
    figure = _figure(4.0, 5.0)
    ax = figure.subplots()
    ax.imshow(draw_pose(joints, canvas))
    when = f", {time_s:.2f} s" if evidence.kind == "video" else ""
    ax.set_title(f"{_name(evidence.path)}{when}")
    ax.set_xlabel(f"{canvas.size.width} × {canvas.size.height}" + ("" if joints else ", nobody"))
    ax.set(xticks=[], yticks=[])
    return figure


def calibration(summary: OutcomeSummary) -> Figure:
    """How often results were good by score, with 95 % intervals and the fitted curve; below it how
    many of each scored what.

    Raises:
        DependencyMissing: no matplotlib.
    """
    figure = _figure(6.5, 6.0)
    share, counts = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    for each in summary.bins:
        middle = (each.score_low + each.score_high) / 2.0
        value, low, high = each.share_good
        reach = ((value - low,), (high - value,))
        half = max(0.5, middle - each.score_low)
        share.errorbar(middle, value, yerr=reach, xerr=half, fmt="o", color="#171c24", capsize=3)
        share.annotate(
            f"{each.good} of {each.count}", (middle, value), (6, 6), textcoords="offset points"
        )
    if summary.curve is not None:
        scores = [0.5 * k for k in range(1, 201)]
        curve = [summary.curve.probability(score) for score in scores]
        is_guess = summary.scored < summary.enough
        label = "fitted, of few outcomes: mostly a guess" if is_guess else "fitted"
        style = "--" if is_guess else "-"
        share.plot(scores, curve, style, color=_PAINT["image"], linewidth=1.5, label=label)
        share.legend(loc="upper left")
    share.set(ylabel="share of good results", ylim=(-0.05, 1.05), xlim=(0, 100))
    share.set_title(f"{summary.count} outcomes: {summary.good} good, {summary.bad} bad")
    told = [(each.score, each.outcome) for each in summary.outcomes if each.score is not None]
    by_kind = [[s for s, outcome in told if outcome == kind] for kind in ("good", "bad")]
    counts.hist(
        by_kind, bins=20, range=(0, 100), stacked=True, color=["#1a7f4b", "#b3261e"],
        label=["good", "bad"],
    )  # fmt: skip
    counts.legend(loc="upper left")
    counts.yaxis.get_major_locator().set_params(integer=True)
    counts.set(xlabel="score", ylabel="outcomes")
    return figure


# ------------------------------------------------------------------ plumbing


def _figure(width_in: float, height_in: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise DependencyMissing(
            "figures are drawn with matplotlib, which is not installed; "
            "pip install 'wan-prep[notebook]'"
        ) from exc
    # Pictures keep their shape; "constrained" cuts titles off at the first drawing then.
    return Figure(figsize=(width_in, height_in), layout="compressed")


def _panels(
    figure: Figure, annotated_frames: Sequence[AnnotatedFrame]
) -> list[tuple[Axes, AnnotatedFrame]]:
    """One axes a picture, as wide as the picture is; none where there is no picture."""
    if not annotated_frames:
        return []
    shapes = [frame.still.width / frame.still.height for frame in annotated_frames]
    axes = figure.subplots(1, len(annotated_frames), squeeze=False, width_ratios=shapes)[0]
    return list(zip(axes, annotated_frames, strict=True))


def _name(path: str) -> str:
    # A dollar sign would begin a formula.
    return printable(path.replace("\\", "/").rsplit("/", 1)[-1]).replace("$", r"\$")


def _draw_track(
    ax: Axes, kind: TrackKind, seen: Sequence[TimelineSample], context: PairContext
) -> None:
    values = [kind.value(s) for s in seen]
    marks = limits(context.tolerance(kind.tolerance), context.profile.severity)
    reach = 1.1 * max([abs(v) for v in values if v is not None] + [1.25 * marks[0]])
    colors = _BANDS if marks[0] < marks[-1] else _BANDS[::-1]
    edges = [0.0, *sorted(marks), max(reach, *marks)]
    for low, high, color in zip(edges[:-1], edges[1:], colors, strict=True):
        ax.axhspan(low, high, color=color, linewidth=0)
        if kind.is_signed:
            ax.axhspan(-high, -low, color=color, linewidth=0)
    ax.plot(
        [s.time_s for s in seen],
        [float("nan") if v is None else v for v in values],
        color="#171c24", linewidth=1.4, marker=".", markersize=3,
    )  # fmt: skip
    ax.set_ylim(-reach if kind.is_signed else 0.0, reach)
    ax.set_ylabel(kind.name.lower())
    ax.yaxis.set_major_formatter(lambda value, _position: kind.form(value))


def _draw_body(ax: Axes, drawing: Drawing, paint: str) -> None:
    for bones, style in ((drawing.seen, "-"), (drawing.guessed, ":")):
        for bone in bones:
            ax.plot([bone.x1, bone.x2], [bone.y1, bone.y2], style, color=paint, linewidth=2.0)
    ax.plot(*drawing.joints_xy.T, "o", color="white", markeredgecolor=paint, markersize=4)
    ax.axhline(drawing.anchor_xy[1], color="white", linewidth=1.0)
    _draw_box(ax, drawing.shot_frame, edgecolor=paint, linestyle="--", linewidth=1.2)
    if drawing.face is not None:
        style = "-" if drawing.face_is_sure else ":"
        _draw_box(ax, drawing.face, edgecolor="#ffe14d", linestyle=style, linewidth=1.6)


def _draw_box(ax: Axes, box: Box, **style: object) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(
        Rectangle((box.left, box.top), box.width, box.height, fill=False, **style)  # type: ignore[arg-type]
    )


def _draw_window(ax: Axes, frame: AnnotatedFrame, cut: CropDrawing | None) -> None:
    still = frame.still
    if cut is None:
        ax.imshow(still.rgb())
        ax.set_xlabel("copied as it is", fontsize=8)
        return
    from matplotlib.transforms import Affine2D

    middle = (cut.size.width / 2, cut.size.height / 2)
    turn = Affine2D().rotate_deg_around(*middle, cut.rotate_deg)
    picture = ax.imshow(still.rgb(), extent=(0, cut.size.width, cut.size.height, 0))
    picture.set_transform(turn + ax.transData)
    _draw_box(ax, cut.window, edgecolor=_PAINT[frame.kind], linewidth=2.5)
    ax.set_facecolor("#9aa5b3")
    ax.set(xlim=(cut.shown.left, cut.shown.right), ylim=(cut.shown.bottom, cut.shown.top))
    ax.set_xlabel(cut.words, fontsize=8, wrap=True)
