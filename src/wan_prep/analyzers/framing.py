"""WP3: is the camera of the image where the camera of the video is?"""

from __future__ import annotations

import math
from collections.abc import Callable

from wan_prep.findings import (
    Answer,
    Applicability,
    Explanation,
    Fix,
    Inconclusive,
    NotApplicable,
    PairContext,
    Rule,
    Severity,
    believed,
    by_tolerance,
)
from wan_prep.measures import PairMeasures, cuts, headroom

_CROP = Fix(applicability=Applicability.SAFE, title="crop both to one framing")
_RETAKE = Fix(
    applicability=Applicability.MANUAL,
    title="use a picture taken from the same side, or start the clip where they agree",
)
_STRAIGHTEN = Fix(applicability=Applicability.MANUAL, title="straighten the image")
_SHOT_NAMES = {
    "full": "the whole body",
    "three_quarter": "down to the knees",
    "half": "down to the hips",
    "bust": "head and shoulders",
    "face": "the face alone",
}


def at_first(
    judge: Callable[[PairMeasures, PairContext], Answer], measure: str | None = None
) -> Callable[[PairContext], Answer]:
    """A check of the measures at the template, believed as far as `measure` deserves it."""

    def check(context: PairContext) -> Answer:
        if not context.readable:
            return NotApplicable("a file cannot be read")
        if context.image_seat is None:
            return Inconclusive("no body was recognised in the image, so this was not measured")
        if context.first is None:
            return Inconclusive(
                "no body was recognised in the first frame, so this was not measured"
            )
        answer = judge(context.first, context)
        return believed(answer, context.first.confidence.get(measure or ""), context.profile)

    return check


def at_typical(
    judge: Callable[[PairMeasures, PairContext], Answer], measure: str | None = None
) -> Callable[[PairContext], Answer]:
    """A check of the median over the clip; whoever misses it misses the first frame's too."""

    def check(context: PairContext) -> Answer:
        if not context.readable:
            return NotApplicable("a file cannot be read")
        if context.typical is None:
            return NotApplicable("no body was recognised in both")
        answer = judge(context.typical, context)
        seen = context.typical.confidence.get(measure or "")
        return believed(answer, seen, context.profile, required=False)

    return check


def zoom(measures: PairMeasures, context: PairContext) -> Answer:
    return _zoom(measures, context, "zoom", "in the first frame")


def typical_zoom(measures: PairMeasures, context: PairContext) -> Answer:
    return _zoom(measures, context, "typical_zoom", "over most of the clip")


def _zoom(measures: PairMeasures, context: PairContext, tolerance_name: str, when: str) -> Answer:
    ratio = measures.zoom_ratio
    if ratio is None:
        return Inconclusive("too few joints are seen to tell the distance of the camera")
    tolerance = context.tolerance(tolerance_name)
    larger = "image" if ratio > 1 else "video"
    factor = max(ratio, 1.0 / ratio)
    return by_tolerance(
        tolerance,
        abs(math.log(ratio)),
        f"the person is {factor:.2f} times larger in the {larger} {when}",
        shown=ratio,
        limit=math.exp(math.copysign(tolerance.fine, ratio - 1.0)),
        unit="ratio",
        fix=_CROP,
    )


def placement(measures: PairMeasures, context: PairContext) -> Answer:
    x, y, distance = measures.offset_x, measures.offset_y, measures.placement
    if x is None or y is None or distance is None:
        return Inconclusive("the neck is not seen in both")
    where = []
    if abs(x) >= 0.01:
        where.append(f"{abs(x):.0%} further {'right' if x > 0 else 'left'}")
    if abs(y) >= 0.01:
        where.append(f"{abs(y):.0%} {'lower' if y > 0 else 'higher'}")
    image, video = context.image_seat, context.template_seat
    room = ""
    if image is not None and video is not None:
        room = f" (room above the head {headroom(image):.0%} against {headroom(video):.0%})"
    return by_tolerance(
        context.tolerance("placement"),
        distance,
        f"in the image the person stands {' and '.join(where) or 'elsewhere'} than in the first "
        f"frame{room}",
        fix=_CROP,
    )


def shot(measures: PairMeasures, context: PairContext) -> Answer:
    distance = measures.shot_distance
    if distance is None or measures.shot_image is None or measures.shot_video is None:
        return Inconclusive("the shot of one side could not be told")
    hidden = measures.only_video or measures.only_image
    side = "video" if measures.only_video else "image"
    more = f"; only the {side} shows {_listed(hidden)}" if hidden and distance else ""
    tolerance = context.tolerance("shot")
    alike = measures.shot_image == measures.shot_video
    doubt = " too, but one of them hardly" if alike else ""
    return by_tolerance(
        tolerance,
        distance,
        f"the image shows {_SHOT_NAMES[measures.shot_image]}, the first frame "
        f"{_SHOT_NAMES[measures.shot_video]}{doubt}{more}",
        fix=_CROP
        if distance < 1.5
        else Fix(
            applicability=Applicability.MANUAL,
            title="use a picture that shows as much of the body as the video",
        ),
    )


def _listed(labels: tuple[str, ...], most: int = 4) -> str:
    shown = ", ".join(labels[:most])
    return shown if len(labels) <= most else f"{shown} and {len(labels) - most} more"


