"""One body in one picture, and what can be derived from its landmarks.

Everything here is pure: pixels of the upright picture in, numbers out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from wan_prep.geometry import (
    Box,
    Floats,
    Size,
    ViewAngles,
    bounding_box,
    fitted_frame,
    view_angle_deg,
    view_from_angles,
    weak_perspective_scale,
)
from wan_prep.pose import skeleton
from wan_prep.pose.skeleton import MIRROR, Joint

Shot = Literal["full", "three_quarter", "half", "bust", "face"]
SHOTS: tuple[Shot, ...] = ("face", "bust", "half", "three_quarter", "full")
"""From the closest to the widest."""

AGREEING_M = 0.06
"""In m. A joint that looks put further apart than this, on average, counts as less visible than
the network claims: at twice the distance half as visible."""
VISIBLE = 0.5
"""A visibility below this means that the network does not see the joint."""
SIGHT_EDGE = 0.3
"""Half the width of the ramp between hidden and seen, in visibility: as much as looks at one
picture differ by at a joint that is hardly seen (docs/calibration.md)."""
FRAME_EDGE = 0.02
"""Width of the ramp between outside and inside the frame, as a share of its side: as much as two
looks at a joint near the edge differ by."""

# Adult head: eyes half way up, mouth about 0.3 of the head below them (Farkas,
# Anthropometry of the Head and Face, 1994), so the crown is 1.7 eye-mouth distances above.
CROWN_ABOVE_EYES = 1.7

# The box of the 68 face points inside a head box: its width and height as shares of the head's, and
# how far its centre lies below the head's, as a share of the height (docs/calibration.md).
FACE_IN_HEAD_WH, FACE_BELOW_HEAD = (0.83, 0.73), 0.04

FACE_SPAN_M = 0.127
"""`FaceBox.span_px` of an adult in m: outer eye corners 0.09 apart, forehead to chin 0.18 (Farkas,
Anthropometry of the Head and Face, 1994). Of adults whose body is seen as well it lies between
0.115 and 0.147 (docs/calibration.md)."""

FACE_SEEN, HEAD_SEEN, HEAD_TINY = 1.0, 0.3, 0.1
"""The three values of a face's confidence: recognised by the face network; not recognised, placed
by the pose's head points; the same in a head too small for the network to recognise a face."""

# Left and right shoulder, left and right hip of an adult in body axes, in m: joint centres 0.34
# and 0.20 apart, the spine between them 0.5 (Winter, Biomechanics and Motor Control, 2009).
TORSO_TEMPLATE_M: Floats = np.array(
    [[0.17, 0.5, 0.0], [-0.17, 0.5, 0.0], [0.10, 0.0, 0.0], [-0.10, 0.0, 0.0]]
)

SPINE_DEPTH_OFF_M = 0.1
"""How far off the network is in the depth between shoulders and hips, in m
(docs/calibration.md)."""
SIDES_OFF_SQUARE_DEG = 5.0
"""How far the lines of shoulders and hips, taken together, lean against the spine in a person who
stands or walks (docs/calibration.md)."""
OPPOSITE_DEG = 60.0
"""Looks whose views are no further apart show a torso that faces the same way."""


class FaceBox(NamedTuple):
    """A face in px of the upright picture.

    box: around 68 face points, from jaw line to brows.
    yaw_deg, pitch_deg, roll_deg: 0 where an upright face looks into the camera; None where it was
    not recognised.
    confidence: FACE_SEEN, HEAD_SEEN or HEAD_TINY.
    span_px: size of the face, the same whichever way it is turned: the geometric mean of two 3-D
    distances, between the outer eye corners and from forehead to chin. None if not recognised.
    agreement: share of the looks at the head that recognised the face, 0 … 1.
    """

    box: Box
    yaw_deg: float | None
    pitch_deg: float | None
    confidence: float
    span_px: float | None = None
    agreement: float = 1.0
    roll_deg: float | None = None

    @property
    def is_sure(self) -> bool:
        """The face network recognised it."""
        return is_recognised(self.confidence)

    @property
    def view_matrix(self) -> Floats | None:
        """(3, 3) rotation of the head into camera axes; None where the face was not recognised."""
        if self.yaw_deg is None or self.pitch_deg is None or self.roll_deg is None:
            return None
        return view_from_angles(ViewAngles(self.yaw_deg, self.pitch_deg, self.roll_deg))


