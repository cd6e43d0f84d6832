"""What a window over one picture must hold, and beyond which edges it must not reach."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from wan_prep.evidence import Evidence, Subject
from wan_prep.geometry import Box, Floats, Size, bounding_box
from wan_prep.measures import cut_edges, inside, seat, trusted
from wan_prep.pose.body import SHOTS, Shot, midpoint
from wan_prep.pose.skeleton import HEAD, HIPS, JOINT_COUNT, KNEES, SHOULDERS, Joint
from wan_prep.profile import Profile

Mask = NDArray[np.bool_]
"""(33,) joints that must stay in the picture."""
_SURE_FACE = 0.5
# For the clip: the person moves between two samples.
_LEAST_MARGIN = 0.01
# Enough for the nearest shape that needs no bars.
_UNKNOWN_RIM = 0.03
_HANDS = (
    (Joint.LEFT_WRIST, (Joint.LEFT_INDEX, Joint.LEFT_PINKY)),
    (Joint.RIGHT_WRIST, (Joint.RIGHT_INDEX, Joint.RIGHT_PINKY)),
)
_ADDED_BY: dict[Shot, tuple[Joint, ...]] = {
    "face": HEAD,
    "bust": SHOULDERS,
    "half": (Joint.LEFT_ELBOW, Joint.RIGHT_ELBOW, *HIPS),
    "three_quarter": KNEES,
    "full": (),
}
_EDGES = frozenset({"left", "top", "right", "bottom"})
EVERY_JOINT: Mask = np.ones(JOINT_COUNT, dtype=np.bool_)


@dataclass(frozen=True)
class Side:
    """One medium as the search for windows sees it; px of the upright picture.

    content: the picture without bars, in whole px of `grid`. keep: what no window may cut.
    ease: the same with hair, finger tips and a margin, as far as there is room.
    neck_xy: where the person stands at the template; None where nobody is.
    closed: edges that cut the body, so that nothing can be added beyond them; all, where the
    picture has bars.
    face_px: side of the face's box. is_shown: whether the result shows this medium's picture.
    """

    content: Box
    keep: Box
    ease: Box
    grid: int
    is_shown: bool
    neck_xy: tuple[float, float] | None = None
    is_barred: bool = False
    closed: frozenset[str] = frozenset()
    face_px: float | None = None


def image_side(
    image: Evidence, profile: Profile, *, is_shown: bool, joints: Mask = EVERY_JOINT
) -> Side:
    first = image.first
    subjects = [first.subject] if first is not None and first.subject is not None else []
    return _side(image, subjects, profile, grid=1, is_shown=is_shown, joints=joints)


def video_side(
    video: Evidence, profile: Profile, *, is_shown: bool, joints: Mask = EVERY_JOINT
) -> Side:
    """One window for the whole clip: it holds the person of every sample."""
    subjects = [o.subject for o in video.found if o.subject is not None]
    return _side(video, subjects, profile, grid=2, is_shown=is_shown, joints=joints)


def joints_of(shot: Shot) -> Mask:
    """(33,) joints that a picture of this shot class shows whatever the arms do."""
    names = [joint for part in SHOTS[: SHOTS.index(shot) + 1] for joint in _ADDED_BY[part]]
    if shot == "full":
        return EVERY_JOINT
    mask = np.zeros(JOINT_COUNT, dtype=np.bool_)
    mask[names] = True
    return mask


def _side(
    evidence: Evidence,
    subjects: Sequence[Subject],
    profile: Profile,
    *,
    grid: int,
    is_shown: bool,
    joints: Mask,
) -> Side:
    info = evidence.info
    if info is None:
        raise ValueError(f"{evidence.path}: evidence of a readable file is needed")
    size = Size(info.width, info.height)
    content = whole_content(evidence.content, size, grid)
    barred = content != Box(0, 0, *(side // grid * grid for side in size))
    if barred:
        # Bars end softly, and where one side has them the others may have a dark line.
        content = Box(
            content.left + grid, content.top + grid, content.right - grid, content.bottom - grid
        )
    first = evidence.first
    template = first.subject if first is not None else None
    return Side(
        content=content,
        keep=_kept(evidence, subjects, joints, content, _LEAST_MARGIN),
        ease=_kept(
            evidence, subjects, joints, content, profile.limit("window_margin"), with_ease=True
        ),
        grid=grid,
        is_shown=is_shown,
        neck_xy=None if template is None else _neck_px(template, size),
        is_barred=barred,
        closed=_EDGES if barred else frozenset(_cut_in_most(evidence, subjects)),
        face_px=_face_px(subjects, size),
    )


def whole_content(content: Box, size: Size, grid: int) -> Box:
    """The content in px, inwards to multiples of `grid`."""
    box = content.scaled(*size)
    tiny = 1e-6
    return Box(
        math.ceil(box.left / grid - tiny) * grid,
        math.ceil(box.top / grid - tiny) * grid,
        math.floor(box.right / grid + tiny) * grid,
        math.floor(box.bottom / grid + tiny) * grid,
    )


def _kept(
    evidence: Evidence,
    subjects: Sequence[Subject],
    joints: Mask,
    content: Box,
    margin: float,
    *,
    with_ease: bool = False,
) -> Box:
    """What all subjects together take up, inside the content."""
    info = evidence.info
    assert info is not None
    if not subjects:
        # Who or what the picture shows is unknown, so nearly all of it is kept.
        rim_x, rim_y = (_UNKNOWN_RIM * side for side in (content.width, content.height))
        return Box(
            content.left + rim_x, content.top + rim_y, content.right - rim_x, content.bottom - rim_y
        )
    size = Size(info.width, info.height)
    box = union([_body_px(evidence, s, joints, size, margin, with_ease) for s in subjects])
    if not any(_has_known_face(s) for s in subjects):
        # A character, perhaps: its ears, horns or hat reach where no landmark tells.
        box = box._replace(top=content.top)
    return box.clipped(content)


def _body_px(
    evidence: Evidence, subject: Subject, joints: Mask, size: Size, margin: float, with_ease: bool
) -> Box:
    """The joints that are seen and asked for, the head and the face, grown by the margin."""
    where = seat(evidence, subject)
    seen = trusted(where) & joints
    head = inside(where) & np.isin(np.arange(JOINT_COUNT), HEAD)
    points = [*(subject.keypoints_xy * size)[seen | head]]
    if with_ease:
        points += _finger_tips_px(subject, seen, size)
    boxes = [bounding_box(np.array(points)) if points else subject.box.scaled(*size)]
    if subject.face is not None:
        boxes.append(subject.face.box.scaled(*size))
    box = union(boxes)
    crown = min(box.top, subject.crown_y * size.height)
    grow = margin * max(box.width, box.bottom - crown)
    # Hair and hats reach above the crown that the face tells of.
    above = max(grow, _head_px(subject, size) / 3.0) if with_ease else grow
    return Box(box.left - grow, crown - above, box.right + grow, box.bottom + grow)


def _finger_tips_px(subject: Subject, seen: Mask, size: Size) -> Iterator[Floats]:
    """Where hands end: the landmarks mark the knuckles, a hand is 2.2 times as long."""
    points = subject.keypoints_xy * size
    for wrist, knuckles in _HANDS:
        if seen[wrist]:
            yield points[wrist] + 2.2 * (midpoint(points, knuckles) - points[wrist])


def _has_known_face(subject: Subject) -> bool:
    return subject.face is not None and subject.face.confidence >= _SURE_FACE


def _head_px(subject: Subject, size: Size) -> float:
    mouth = midpoint(subject.keypoints_xy, (Joint.MOUTH_LEFT, Joint.MOUTH_RIGHT))
    return max(0.0, float(mouth[1]) - subject.crown_y) * size.height


def _neck_px(subject: Subject, size: Size) -> tuple[float, float]:
    x, y = midpoint(subject.keypoints_xy, (Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER)) * size
    return float(x), float(y)


def _cut_in_most(evidence: Evidence, subjects: Sequence[Subject]) -> set[str]:
    """Edges that cut the body in a fifth of the pictures or more."""
    cuts = [edge for s in subjects for edge in cut_edges(seat(evidence, s))]
    return {edge for edge in set(cuts) if cuts.count(edge) >= 0.2 * len(subjects)}


def _face_px(subjects: Iterable[Subject], size: Size) -> float | None:
    faces = [s.face for s in subjects if s.face is not None]
    if not faces:
        return None
    sure = [f for f in faces if f.confidence >= _SURE_FACE] or faces
    return median(math.sqrt(max(f.box.scaled(*size).area, 0.0)) for f in sure)


def union(boxes: Sequence[Box]) -> Box:
    """The smallest box around all of them."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return Box(min(left), min(top), max(right), max(bottom))