def view(measures: PairMeasures, context: PairContext) -> Answer:
    if measures.view_angle is None or measures.yaw is None or measures.pitch is None:
        return Inconclusive("the torso is not seen well enough to tell the direction of view")
    return by_tolerance(
        context.tolerance("view"),
        measures.view_angle,
        f"the body is seen from another side: {measures.view_angle:.0f} deg between image and "
        f"first frame (turned {measures.yaw:+.0f}, tipped {measures.pitch:+.0f})",
        fix=_RETAKE,
    )


def tilt(measures: PairMeasures, context: PairContext) -> Answer:
    if measures.roll is None:
        return Inconclusive("the spine is not seen well enough to tell a tilt")
    return by_tolerance(
        context.tolerance("roll"),
        abs(measures.roll),
        f"the body leans {abs(measures.roll):.0f} deg more to the "
        f"{'right' if measures.roll > 0 else 'left'} in the image than in the first frame"
        f"{_whose_roll(measures)}",
        fix=_STRAIGHTEN,
    )


def _whose_roll(measures: PairMeasures) -> str:
    if measures.camera_roll is None:
        return ""
    return f"; by the balance of both bodies the camera's part is {measures.camera_roll:+.0f} deg"


def cut_off(_measures: PairMeasures, context: PairContext) -> Answer:
    image, video = context.image_seat, context.template_seat
    if image is None or video is None:
        return Inconclusive("no body was recognised in both")
    here, there = cuts(image), cuts(video)
    differing = {edge: here[edge] - there[edge] for edge in sorted(here)}
    tolerance = context.tolerance("cut_edges")
    said = [
        f"the {'image' if more > 0 else 'first frame'} cuts it at the {edge}"
        for edge, more in differing.items()
        if abs(more) >= 0.5
    ]
    return by_tolerance(
        tolerance,
        sum(abs(more) for more in differing.values()),
        f"the frame cuts the body at different edges: {'; '.join(said) or 'each a little'}",
        unit="edges",
        fix=_CROP,
    )


_IN_PROFILE = "The tolerance stands in the profile as `{}`, with its source."

RULES = (
    Rule(
        "WP301",
        "zoom-mismatch",
        "framing",
        "pair",
        at_first(zoom, "zoom_ratio"),
        Explanation(
            "How many metres of the person's plane each frame shows from top to bottom, the "
            "video's over the image's. It comes from the joints' weak-perspective scale, so it "
            "does not depend on the pose.",
            "The driver's joints are laid over the character: at another size limbs stretch, or "
            "the face lands elsewhere.",
            "Crop the wider of the two.",
            _IN_PROFILE.format("zoom"),
        ),
        at_start=True,
    ),
    Rule(
        "WP302",
        "placement-mismatch",
        "framing",
        "pair",
        at_first(placement, "offset"),
        Explanation(
            "Where the neck lies, as fractions of width and height, image minus video.",
            "The makers ask for the same composition; a person elsewhere in the frame drags the "
            "background along.",
            "Crop both to one framing.",
            _IN_PROFILE.format("placement"),
        ),
        at_start=True,
    ),
    Rule(
        "WP303",
        "shot-mismatch",
        "framing",
        "pair",
        at_first(shot),
        Explanation(
            "The shot class of each, by the lowest joints seen: face, bust, half, three-quarter, "
            "full; and the joints that only one side shows. Joints that are hardly seen, or lie on "
            "the frame's edge, count by parts of a class.",
            "What the image does not show must be invented: legs for a bust, a body for a face.",
            "Crop the wider one, or use a picture that shows as much of the body.",
            _IN_PROFILE.format("shot"),
        ),
        at_start=True,
    ),
    Rule(
        "WP304",
        "view-mismatch",
        "framing",
        "pair",
        at_first(view, "view_angle"),
        Explanation(
            "The angle between the two torso frames (shoulder line, spine and their cross "
            "product), each turned into its own camera.",
            "A side or back view cannot be driven by a front view: the strongest cause of failure.",
            "Use a picture taken from the same side, or start the clip where they agree.",
            _IN_PROFILE.format("view"),
        ),
        at_start=True,
    ),
    Rule(
        "WP305",
        "tilt-mismatch",
        "framing",
        "pair",
        at_first(tilt, "view_angle"),
        Explanation(
            "The spine's lean in the picture, image minus video. Where both bodies are seen from "
            "shoulders to feet, the line from the feet to the centre of mass tells how much of it "
            "is the camera's.",
            "A tilted camera against a level one makes the character fall over.",
            "Straighten the tilted one.",
            _IN_PROFILE.format("roll"),
        ),
        at_start=True,
    ),
    Rule(
        "WP306",
        "cut-off-differently",
        "framing",
        "pair",
        at_first(cut_off),
        Explanation(
            "Which edges of the frame cut the body, in the image and in the first frame.",
            "A limb that one side cuts and the other shows is hidden or invented.",
            "Crop both to one framing.",
            _IN_PROFILE.format("cut_edges"),
        ),
        cap=Severity.WARNING,
        at_start=True,
    ),
    Rule(
        "WP307",
        "zoom-mismatch-typical",
        "framing",
        "pair",
        at_typical(typical_zoom, "zoom_ratio"),
        Explanation(
            "The zoom ratio of WP301 as the median over the clip.",
            "A person who comes to the camera, or a camera that zooms, leaves the framing of the "
            "first frame.",
            "Choose a part of the clip with steady framing.",
            _IN_PROFILE.format("typical_zoom"),
        ),
        cap=Severity.WARNING,
    ),
)
