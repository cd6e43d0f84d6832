"""WP2: do the two pictures have one shape, and what does the service make of it?"""

from __future__ import annotations

import math

from wan_prep.evidence import Evidence
from wan_prep.findings import (
    PASSED,
    Answer,
    Applicability,
    Fix,
    Judged,
    NotApplicable,
    PairContext,
    Rule,
    Severity,
    by_tolerance,
)
from wan_prep.geometry import UNIT_BOX
from wan_prep.measures.pair import aspect_gap
from wan_prep.measures.side import display_aspect
from wan_prep.sizing import output_size

_UNREADABLE = NotApplicable("a file cannot be read")
_CROP = Fix(applicability=Applicability.SAFE, title="crop and pad both to one ratio")


def deciding(context: PairContext) -> tuple[Evidence, str]:
    """The medium whose shape the result takes: animate → the image, replace → the video."""
    if context.mode == "animate":
        return context.image, "image"
    return context.video, "video"


def aspect_mismatch(context: PairContext) -> Answer:
    gap = aspect_gap(context.image, context.video)
    a, b = display_aspect(context.image), display_aspect(context.video)
    if gap is None or a is None or b is None:
        return _UNREADABLE
    tolerance = context.tolerance("aspect_gap")
    _, which = deciding(context)
    other = "video" if which == "image" else "image"
    return by_tolerance(
        tolerance,
        math.log(gap),
        f"the aspect ratios differ: the image is {a:.3f}:1, the video {b:.3f}:1; in "
        f"{context.mode} mode the result gets the {which}'s shape, and the {other} is padded, "
        "cropped or stretched",
        shown=gap,
        limit=math.exp(tolerance.fine),
        unit="ratio",
        fix=_CROP,
    )


def output_bars(context: PairContext) -> Answer:
    if not context.readable:
        return _UNREADABLE
    evidence, which = deciding(context)
    if evidence.info is None:
        return _UNREADABLE
    size = output_size(
        evidence.info.width, evidence.info.height, context.resolution, context.profile
    )
    tolerance = context.tolerance("bars")
    return by_tolerance(
        tolerance,
        size.bars_share,
        f"the result gets {size.bars_px} px of black bars in all, if the service runs the "
        f"official preprocessing: it turns the {which} into {size.width} x {size.height} at "
        f"{context.resolution}",
        shown=size.bars_px,
        limit=0,
        unit="px",
        fix=Fix(applicability=Applicability.SAFE, title="choose a size that needs no bars"),
    )


def bars_in_image(context: PairContext) -> Answer:
    return _bars(context.image, "image", context)


def bars_in_video(context: PairContext) -> Answer:
    return _bars(context.video, "video", context)


def _bars(evidence: Evidence, which: str, context: PairContext) -> Answer:
    if evidence.info is None:
        return _UNREADABLE
    if evidence.content == UNIT_BOX:
        return PASSED
    box, flaw = evidence.content, context.profile.flaws["bars_in_media"]
    lost = 1.0 - box.width * box.height
    sides = [
        f"{share * length:.0f} px {name}"
        for name, share, length in (
            ("left", box.left, evidence.info.width),
            ("top", box.top, evidence.info.height),
            ("right", 1.0 - box.right, evidence.info.width),
            ("bottom", 1.0 - box.bottom, evidence.info.height),
        )
        if share * length >= 0.5
    ]
    # A line of one or two pixels is no bar that a viewer would see.
    score = flaw.score if lost > 0.01 else context.profile.severity.pass_from
    return Judged(
        score=score,
        message=f"the {which} has black bars: {', '.join(sides)}",
        measured=round(lost, 4),
        limit=0.01,
        unit="share of picture",
        source=flaw.source,
        fix=Fix(applicability=Applicability.SAFE, title="cut the bars off"),
    )


def extreme_aspect(context: PairContext) -> Answer:
    limit = context.profile.limits["aspect_max"]
    for evidence, which in ((context.image, "image"), (context.video, "video")):
        aspect = display_aspect(evidence)
        if aspect is None:
            return _UNREADABLE
        wide = max(aspect, 1.0 / aspect)
        if wide > limit.value:
            flaw = context.profile.flaws["extreme_aspect"]
            return Judged(
                score=flaw.score,
                message=f"the {which} is very {'wide' if aspect > 1 else 'tall'} "
                f"({aspect:.2f}:1); another host of this model takes 1:3 to 3:1",
                measured=round(wide, 4),
                limit=limit.value,
                unit="ratio",
                source=limit.source,
                fix=Fix(applicability=Applicability.UNSAFE, title="crop the long side"),
            )
    return PASSED


RULES = (
    Rule("WP201", "aspect-mismatch", "aspect", "pair", aspect_mismatch),
    Rule("WP202", "output-bars", "aspect", "pair", output_bars, cap=Severity.WARNING),
    Rule("WP203", "image-black-bars", "aspect", "image", bars_in_image, cap=Severity.WARNING),
    Rule("WP204", "video-black-bars", "aspect", "video", bars_in_video, cap=Severity.WARNING),
    Rule("WP205", "aspect-extreme", "aspect", "pair", extreme_aspect, cap=Severity.WARNING),
)
