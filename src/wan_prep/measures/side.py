"""What one side of a pair shows: a subject in its picture, and what follows from that alone.

Placement and zoom are taken in each medium's own upright picture with its black bars removed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from typing import TypeVar
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from wan_prep.evidence import Evidence, Face, Subject
from wan_prep.geometry import (
    UNIT_BOX,
    Box,
    CrowdedBox,
    Floats,
    Size,
    ViewAngles,
    bounding_box,
    view_angles,
    view_from_angles,
)
from wan_prep.pose import skeleton
from wan_prep.pose.body import (
    FRAME_EDGE,
    VISIBLE,
    Shot,
    face_by_head,
    midpoint,
    sight,
    sight_in,
)
from wan_prep.pose.skeleton import Joint

Mask = NDArray[np.bool_]
_STANDING = (*skeleton.SHOULDERS, *skeleton.HIPS, *skeleton.KNEES, *skeleton.ANKLES)
# Shares of the body's mass about shoulders, hips and knees: head, arms and half the trunk; the
# other half and the upper thighs; the rest (segment masses: Winter, Biomechanics and Motor
# Control, 2009).
_MASS = ((skeleton.SHOULDERS, 0.40), (skeleton.HIPS, 0.38), (skeleton.KNEES, 0.22))


@dataclass(frozen=True)
class SubjectInFrame:
    """One subject with its picture: the box of the content, as fractions, and the size in px."""

    subject: Subject
    content: Box
    size: Size

    @cached_property
    def head(self) -> SubjectInFrame:
        """The same person as if nothing but the head were in the picture."""
        return self if self.subject.is_head else replace(self, subject=_head_of(self.subject))


_Derived = TypeVar("_Derived")


def once(derive: Callable[[SubjectInFrame], _Derived]) -> Callable[[SubjectInFrame], _Derived]:
    """Derived when it is first asked for, and kept with the side: an image is held against every
    sample of a clip, and a sample against every image. Arrays are kept read-only."""
    key = f"{derive.__module__}.{derive.__name__}"

    @wraps(derive)
    def kept(side: SubjectInFrame) -> _Derived:
        known = vars(side)
        if key not in known:
            derived = derive(side)
            if isinstance(derived, np.ndarray):
                derived.flags.writeable = False
            known[key] = derived
        found: _Derived = known[key]
        return found

    return kept


_SIDES: dict[int, dict[int, SubjectInFrame]] = {}


def subject_in_frame(evidence: Evidence, subject: Subject) -> SubjectInFrame:
    """A subject of this evidence with its picture: the same one whenever it is asked for, as long
    as the evidence lives, so that what is derived from it is derived once for all pairs.

    Raises:
        ValueError: the medium is unreadable.
    """
    info = evidence.info
    if info is None:
        raise ValueError("unreadable media have no subject")
    sides = _SIDES.get(id(evidence))
    if sides is None:
        # By identity: to compare or hash evidence takes as long as to measure a clip.
        sides = _SIDES[id(evidence)] = {}
        finalize(evidence, _SIDES.pop, id(evidence), None).atexit = False
    if id(subject) not in sides:
        size = Size(info.width, info.height)
        sides[id(subject)] = SubjectInFrame(subject, evidence.content, size)
    return sides[id(subject)]


def ramp_at(value: float, middle: float, half_width: float) -> float:
    """`pose.body.ramp` of one number, for which numpy takes ten times as long."""
    return min(1.0, max(0.0, (value - middle + half_width) / (2.0 * half_width)))


def larger_others(evidence: Evidence, left_over_max: float) -> tuple[CrowdedBox, ...]:
    """Whoever takes more of the picture than the subject beside them, in every sample; fractions.

    left_over_max: how much of each may stay in a picture, as a share of the subject's area.
    """
    return tuple(
        CrowdedBox(box, left_over_max * o.subject.person_area)
        for o in evidence.found
        if o.subject is not None
        for box in o.others
        if box.area > o.subject.person_area
    )


def display_aspect(evidence: Evidence) -> float | None:
    """Width / height of the content in square pixels, black bars excluded."""
    info = evidence.info
    if info is None:
        return None
    return (info.width * evidence.content.width) / (info.height * evidence.content.height)


@once
def face_share(s: SubjectInFrame) -> float | None:
    """The face mesh's span as a share of the content's height; None where there is no mesh."""
    face = s.subject.face
    if face is None or face.span_px is None or face.span_px <= 0:
        return None
    return face.span_px / (s.size.height * s.content.height)


@once
def frame_height_m(s: SubjectInFrame) -> float | None:
    """Height in metres that the content shows at the subject's distance; None if unknown."""
    if s.subject.px_per_m is None:
        return None
    return s.size.height * s.content.height / s.subject.px_per_m


