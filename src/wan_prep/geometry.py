"""Pure geometry: scales, rotations, angles, boxes.  numpy in, numpy out; no I/O.

Axes (contract): the camera has x right, y down, z away from it; the body has x to the
person's left, y up along the spine, z out of the chest.  `view_matrix` rotates body into
camera coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

FACING = np.diag([1.0, -1.0, -1.0])
"""The view matrix of an upright person who faces the camera."""


class ViewAngles(NamedTuple):
    """Degrees. yaw 0: camera in front, +90: on the person's own right; pitch +: camera
    above; roll +: the body leans clockwise in the picture."""

    yaw: float
    pitch: float
    roll: float


class Size(NamedTuple):
    """Width and height in px."""

    width: int
    height: int


def unit(vector: ArrayLike) -> Floats:
    """The vector at length 1.

    Raises:
        ValueError: its length is zero.
    """
    array = np.asarray(vector, dtype=np.float64)
    length = float(np.linalg.norm(array))
    if length < 1e-12:
        raise ValueError("a zero vector has no direction")
    return array / length


def wrap_deg(angle: float) -> float:
    """The same angle in (-180, 180]."""
    wrapped = math.fmod(angle, 360.0)
    if wrapped > 180.0:
        return wrapped - 360.0
    if wrapped <= -180.0:
        return wrapped + 360.0
    return wrapped


def angle_between_deg(a: ArrayLike, b: ArrayLike) -> float:
    """Angle 0 … 180 between two directions of any dimension."""
    cosine = float(np.clip(np.dot(unit(a), unit(b)), -1.0, 1.0))
    return math.degrees(math.acos(cosine))


def rotation_angle_deg(rotation: Floats) -> float:
    """Geodesic angle 0 … 180 of a (3, 3) rotation."""
    return math.degrees(math.acos(float(np.clip((np.trace(rotation) - 1.0) / 2.0, -1.0, 1.0))))


def view_angle_deg(a: Floats, b: Floats) -> float:
    """Geodesic angle between two (3, 3) view matrices."""
    return rotation_angle_deg(b @ a.T)


def axis_turn(axis: int, degrees: float) -> Floats:
    """(3, 3) right-handed turn about one axis, 0 (x) … 2 (z); about the camera's z clockwise in the
    picture."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    before, after = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    turn[[before, before, after, after], [before, after, before, after]] = c, -s, s, c
    return turn


def torso_frame(left_shoulder: ArrayLike, right_shoulder: ArrayLike, spine_up: ArrayLike) -> Floats:
    """(3, 3) view matrix from the shoulder line and the spine, both in camera axes.

    The spine keeps its direction; the shoulder line is made perpendicular to it.

    Raises:
        ValueError: the shoulders coincide, or lie along the spine.
    """
    up = unit(spine_up)
    across = np.asarray(left_shoulder, float) - np.asarray(right_shoulder, float)
    left = unit(across - np.dot(across, up) * up)
    return np.column_stack([left, up, np.cross(left, up)])


def fitted_frame(template: Floats, points: Floats) -> Floats | None:
    """(3, 3) rotation that best turns (N, 3) template points, body axes, into (N, 3) points.

    Kabsch 1976 on centred point sets; None where the points lie on a line or coincide.
    """
    a, b = template - template.mean(axis=0), points - points.mean(axis=0)
    covariance = b.T @ a
    singular = np.linalg.svd(covariance, compute_uv=False)
    if singular[1] < 1e-3 * max(float(singular[0]), 1e-12):
        return None
    return nearest_rotation(covariance)


def view_angles(view_matrix: Floats) -> ViewAngles:
    """Yaw, pitch and roll of a (3, 3) view matrix, in degrees."""
    toward_camera = view_matrix.T @ np.array([0.0, 0.0, -1.0])
    spine = view_matrix @ np.array([0.0, 1.0, 0.0])
    return ViewAngles(
        yaw=math.degrees(math.atan2(-toward_camera[0], toward_camera[2])),
        pitch=math.degrees(math.asin(float(np.clip(toward_camera[1], -1.0, 1.0)))),
        roll=math.degrees(math.atan2(spine[0], -spine[1])),
    )


def view_from_angles(angles: ViewAngles) -> Floats:
    """(3, 3) view matrix with this yaw, pitch and roll in degrees: the inverse of `view_angles`.

    At a pitch of 90 deg, where the camera looks along the spine, yaw and roll are one turn: any
    matrix with their sum then serves, and this one does.
    """
    of_picture, of_shoulders, of_spine = (
        axis_turn(axis, angle)
        for axis, angle in ((2, angles.roll), (0, angles.pitch), (1, angles.yaw))
    )
    return np.asarray(of_picture @ FACING @ of_shoulders @ of_spine)


def view_difference(image: Floats, video: Floats) -> ViewAngles:
    """Image view minus video view, each angle wrapped to (-180, 180]."""
    a, b = view_angles(image), view_angles(video)
    return ViewAngles(*(wrap_deg(x - y) for x, y in zip(a, b, strict=True)))


def nearest_rotation(matrix: Floats) -> Floats:
    """The (3, 3) rotation nearest to a matrix in the Frobenius norm (Kabsch 1976)."""
    u, _, vt = np.linalg.svd(matrix)
    sign = np.sign(np.linalg.det(u @ vt))
    return np.asarray(u @ np.diag([1.0, 1.0, sign]) @ vt, dtype=np.float64)