def is_recognised(face_confidence: float) -> bool:
    """Whether the face network recognised a face of this confidence; else the pose's head points
    tell where it would be."""
    return face_confidence > HEAD_SEEN


@dataclass(frozen=True)
class Body:
    """Landmarks in px of the upright picture, and in metres in that picture's camera axes.

    keypoints_xy (33, 2) px · visibility (33,) 0 … 1 · world_xyz (33, 3) m, hip-centred, turned
    into the camera of the whole picture · local_xyz (33, 3) m as the network gave them, in the
    camera that looks at the body; only the scale is read from these.
    looks: how many looks at the picture agree on this body; agreement: their share of all looks.
    turned: the network took its back for its front, so left and right were exchanged.
    is_head: only the head is measured, from its face. The joints below it are those of a standing
    body, hidden.
    opposite: the consensus of those looks that took the front for the back, or the other way round.
    """

    keypoints_xy: Floats
    visibility: Floats
    world_xyz: Floats
    local_xyz: Floats
    size: Size
    looks: int = 1
    agreement: float = 1.0
    turned: bool = False
    face: FaceBox | None = None
    is_head: bool = False
    opposite: Body | None = None

    @cached_property
    def px_per_m(self) -> float | None:
        return _px_per_m(self)

    @cached_property
    def view_matrix(self) -> Floats | None:
        return _view_matrix(self)

    def with_face(self, face: FaceBox | None) -> Body:
        return replace(self, face=face)


def midpoint(points: Floats, pair: tuple[Joint, Joint]) -> Floats:
    return np.asarray((points[pair[0]] + points[pair[1]]) / 2.0, dtype=np.float64)


def neck_xy(body: Body) -> Floats:
    """(2,) px: half way between the shoulders."""
    return midpoint(body.keypoints_xy, skeleton.SHOULDERS)


def in_frame(body: Body) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(33,) whether each landmark lies in the picture."""
    x, y = body.keypoints_xy[:, 0], body.keypoints_xy[:, 1]
    inside: np.ndarray[tuple[int], np.dtype[np.bool_]] = (
        (x >= 0.0) & (x <= body.size.width) & (y >= 0.0) & (y <= body.size.height)
    )
    return inside


def trusted(body: Body) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(33,) whether each joint lies in the picture and the network claims to see it."""
    seen: np.ndarray[tuple[int], np.dtype[np.bool_]] = in_frame(body) & (body.visibility >= VISIBLE)
    return seen


def sight(visibility: Floats) -> Floats:
    """Weights 0 (hidden) … 1 (seen) for the network's `visibility`, along a ramp around `VISIBLE`.

    A hard threshold would let a joint that is hardly seen decide a whole measure.
    """
    return ramp(visibility, VISIBLE, SIGHT_EDGE)


def sight_in(frame: Box, keypoints_xy: Floats) -> Floats:
    """(33,) weights for (33, 2) points: 0 outside the frame and on its edge, 1 from `FRAME_EDGE`
    inside it on, a straight line between."""
    x, y = keypoints_xy[:, 0], keypoints_xy[:, 1]
    across = np.minimum(x - frame.left, frame.right - x) / frame.width
    down = np.minimum(y - frame.top, frame.bottom - y) / frame.height
    return ramp(np.minimum(across, down), FRAME_EDGE / 2.0, FRAME_EDGE / 2.0)


def ramp(value: Floats, middle: float, half_width: float) -> Floats:
    """0 below `middle` - `half_width`, 1 above `middle` + `half_width`, a straight line between."""
    rising: Floats = np.clip((value - middle + half_width) / (2.0 * half_width), 0.0, 1.0)
    return rising


