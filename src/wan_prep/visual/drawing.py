"""What is drawn over a picture: body, frames and lines, in px of that picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wan_prep.geometry import Box, Floats, Size
from wan_prep.measures.pair import comparable, zoom_ratio
from wan_prep.measures.side import (
    SubjectInFrame,
    anchor_xy,
    frame_height_m,
    inside,
    shot_class,
    view_matrix,
)
from wan_prep.pose.body import VISIBLE, Shot
from wan_prep.pose.skeleton import BODY, SKELETON_LINES


@dataclass(frozen=True)
class Bone:
    """A bone from (x1, y1) to (x2, y2)."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class Drawing:
    """A body as drawn over a picture of `size` px; all places are in px of that picture."""

    size: Size
    seen: tuple[Bone, ...]
    """Bones between joints that are seen."""
    guessed: tuple[Bone, ...]
    """Bones with an end that is not seen, but located."""
    joints_xy: Floats
    """(N, 2) joints that are seen."""
    shot: Shot
    shot_frame: Box
    """Box around the visible part of the body."""
    anchor_name: str
    """What tells where the person is: the neck, or a head alone."""
    anchor_xy: tuple[float, float]
    anchor_share: tuple[float, float]
    """The anchor as fractions of the content's width and height."""
    face: Box | None
    face_is_sure: bool
    content: Box
    """The picture without its black bars."""
    other_frame: Box | None = None
    """The other medium's frame, scaled and moved so that its person covers this one."""


def draw(framed: SubjectInFrame, size: Size, other: SubjectInFrame | None = None) -> Drawing:
    """The drawing over a picture of this subject, shown at `size` px.

    other: the subject of the other medium, whose frame is drawn, too.
    """
    points = framed.subject.keypoints_xy * size
    visible = inside(framed) & (framed.subject.visibility >= VISIBLE)
    drawn = np.zeros(len(points), dtype=bool)
    drawn[[j for line in SKELETON_LINES for j in line]] = True
    drawn[list(BODY)] = True
    seen: list[Bone] = []
    guessed: list[Bone] = []
    for near, far in SKELETON_LINES:
        if not (framed.subject.is_located[near] and framed.subject.is_located[far]):
            continue
        (x1, y1), (x2, y2) = points[near].tolist(), points[far].tolist()
        kind = seen if visible[near] and visible[far] else guessed
        kind.append(Bone(x1, y1, x2, y2))
    seen += _face_axes(framed, size)
    anchor = anchor_xy(framed)
    content = framed.content.scaled(size.width, size.height)
    face = framed.subject.face
    return Drawing(
        size=size,
        seen=tuple(seen),
        guessed=tuple(guessed),
        joints_xy=points[visible & drawn],
        shot=shot_class(framed),
        shot_frame=framed.subject.box.scaled(size.width, size.height),
        anchor_name="head" if framed.subject.is_head else "neck",
        anchor_xy=(
            content.left + float(anchor[0]) * content.width,
            content.top + float(anchor[1]) * content.height,
        ),
        anchor_share=(float(anchor[0]), float(anchor[1])),
        face=None if face is None else face.box.scaled(size.width, size.height),
        face_is_sure=face is not None and face.is_sure,
        content=content,
        other_frame=None if other is None else _frame_of(other, framed, content),
    )


def _face_axes(framed: SubjectInFrame, size: Size) -> list[Bone]:
    """Of a head alone: from the middle of its face up to the forehead, and where the face looks,
    each half as long as the face is tall, foreshortened as seen. None where it is not recognised.
    """
    view, face = view_matrix(framed), framed.subject.face
    if not framed.subject.is_head or view is None or face is None:
        return []
    x, y = face.box.center[0] * size.width, face.box.center[1] * size.height
    half = face.box.height * size.height / 2.0
    return [
        Bone(x, y, x + half * float(axis[0]), y + half * float(axis[1]))
        for axis in (view[:, 1], view[:, 2])
    ]


def _frame_of(other: SubjectInFrame, here: SubjectInFrame, content: Box) -> Box | None:
    """The other frame, scaled and moved so that the two anchors and the two scales agree."""
    ratio = zoom_ratio(here, other)
    if ratio is None or frame_height_m(here) is None:
        return None
    height = content.height * ratio
    shape = (other.size.width * other.content.width) / (other.size.height * other.content.height)
    width = height * shape
    (x, y), (there_x, there_y) = (anchor_xy(side) for side in comparable(here, other))
    left = content.left + float(x) * content.width - float(there_x) * width
    top = content.top + float(y) * content.height - float(there_y) * height
    return Box(left, top, left + width, top + height)


@dataclass(frozen=True)
class Placed:
    """The place of a whole picture on a canvas, in px of the canvas."""

    left: float
    top: float
    width: float
    height: float


def fitted(size: Size, content: Box, canvas: Size) -> Placed:
    """The place at which the content of a picture fits into the canvas and is centred.

    content: the picture without its black bars, as fractions.
    """
    content_w, content_h = size.width * content.width, size.height * content.height
    scale = min(canvas.width / content_w, canvas.height / content_h)
    return Placed(
        left=(canvas.width - content_w * scale) / 2 - content.left * size.width * scale,
        top=(canvas.height - content_h * scale) / 2 - content.top * size.height * scale,
        width=size.width * scale,
        height=size.height * scale,
    )


def canvas_of(size: Size, content: Box, side: int = 720) -> Size:
    """The size of a canvas of the content's shape, its longer side `side` px."""
    aspect = (size.width * content.width) / (size.height * content.height)
    if aspect >= 1:
        return Size(side, max(1, math.ceil(side / aspect)))
    return Size(max(1, math.ceil(side * aspect)), side)
