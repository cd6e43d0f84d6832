"""The table of measures: each in words, with the tolerance that it is judged by."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from wan_prep.analyzers import BY_CODE
from wan_prep.findings import HEADS_ONLY, Judged, NotApplicable, PairContext, Severity
from wan_prep.measures.model import SHOT_WORDS, Measures
from wan_prep.measures.side import display_aspect
from wan_prep.profile import Profile, Tolerance
from wan_prep.report.model import Report
from wan_prep.report.scoring import Result, evaluate
from wan_prep.visual.timeline import limits

Form = Callable[[float], str]

# The gauge shows the log odds of a score, in which all tolerances are equally wide. It ends at
# these log odds on both sides (e^4.5 is 90 : 1).
_GAUGE_ENDS = 4.5
_UNKNOWN = "not measured"


@dataclass(frozen=True)
class Row:
    """One measure in words: at the first frame, over the clip, its tolerance and its state."""

    code: str
    name: str
    words: str
    over_time: str
    """Its value over the clip and at the best start; empty if it is no measure over time."""
    tolerance: str
    state: str
    """fine, info, warning, error, unknown (could not be measured) or unasked (not checked, or the
    question does not arise)."""
    gauge: float | None
    """0 (a perfect match) … 1 (worthless); None where there is no score."""


@dataclass(frozen=True)
class Limb:
    """Angles in deg between a limb in image and video; None where it is hidden in one of them."""

    name: str
    first: float | None
    in_plane: float | None
    typical: float | None
    best: float | None
    state: str


def gauge_share(score: float) -> float:
    """The place of a score on the gauge: 0 for a perfect match, 1 for a worthless one."""
    score = min(1.0 - 1e-9, max(1e-9, score))
    odds = math.log(score / (1.0 - score))
    return min(1.0, max(0.0, 0.5 - odds / (2.0 * _GAUGE_ENDS)))


def gauge_edges(profile: Profile) -> tuple[float, float, float]:
    """The places on the gauge at which a note, a warning and an error begin."""
    s = profile.severity
    return gauge_share(s.pass_from), gauge_share(s.warning_below), gauge_share(s.error_below)


def tolerance_words(
    tolerance: Tolerance, profile: Profile, form: Form, cap: Severity = Severity.ERROR
) -> str:
    """A tolerance in words: `fine to 16°, warning from 47°, error from 92°`.

    form: writes a number of the tolerance's unit. cap: the gravest severity that is named.
    """
    note, warning, error = limits(tolerance, profile.severity)
    side = "from" if error < note else "to"
    back = "below" if error < note else "from"
    marks = [("fine", side, note), ("warning", back, warning), ("error", back, error)]
    reached = marks[: {Severity.INFO: 1, Severity.WARNING: 2, Severity.ERROR: 3}[cap]]
    return ", ".join(f"{word} {way} {form(value)}" for word, way, value in reached)


def state_of(tolerance: Tolerance, profile: Profile, measured: float) -> str:
    """fine, info, warning or error, for a value judged by this tolerance."""
    score, severity = tolerance.score(measured), profile.severity
    if score >= severity.pass_from - 1e-9:
        return "fine"
    if score >= severity.warning_below:
        return "info"
    return "warning" if score >= severity.error_below else "error"


# ------------------------------------------------------------------ words


def degrees(value: float) -> str:
    return f"{value:.0f}°"


def signed_degrees(value: float) -> str:
    return f"{round(value):+d}°" if round(value) else "0°"


def times(value: float) -> str:
    """A log ratio written as a factor."""
    return f"{math.exp(value):.2f}×"


def px(value: float) -> str:
    return f"{value:.0f} px"


def percent(value: float) -> str:
    return f"{value:.0%}"


def zoom_words(m: Measures) -> str:
    if m.zoom_ratio is None:
        return _UNKNOWN
    factor = max(m.zoom_ratio, 1.0 / m.zoom_ratio)
    if f"{factor:.2f}" == "1.00":
        return "equally large"
    return f"{factor:.2f}× larger in the {'image' if m.zoom_ratio > 1 else 'video'}"


def placement_words(m: Measures) -> str:
    if m.offset_x is None or m.offset_y is None:
        return _UNKNOWN
    said = []
    if abs(m.offset_x) >= 0.005:
        said.append(f"{abs(m.offset_x):.0%} further {'right' if m.offset_x > 0 else 'left'}")
    if abs(m.offset_y) >= 0.005:
        said.append(f"{abs(m.offset_y):.0%} {'lower' if m.offset_y > 0 else 'higher'}")
    return f"{', '.join(said)} in the image" if said else "in the same place"


def shot_words(m: Measures) -> str:
    if m.shot is None or m.shot.image is None or m.shot.video is None:
        return _UNKNOWN
    image, video = SHOT_WORDS[m.shot.image], SHOT_WORDS[m.shot.video]
    return f"{image} in both" if image == video else f"image {image}, video {video}"


def view_words(m: Measures) -> str:
    if m.view_angle is None:
        return _UNKNOWN
    parts = [
        f"{word} {signed_degrees(value)}"
        for word, value in (("turned", m.yaw), ("tipped", m.pitch))
        if value is not None
    ]
    said = f"{m.view_angle:.0f}° apart"
    return f"{said} ({', '.join(parts)})" if parts else said


def lean_words(m: Measures) -> str:
    if m.roll is None:
        return _UNKNOWN
    if round(m.roll) == 0:
        return "alike"
    return f"{abs(m.roll):.0f}° further {'right' if m.roll > 0 else 'left'} in the image"


def pose_words(m: Measures) -> str:
    return _UNKNOWN if m.pose_angle is None else f"limbs {m.pose_angle:.0f}° apart on average"


def proportion_words(m: Measures) -> str:
    if not m.proportions:
        return _UNKNOWN
    part, ratio = max(m.proportions.items(), key=lambda item: abs(math.log(item[1])))
    factor = max(ratio, 1.0 / ratio)
    if f"{factor:.2f}" == "1.00":
        return "alike"
    return f"{part} {factor:.2f}× larger in the {'image' if ratio > 1 else 'video'}"


def _over_time(typical: str, best: str) -> str:
    if typical == _UNKNOWN:
        return ""
    return f"typical {typical}" + (f", best {best}" if best not in (typical, _UNKNOWN) else "")


def _or_dash(value: float | None, form: Form) -> str:
    return _UNKNOWN if value is None else form(value)


def _pair(m: Measures) -> str:
    if m.offset_x is None or m.offset_y is None:
        return _UNKNOWN
    return f"{round(100 * m.offset_x):+d}%, {round(100 * m.offset_y):+d}%"


def _shots(m: Measures) -> str:
    if m.shot is None or m.shot.image is None or m.shot.video is None:
        return _UNKNOWN
    image, video = (s.replace("_", " ") for s in (m.shot.image, m.shot.video))
    return image if image == video else f"{image} / {video}"


# ------------------------------------------------------------------ rows


@dataclass(frozen=True)
class _Measure:
    """How one row is written; `form` writes a number of the tolerance's unit."""

    code: str
    name: str
    tolerance: str
    form: Form
    words: Callable[[Measures], str]
    short: Callable[[Measures], str]