def px_per_m(body: Body) -> float | None:
    """Weak-perspective scale over the visible joints in the picture, in px per m."""
    return body.px_per_m


def _px_per_m(body: Body) -> float | None:
    if body.is_head:
        span_px = None if body.face is None else body.face.span_px
        return None if span_px is None else span_px / FACE_SPAN_M
    weights = np.zeros(skeleton.JOINT_COUNT)
    joints = list(skeleton.BODY)
    weights[joints] = in_sight(body)[joints] * body.visibility[joints]
    return weak_perspective_scale(body.local_xyz[:, :2], body.keypoints_xy, weights)


def in_sight(body: Body) -> Floats:
    """(33,) 0 … 1: `trusted` as weights instead of yes or no."""
    frame = Box(0.0, 0.0, float(body.size.width), float(body.size.height))
    return sight(body.visibility) * sight_in(frame, body.keypoints_xy)


def view_matrix(body: Body) -> Floats | None:
    """(3, 3) rotation of the torso frame into camera axes; None where it degenerates."""
    return body.view_matrix


def _view_matrix(body: Body) -> Floats | None:
    """`view_matrix`: that of a rigid torso fitted to both shoulders and both hips.

    With four joints the noise of one turns it little; before that, the depth of the spine is put
    right (`_squared`).  The depth of hips that are not seen is a guess of the network's: the torso
    is then taken to stand upright in depth, which leaves its pitch unknown; yaw comes from the
    shoulders and roll from the picture.  In between, hips count by the weight with which they are
    seen.

    That of a head is its face's, in the camera that looks at the picture's middle.
    """
    if body.is_head:
        return None if body.face is None else body.face.view_matrix
    torso = _squared(_torso_m(body))
    torso[:, 2] -= torso[:, 2].mean()
    seen = float(in_sight(body)[list(skeleton.HIPS)].min())
    upright = torso[:, 2].copy()
    upright[2:] = upright[:2] * (TORSO_TEMPLATE_M[2, 0] / TORSO_TEMPLATE_M[0, 0])
    upright -= np.repeat([upright[:2].mean(), upright[2:].mean()], 2)
    torso[:, 2] = seen * torso[:, 2] + (1.0 - seen) * upright
    return fitted_frame(TORSO_TEMPLATE_M, torso)


def _torso_m(body: Body) -> Floats:
    """(4, 3) m in camera axes: both shoulders and both hips.

    The network says twice where a joint lies across the picture, in px and in m; the mean of both
    is nearer to the truth than either (docs/calibration.md).
    """
    joints = list(skeleton.TORSO)
    torso, scale = body.world_xyz[joints], body.px_per_m
    ray = fitted_frame(body.local_xyz, body.world_xyz)
    if scale is None or ray is None:
        return torso
    seen = torso @ ray
    across = (body.keypoints_xy[joints] - body.keypoints_xy[joints].mean(axis=0)) / scale
    seen[:, :2] = (seen[:, :2] - seen[:, :2].mean(axis=0) + across) / 2.0
    turned: Floats = seen @ ray.T
    return turned


def _squared(torso: Floats) -> Floats:
    """(4, 3) m: both shoulders and both hips, with the spine at right angles to the sides.

    Of all that the network says of a torso, the depth between shoulders and hips is the least sure.
    Where a torso is turned, what a picture shows of it tells that depth, because shoulders and hips
    lie across the spine, whatever the person's proportions.  It is estimated from both, each with
    its variance; of a torso that faces the camera the right angle tells nothing.
    """
    across = TORSO_TEMPLATE_M[:, 0] @ torso
    spine = (torso[:2].sum(axis=0) - torso[2:].sum(axis=0)) / 2.0
    off_square = math.radians(SIDES_OFF_SQUARE_DEG) * np.linalg.norm(across) * np.linalg.norm(spine)
    spread = (SPINE_DEPTH_OFF_M * across[2]) ** 2 + off_square**2
    if spread < 1e-12:
        return torso.copy()
    deeper = -(SPINE_DEPTH_OFF_M**2) * across[2] * float(across @ spine) / spread
    squared = torso.copy()
    squared[:, 2] += np.array([0.5, 0.5, -0.5, -0.5]) * deeper
    return squared


