"""Roll that the camera of the image has against the clip's, turned out of the picture."""

from __future__ import annotations

import math
from dataclasses import replace

from wan_prep.evidence import Evidence, Subject
from wan_prep.findings import PairContext
from wan_prep.geometry import UNIT_BOX, Box, Size, view_angles
from wan_prep.planning.model import Geometry, Window
from wan_prep.planning.sides import Side, union
from wan_prep.pose.skeleton import Joint

# A camera tilts eyes and spine alike; a person who leans keeps the head up.
_EYES_AGREE_DEG = 8.0
_FACING_DEG = 45.0
# Of the area without corners: slivers of them may be filled.
_CORNERS_SHARE = 1.1


def turn_to_upright(context: PairContext) -> float | None:
    """Degrees, clockwise, that bring a tilted image in line with an upright clip.

    None where there is nothing to turn, where it is the person who leans and not the camera, and
    where the picture has bars, which would be turned with it.
    """
    image, template = context.image_seat, context.template_seat
    if image is None or template is None or context.image.content != UNIT_BOX:
        return None
    views = image.subject.view_matrix, template.subject.view_matrix
    if views[0] is None or views[1] is None:
        return None
    here, there = view_angles(views[0]), view_angles(views[1])
    fine = context.profile.tolerances["roll"].fine
    most = context.profile.limit("turn_max")
    is_tilted = fine < abs(here.roll - there.roll) <= most and abs(there.roll) <= fine
    eyes_deg = _eye_line_deg(image.subject, image.size)
    is_camera = abs(here.yaw) <= _FACING_DEG and abs(eyes_deg - here.roll) <= _EYES_AGREE_DEG
    return round(there.roll - here.roll, 1) if is_tilted and is_camera else None


def _eye_line_deg(subject: Subject, size: Size) -> float:
    """Clockwise tilt of the line between the eyes of somebody who faces the camera."""
    points = subject.keypoints_xy * size
    x, y = points[Joint.LEFT_EYE] - points[Joint.RIGHT_EYE]
    return math.degrees(math.atan2(y, x))


def turn_only(image: Evidence, rotate_deg: float) -> Geometry:
    """The whole picture, turned and nothing else."""
    assert image.info is not None
    width, height = image.info.width, image.info.height
    return Geometry(
        rotate_deg=rotate_deg,
        window=Window(left=0, top=0, width=width, height=height),
        width=width,
        height=height,
    )


def without_corners(side: Side, rotate_deg: float) -> Side | None:
    """A turned picture without the corners that the turn left empty, but with the person; None
    where the person reaches far into them."""
    size = Size(round(side.content.width), round(side.content.height))
    inner = inscribed(size, rotate_deg)
    box = union([inner, side.keep]).clipped(side.content)
    if box.area > _CORNERS_SHARE * inner.area:
        return None
    content = Box(
        math.ceil(box.left), math.ceil(box.top), math.floor(box.right), math.floor(box.bottom)
    )
    return replace(
        side, content=content, keep=side.keep.clipped(content), ease=side.ease.clipped(content)
    )


def inscribed(size: Size, rotate_deg: float) -> Box:
    """The largest upright box inside a picture of this size, turned about its middle by less than
    45 deg."""
    turn = abs(math.radians(rotate_deg))
    sine, cosine = math.sin(turn), math.cos(turn)
    if min(size) <= 2.0 * sine * cosine * max(size):
        # A long picture: the box touches its long sides only.
        long, short = min(size) / 2.0 / sine, min(size) / 2.0 / cosine
        wide, tall = (long, short) if size.width >= size.height else (short, long)
    else:
        shrink = cosine * cosine - sine * sine
        wide = (size.width * cosine - size.height * sine) / shrink
        tall = (size.height * cosine - size.width * sine) / shrink
    x, y = size.width / 2.0, size.height / 2.0
    return Box(x - wide / 2.0, y - tall / 2.0, x + wide / 2.0, y + tall / 2.0)