def _head_of(subject: Subject) -> Subject:
    """The head of somebody whose body is seen, too. The scale stays the body's."""
    head = list(skeleton.HEAD)
    visibility = np.zeros(skeleton.JOINT_COUNT)
    visibility[head] = subject.visibility[head]
    face = face_box(subject)
    joints = bounding_box(subject.keypoints_xy[head])
    box = Box(
        min(face.left, joints.left),
        min(face.top, joints.top, subject.crown_y),
        max(face.right, joints.right),
        max(face.bottom, joints.bottom),
    )
    return subject.changed(
        is_head=True,
        visibility=visibility,
        view_matrix=_face_view(subject.face),
        box=box.clipped(UNIT_BOX),
    )


def face_box(subject: Subject) -> Box:
    """The face's box; where no face was looked for, where the head's points suggest it."""
    return face_by_head(subject.keypoints_xy) if subject.face is None else subject.face.box


def _face_view(face: Face | None) -> Floats | None:
    """(3, 3) view matrix of a recognised face."""
    if face is None or face.yaw_deg is None or face.pitch_deg is None or face.roll_deg is None:
        return None
    return view_from_angles(ViewAngles(face.yaw_deg, face.pitch_deg, face.roll_deg))


@once
def view_matrix(s: SubjectInFrame) -> Floats | None:
    """(3, 3) rotation of the torso, or of a head alone, into camera axes; None if unknown.

    That of a head comes from its face, on both sides of a pair alike.
    """
    return _face_view(s.subject.face) if s.subject.is_head else s.subject.view_matrix


@once
def view(s: SubjectInFrame) -> ViewAngles | None:
    """Yaw, pitch and roll of `view_matrix`, in deg."""
    matrix = view_matrix(s)
    return None if matrix is None else view_angles(matrix)


def anchor_in_picture(s: SubjectInFrame) -> Floats:
    """(2,) the point that tells where the person is, as fractions of the whole picture: the middle
    between the shoulders, or that of the face of a head alone."""
    if s.subject.is_head:
        return np.asarray(face_box(s.subject).center)
    return midpoint(s.subject.keypoints_xy, skeleton.SHOULDERS)


@once
def anchor_xy(s: SubjectInFrame) -> Floats:
    """(2,) `anchor_in_picture` as fractions of the content's width and height."""
    corner, extent = (s.content.left, s.content.top), (s.content.width, s.content.height)
    return np.asarray((anchor_in_picture(s) - corner) / extent)


def headroom(s: SubjectInFrame) -> float:
    """Share of the content's height above the top of the head; negative where it is cut."""
    return (s.subject.crown_y - s.content.top) / s.content.height


@once
def inside(s: SubjectInFrame) -> Mask:
    """(33,) whether each joint is known to lie in the content."""
    return _inside(s, 0.0)


def _inside(s: SubjectInFrame, bottom_margin: float) -> Mask:
    """`inside`, but for a share of the content's height at its lower edge."""
    points, c = s.subject.keypoints_xy, s.content
    shown: Mask = (
        s.subject.is_located
        & (points[:, 0] >= c.left)
        & (points[:, 0] <= c.right)
        & (points[:, 1] >= c.top)
        & (points[:, 1] <= c.bottom - bottom_margin * c.height)
    )
    return shown


