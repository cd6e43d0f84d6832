"""WP4: does the image's body stand as the video's body does?"""

from __future__ import annotations

import math

from wan_prep.analyzers.framing import at_first, at_typical
from wan_prep.findings import (
    HEADS_ONLY,
    PASSED,
    Answer,
    Applicability,
    Fix,
    Inconclusive,
    Judged,
    NotApplicable,
    PairContext,
    Rule,
    Severity,
    by_tolerance,
)
from wan_prep.measures.model import Measures

_RETAKE = Fix(
    applicability=Applicability.MANUAL,
    title="use a picture in the pose of the first frame, or start the clip in the picture's pose",
)


def pose(measures: Measures, context: PairContext) -> Answer:
    if measures.by_head:
        return HEADS_ONLY
    if measures.pose_angle is None:
        return Inconclusive(
            "pose could not be compared: no arm or leg is visible in both image and first frame"
        )
    return by_tolerance(
        context.tolerance("pose"),
        measures.pose_angle,
        f"arms and legs point {measures.pose_angle:.0f} deg apart on average in image and first "
        f"frame"
        f"{_worst(measures)}",
        fix=_RETAKE,
    )


def typical_pose(measures: Measures, context: PairContext) -> Answer:
    if measures.by_head:
        return HEADS_ONLY
    if measures.pose_angle is None:
        return NotApplicable("no arm or leg is visible in image and video")
    return by_tolerance(
        context.tolerance("typical_pose"),
        measures.pose_angle,
        f"over most of the clip arms and legs point {measures.pose_angle:.0f} deg away from the "
        f"image's{_worst(measures)}",
        fix=_RETAKE,
    )


def _worst(measures: Measures) -> str:
    if len(measures.limbs) < 2:
        return ""
    worst = sorted(measures.limbs.items(), key=lambda item: -item[1])[:2]
    return "; most of all " + " and ".join(
        f"the {name.replace('_', ' ')} ({angle:.0f} deg)" for name, angle in worst
    )


_PARTS = {
    "head": ("the head is", "larger"),
    "shoulders": ("the shoulders are", "wider"),
    "torso": ("the torso is", "longer"),
    "legs": ("the legs are", "longer"),
    "width": ("the trunk is", "wider"),
}


def proportions(measures: Measures, context: PairContext) -> Answer:
    if measures.by_head:
        return HEADS_ONLY
    if not measures.proportions:
        return Inconclusive(
            "proportions could not be compared: no body part is seen from the front in both",
            required=False,
        )
    # Turning and bending change a ratio at some times; a body that is built differently shows at
    # all of them. So the smaller difference counts.
    ratios = {
        part: min((ratio, _at_first(part, ratio, context)), key=lambda r: abs(math.log(r)))
        for part, ratio in measures.proportions.items()
    }
    # A part weighs as much as it is seen.
    seen = {part: measures.parts_seen.get(part, 1.0) for part in ratios}
    part, ratio = max(ratios.items(), key=lambda item: seen[item[0]] * abs(math.log(item[1])))
    tolerance = context.tolerance("proportions")
    is_what, more = _PARTS[part]
    side = "image" if ratio > 1 else "video"
    note = "; replace mode does not adapt them" if context.mode == "replace" else ""
    return by_tolerance(
        tolerance,
        seen[part] * abs(math.log(ratio)),
        f"the proportions differ: compared with the rest of the body, {is_what} "
        f"{max(ratio, 1 / ratio):.2f} times {more} in the {side}{note}",
        shown=ratio,
        limit=math.exp(math.copysign(tolerance.fine, ratio - 1.0)),
        unit="ratio",
        fix=Fix(
            applicability=Applicability.MANUAL,
            title="choose a video of somebody built like the character",
        ),
    )


def _at_first(part: str, typical: float, context: PairContext) -> float:
    """The first frame's ratio of a part as far as it shows it, the typical one for the rest."""
    first = context.first
    if first is None or part not in first.proportions:
        return typical
    share = first.parts_seen.get(part, 1.0)
    return math.exp(share * math.log(first.proportions[part]) + (1.0 - share) * math.log(typical))


def elsewhere_better(context: PairContext) -> Answer:
    best = context.best
    if best is None:
        return NotApplicable("no body was recognised in both")
    gain = best.score - best.score_at_first
    limit = context.profile.limits["best_start_gain"]
    if gain < limit.value:
        return PASSED
    time = float(best.observation.time)
    left = float(context.video.start + context.video.span) - time
    flaw = context.profile.flaws["better_start"]
    keeps_half = left >= float(context.video.span) / 2.0
    return Judged(
        score=flaw.score,
        message=f"a clip that starts at {time:.2f} s would score {best.score:.0f} instead of "
        f"{best.score_at_first:.0f}; {left:.1f} s of it are left then",
        measured=round(gain, 2),
        limit=limit.value,
        unit="points",
        source=limit.source,
        fix=Fix(
            applicability=Applicability.SAFE if keeps_half else Applicability.UNSAFE,
            title=f"start the clip at {time:.2f} s",
        ),
        spans_s=((time, time),),
    )


RULES = (
    Rule("WP401", "pose-mismatch", "pose", "pair", at_first(pose, "pose_angle"), at_start=True),
    Rule(
        "WP402",
        "pose-mismatch-typical",
        "pose",
        "pair",
        at_typical(typical_pose, "pose_angle"),
        cap=Severity.WARNING,
    ),
    Rule(
        "WP403",
        "better-start-inside",
        "pose",
        "pair",
        elsewhere_better,
        cap=Severity.INFO,
        at_best=True,
    ),
    Rule(
        "WP404", "proportions-differ", "pose", "pair", at_typical(proportions), cap=Severity.WARNING
    ),
)
