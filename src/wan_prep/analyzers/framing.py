"""WP3: is the camera of the image where the camera of the video is?"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from wan_prep.analyzers.spans import in_words, nobody_in_words
from wan_prep.evidence import Evidence
from wan_prep.findings import (
    Answer,
    Applicability,
    Fix,
    Inconclusive,
    Judged,
    NotApplicable,
    PairContext,
    Rule,
    Severity,
    believed,
    by_tolerance,
)
from wan_prep.measures.model import SHOT_WORDS, Measures
from wan_prep.measures.pair import comparable
from wan_prep.measures.side import cuts, headroom

_CROP = Fix(applicability=Applicability.SAFE, title="crop both to one framing")
_RETAKE = Fix(
    applicability=Applicability.MANUAL,
    title="use a picture taken from the same side, or start the clip where the person is seen from "
    "that side",
)
_SHOW_BODY = Fix(
    applicability=Applicability.MANUAL,
    title="use a picture and a first frame that show the person's body",
)
_STRAIGHTEN = Fix(applicability=Applicability.MANUAL, title="straighten the image")


def at_first(
    judge: Callable[[Measures, PairContext], Answer], measure: str | None = None
) -> Callable[[PairContext], Answer]:
    """A check of the measures at the first frame, believed as far as `measure` is seen.

    measure: a key of `Measures.confidence`; None where all of it is seen, or nothing is.
    """

    def check(context: PairContext) -> Answer:
        if not context.readable:
            return NotApplicable("a file cannot be read")
        if context.image_subject is None:
            return _nobody(context.image, "the image")
        if context.first is None:
            return _nobody(context.video, "the first frame")
        answer = judge(context.first, context)
        if measure is None or not isinstance(answer, Judged):
            return answer
        seen = context.first.confidence.get(measure)
        unknown = partial(
            _unmeasured,
            measure,
            context.first,
            "in the first frame",
            "{} are hardly visible there or in the image",
        )
        return believed(answer, seen, context.profile, unknown)

    return check


def _nobody(evidence: Evidence, where: str) -> Inconclusive:
    is_other = not evidence.person.is_largest
    who = nobody_in_words(evidence) if is_other else "no body is recognised"
    return Inconclusive(f"not measured: {who} in {where}", fix=_SHOW_BODY)


def at_typical(
    judge: Callable[[Measures, PairContext], Answer], measure: str | None = None
) -> Callable[[PairContext], Answer]:
    """A check of the median over the clip; whoever misses it misses the first frame's too."""

    def check(context: PairContext) -> Answer:
        if not context.readable:
            return NotApplicable("a file cannot be read")
        if context.typical is None:
            return NotApplicable("no body is recognised in image and video")
        answer = judge(context.typical, context)
        if measure is None or not isinstance(answer, Judged):
            return answer
        seen = context.typical.confidence.get(measure)
        unknown = partial(
            _unmeasured,
            measure,
            context.typical,
            "over the whole clip",
            "{} are visible in too few frames",
            required=False,
        )
        return believed(answer, seen, context.profile, unknown)

    return check


class _Words(NamedTuple):
    """How messages speak of what is compared. is_seen: what must be visible, by measure."""

    person_stands: str
    person_is: str
    body: str
    unsized: str
    undirected: str
    is_seen: dict[str, str]


_BODIES = _Words(
    person_stands="the person stands",
    person_is="the person is",
    body="the body",
    unsized="too few joints are visible",
    undirected="the torso is hardly visible",
    is_seen={
        "zoom_ratio": "joints",
        "offset": "neck and shoulders",
        "view_angle": "shoulders and hips",
        "pose_angle": "arms and legs",
    },
)
_HEADS = _Words(
    person_stands="the head is",
    person_is="the head is",
    body="the head",
    unsized="a face is not recognised",
    undirected="a face is not recognised",
    is_seen=dict.fromkeys(("zoom_ratio", "offset", "view_angle"), "faces"),
)
_MEASURES = {
    "zoom_ratio": "the person's size",
    "offset": "placement",
    "view_angle": "the direction of view",
    "pose_angle": "pose",
}


def _words(measures: Measures) -> _Words:
    return _HEADS if measures.by_head else _BODIES


def _unmeasured(
    name: str, measures: Measures, where: str, why: str, *, required: bool = True
) -> Inconclusive:
    parts = _words(measures).is_seen[name]
    return Inconclusive(
        f"{_MEASURES[name]} {where} could not be measured: {why.format(parts)}",
        required=required,
        fix=Fix(
            applicability=Applicability.MANUAL,
            title=f"use a picture and a clip that show {parts} clearly",
        ),
    )


def zoom(measures: Measures, context: PairContext) -> Answer:
    return _zoom(measures, context, "zoom", "in the first frame")


def typical_zoom(measures: Measures, context: PairContext) -> Answer:
    return _zoom(measures, context, "typical_zoom", "over most of the clip")


def _zoom(measures: Measures, context: PairContext, tolerance_name: str, when: str) -> Answer:
    ratio = measures.zoom_ratio
    if ratio is None:
        return Inconclusive(f"the person's size could not be compared: {_words(measures).unsized}")
    tolerance = context.tolerance(tolerance_name)
    larger = "image" if ratio > 1 else "video"
    factor = max(ratio, 1.0 / ratio)
    return by_tolerance(
        tolerance,
        abs(math.log(ratio)),
        f"{_words(measures).person_is} {factor:.2f} times larger in the {larger} {when}",
        shown=ratio,
        limit=math.exp(math.copysign(tolerance.fine, ratio - 1.0)),
        unit="ratio",
        fix=_CROP,
    )