def body_box(body: Body) -> Box:
    """Box in px around the visible joints, grown to hold head, hands and feet.

    A joint that is half seen pulls the box half of the way towards it.
    """
    return _box(body, sight(body.visibility))


def widest_box(body: Body) -> Box:
    """`body_box` around all joints that lie in the picture, seen or not.

    Closer looks use this box: one cropped to what the first look saw could not correct it.
    """
    return _box(body, np.ones(skeleton.JOINT_COUNT))


def _box(body: Body, weights: Floats) -> Box:
    if body.is_head:
        return _whole_head(body)
    joints = list(skeleton.BODY)
    points = body.keypoints_xy[joints]
    reach = (weights * in_frame(body))[joints, None]
    if reach.any():
        middle = (reach * points).sum(axis=0) / reach.sum()
        box = bounding_box(middle + reach * (points - middle))
    else:
        box = bounding_box(body.keypoints_xy[list(skeleton.HEAD)])
    top = min(box.top, crown_y(body))
    grow = 0.06 * max(box.height, box.width)
    frame = Box(0.0, 0.0, float(body.size.width), float(body.size.height))
    return Box(box.left - grow, top, box.right + grow, box.bottom + grow).clipped(frame)


def _whole_head(body: Body) -> Box:
    """Box in px around a head with its crown, clipped to the picture."""
    box = head_box(body)
    frame = Box(0.0, 0.0, float(body.size.width), float(body.size.height))
    whole = Box(box.left, min(box.top, crown_y(body)), box.right, box.bottom).clipped(frame)
    return whole if whole.area > 0 else frame


def crown_y(body: Body) -> float:
    """y of the top of the head in px, from the eyes and the mouth."""
    points = body.keypoints_xy
    eyes = midpoint(points, (Joint.LEFT_EYE, Joint.RIGHT_EYE))
    mouth = midpoint(points, (Joint.MOUTH_LEFT, Joint.MOUTH_RIGHT))
    return float(eyes[1] - CROWN_ABOVE_EYES * max(mouth[1] - eyes[1], 0.0))


def head_box(body: Body) -> Box:
    """Box around the head in px, from the pose's head points alone."""
    return _head_box(body.keypoints_xy, least_half=1.0)


def face_by_head(keypoints_xy: Floats) -> Box:
    """Box of the 68 face points as the pose's head points suggest it; (33, 2) points in, a box in
    the same unit out."""
    head = _head_box(keypoints_xy)
    x, y = head.center
    half_x, half_y = FACE_IN_HEAD_WH[0] * head.width / 2.0, FACE_IN_HEAD_WH[1] * head.height / 2.0
    y += FACE_BELOW_HEAD * head.height
    return Box(x - half_x, y - half_y, x + half_x, y + half_y)


def _head_box(keypoints_xy: Floats, least_half: float = 0.0) -> Box:
    points = bounding_box(keypoints_xy[list(skeleton.HEAD)])
    eyes = midpoint(keypoints_xy, (Joint.LEFT_EYE, Joint.RIGHT_EYE))
    mouth = midpoint(keypoints_xy, (Joint.MOUTH_LEFT, Joint.MOUTH_RIGHT))
    eye_mouth = float(np.linalg.norm(mouth - eyes))
    center = (eyes + mouth) / 2.0
    half = max(points.width / 2.0, 1.3 * eye_mouth, least_half)
    return Box(
        float(center[0] - half),
        float(center[1] - 1.1 * half),
        float(center[0] + half),
        float(center[1] + 1.1 * half),
    )


