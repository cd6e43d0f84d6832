"""Limbs and other parts of one body, as its picture shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from wan_prep.geometry import Floats
from wan_prep.measures.side import SubjectInFrame, in_content, in_sight, once, ramp_at
from wan_prep.pose import skeleton
from wan_prep.pose.body import sight
from wan_prep.pose.skeleton import LIMBS, Joint

# Sine of the angle to the picture plane from which on a part counts as foreshortened. At 30 deg 87
# % of its length are left.
_FORESHORTENED = 0.5
# Half the width of the ramp between stretched and foreshortened, in that sine: as much as two looks
# at one part differ by.
_EDGE_FORESHORTENED = 0.1
_NEAR, _FAR = ([ends[k] for ends in LIMBS.values()] for k in (0, 1))
# The segments of a body that are measured, each from the middle between two joints to that between
# two others; a single joint stands twice.
_SEGMENTS = {
    "head": ((Joint.LEFT_EYE, Joint.RIGHT_EYE), (Joint.MOUTH_LEFT, Joint.MOUTH_RIGHT)),
    "torso": (skeleton.SHOULDERS, skeleton.HIPS),
    **{
        name: ((near, near), (far, far))
        for name, (near, far) in {
            "shoulders": skeleton.SHOULDERS,
            "hips": skeleton.HIPS,
            **{name: ends for name, ends in LIMBS.items() if "arm" not in name},
        }.items()
    },
}
_ENDS = np.array(list(_SEGMENTS.values()))


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
    segments, world = _segments(s), s.subject.world_xyz
    # Of a head seen from behind the eyes and the mouth are a guess.
    ears_z = (world[Joint.LEFT_EAR, 2] + world[Joint.RIGHT_EAR, 2]) / 2.0
    from_front = bool(world[Joint.NOSE, 2] < ears_z)
    face = s.subject.face
    parts = {
        "face": Part(face.span_px, face.recognised) if face and face.span_px else None,
        "head": segments["head"] if from_front else None,
        "shoulders": segments["shoulders"],
        "hips": segments["hips"],
        "torso": segments["torso"],
        "legs": _mean(*(_leg(segments, side) for side in ("left", "right"))),
    }
    return {
        name: part
        for name, part in parts.items()
        if part is not None and part.px > 1.0 and part.seen > 0.0
    }


def _segments(s: SubjectInFrame) -> dict[str, Part]:
    """Each of `_SEGMENTS`; `seen` is 0 where an end is hidden, or where it points at the camera."""
    in_space = _between_ends(s.subject.world_xyz)
    in_picture = _between_ends(s.subject.keypoints_xy * s.size)
    sights = in_sight(s)[_ENDS].min(axis=(1, 2)).tolist()
    return {
        name: Part(_length(shown), min(_stretched(along), sight))
        for name, along, shown, sight in zip(_SEGMENTS, in_space, in_picture, sights, strict=True)
    }


def _between_ends(points: Floats) -> Floats:
    """(segments, …) from the middle of the joints at one end to that of those at the other."""
    middles = (points[_ENDS[:, :, 0]] + points[_ENDS[:, :, 1]]) / 2.0
    along: Floats = middles[:, 1] - middles[:, 0]
    return along


def _stretched(along: Floats) -> float:
    """0 for a (3,) vector that points at the camera, or is none, 1 for one across the picture."""
    if _length(along) < 1e-6:
        return 0.0
    return 1.0 - ramp_at(_depth_share(along), _FORESHORTENED, _EDGE_FORESHORTENED)


def _leg(segments: Mapping[str, Part], side: str) -> Part:
    thigh, shin = segments[f"{side}_thigh"], segments[f"{side}_shin"]
    return Part(thigh.px + shin.px, min(thigh.seen, shin.seen))


def _mean(left: Part, right: Part) -> Part:
    """Of the two sides of the body, weighted by how well each is seen."""
    seen = left.seen + right.seen
    if not seen:
        return Part(0.0, 0.0)
    px = (left.px * left.seen + right.px * right.seen) / seen
    return Part(px, max(left.seen, right.seen))
