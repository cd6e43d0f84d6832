"""What one side of a pair shows: a subject in its picture, and what follows from that alone.

Placement and zoom are taken in each medium's own upright picture with its black bars removed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from wan_prep.evidence import Evidence, Face, Subject
from wan_prep.geometry import (
    UNIT_BOX,
    Box,
    CrowdedBox,
    Floats,
    Size,
    ViewAngles,
    bounding_box,
    view_from_angles,
)
from wan_prep.pose import skeleton
from wan_prep.pose.body import (
    FACE_IN_HEAD_WH,
    FRAME_EDGE,
    VISIBLE,
    Shot,
    face_by_head,
    midpoint,
    ramp,
    sight,
    sight_in,
)
from wan_prep.pose.skeleton import Joint
from wan_prep.profile import Profile

TURNED = 0.5
"""Factor of the confidence for a body whose sides were exchanged: its turn is less exact, and the
depth of its limbs is unknown (docs/calibration.md)."""
_STANDING = (*skeleton.SHOULDERS, *skeleton.HIPS, *skeleton.KNEES, *skeleton.ANKLES)
# Shares of the body's mass about shoulders, hips and knees: head, arms and half the trunk; the
# other half and the upper thighs; the rest (segment masses: Winter, Biomechanics and Motor
# Control, 2009).
_MASS = ((skeleton.SHOULDERS, 0.40), (skeleton.HIPS, 0.38), (skeleton.KNEES, 0.22))
# Sine of the angle to the picture plane from which on a part counts as foreshortened. At 30 deg 87
# % of its length are left.
_FORESHORTENED = 0.5
# Half the width of the ramp between stretched and foreshortened, in that sine: as much as two looks
# at one part differ by.
_EDGE_FORESHORTENED = 0.1


@dataclass(frozen=True)
class SubjectInFrame:
    """One subject with its picture: the box of the content, as fractions, and the size in px."""

    subject: Subject
    content: Box
    size: Size

    @cached_property
    def parts(self) -> dict[str, Part]:
        """`body_parts`, taken once: the image is measured against every sample of the clip."""
        return body_parts(self)

    @cached_property
    def head(self) -> SubjectInFrame:
        """The same person as if nothing but the head were in the picture."""
        return self if self.subject.is_head else replace(self, subject=_head_of(self.subject))


def subject_in_frame(evidence: Evidence, subject: Subject) -> SubjectInFrame:
    info = evidence.info
    if info is None:
        raise ValueError("unreadable media have no subject")
    return SubjectInFrame(subject, evidence.content, Size(info.width, info.height))


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
    face = _face_box(subject)
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


def _face_box(subject: Subject) -> Box:
    """The face's box; where no face was looked for, where the head's points suggest it."""
    return face_by_head(subject.keypoints_xy) if subject.face is None else subject.face.box


def _face_view(face: Face | None) -> Floats | None:
    """(3, 3) view matrix of a recognised face."""
    if face is None or face.yaw_deg is None or face.pitch_deg is None or face.roll_deg is None:
        return None
    return view_from_angles(ViewAngles(face.yaw_deg, face.pitch_deg, face.roll_deg))


def view_matrix(s: SubjectInFrame) -> Floats | None:
    """(3, 3) rotation of the torso, or of a head alone, into camera axes; None if unknown.

    That of a head comes from its face, on both sides of a pair alike.
    """
    return _face_view(s.subject.face) if s.subject.is_head else s.subject.view_matrix


def anchor_in_picture(s: SubjectInFrame) -> Floats:
    """(2,) the point that tells where the person is, as fractions of the whole picture: the middle
    between the shoulders, or that of the face of a head alone."""
    if s.subject.is_head:
        return np.asarray(_face_box(s.subject).center)
    return midpoint(s.subject.keypoints_xy, skeleton.SHOULDERS)


def anchor_xy(s: SubjectInFrame) -> Floats:
    """(2,) `anchor_in_picture` as fractions of the content's width and height."""
    corner, extent = (s.content.left, s.content.top), (s.content.width, s.content.height)
    return np.asarray((anchor_in_picture(s) - corner) / extent)


def headroom(s: SubjectInFrame) -> float:
    """Share of the content's height above the top of the head; negative where it is cut."""
    return (s.subject.crown_y - s.content.top) / s.content.height