def placement(measures: Measures, context: PairContext) -> Answer:
    x, y, distance = measures.offset_x, measures.offset_y, measures.placement
    if x is None or y is None or distance is None:
        return Inconclusive("placement could not be measured: the neck is out of the picture")
    where = []
    if abs(x) >= 0.01:
        where.append(f"{abs(x):.0%} further {'right' if x > 0 else 'left'}")
    if abs(y) >= 0.01:
        where.append(f"{abs(y):.0%} {'lower' if y > 0 else 'higher'}")
    image, video = context.image_subject, context.template_subject
    room = ""
    if image is not None and video is not None:
        room = (
            f"; above the head are {headroom(image):.0%} of the image and "
            f"{headroom(video):.0%} of the frame"
        )
    return by_tolerance(
        context.tolerance("placement"),
        distance,
        f"{_words(measures).person_stands} {' and '.join(where) or 'elsewhere'} in the image than "
        f"in the first frame{room}",
        fix=_CROP,
    )


def shot(measures: Measures, context: PairContext) -> Answer:
    distance, shots = measures.shot_distance, measures.shot
    if distance is None or shots is None or shots.image is None or shots.video is None:
        return Inconclusive("how much of the body is in the picture could not be told")
    hidden = shots.only_video or shots.only_image
    side = "video" if shots.only_video else "image"
    more = f"; only the {side} shows {_listed(hidden)}" if hidden and distance else ""
    doubt = ""
    if shots.image == shots.video:
        doubt = " too, but part of it is hardly visible in one of them"
    answer = by_tolerance(
        context.tolerance("shot"),
        distance,
        f"the image shows {SHOT_WORDS[shots.image]}, the first frame "
        f"{SHOT_WORDS[shots.video]}{doubt}{more}",
        fix=_CROP
        if distance < 1.5
        else Fix(
            applicability=Applicability.MANUAL,
            title="use a picture that shows as much of the body as the video",
        ),
    )
    if not (measures.by_head and distance):
        return answer
    unknown = partial(
        Inconclusive,
        "how much of the body is in the picture could not be told: nothing but a head is "
        "recognised where there is room for a body",
        fix=_SHOW_BODY,
    )
    return believed(answer, measures.confidence.get("shot"), context.profile, unknown)


def _listed(labels: tuple[str, ...], most: int = 4) -> str:
    if len(labels) <= most:
        return in_words(labels)
    return f"{', '.join(labels[:most])} and {len(labels) - most} more"


def view(measures: Measures, context: PairContext) -> Answer:
    if measures.view_angle is None or measures.yaw is None or measures.pitch is None:
        return Inconclusive(
            f"the direction of view could not be measured: {_words(measures).undirected}"
        )
    return by_tolerance(
        context.tolerance("view"),
        measures.view_angle,
        f"image and first frame show {_words(measures).body} from different sides, "
        f"{measures.view_angle:.0f} deg apart ({abs(measures.yaw):.0f} deg around, "
        f"{abs(measures.pitch):.0f} deg up or down)",
        fix=_RETAKE,
    )


def tilt(measures: Measures, context: PairContext) -> Answer:
    if measures.roll is None:
        return Inconclusive(f"tilt could not be measured: {_words(measures).undirected}")
    return by_tolerance(
        context.tolerance("roll"),
        abs(measures.roll),
        f"{_words(measures).body} leans {abs(measures.roll):.0f} deg more to the "
        f"{'right' if measures.roll > 0 else 'left'} in the image than in the first frame"
        f"{_whose_roll(measures)}",
        fix=_STRAIGHTEN,
    )


def _whose_roll(measures: Measures) -> str:
    camera, roll = measures.camera_roll, measures.roll
    if camera is None or roll is None:
        return ""
    if camera * roll < 0.0:
        return f"; the camera is tilted {abs(camera):.0f} deg the other way"
    return f"; about {abs(camera):.0f} deg of it come from a tilted camera"


def cut_off(measures: Measures, context: PairContext) -> Answer:
    image, video = context.image_subject, context.template_subject
    if image is None or video is None:
        return Inconclusive("not measured: no body is recognised in image and first frame")
    here, there = (cuts(side) for side in comparable(image, video))
    differing = {edge: here[edge] - there[edge] for edge in sorted(here)}
    tolerance = context.tolerance("cut_edges")
    said = [
        f"the {which} at the {in_words(edges)}"
        for which, edges in (
            ("image", [edge for edge, more in differing.items() if more >= 0.5]),
            ("first frame", [edge for edge, more in differing.items() if more <= -0.5]),
        )
        if edges
    ]
    return by_tolerance(
        tolerance,
        sum(abs(more) for more in differing.values()),
        f"image and first frame cut {_words(measures).body} off at different edges: "
        f"{', '.join(said) or 'each a little'}",
        unit="edges",
        fix=_CROP,
    )


RULES = (
    Rule("WP301", "zoom-mismatch", "framing", "pair", at_first(zoom, "zoom_ratio"), at_start=True),
    Rule(
        "WP302",
        "placement-mismatch",
        "framing",
        "pair",
        at_first(placement, "offset"),
        at_start=True,
    ),
    Rule("WP303", "shot-mismatch", "framing", "pair", at_first(shot), at_start=True),
    Rule("WP304", "view-mismatch", "framing", "pair", at_first(view, "view_angle"), at_start=True),
    Rule("WP305", "tilt-mismatch", "framing", "pair", at_first(tilt, "view_angle"), at_start=True),
    Rule(
        "WP306",
        "cut-off-differently",
        "framing",
        "pair",
        at_first(cut_off),
        cap=Severity.WARNING,
        at_start=True,
    ),
    Rule(
        "WP307",
        "zoom-mismatch-typical",
        "framing",
        "pair",
        at_typical(typical_zoom, "zoom_ratio"),
        cap=Severity.WARNING,
    ),
)