@once
def trusted(s: SubjectInFrame) -> Mask:
    """(33,) whether each joint lies in the content and the network claims to see it."""
    seen: Mask = inside(s) & (s.subject.visibility >= VISIBLE)
    return seen


@once
def in_content(s: SubjectInFrame) -> Floats:
    """(33,) 0 … 1: how far each joint lies inside the content, along the ramp of `sight_in`."""
    return sight_in(s.content, s.subject.keypoints_xy)


@once
def in_sight(s: SubjectInFrame) -> Floats:
    """(33,) 0 … 1: `trusted` as weights, so that a joint that is hardly seen, or at the edge of the
    frame, does not decide a measure alone."""
    return sight(s.subject.visibility) * in_content(s)


@once
def shot_class(s: SubjectInFrame) -> Shot:
    """The shot, by the lowest joints that are seen; not counting the lowest 1 % of the content."""
    shown = _inside(s, 0.01) & (s.subject.visibility >= VISIBLE)
    if shown[list(skeleton.ANKLES)].any():
        return "full"
    if shown[list(skeleton.KNEES)].any():
        return "three_quarter"
    if shown[list(skeleton.HIPS)].any():
        return "half"
    return "bust" if shown[list(skeleton.SHOULDERS)].any() else "face"


@once
def shot_level(s: SubjectInFrame) -> float:
    """The shot as a number, 0 (face) … 4 (full), with values between.

    Where all joints are clearly seen or hidden it is the number of `shot_class`.  Joints at the
    edge of the frame, or hardly seen, move it by the weight with which they are seen.
    """
    shown, level = in_sight(s).tolist(), 0.0
    pairs = (skeleton.SHOULDERS, skeleton.HIPS, skeleton.KNEES, skeleton.ANKLES)
    for number, pair in enumerate(pairs, start=1):
        share = max(shown[joint] for joint in pair)
        level = share * number + (1.0 - share) * level
    return level


def cut_edges(s: SubjectInFrame) -> tuple[str, ...]:
    """The edges of the content that have joints of the body beyond them."""
    return tuple(edge for edge, share in cuts(s).items() if share > 0.5)


@once
def cuts(s: SubjectInFrame) -> Mapping[str, float]:
    """How surely each edge of the content cuts the body, 0 … 1: 0.5 where the outermost joint lies
    on the edge, along a ramp around it."""
    c, reach = s.content, _reach(s.subject)
    beyond = {
        "top": (c.top - min(reach.top, s.subject.crown_y)) / c.height,
        "bottom": (reach.bottom - c.bottom) / c.height,
        "left": (c.left - reach.left) / c.width,
        "right": (reach.right - c.right) / c.width,
    }
    return {edge: ramp_at(far, 0.0, FRAME_EDGE) for edge, far in beyond.items()}


def _reach(subject: Subject) -> Box:
    """The box of the body's joints, seen or not; of a head alone that of its face."""
    if subject.is_head:
        return face_box(subject)
    return bounding_box(subject.keypoints_xy[list(skeleton.BODY)])


@once
def plumb_deg(s: SubjectInFrame) -> float | None:
    """Angle from the picture's vertical to the world's, clockwise in deg; None unless shoulders,
    hips, knees and ankles are all seen.

    The line from the feet to the centre of mass is taken for the world's vertical: whoever stands
    or walks keeps the centre of mass above the feet. In a jump or a fall that is wrong.
    """
    if not trusted(s)[list(_STANDING)].all():
        return None
    points = s.subject.keypoints_xy * s.size

    def middle(pair: tuple[Joint, Joint]) -> Floats:
        return np.asarray((points[pair[0]] + points[pair[1]]) / 2.0)

    mass = sum((share * middle(pair) for pair, share in _MASS), np.zeros(2))
    x, y = mass - middle(skeleton.ANKLES)
    return math.degrees(math.atan2(x, -y))