def ray_rotation(xy: ArrayLike, size: Size, fov_deg: float) -> Floats:
    """(3, 3) rotation from a camera that looks at pixel `xy` into the camera of the picture.

    Landmarks come in the axes of a camera that looks straight at the body.  fov_deg: field of view
    across the picture's longer side.
    """
    x, y = np.asarray(xy, float)
    focal_px = max(size) / 2.0 / math.tan(math.radians(fov_deg) / 2.0)
    ray = unit([x - size.width / 2.0, y - size.height / 2.0, focal_px])
    axis = np.cross([0.0, 0.0, 1.0], ray)
    sine, cosine = float(np.linalg.norm(axis)), float(ray[2])
    if sine < 1e-12:
        return np.eye(3)
    kx, ky, kz = axis / sine
    cross = np.array([[0.0, -kz, ky], [kz, 0.0, -kx], [-ky, kx, 0.0]])
    # Rodrigues' formula
    turned: Floats = np.eye(3) + sine * cross + (1.0 - cosine) * (cross @ cross)
    return turned


def weak_perspective_scale(world_xy: Floats, keypoints_xy: Floats, weights: Floats) -> float | None:
    """Least-squares scale in px per m between (N, 2) metres and (N, 2) pixels.

    Minimises sum w |s (X - mean X) - (x - mean x)|^2, then three times more with the points that
    fit worst given less weight (Huber's), so that one stray joint does not move it.
    None with fewer than three weighted points, or where the points coincide.
    """
    used = weights > 0
    if np.count_nonzero(used) < 3:
        return None
    world, points, weight = world_xy[used], keypoints_xy[used], weights[used].astype(float)
    scale = None
    for _ in range(4):
        total = weight.sum()
        a = world - (weight[:, None] * world).sum(0) / total
        b = points - (weight[:, None] * points).sum(0) / total
        spread = float((weight * (a * a).sum(1)).sum())
        if spread < 1e-9:
            return None
        scale = float((weight * (a * b).sum(1)).sum()) / spread
        residual = np.linalg.norm(scale * a - b, axis=1)
        bound = 1.5 * weighted_median(residual, weights[used]) + 1e-9
        weight = weights[used] * np.minimum(1.0, bound / np.maximum(residual, 1e-9))
    return scale if scale is not None and scale > 0 else None


def weighted_median(values: ArrayLike, weights: ArrayLike) -> float:
    """The value with half of the weight on either side, interpolated between two values; for equal
    weights the plain median."""
    given, weight = np.asarray(values, float), np.asarray(weights, float)
    order = np.argsort(given)
    share = weight[order] / weight.sum()
    return float(np.interp(0.5, np.cumsum(share) - share / 2.0, given[order]))


class Box(NamedTuple):
    """Axis-aligned box, same unit throughout; left < right and top < bottom where not empty."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return max(0.0, self.right - self.left)

    @property
    def height(self) -> float:
        return max(0.0, self.bottom - self.top)

    @property
    def area(self) -> float:
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        return (self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0

    def clipped(self, other: Box) -> Box:
        """The part inside `other`; of zero area where they do not meet."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        return Box(
            left,
            top,
            max(left, min(self.right, other.right)),
            max(top, min(self.bottom, other.bottom)),
        )

    def scaled(self, factor_x: float, factor_y: float) -> Box:
        """Every coordinate multiplied (px to fractions and back)."""
        return Box(
            self.left * factor_x, self.top * factor_y, self.right * factor_x, self.bottom * factor_y
        )

    def iou(self, other: Box) -> float:
        """Intersection over union, 0 … 1."""
        shared = self.clipped(other).area
        union = self.area + other.area - shared
        return shared / union if union > 0 else 0.0


class CrowdedBox(NamedTuple):
    """A box that is to be left out of a picture, and the most of its area that may stay."""

    box: Box
    area_max: float


def box_leaving_out(content: Box, keep: Box, crowd: Sequence[CrowdedBox]) -> Box | None:
    """A large box inside `content` that holds all of `keep` and leaves the crowd out.

    One by one, those of whom most is seen are cut off by the edge that leaves least of them, and
    then the largest box. None where even `keep` shows too much of somebody.
    """
    room, waiting = content, list(crowd)
    while waiting:
        seen = [one.box.clipped(room) for one in waiting]
        most = max(range(len(waiting)), key=lambda k: seen[k].area)
        one, shown = waiting.pop(most), seen[most]
        if shown.area <= 0.0:
            break
        cut = (
            room._replace(left=max(room.left, min(shown.right, keep.left))),
            room._replace(top=max(room.top, min(shown.bottom, keep.top))),
            room._replace(right=min(room.right, max(shown.left, keep.right))),
            room._replace(bottom=min(room.bottom, max(shown.top, keep.bottom))),
        )
        room = min(cut, key=lambda box: (one.box.clipped(box).area, -box.area))
    is_out = all(one.box.clipped(room).area <= one.area_max for one in crowd)
    return room if is_out else None


UNIT_BOX = Box(0.0, 0.0, 1.0, 1.0)


def bounding_box(points_xy: Floats) -> Box:
    """The box of (N, 2) points, N > 0."""
    (left, top), (right, bottom) = points_xy.min(axis=0), points_xy.max(axis=0)
    return Box(float(left), float(top), float(right), float(bottom))


def square_around(center_xy: ArrayLike, side: float) -> Box:
    """The square of the given side around a point."""
    x, y = np.asarray(center_xy, float)
    return Box(x - side / 2.0, y - side / 2.0, x + side / 2.0, y + side / 2.0)
