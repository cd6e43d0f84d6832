"""Limbs and other parts of one body, as its picture shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from wan_prep.geometry import Floats
from wan_prep.measures.side import SubjectInFrame, in_content, in_sight, once
from wan_prep.pose import skeleton
from wan_prep.pose.body import ramp, sight
from wan_prep.pose.skeleton import LIMBS, Joint

# Sine of the angle to the picture plane from which on a part counts as foreshortened. At 30 deg 87
# % of its length are left.
_FORESHORTENED = 0.5
# Half the width of the ramp between stretched and foreshortened, in that sine: as much as two looks
# at one part differ by.
_EDGE_FORESHORTENED = 0.1
_LEAST_LENGTH = 1e-6
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
def limbs_in_torso_frame(s: SubjectInFrame) -> Floats:
    """(limbs, 3) direction of each limb in the torso frame, at length 1; NaN for one of no length,
    and for all where the view is unknown."""
    along, view = _along(s.subject.world_xyz), s.subject.view_matrix
    return np.full_like(along, np.nan) if view is None else _directions(along @ view)


@once
def limbs_in_picture(s: SubjectInFrame) -> Floats:
    """(limbs, 2) direction of each limb in the picture, at length 1; NaN for one of no length."""
    return _directions(_along(s.subject.keypoints_xy) * s.size)


def _along(points: Floats) -> Floats:
    """(limbs, …) from the near end of each limb to its far end."""
    along: Floats = points[_FAR] - points[_NEAR]
    return along


def _directions(vectors: Floats) -> Floats:
    """(n, …) at length 1, NaN for those of no length."""
    length = _length(vectors)
    unit: Floats = vectors / np.where(length > _LEAST_LENGTH, length, np.nan)[:, None]
    return unit


@once
def limbs_out_of_plane_deg(s: SubjectInFrame) -> Mapping[str, float]:
    """Angle of each limb to the picture plane, 0 … 90 deg; 0 for one of no length."""
    shares = _depth_share(_along(s.subject.world_xyz)).tolist()
    return {name: math.degrees(math.asin(share)) for name, share in zip(LIMBS, shares, strict=True)}


def _depth_share(vectors: Floats) -> Floats:
    """(n,) sine of the angle between (n, 3) vectors in camera axes and the picture plane; 0 for
    those of no length."""
    length = _length(vectors)
    return np.minimum(1.0, np.abs(vectors[:, 2]) / np.where(length > 0.0, length, np.inf))


def _length(vectors: Floats) -> Floats:
    """(n,) of (n, …) vectors."""
    length: Floats = np.sqrt(np.vecdot(vectors, vectors))
    return length


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
    shortened = ramp(_depth_share(in_space), _FORESHORTENED, _EDGE_FORESHORTENED)
    stretched = np.where(_length(in_space) < _LEAST_LENGTH, 0.0, 1.0 - shortened)
    seen = np.minimum(stretched, in_sight(s)[_ENDS].min(axis=(1, 2)))
    px = _length(_between_ends(s.subject.keypoints_xy * s.size))
    return dict(zip(_SEGMENTS, map(Part, px.tolist(), seen.tolist()), strict=True))


def _between_ends(points: Floats) -> Floats:
    """(segments, …) from the middle of the joints at one end to that of those at the other."""
    middles = (points[_ENDS[:, :, 0]] + points[_ENDS[:, :, 1]]) / 2.0
    along: Floats = middles[:, 1] - middles[:, 0]
    return along


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