def turned_round(body: Body) -> Body:
    """The same body facing the other way: what was taken for a back becomes a front.

    That is what the looks that saw it so agree on.  Where there are none, left and right are
    exchanged and depth is kept: the network still sees which shoulder is nearer
    (docs/calibration.md).
    """
    if body.opposite is not None:
        return replace(body.opposite, face=body.face)
    return _exchanged(body)


def _exchanged(body: Body) -> Body:
    return replace(
        body,
        keypoints_xy=body.keypoints_xy[MIRROR],
        visibility=body.visibility[MIRROR],
        world_xyz=body.world_xyz[MIRROR],
        local_xyz=body.local_xyz[MIRROR],
        turned=not body.turned,
    )


def mirrored(body: Body) -> Body:
    """The same body as seen in the mirrored picture, left and right exchanged back."""
    points = body.keypoints_xy[MIRROR].copy()
    points[:, 0] = body.size.width - points[:, 0]
    flip = np.array([-1.0, 1.0, 1.0])
    return replace(
        body,
        keypoints_xy=points,
        visibility=body.visibility[MIRROR],
        world_xyz=body.world_xyz[MIRROR] * flip,
        local_xyz=body.local_xyz[MIRROR] * flip,
    )


def consensus(bodies: list[Body]) -> Body:
    """One body from several looks at the same picture.

    Looks whose torso faces another way than most are left out, because some confuse front and back;
    those that see it the other way round become its `opposite`.  Of the rest each joint is the
    interquartile mean, which moves less from one set of looks to the next than a median does.  A
    joint's visibility falls as the looks disagree about its place.
    """
    if len(bodies) == 1:
        return bodies[0]
    kept = _agreeing(bodies)
    points = np.array([b.keypoints_xy for b in kept])
    middle = interquartile_mean(points)
    visibility = np.mean([b.visibility for b in kept], axis=0)
    scale = next((s for b in kept if (s := b.px_per_m) is not None), None)
    if scale is not None:
        spread_m = np.linalg.norm(points - middle, axis=2).mean(axis=0) / scale
        visibility = visibility * np.minimum(1.0, AGREEING_M / np.maximum(spread_m, 1e-9))
    agreed = Body(
        keypoints_xy=middle,
        visibility=visibility,
        world_xyz=interquartile_mean(np.array([b.world_xyz for b in kept])),
        local_xyz=interquartile_mean(np.array([b.local_xyz for b in kept])),
        size=kept[0].size,
        looks=len(kept),
        agreement=len(kept) / len(bodies),
        face=kept[0].face,
    )
    left_out = [body for body in bodies if not any(body is one for one in kept)]
    opposite = _opposite(agreed, left_out)
    if opposite is not None:
        share = opposite.looks / len(bodies)
        agreed = replace(agreed, opposite=replace(opposite, agreement=share, opposite=None))
    return agreed


def _opposite(agreed: Body, left_out: list[Body]) -> Body | None:
    """The consensus of those looks left out that show the body facing the other way."""
    if not left_out:
        return None
    expected = view_matrix(_exchanged(agreed))
    views = [view_matrix(body) for body in left_out]
    facing = [
        body
        for body, view in zip(left_out, views, strict=True)
        if expected is not None
        and view is not None
        and view_angle_deg(view, expected) <= OPPOSITE_DEG
    ]
    return consensus(facing) if facing else None


def interquartile_mean(values: Floats) -> Floats:
    """Mean along the first axis of (N, …) values, without about a quarter of them at either end:
    the middle one of three, the mean of two."""
    cut = (len(values) + 1) // 4
    middle: Floats = np.sort(values, axis=0)[cut : len(values) - cut].mean(axis=0)
    return middle


def _agreeing(bodies: list[Body], within_deg: float = OPPOSITE_DEG) -> list[Body]:
    """The largest set of bodies whose views lie near one of them."""
    views = [view_matrix(body) for body in bodies]
    known = [(b, v) for b, v in zip(bodies, views, strict=True) if v is not None]
    if not known:
        return bodies
    groups = [[b for b, v in known if view_angle_deg(v, seed) <= within_deg] for _, seed in known]
    return max(groups, key=len)
