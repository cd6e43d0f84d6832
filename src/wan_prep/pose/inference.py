"""Run the pose network on one square region of a picture, and the face network on one head.

Both networks take square pictures and measure best where the body fills much of them.  A region may
reach beyond the picture and is padded with black there.  Results are in px of the whole picture.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from wan_prep.geometry import (
    Box,
    Size,
    ViewAngles,
    bounding_box,
    ray_rotation,
    square_around,
    torso_frame,
    view_angles,
)
from wan_prep.pose import body as bodies
from wan_prep.pose.body import FACE_SEEN, HEAD_SEEN, HEAD_TINY, Body, FaceBox
from wan_prep.pose.estimator import Floats, PoseEstimator, PoseFollower, RawPose, Rgb
from wan_prep.pose.skeleton import BODY, TORSO

REGION_SIDE_PX = 512
"""Side of a region as the network gets it: twice its landmark input of 256 px. More changes
nothing, less loses small bodies."""
FACE_SIDE_PX = 256
FACE_LOOKS = ((2.2, 0.0), (1.8, 0.5), (1.4, 1.0), (2.7, 0.5), (1.8, 0.0), (2.2, 0.5))
"""Crops of one head: their side as a multiple of the head's, and the blur in px of the picture.
A little blur hides the steps that coding leaves in small faces (docs/calibration.md)."""
FACE_LOOKS_FEW = 3
"""As many of them at most in a frame of a clip, whose neighbours show the face as well."""
FOV_DEG = 60.0
"""Field of view across the longer side where no camera data exists (a phone's main lens)."""

FACE_LEAST_PX = 32.0
"""In px of the picture looked at. The network misses many faces that are smaller
(docs/calibration.md), so one that is not recognised may be there."""
FACE_NEVER_PX = 10.0
"""In px. The network recognises no faces that are smaller (docs/calibration.md)."""
# Least share of a head box inside the picture for its face to be looked for
# (docs/calibration.md).
_HEAD_LEAST_SHARE = 0.3
# Share of the picture from which on a head fills it, however much lies outside.
_HEAD_FILLS = 0.5

# The animation model crops faces around 68 points: jaw line, brows, eyes, nose and mouth. These of
# the 468 mesh points bound the same region (docs/calibration.md). The forehead is left out; nose
# and mouth are in, because in a turned face they reach beyond the jaw.
_FACE_POINTS = [
    *(234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152),
    *(377, 400, 378, 379, 365, 397, 288, 361, 323, 454),
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *(1, 61, 291),
]
_MESH_RIGHT_EYE, _MESH_LEFT_EYE, _MESH_FOREHEAD, _MESH_CHIN = 33, 263, 10, 152


def size_of(rgb: Rgb) -> Size:
    return Size(rgb.shape[1], rgb.shape[0])


def whole_square(size: Size) -> Box:
    """The square that holds the whole picture."""
    return square_around((size.width / 2.0, size.height / 2.0), float(max(size)))


def square_around_body(body: Body, factor: float = 1.5) -> Box:
    """A square around a body, `factor` times the longer side of its box, in px of the picture.

    It is moved into the picture where it fits, because a network that sees padding below a cut body
    squeezes the hidden joints into view.  A square larger than the picture ends at the edge that
    cuts the body, so that all padding is on the other side.
    """
    box = bodies.widest_box(body)
    side = factor * max(box.width, box.height, 16.0)
    (x, y), (width, height) = box.center, body.size
    joints_x, joints_y = body.keypoints_xy[list(BODY)].T
    left, right = bool(joints_x.min() < 0.0), bool(joints_x.max() > width)
    top, bottom = bool(joints_y.min() < 0.0), bool(joints_y.max() > height)
    return square_around(
        (
            _moved_inside(x, side, width, left and not right, right and not left),
            # Where both edges cut it, the lower one decides: more of the body is hidden there.
            _moved_inside(y, side, height, top and not bottom, bottom),
        ),
        side,
    )


def _moved_inside(center: float, side: float, length: float, at_begin: bool, at_end: bool) -> float:
    """Center of a span of `side` that lies in 0 … `length`, as near to `center` as possible.

    A longer span begins (`at_begin`) or ends (`at_end`) with the range, or is centred on it.
    """
    if side < length:
        return min(max(center, side / 2.0), length - side / 2.0)
    if at_begin or at_end:
        return side / 2.0 if at_begin else length - side / 2.0
    return length / 2.0


def crop_square(rgb: Rgb, region: Box, side_px: int) -> Rgb:
    """(side, side, 3) picture of a square region of `rgb`, black where it leaves the picture."""
    scale = side_px / max(region.width, 1.0)
    frame = Box(0.0, 0.0, float(rgb.shape[1]), float(rgb.shape[0]))
    inside = region.clipped(frame)
    left, top = math.floor(inside.left), math.floor(inside.top)
    right, bottom = math.ceil(inside.right), math.ceil(inside.bottom)
    out = np.zeros((side_px, side_px, 3), np.uint8)
    if inside.area <= 0:
        return out
    part = rgb[top:bottom, left:right]
    shrinking = scale < 1.0
    if shrinking:
        # cv2.warpAffine does not filter; shrink with area averaging first.
        width = max(1, round((right - left) * scale))
        height = max(1, round((bottom - top) * scale))
        part = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    step_x = scale * (right - left) / part.shape[1]
    step_y = scale * (bottom - top) / part.shape[0]
    # Pixel centres: position p of the part lands at (p + 0.5) * step + offset - 0.5.
    to_x = (left - region.left) * scale + 0.5 * step_x - 0.5
    to_y = (top - region.top) * scale + 0.5 * step_y - 0.5
    if (step_x, step_y) == (1.0, 1.0) and to_x.is_integer() and to_y.is_integer():
        # Already at scale and on whole px, as most whole pictures are: pasting is a third cheaper.
        x, y = int(to_x), int(to_y)
        part = part[: side_px - y, : side_px - x]
        out[y : y + part.shape[0], x : x + part.shape[1]] = part
        return out
    matrix = np.array([[step_x, 0.0, to_x], [0.0, step_y, to_y]])
    return np.asarray(
        cv2.warpAffine(part, matrix, (side_px, side_px), flags=cv2.INTER_LINEAR), dtype=np.uint8
    )


def infer_region(
    rgb: Rgb, region: Box, estimator: PoseEstimator, *, mirror: bool = False
) -> list[Body]:
    """The bodies in a square region, in px and camera axes of the whole picture.

    mirror: show the network the mirrored region; the bodies are mirrored back.
    """
    side_px = REGION_SIDE_PX if region.width >= REGION_SIDE_PX / 2 else REGION_SIDE_PX // 2
    picture = crop_square(rgb, region, side_px)
    scale, size = side_px / region.width, size_of(rgb)
    if not mirror:
        return [_place(raw, region, scale, size) for raw in estimator.poses(picture)]
    raws = estimator.poses(np.ascontiguousarray(picture[:, ::-1]))
    flipped = Box(size.width - region.right, region.top, size.width - region.left, region.bottom)
    return [bodies.mirrored(_place(raw, flipped, scale, size)) for raw in raws]


def infer_followed(rgb: Rgb, follower: PoseFollower) -> list[Body]:
    """The body that the follower tracks, in px of the picture; an empty list where it lost it."""
    size = size_of(rgb)
    region = whole_square(size)
    raw = follower.follow(crop_square(rgb, region, REGION_SIDE_PX))
    return [] if raw is None else [_place(raw, region, REGION_SIDE_PX / region.width, size)]


def _place(raw: RawPose, region: Box, scale: float, size: Size) -> Body:
    keypoints_xy = raw.keypoints_xy / scale + (region.left, region.top)
    body = Body(keypoints_xy, raw.visibility, raw.world_xyz, raw.world_xyz, size)
    turn = ray_rotation(_torso_center(body), size, FOV_DEG)
    return Body(keypoints_xy, raw.visibility, raw.world_xyz @ turn.T, raw.world_xyz, size)


def _torso_center(body: Body) -> Floats:
    """(2,) px: the point that the network's camera looks at, the torso, clipped to the picture."""
    center: Floats = body.keypoints_xy[list(TORSO)].mean(axis=0)
    return center.clip((0.0, 0.0), body.size)


def find_face(
    rgb: Rgb, body: Body, estimator: PoseEstimator, *, thoroughly: bool = False
) -> FaceBox | None:
    """The face of a body; None where its head is out of the picture.

    The face network looks at several crops of the head.  Where it recognises nothing, the pose's
    head points give a box with low confidence.  The first crop with a face decides; `thoroughly`
    tries all crops and takes the mean of those with a face.
    """
    if body.is_head and body.face is not None and not thoroughly:
        return body.face  # by which it was found
    head = bodies.head_box(body)
    frame = Box(0.0, 0.0, float(body.size.width), float(body.size.height))
    shown = head.clipped(frame).area
    if shown < _HEAD_LEAST_SHARE * head.area and shown < _HEAD_FILLS * frame.area:
        return None
    by_head = bodies.face_by_head(body.keypoints_xy)
    face_px = math.sqrt(by_head.area)
    looks = FACE_LOOKS if thoroughly else FACE_LOOKS[:FACE_LOOKS_FEW]
    if face_px < FACE_NEVER_PX:
        # More crops would find nothing, and blur takes long in crops that are enlarged so much.
        looks = FACE_LOOKS[:1]
    meshes = []
    for factor, blur_px in looks:
        region = square_around(head.center, factor * max(head.width, head.height))
        mesh = face_mesh(rgb, region, blur_px, estimator)
        if mesh is not None and bounding_box(mesh[_FACE_POINTS, :2]).iou(head) > 0.1:
            meshes.append(mesh)
            if not thoroughly:
                break
    if meshes:
        mesh = bodies.interquartile_mean(np.array(meshes))
        yaw, pitch, roll = _face_angles(mesh)
        box, span = bounding_box(mesh[_FACE_POINTS, :2]), face_span(mesh)
        agreement = len(meshes) / len(looks) if thoroughly else 1.0
        return FaceBox(box, yaw, pitch, FACE_SEEN, span, agreement, roll)
    return FaceBox(by_head, None, None, HEAD_TINY if face_px < FACE_LEAST_PX else HEAD_SEEN)


def face_mesh(rgb: Rgb, region: Box, blur_px: float, estimator: PoseEstimator) -> Floats | None:
    """(468, 3) px of the picture: the face mesh in a square region, which is blurred first."""
    picture = crop_square(rgb, region, FACE_SIDE_PX)
    scale = FACE_SIDE_PX / region.width
    if blur_px * scale > 0.3:  # less would not change the crop
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur_px * scale), dtype=np.uint8)
    raw = estimator.face(picture)
    return None if raw is None else raw.mesh_xyz / scale + (region.left, region.top, 0.0)


def face_span(mesh: Floats) -> float:
    """Size in px, the same whichever way the face is turned (`FaceBox.span_px`)."""
    across = np.linalg.norm(mesh[_MESH_LEFT_EYE] - mesh[_MESH_RIGHT_EYE])
    along = np.linalg.norm(mesh[_MESH_FOREHEAD] - mesh[_MESH_CHIN])
    return float(math.sqrt(across * along))


def _face_angles(mesh: Floats) -> ViewAngles:
    """Yaw, pitch and roll of the face in degrees, with the signs of `geometry.view_angles`."""
    return view_angles(
        torso_frame(
            mesh[_MESH_LEFT_EYE], mesh[_MESH_RIGHT_EYE], mesh[_MESH_FOREHEAD] - mesh[_MESH_CHIN]
        )
    )