def inside(
    s: SubjectInFrame, bottom_margin: float = 0.0
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(33,) whether each joint is known to lie in the content; bottom_margin: share of its height
    left out."""
    points, c = s.subject.keypoints_xy, s.content
    shown: np.ndarray[tuple[int], np.dtype[np.bool_]] = (
        s.subject.is_located
        & (points[:, 0] >= c.left)
        & (points[:, 0] <= c.right)
        & (points[:, 1] >= c.top)
        & (points[:, 1] <= c.bottom - bottom_margin * c.height)
    )
    return shown


def trusted(s: SubjectInFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(33,) whether each joint lies in the content and the network claims to see it."""
    seen: np.ndarray[tuple[int], np.dtype[np.bool_]] = inside(s) & (s.subject.visibility >= VISIBLE)
    return seen


def in_sight(s: SubjectInFrame) -> Floats:
    """(33,) 0 … 1: `trusted` as weights, so that a joint that is hardly seen, or at the edge of the
    frame, does not decide a measure alone."""
    return sight(s.subject.visibility) * sight_in(s.content, s.subject.keypoints_xy)


def shot_class(s: SubjectInFrame) -> Shot:
    """The shot, by the lowest joints that are seen; not counting the lowest 1 % of the content."""
    shown = inside(s, bottom_margin=0.01) & (s.subject.visibility >= VISIBLE)
    if shown[list(skeleton.ANKLES)].any():
        return "full"
    if shown[list(skeleton.KNEES)].any():
        return "three_quarter"
    if shown[list(skeleton.HIPS)].any():
        return "half"
    return "bust" if shown[list(skeleton.SHOULDERS)].any() else "face"


def shot_level(s: SubjectInFrame) -> float:
    """The shot as a number, 0 (face) … 4 (full), with values between.

    Where all joints are clearly seen or hidden it is the number of `shot_class`.  Joints at the
    edge of the frame, or hardly seen, move it by the weight with which they are seen.
    """
    shown, level = in_sight(s), 0.0
    pairs = (skeleton.SHOULDERS, skeleton.HIPS, skeleton.KNEES, skeleton.ANKLES)
    for number, pair in enumerate(pairs, start=1):
        share = float(shown[list(pair)].max())
        level = share * number + (1.0 - share) * level
    return level


def cut_edges(s: SubjectInFrame) -> tuple[str, ...]:
    """The edges of the content that have joints of the body beyond them."""
    return tuple(edge for edge, share in cuts(s).items() if share > 0.5)


def cuts(s: SubjectInFrame) -> dict[str, float]:
    """How surely each edge of the content cuts the body, 0 … 1: 0.5 where the outermost joint lies
    on the edge, along a ramp around it."""
    c, reach = s.content, _reach(s.subject)
    beyond = {
        "top": (c.top - min(reach.top, s.subject.crown_y)) / c.height,
        "bottom": (reach.bottom - c.bottom) / c.height,
        "left": (c.left - reach.left) / c.width,
        "right": (reach.right - c.right) / c.width,
    }
    return {e: float(ramp(np.asarray(far), 0.0, FRAME_EDGE)) for e, far in beyond.items()}


def _reach(subject: Subject) -> Box:
    """The box of the body's joints, seen or not; of a head alone that of its face."""
    if subject.is_head:
        return _face_box(subject)
    return bounding_box(subject.keypoints_xy[list(skeleton.BODY)])


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


class Part(NamedTuple):
    """Length of a part of the body in px; seen: 0 … 1, un-foreshortened and with both ends."""

    px: float
    seen: float


def body_parts(s: SubjectInFrame) -> dict[str, Part]:
    """The parts that the picture shows un-foreshortened.

    face: the mesh's span; head: eyes to mouth; shoulders; hips; torso: neck to hips; legs: thigh
    and shin, mean of the sides seen. A part with an end out of sight is left out.
    """
    points = s.subject.keypoints_xy * s.size
    world, sights = s.subject.world_xyz, in_sight(s)

    def between(near: Sequence[Joint], far: Sequence[Joint]) -> Part:
        """The part from the middle of one group of joints to that of another; `seen` is 0 where an
        end is hidden, or where the part points at the camera."""
        along = world[list(far)].mean(axis=0) - world[list(near)].mean(axis=0)
        in_space = float(np.linalg.norm(along))
        if in_space < 1e-6:
            return Part(0.0, 0.0)
        out = np.asarray(abs(float(along[2])) / in_space)
        stretched = 1.0 - float(ramp(out, _FORESHORTENED, _EDGE_FORESHORTENED))
        ends = points[list(far)].mean(axis=0) - points[list(near)].mean(axis=0)
        seen = min(stretched, float(sights[[*near, *far]].min()))
        return Part(float(np.linalg.norm(ends)), seen)

    # Of a head seen from behind the eyes and the mouth are a guess.
    ears_z = (world[Joint.LEFT_EAR, 2] + world[Joint.RIGHT_EAR, 2]) / 2.0
    from_front = bool(world[Joint.NOSE, 2] < ears_z)
    eyes, mouth = (Joint.LEFT_EYE, Joint.RIGHT_EYE), (Joint.MOUTH_LEFT, Joint.MOUTH_RIGHT)
    face = s.subject.face
    parts = {
        "face": Part(face.span_px, face.recognised) if face and face.span_px else None,
        "head": between(eyes, mouth) if from_front else None,
        "shoulders": between(skeleton.SHOULDERS[:1], skeleton.SHOULDERS[1:]),
        "hips": between(skeleton.HIPS[:1], skeleton.HIPS[1:]),
        "torso": between(skeleton.SHOULDERS, skeleton.HIPS),
        "legs": _leg(
            [
                (between([hip], [knee]), between([knee], [ankle]))
                for hip, knee, ankle in zip(
                    skeleton.HIPS, skeleton.KNEES, skeleton.ANKLES, strict=True
                )
            ]
        ),
    }
    return {
        name: part
        for name, part in parts.items()
        if part is not None and part.px > 1.0 and part.seen > 0.0
    }


def _leg(sides: Sequence[tuple[Part, Part]]) -> Part:
    """Length of thigh and shin: the mean of both legs, weighted by how well each is seen."""
    seen = [min(thigh.seen, shin.seen) for thigh, shin in sides]
    if not sum(seen):
        return Part(0.0, 0.0)
    return Part(float(np.average([a.px + b.px for a, b in sides], weights=seen)), max(seen))


def confidence_of_body(s: SubjectInFrame, limbs: float) -> dict[str, float]:
    """Confidences of one body by measure; limbs: how many are seen on both sides."""
    seen = s.subject.visibility * sight_in(s.content, s.subject.keypoints_xy)
    shoulders = float(seen[list(skeleton.SHOULDERS)].mean())
    hips = float(seen[list(skeleton.HIPS)].mean())
    known = s.subject.agreement * (TURNED if s.subject.turned else 1.0)
    joints = float(seen[list(skeleton.BODY)].sum())
    return {
        "zoom_ratio": _more_the_better(joints / 2.0),
        "offset": shoulders,
        # Shoulders tell the turn and the lean; hips also the tip.
        "view_angle": (0.6 * shoulders + 0.4 * hips) * known,
        "pose_angle": _more_the_better(limbs) * known,
        "proportions": _more_the_better(
            sum(part.seen for name, part in s.parts.items() if name not in ("face", "hips"))
        ),
    }


def room_for_body(s: SubjectInFrame, profile: Profile) -> float:
    """How surely a body would be seen below a head, had it been recognised, 0 … 1; 0 for bodies.

    0 up to `body_room_min` of the profile, 1 from `body_room_full` on, in heads of picture below
    the chin.
    """
    if not s.subject.is_head:
        return 0.0
    face = _face_box(s.subject)
    heads = (s.content.bottom - face.bottom) / (face.height / FACE_IN_HEAD_WH[1])
    least, full = profile.limit("body_room_min"), profile.limit("body_room_full")
    return float(ramp(np.asarray(heads), (least + full) / 2.0, (full - least) / 2.0))


def shot_confidence(s: SubjectInFrame, profile: Profile) -> float:
    """Whether a joint in the picture is seen or hidden decides the shot class; of a head alone,
    whether there is a body that was not recognised."""
    if s.subject.is_head:
        return 1.0 - room_for_body(s, profile)
    shown = inside(s)
    lower = [j for j in (*skeleton.HIPS, *skeleton.KNEES, *skeleton.ANKLES) if shown[j]]
    decided = [abs(2.0 * s.subject.visibility[j] - 1.0) for j in lower]
    return float(np.mean(decided)) if decided else 1.0


def _more_the_better(count: float) -> float:
    """0 for none, a half for one, 1 for many."""
    return 1.0 - math.pow(0.5, count)