_AT_A_TIME = (
    _Measure(
        "WP301", "Size in the frame", "zoom", times, zoom_words,
        lambda m: _or_dash(m.zoom_ratio, "{:.2f}×".format),
    ),
    _Measure("WP302", "Place in the frame", "placement", percent, placement_words, _pair),
    _Measure("WP303", "Shot", "shot", "{:.1f} classes".format, shot_words, _shots),
    _Measure(
        "WP304", "Direction of view", "view", degrees, view_words,
        lambda m: _or_dash(m.view_angle, degrees),
    ),
    _Measure(
        "WP305", "Lean", "roll", degrees, lean_words, lambda m: _or_dash(m.roll, signed_degrees)
    ),
    _Measure(
        "WP401", "Pose", "pose", degrees, pose_words, lambda m: _or_dash(m.pose_angle, degrees)
    ),
)  # fmt: skip


def rows(report: Report, context: PairContext) -> tuple[Row, ...]:
    """Every row of the table; context: of `context_of` this report."""
    asked = [BY_CODE[code] for code in _CODES if code not in report.deselected]
    answers = {result.rule.code: result for result in evaluate(context, asked)}
    profile = context.profile
    m = report.measures

    def judged(
        code: str, name: str, words: str, tolerance: str, form: Form, over_time: str = ""
    ) -> Row:  # fmt: skip
        limit = context.tolerance(tolerance)
        result = answers.get(code)
        return Row(
            code=code,
            name=name,
            words="heads are compared" if _is_moot(result) else words,
            over_time=over_time,
            tolerance=tolerance_words(limit, profile, form, BY_CODE[code].cap),
            state=_state(result),
            gauge=None if result is None or result.score is None else gauge_share(result.score),
        )

    at_a_time = [
        judged(
            x.code, x.name, x.words(m.first), x.tolerance, x.form,
            _over_time(x.short(m.typical), x.short(m.best)),
        )
        for x in _AT_A_TIME
    ]  # fmt: skip
    return (
        judged("WP201", "Shape", _shape_words(context), "aspect_gap", times),
        *at_a_time,
        judged("WP404", "Proportions", proportion_words(m.typical), "proportions", times),
        judged("WP508", "Face in the image", _face_words(answers.get("WP508")), "face_px", px),
        judged("WP509", "Face in the video", _face_words(answers.get("WP509")), "face_px", px),
        judged("WP511", "Face out of frame", _unseen_words(report), "face_absence", percent),
        judged("WP503", "Person missing", _missing_words(report), "absence", percent),
        judged(
            "WP506", "Other people", _people_words(answers.get("WP506")), "other_person", percent
        ),
    )


