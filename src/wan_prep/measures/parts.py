"""Limbs and other parts of one body, as its picture shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from wan_prep.geometry import Floats
from wan_prep.measures.side import SubjectInFrame, in_content, in_sight, once, ramp_at
from wan_prep.pose import skeleton
from wan_prep.pose.body import midpoint, sight
from wan_prep.pose.skeleton import LIMBS, Joint

# Sine of the angle to the picture plane from which on a part counts as foreshortened. At 30 deg 87
# % of its length are left.
_FORESHORTENED = 0.5
# Half the width of the ramp between stretched and foreshortened, in that sine: as much as two looks
# at one part differ by.
_EDGE_FORESHORTENED = 0.1
_NEAR, _FAR = ([ends[k] for ends in LIMBS.values()] for k in (0, 1))
_EYES, _MOUTH = (Joint.LEFT_EYE, Joint.RIGHT_EYE), (Joint.MOUTH_LEFT, Joint.MOUTH_RIGHT)
Joints = tuple[Joint, Joint]


@once
def limbs_in_sight(s: SubjectInFrame) -> Mapping[str, float]:
    """How well each limb is seen, 0 … 1."""
    return _of_both_ends(in_sight(s))


@once
def limbs_in_content(s: SubjectInFrame) -> Mapping[str, float]:
    """How far each limb lies in the picture, seen or not, 0 … 1."""
    return _of_both_ends(in_content(s))


@once
def limbs_visible(s: SubjectInFrame) -> Mapping[str, float]:
    """How well the network sees each limb, wherever it lies, 0 … 1."""
    return _of_both_ends(sight(s.subject.visibility))


def _of_both_ends(joints: Floats) -> Mapping[str, float]:
    weights = joints.tolist()
    return {name: min(weights[near], weights[far]) for name, (near, far) in LIMBS.items()}


@once
def limbs_in_torso_frame(s: SubjectInFrame) -> Mapping[str, Floats]:
    """(3,) direction of each limb in the torso frame, at length 1; without those of no length, and
    without any where the view is unknown."""
    view = s.subject.view_matrix
    return {} if view is None else _directions(_along(s.subject.world_xyz) @ view)


@once
def limbs_in_picture(s: SubjectInFrame) -> Mapping[str, Floats]:
    """(2,) direction of each limb in the picture, at length 1; without those of no length."""
    return _directions(_along(s.subject.keypoints_xy) * s.size)


def _along(points: Floats) -> Floats:
    """(limbs, …) from the near end of each limb to its far end."""
    along: Floats = points[_FAR] - points[_NEAR]
    return along


def _directions(limbs: Floats) -> Mapping[str, Floats]:
    lengths = map(_length, limbs)
    return {
        name: limb / length
        for name, limb, length in zip(LIMBS, limbs, lengths, strict=True)
        if length > 1e-6
    }


@once
def limbs_out_of_plane_deg(s: SubjectInFrame) -> Mapping[str, float]:
    """Angle of each limb to the picture plane, 0 … 90 deg; 0 for one of no length."""
    limbs = zip(LIMBS, _along(s.subject.world_xyz), strict=True)
    return {name: math.degrees(math.asin(_depth_share(along))) for name, along in limbs}


def _depth_share(along: Floats) -> float:
    """Sine of the angle between a (3,) vector in camera axes and the picture plane."""
    length = _length(along)
    return min(1.0, abs(float(along[2])) / length) if length else 0.0


def _length(vector: Floats) -> float:
    return math.sqrt(vector @ vector)


class Part(NamedTuple):
    """Length of a part of the body in px; seen: 0 … 1, un-foreshortened and with both ends."""

    px: float
    seen: float


@once
def body_parts(s: SubjectInFrame) -> Mapping[str, Part]:
    """The parts that the picture shows un-foreshortened.

    face: the mesh's span; head: eyes to mouth; shoulders; hips; torso: neck to hips; legs: thigh
    and shin, mean of the sides seen. A part with an end out of sight is left out.
    """
    points = s.subject.keypoints_xy * s.size
    world, sights = s.subject.world_xyz, in_sight(s).tolist()

    def between(near: Joints, far: Joints) -> Part:
        """The part from the middle of two joints to that of two others; `seen` is 0 where an end is
        hidden, or where the part points at the camera."""
        along = midpoint(world, far) - midpoint(world, near)
        if _length(along) < 1e-6:
            return Part(0.0, 0.0)
        stretched = 1.0 - ramp_at(_depth_share(along), _FORESHORTENED, _EDGE_FORESHORTENED)
        seen = min(stretched, *(sights[joint] for joint in (*near, *far)))
        return Part(_length(midpoint(points, far) - midpoint(points, near)), seen)

    def across(pair: Joints) -> Part:
        left, right = pair
        return between((left, left), (right, right))

    def leg(hip: Joint, knee: Joint, ankle: Joint) -> Part:
        """Thigh and shin of one side."""
        thigh, shin = between((hip, hip), (knee, knee)), between((knee, knee), (ankle, ankle))
        return Part(thigh.px + shin.px, min(thigh.seen, shin.seen))

    # Of a head seen from behind the eyes and the mouth are a guess.
    ears_z = (world[Joint.LEFT_EAR, 2] + world[Joint.RIGHT_EAR, 2]) / 2.0
    from_front = bool(world[Joint.NOSE, 2] < ears_z)
    face = s.subject.face
    legs = map(leg, skeleton.HIPS, skeleton.KNEES, skeleton.ANKLES)
    parts = {
        "face": Part(face.span_px, face.recognised) if face and face.span_px else None,
        "head": between(_EYES, _MOUTH) if from_front else None,
        "shoulders": across(skeleton.SHOULDERS),
        "hips": across(skeleton.HIPS),
        "torso": between(skeleton.SHOULDERS, skeleton.HIPS),
        "legs": _mean(*legs),
    }
    return {
        name: part
        for name, part in parts.items()
        if part is not None and part.px > 1.0 and part.seen > 0.0
    }


def _mean(left: Part, right: Part) -> Part:
    """Of the two sides of the body, weighted by how well each is seen."""
    seen = left.seen + right.seen
    if not seen:
        return Part(0.0, 0.0)
    px = (left.px * left.seen + right.px * right.seen) / seen
    return Part(px, max(left.seen, right.seen))
