"""A head as a subject: found and measured by its face, where the body is out of the picture.

The face network measures a large face exactly, wherever it is cut and however it is turned; a pose
network that sees no shoulders guesses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from wan_prep.geometry import Box, Floats, Size, bounding_box, square_around
from wan_prep.pose import body as bodies
from wan_prep.pose import inference, skeleton
from wan_prep.pose.body import Body
from wan_prep.pose.estimator import PoseEstimator, Proposal, Rgb
from wan_prep.pose.skeleton import Joint

LEAST_SHARE = 0.08
"""Least height of a face, as a share of the picture's shorter side, for its head to be a subject.
A smaller one belongs to a body that is in the picture, or hangs on a wall."""
BODY_LEAST = 1.5
"""Joints below the head that must be seen for a body to be measured by its joints: with fewer, the
middle between the shoulders is a guess."""
WHOLE_FACTORS = (1.4, 1.0, 2.0)
"""Squares that a large face is looked for in, as multiples of the longer side. The face network
misses a face that fills its whole input, so the first one leaves a border."""
PROPOSED_FACTORS = (5.0, 3.0)
"""The same around a proposed head, as multiples of the distance that its points span."""
HEAD_POINTS = 5
"""The first of the 17 COCO joints: nose, eyes and ears."""
_POINT_SEEN = 0.2

# The 468 mesh points where BlazePose has its head landmarks; an eye is the middle of its corners.
_MESH_POINTS: dict[Joint, tuple[int, ...]] = {
    Joint.NOSE: (1,),
    Joint.LEFT_EYE_INNER: (362,),
    Joint.LEFT_EYE: (362, 263),
    Joint.LEFT_EYE_OUTER: (263,),
    Joint.RIGHT_EYE_INNER: (133,),
    Joint.RIGHT_EYE: (133, 33),
    Joint.RIGHT_EYE_OUTER: (33,),
    Joint.LEFT_EAR: (454,),
    Joint.RIGHT_EAR: (234,),
    Joint.MOUTH_LEFT: (291,),
    Joint.MOUTH_RIGHT: (61,),
}

# An adult who stands and faces the camera: x, y, z in m of the left side, hip-centred (lengths
# after Winter, Biomechanics and Motor Control, 2009). The right side is its mirror image.
_STANDING_LEFT_M: dict[Joint, tuple[float, float, float]] = {
    Joint.NOSE: (0.0, -0.68, -0.12),
    Joint.LEFT_EYE_INNER: (0.017, -0.715, -0.10),
    Joint.LEFT_EYE: (0.031, -0.715, -0.09),
    Joint.LEFT_EYE_OUTER: (0.045, -0.715, -0.08),
    Joint.LEFT_EAR: (0.075, -0.70, 0.0),
    Joint.MOUTH_LEFT: (0.025, -0.645, -0.09),
    Joint.LEFT_SHOULDER: (0.17, -0.50, 0.0),
    Joint.LEFT_ELBOW: (0.20, -0.20, 0.0),
    Joint.LEFT_WRIST: (0.21, 0.05, -0.02),
    Joint.LEFT_PINKY: (0.22, 0.13, -0.03),
    Joint.LEFT_INDEX: (0.21, 0.14, -0.05),
    Joint.LEFT_THUMB: (0.20, 0.09, -0.06),
    Joint.LEFT_HIP: (0.10, 0.0, 0.0),
    Joint.LEFT_KNEE: (0.10, 0.42, 0.0),
    Joint.LEFT_ANKLE: (0.10, 0.84, 0.02),
    Joint.LEFT_HEEL: (0.10, 0.88, 0.05),
    Joint.LEFT_FOOT_INDEX: (0.11, 0.91, -0.12),
}


def _standing_m() -> Floats:
    world = np.zeros((skeleton.JOINT_COUNT, 3))
    for joint, xyz in _STANDING_LEFT_M.items():
        world[skeleton.MIRROR[joint]] = np.multiply(xyz, (-1.0, 1.0, 1.0))
        world[joint] = xyz
    return world


STANDING_M: Floats = _standing_m()
"""(33, 3) m: the body that a head is given, all of it hidden."""


def find_head(rgb: Rgb, regions: Iterable[Box], estimator: PoseEstimator) -> Body | None:
    """The first head whose face is recognised in one of these squares and, closer, once more."""
    size = inference.size_of(rgb)
    for region in regions:
        mesh = inference.face_mesh(rgb, region, 0.0, estimator)
        if mesh is None or _face_height(mesh) < LEAST_SHARE * min(size):
            continue
        head = body_of(mesh, size)
        face = inference.find_face(rgb, head, estimator)
        if face is not None and face.is_sure:
            return replace(head, face=face, looks=2)
    return None


def _face_height(mesh: Floats) -> float:
    return bounding_box(mesh[:, :2]).height


def body_of(mesh: Floats, size: Size) -> Body:
    """A head as a body: its landmarks from a (468, 3) face mesh in px, the rest that of an adult
    who stands below it, hidden."""
    head_xy = {j: mesh[list(points), :2].mean(axis=0) for j, points in _MESH_POINTS.items()}
    span = inference.face_span(mesh)
    eyes = (head_xy[Joint.LEFT_EYE] + head_xy[Joint.RIGHT_EYE]) / 2.0
    eyes_m = bodies.midpoint(STANDING_M, (Joint.LEFT_EYE, Joint.RIGHT_EYE))
    keypoints_xy = eyes + (STANDING_M - eyes_m)[:, :2] * (span / bodies.FACE_SPAN_M)
    visibility = np.zeros(skeleton.JOINT_COUNT)
    for joint, xy in head_xy.items():
        keypoints_xy[joint], visibility[joint] = xy, 1.0
    return Body(keypoints_xy, visibility, STANDING_M, STANDING_M, size, is_head=True)


def is_head_of(head: Body, body: Body) -> bool:
    """Whether the middle of a head lies in the head of a body: both are the same person."""
    (x, y), box = bodies.head_box(head).center, bodies.head_box(body)
    return box.left <= x <= box.right and box.top <= y <= box.bottom


def is_cut_to_head(body: Body) -> bool:
    """Whether so little below the head is seen that the head alone can be measured."""
    below = [joint for joint in skeleton.BODY if joint not in skeleton.HEAD]
    return float(bodies.in_sight(body)[below].sum()) < BODY_LEAST


def as_seen(body: Body) -> Body:
    """The body; where little more than a recognised face is in the picture, its head alone."""
    if body.is_head or body.face is None or not body.face.is_sure or not is_cut_to_head(body):
        return body
    visibility = body.visibility.copy()
    visibility[len(skeleton.HEAD) :] = 0.0
    return replace(body, visibility=visibility, turned=False, is_head=True)


def whole_regions(size: Size) -> list[Box]:
    """The squares that a face which fills much of the picture is looked for in."""
    center = (size.width / 2.0, size.height / 2.0)
    return [square_around(center, factor * max(size)) for factor in WHOLE_FACTORS]


def proposed_regions(proposals: Iterable[Proposal]) -> list[Box]:
    """Squares around the heads of these people."""
    regions = []
    for proposal in proposals:
        seen = proposal.keypoint_scores[:HEAD_POINTS] >= _POINT_SEEN
        points = proposal.keypoints_xy[:HEAD_POINTS][seen]
        if len(points) >= 2:
            box = bounding_box(points)
            span = max(box.width, box.height)
            regions += [square_around(box.center, factor * span) for factor in PROPOSED_FACTORS]
    return regions


def region_around(head: Body, size: Size) -> Box:
    """The square that a head seen in another picture of the clip is looked for in, in px of a
    picture of this size."""
    box = bodies.head_box(head)
    enlarge = size.width / head.size.width
    return square_around(box.center, 2.2 * max(box.width, box.height)).scaled(enlarge, enlarge)