_CODES = (
    *("WP201", "WP301", "WP302", "WP303", "WP304", "WP305", "WP401", "WP404"),
    *("WP503", "WP506", "WP508", "WP509", "WP511"),
)


def _is_moot(result: Result | None) -> bool:
    return result is not None and result.answer == HEADS_ONLY


def _state(result: Result | None) -> str:
    if result is None or _is_moot(result):
        return "unasked"
    if result.finding is None:
        return "unknown" if isinstance(result.answer, NotApplicable) else "fine"
    if result.finding.status == "inconclusive":
        return "unknown"
    return result.finding.severity.value


def _shape_words(context: PairContext) -> str:
    image, video = display_aspect(context.image), display_aspect(context.video)
    if image is None or video is None:
        return _UNKNOWN
    gap = max(image, video) / min(image, video)
    if f"{gap:.3f}" == "1.000":
        return f"{image:.2f} : 1 in both"
    return f"image {image:.2f} : 1, video {video:.2f} : 1, a gap of {gap:.2f}×"


def _face_words(result: Result | None) -> str:
    answer = None if result is None else result.answer
    if isinstance(answer, Judged) and isinstance(answer.measured, float):
        return f"{answer.measured:.0f} px across"
    return _UNKNOWN


def _unseen_words(report: Report) -> str:
    seen = report.subject.video.face_seen
    return _UNKNOWN if seen is None else f"{1 - seen:.0%} of the looked-at frames"


def _missing_words(report: Report) -> str:
    return f"{1 - report.subject.video.presence:.0%} of the clip"


def _people_words(result: Result | None) -> str:
    answer = None if result is None else result.answer
    if not isinstance(answer, Judged):
        return _UNKNOWN
    if not isinstance(answer.measured, float):
        return "nobody else of any size"
    return f"up to {answer.measured:.0%} of the person's size"


# ------------------------------------------------------------------ limbs


def limbs(report: Report, context: PairContext) -> tuple[Limb, ...]:
    """Every limb that was compared, sorted by its angle at the first frame, the largest first."""
    m = report.measures
    tolerance = context.tolerance("pose")
    names = {*m.first.limbs, *m.typical.limbs, *m.best.limbs}
    found = [
        Limb(
            name=name.replace("_", " "),
            first=(first := m.first.limbs.get(name)),
            in_plane=m.first.limbs_in_plane.get(name),
            typical=m.typical.limbs.get(name),
            best=m.best.limbs.get(name),
            state="unknown" if first is None else state_of(tolerance, context.profile, first),
        )
        for name in names
    ]
    return tuple(sorted(found, key=lambda limb: (-(limb.first or -1.0), limb.name)))
