"""Looking at a square part of a picture, and at a face.

The network measures best on square pictures in which the body fills a good part, so every
inference of this project is one `look` at one square region, padded where it leaves the
picture.  What comes back is in px of the whole picture.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from wan_prep.geometry import (
    Box,
    Size,
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
"""Twice the landmark network's 256 px input; more changes nothing, less loses small bodies."""
FACE_SIDE_PX = 256
FACE_LOOKS = ((2.2, 0.0), (1.8, 0.5), (1.4, 1.0), (2.7, 0.5), (1.8, 0.0), (2.2, 0.5))
"""Looks at one head: the crop's side as a multiple of the head's, and the blur in px of the picture
before it.  Measured: of a face of 36 px in 256 colours
no crop is recognised as it is, all but one after half a pixel of blur, which hides the steps that a
file's coding makes; two pixels hide the face."""
FACE_LOOKS_FEW = 3
"""So many at most in a frame of a clip. Judgement: what its neighbours tell as well is not worth
more; a look that recognises nothing takes half of the time of one that does."""
FOV_DEG = 60.0
"""Field of view across the longer side where no camera data exists (a phone's main lens)."""

FACE_LEAST_PX = 32.0
"""Smaller faces, in px of the picture looked at, may be there though none is recognised: of 73
clear ones in shared clips, scaled down and compressed (JPEG 40), the network found 94 % at 32 px,
86 % at 24, 51 % at 16 and none at 10; in the demo clip (28 px) fewer than half."""
FACE_NEVER_PX = 10.0
"""Of faces of this size none was recognised."""
# A head of which less lies in the picture shows no face: of 33 such bodies in shared frames cut at
# an edge, 29 had at most 0.1 of the model's face crop left, the other four 0.3 to 0.5.
_HEAD_LEAST_SHARE = 0.3

# The model's face crop is spanned by 68 face points: jaw line, brows, eyes, nose and mouth.
# Of the 468 mesh points these bound the same region: the forehead is left out, and in a turned
# face the nose and the mouth stand out beyond the jaw. On labelled faces of 18 to 28 px (COCO
# whole-body) the box is 0.96-1.04 times as wide as theirs and 0.93-1.01 as high, at 3 of 4.
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
    """A square around a body that was seen, `factor` times its longer side.

    It is moved into the picture where it fits: what lies beyond an edge is padding, and a
    network that sees padding below a cut body squeezes the hidden joints into view.  A square
    larger than the picture ends at the edge that cuts the body, its padding on the other side.
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
            # What is hidden below weighs more than a forehead.
            _moved_inside(y, side, height, top and not bottom, bottom),
        ),
        side,
    )


def _moved_inside(center: float, side: float, length: float, at_begin: bool, at_end: bool) -> float:
    """The center nearest to `center` whose span lies in 0 … length; of a longer span one that
    begins or ends with it if that is asked for, else the middle."""
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
        # Nothing is left but to put it in its place, as in most whole pictures: a third cheaper.
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
    """The bodies that a square region shows, in px and camera axes of the whole picture."""
    side_px = REGION_SIDE_PX if region.width >= REGION_SIDE_PX / 2 else REGION_SIDE_PX // 2
    picture = crop_square(rgb, region, side_px)
    scale, size = side_px / region.width, size_of(rgb)
    if not mirror:
        return [_place(raw, region, scale, size) for raw in estimator.poses(picture)]
    raws = estimator.poses(np.ascontiguousarray(picture[:, ::-1]))
    flipped = Box(size.width - region.right, region.top, size.width - region.left, region.bottom)
    return [bodies.mirrored(_place(raw, flipped, scale, size)) for raw in raws]


def infer_followed(rgb: Rgb, follower: PoseFollower) -> list[Body]:
    """The body that the last call followed, in px of the picture; none where it is lost."""
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
    """Where the network's camera looks: the torso, held to the picture's own area."""
    center: Floats = body.keypoints_xy[list(TORSO)].mean(axis=0)
    return center.clip((0.0, 0.0), body.size)


def find_face(
    rgb: Rgb, body: Body, estimator: PoseEstimator, *, thoroughly: bool = False
) -> FaceBox | None:
    """The face of a body: from the face network on crops around the head, else, with low
    confidence, from the pose's head points; None where the head is out of the picture.

    The first of a few looks that recognises a face gives it; thoroughly: the mean of all looks
    that do.
    """
    head = bodies.head_box(body)
    frame = Box(0.0, 0.0, float(body.size.width), float(body.size.height))
    if head.clipped(frame).area < _HEAD_LEAST_SHARE * head.area:
        return None
    by_head = bodies.face_by_head(body.keypoints_xy)
    face_px = math.sqrt(by_head.area)
    looks = FACE_LOOKS if thoroughly else FACE_LOOKS[:FACE_LOOKS_FEW]
    if face_px < FACE_NEVER_PX:
        # Blur takes the longer the more a crop is enlarged, and here nothing would be found.
        looks = FACE_LOOKS[:1]
    meshes = []
    for factor, blur_px in looks:
        region = square_around(head.center, factor * max(head.width, head.height))
        mesh = _face_mesh(rgb, region, blur_px, estimator)
        if mesh is not None and bounding_box(mesh[_FACE_POINTS, :2]).iou(head) > 0.1:
            meshes.append(mesh)
            if not thoroughly:
                break
    if meshes:
        mesh = bodies.interquartile_mean(np.array(meshes))
        yaw, pitch = _face_angles(mesh)
        box, span = bounding_box(mesh[_FACE_POINTS, :2]), _face_span(mesh)
        agreement = len(meshes) / len(looks) if thoroughly else 1.0
        return FaceBox(box, yaw, pitch, FACE_SEEN, span, agreement)
    return FaceBox(by_head, None, None, HEAD_TINY if face_px < FACE_LEAST_PX else HEAD_SEEN)


def _face_mesh(rgb: Rgb, region: Box, blur_px: float, estimator: PoseEstimator) -> Floats | None:
    """(468, 3) px of the picture: the mesh in a square region of it, blurred first."""
    picture = crop_square(rgb, region, FACE_SIDE_PX)
    scale = FACE_SIDE_PX / region.width
    if blur_px * scale > 0.3:  # less would not change the crop
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur_px * scale), dtype=np.uint8)
    raw = estimator.face(picture)
    return None if raw is None else raw.mesh_xyz / scale + (region.left, region.top, 0.0)


def _face_span(mesh: Floats) -> float:
    """Size in px that does not change with the face's turn."""
    across = np.linalg.norm(mesh[_MESH_LEFT_EYE] - mesh[_MESH_RIGHT_EYE])
    along = np.linalg.norm(mesh[_MESH_FOREHEAD] - mesh[_MESH_CHIN])
    return float(math.sqrt(across * along))


def _face_angles(mesh: Floats) -> tuple[float, float]:
    """Yaw and pitch of the face in degrees, with the signs of `geometry.view_angles`."""
    angles = view_angles(
        torso_frame(
            mesh[_MESH_LEFT_EYE], mesh[_MESH_RIGHT_EYE], mesh[_MESH_FOREHEAD] - mesh[_MESH_CHIN]
        )
    )
    return angles.yaw, angles.pitch
