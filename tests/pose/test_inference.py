from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.geometry import Box, Size, ray_rotation
from wan_prep.pose import body as bodies
from wan_prep.pose import inference
from wan_prep.pose.body import FACE_SEEN, HEAD_SEEN, HEAD_TINY
from wan_prep.pose.estimator import Proposal, RawFace, RawPose
from wan_prep.pose.skeleton import Joint

SHOULDER, HIP, NOSE = (255, 0, 0), (0, 0, 255), (0, 255, 0)


def picture(width: int, height: int, *dots: tuple[tuple[int, int, int], int, int]) -> np.ndarray:
    """Grey, with square dots of 9 px; a dot at pixel (x, y) has its centre at + 0.5."""
    rgb = np.full((height, width, 3), 90, np.uint8)
    for colour, x, y in dots:
        rgb[y - 4 : y + 5, x - 4 : x + 5] = colour
    return rgb


def dots_of(rgb: np.ndarray, colour: tuple[int, int, int]) -> list[tuple[float, float]]:
    """Centres of the dots of a colour in px, from left to right; dots do not share columns."""
    channel = int(np.argmax(colour))
    others = [c for c in range(3) if c != channel]
    mask = (rgb[..., channel] > 150) & (rgb[..., others] < 60).all(axis=-1)
    columns = np.flatnonzero(mask.any(axis=0))
    if columns.size == 0:
        return []
    runs = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    return [
        (
            float(run.mean()) + 0.5,
            float(np.nonzero(mask[:, run].any(axis=1))[0].mean()) + 0.5,
        )
        for run in runs
    ]


class DotReader:
    """Reads a body off coloured dots, like a network: of two shoulders the one further right in
    the picture given is the left one of a person who faces the camera."""

    name, sha256 = "dots", "d" * 64

    def __init__(self, world: np.ndarray) -> None:
        self.world = world
        self.sides: list[int] = []

    def poses(self, rgb: np.ndarray) -> list[RawPose]:
        self.sides.append(rgb.shape[0])
        shoulders, hips, nose = (dots_of(rgb, c) for c in (SHOULDER, HIP, NOSE))
        if not (len(shoulders) == 2 and len(hips) == 2 and len(nose) == 1):
            return []
        points = np.tile(nose[0], (33, 1))
        points[Joint.RIGHT_SHOULDER], points[Joint.LEFT_SHOULDER] = shoulders
        points[Joint.RIGHT_HIP], points[Joint.LEFT_HIP] = hips
        return [RawPose(points, np.ones(33), self.world)]

    def proposals(self, rgb: np.ndarray, side_px: int) -> list[Proposal]:
        return []

    def face(self, rgb: np.ndarray) -> RawFace | None:
        return None

    def __enter__(self) -> DotReader:
        return self

    def __exit__(self, *exc: object) -> None:
        return None


# ------------------------------------------------------------------ cutting out a square


def test_a_square_inside_the_picture_is_copied_as_it_is() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    np.testing.assert_array_equal(
        inference.crop_square(rgb, Box(7.0, 5.0, 27.0, 25.0), 20), rgb[5:25, 7:27]
    )


def test_what_leaves_the_picture_is_black_and_the_rest_is_in_its_place() -> None:
    rgb = np.random.default_rng(1).integers(1, 256, (40, 60, 3)).astype(np.uint8)
    expected = np.zeros((64, 64, 3), np.uint8)
    expected[12:52, 2:62] = rgb
    np.testing.assert_array_equal(
        inference.crop_square(rgb, Box(-2.0, -12.0, 62.0, 52.0), 64), expected
    )


@pytest.mark.parametrize("side_px", [64, 128, 512])
@pytest.mark.parametrize(
    "region",
    [Box(0, 0, 256, 256), Box(50, 60, 178, 188), Box(-40.3, 20.7, 160.2, 221.2)],
)
def test_a_dot_lands_where_the_scale_says(region: Box, side_px: int) -> None:
    """Shrunk or enlarged, padded or not: px of the picture times scale, within half a px."""
    rgb = picture(256, 256, (NOSE, 100, 120))
    scale = side_px / region.width
    ((x, y),) = dots_of(inference.crop_square(rgb, region, side_px), NOSE)
    tolerance = max(0.5, 0.5 * scale)
    assert x == pytest.approx((100.5 - region.left) * scale, abs=tolerance)
    assert y == pytest.approx((120.5 - region.top) * scale, abs=tolerance)


def test_shrinking_averages_instead_of_picking() -> None:
    board = np.zeros((64, 64, 3), np.uint8)
    board[::2, 1::2] = board[1::2, ::2] = 200
    small = inference.crop_square(board, Box(0, 0, 64, 64), 16)
    assert np.abs(small.astype(int) - 100).max() <= 1


@pytest.mark.parametrize(
    "region",
    [
        Box(200.5, 10.0, 220.5, 30.0),
        Box(10.0, 140.25, 30.0, 160.25),
        Box(-50.0, -50.0, -30.5, -30.5),
        Box(100.0, 0.0, 120.0, 20.0),
    ],
)
@pytest.mark.parametrize("side_px", [8, 64])
def test_a_square_beside_the_picture_is_black(region: Box, side_px: int) -> None:
    cut = inference.crop_square(picture(100, 100), region, side_px)
    assert cut.shape == (side_px, side_px, 3)
    assert not cut.any()


# ------------------------------------------------------------------ which square


def test_the_whole_picture_is_held_by_a_square_around_its_middle() -> None:
    assert inference.whole_square(Size(1280, 720)) == Box(0.0, -280.0, 1280.0, 1000.0)
    assert inference.whole_square(Size(720, 1280)) == Box(-280.0, 0.0, 1000.0, 1280.0)


def test_size_is_width_and_height() -> None:
    assert inference.size_of(np.zeros((72, 128, 3), np.uint8)) == Size(128, 72)


@given(
    x=st.floats(0, 1280), y=st.floats(0, 720), scale=st.floats(20, 400), factor=st.floats(1, 2.5)
)
def test_the_square_around_a_body_stays_inside_where_it_fits(
    make: Any, x: float, y: float, scale: float, factor: float
) -> None:
    body = make.body(hips=(x, y), px_per_m=scale, size=(1280, 720))
    box, region = bodies.widest_box(body), inference.square_around_body(body, factor)
    assert region.width == pytest.approx(factor * max(box.width, box.height, 16.0))
    assert region.width == pytest.approx(region.height)
    for low, high, side in ((region.left, region.right, 1280), (region.top, region.bottom, 720)):
        if region.width <= side:
            assert low >= -1e-9
            assert high <= side + 1e-9
        else:
            # In the middle, or with its padding on the side that does not cut the body.
            ends = (low, side - high, (low + high - side) / 2)
            assert min(abs(end) for end in ends) == pytest.approx(0.0, abs=1e-9)


def test_the_square_around_a_body_in_the_middle_is_centred_on_it(make: Any) -> None:
    body = make.body(hips=(640.0, 360.0), px_per_m=100.0, size=(1280, 720))
    region, box = inference.square_around_body(body, 1.5), bodies.body_box(body)
    assert region.center == pytest.approx(box.center)


# ------------------------------------------------------------------ looking


DOTS = (
    (NOSE, 330, 130),
    (SHOULDER, 300, 190),
    (SHOULDER, 400, 230),
    (HIP, 320, 320),
    (HIP, 380, 330),
)
TRUTH = {
    Joint.NOSE: (330.5, 130.5),
    Joint.RIGHT_SHOULDER: (300.5, 190.5),
    Joint.LEFT_SHOULDER: (400.5, 230.5),
    Joint.RIGHT_HIP: (320.5, 320.5),
    Joint.LEFT_HIP: (380.5, 330.5),
}
REGIONS = [
    Box(0.0, -140.0, 640.0, 500.0),
    Box(200.0, 60.0, 500.0, 360.0),
    Box(270.5, 90.25, 520.5, 340.25),
]


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("region", REGIONS)
def test_a_look_answers_in_px_of_the_whole_picture(make: Any, region: Box, mirror: bool) -> None:
    rgb = picture(640, 360, *DOTS)
    (body,) = inference.infer_region(rgb, region, DotReader(make.adult()), mirror=mirror)
    assert body.size == (640, 360)
    for joint, xy in TRUTH.items():
        np.testing.assert_allclose(body.keypoints_xy[joint], xy, atol=0.8, err_msg=joint.name)


@pytest.mark.parametrize("mirror", [False, True])
def test_a_look_turns_the_metres_into_the_pictures_camera(make: Any, mirror: bool) -> None:
    """The network's camera looks at the torso, 30 px right of the middle: so does the turn."""
    world = make.turned("y", 25)
    reader = DotReader(world)
    (body,) = inference.infer_region(picture(640, 360, *DOTS), REGIONS[0], reader, mirror=mirror)
    seen = world
    if mirror:
        # The same answer to a mirrored picture means the mirrored person.
        seen = bodies.mirrored(make.body(world)).world_xyz
    np.testing.assert_allclose(body.local_xyz, seen, atol=1e-12)
    center = np.mean([TRUTH[Joint(j)] for j in (11, 12, 23, 24)], axis=0)
    turn = ray_rotation(center, Size(640, 360), inference.FOV_DEG)
    np.testing.assert_allclose(body.world_xyz, seen @ turn.T, atol=2e-3)


def test_small_squares_are_looked_at_in_a_smaller_picture(make: Any) -> None:
    reader = DotReader(make.adult())
    rgb = picture(640, 360, *DOTS)
    inference.infer_region(rgb, Box(0, 0, 300, 300), reader)
    inference.infer_region(rgb, Box(0, 0, 200, 200), reader)
    assert reader.sides == [512, 256]


def test_nobody_in_the_square_is_no_body(make: Any) -> None:
    assert inference.infer_region(picture(640, 360), REGIONS[0], DotReader(make.adult())) == []


# ------------------------------------------------------------------ faces


class FaceReader(DotReader):
    """Answers with the mesh it was given, in px of the crop."""

    def __init__(self, mesh: np.ndarray | None) -> None:
        super().__init__(np.zeros((33, 3)))
        self.mesh = mesh

    def face(self, rgb: np.ndarray) -> RawFace | None:
        return None if self.mesh is None else RawFace(self.mesh)


def mesh_at(center: float, half: float, yaw: float = 0.0, make: Any = None) -> np.ndarray:
    """(468, 3): a flat square of points around a centre, the four that tell angles set right."""
    mesh = np.zeros((468, 3))
    mesh[93] = (-half, half, 0)
    mesh[336] = (half, -half, 0)
    mesh[263], mesh[33] = (half / 2, -half / 2, 0), (-half / 2, -half / 2, 0)
    mesh[10], mesh[152] = (0, -half, 0), (0, half, 0)
    if yaw:
        mesh = mesh @ make.rotation("y", yaw).T
    return mesh + (center, center, 0)


def test_a_face_comes_back_in_px_of_the_picture(make: Any) -> None:
    body = make.body()
    head = bodies.head_box(body)
    found = inference.find_face(
        np.full((1280, 720, 3), 90, np.uint8), body, FaceReader(mesh_at(128.0, 50.0))
    )
    assert found is not None
    # The crop is 2.2 times the head's longer side, shown in 256 px.
    half = 50.0 * 2.2 * head.height / 256.0
    assert found.box.center == pytest.approx(head.center)
    assert found.box.width == pytest.approx(2 * half)
    assert (found.yaw_deg, found.pitch_deg, found.confidence) == (0.0, 0.0, 1.0)


def test_a_turned_face_has_the_sign_of_a_turned_body(make: Any) -> None:
    rgb = np.full((1280, 720, 3), 90, np.uint8)
    found = inference.find_face(rgb, make.body(), FaceReader(mesh_at(128.0, 50.0, -30.0, make)))
    body_turned = bodies.view_matrix(make.body(make.turned("y", -30.0)))
    from wan_prep.geometry import view_angles

    assert found is not None
    assert found.yaw_deg == pytest.approx(30.0)
    assert found.yaw_deg == pytest.approx(view_angles(body_turned).yaw)


def test_without_a_face_network_answer_the_head_tells_with_low_confidence(make: Any) -> None:
    body = make.body()
    rgb = np.full((1280, 720, 3), 90, np.uint8)
    for answer in (None, mesh_at(10.0, 5.0)):  # none, and one that is not on this head
        found = inference.find_face(rgb, body, FaceReader(answer))
        assert found is not None
        assert found.box == bodies.face_by_head(body.keypoints_xy)
        assert (found.yaw_deg, found.pitch_deg) == (None, None)
        assert found.confidence == HEAD_SEEN == 0.3


@pytest.mark.parametrize(
    ("px_per_m", "confidence"),
    # At 500 px per m the face by the head is 86.32 x 83.51 px, 84.90 a side: 32 px at 188.46.
    [(189.0, HEAD_SEEN), (188.0, HEAD_TINY), (20.0, HEAD_TINY)],
)
def test_a_head_too_small_for_the_face_network_tells_less(
    make: Any, px_per_m: float, confidence: float
) -> None:
    rgb = np.full((1280, 720, 3), 90, np.uint8)
    found = inference.find_face(rgb, make.body(px_per_m=px_per_m), FaceReader(None))
    assert found is not None
    assert found.confidence == confidence
    # What the network does recognise is no smaller for it.
    seen = inference.find_face(rgb, make.body(px_per_m=px_per_m), FaceReader(mesh_at(128.0, 50.0)))
    assert seen is not None
    assert seen.confidence == FACE_SEEN == 1.0


@pytest.mark.parametrize("point", [1, 61, 291])
def test_nose_and_mouth_belong_to_the_face_and_the_forehead_does_not(make: Any, point: int) -> None:
    """50 px of the crop are 49.16 px of the picture; the jaw ends there, the nose 20 px further."""
    rgb = np.full((1280, 720, 3), 90, np.uint8)
    mesh = mesh_at(128.0, 50.0)
    plain = inference.find_face(rgb, make.body(), FaceReader(mesh))
    mesh[10] = (128.0, 20.0, 0.0)
    mesh[point] = (58.0, 128.0, 0.0)
    turned = inference.find_face(rgb, make.body(), FaceReader(mesh))
    assert plain is not None
    assert turned is not None
    assert plain.box.left - turned.box.left == pytest.approx(20.0 * 251.68 / 256.0)
    assert turned.box[1:] == pytest.approx(plain.box[1:])


def test_a_head_outside_the_picture_has_no_face(make: Any) -> None:
    body = make.body(hips=(360.0, 200.0))
    rgb = np.full((1280, 720, 3), 90, np.uint8)
    assert inference.find_face(rgb, body, FaceReader(mesh_at(128.0, 50.0))) is None


def deep_face(make: Any, axis: str = "y", degrees: float = 0.0) -> np.ndarray:
    """A face 100 px tall whose forehead lies 10 px behind the chin, eye corners 50 px apart."""
    mesh = mesh_at(0.0, 50.0)
    mesh[[263, 33], 2] = 8.0
    mesh[10, 2], mesh[152, 2] = 5.0, -5.0
    return mesh @ make.rotation(axis, degrees).T + (128.0, 128.0, 0.0)


@pytest.mark.parametrize(
    ("axis", "degrees"),
    [("y", 0), ("y", 20), ("y", -45), ("y", 60), ("y", -75), ("x", 30), ("x", -30), ("z", 40)],
)
def test_the_size_of_a_face_does_not_change_with_its_turn(
    make: Any, axis: str, degrees: float
) -> None:
    """sqrt(50 * sqrt(100^2 + 10^2)) = 70.8868 px of a crop that is 2.2 * 114.4 px wide in 256."""
    rgb = np.full((1280, 720, 3), 90, np.uint8)
    found = inference.find_face(rgb, make.body(), FaceReader(deep_face(make, axis, degrees)))
    assert found is not None
    assert found.confidence == 1.0
    assert found.span_px == pytest.approx(70.8868 * 251.68 / 256.0, rel=1e-6)
    if axis == "y" and abs(degrees) >= 45:
        # The box does change.
        assert found.box.width < 0.75 * found.box.height


def test_the_size_of_a_face_is_in_px_of_the_picture(make: Any) -> None:
    """Half as near, the same mesh in its crop is half as large in the picture."""
    mesh = deep_face(make)
    near, far = (
        inference.find_face(
            np.full((1280, 720, 3), 90, np.uint8), make.body(px_per_m=scale), FaceReader(mesh)
        )
        for scale in (500.0, 250.0)
    )
    assert near is not None
    assert far is not None
    assert near.span_px == pytest.approx(2 * far.span_px)


def test_without_a_mesh_of_this_head_a_face_has_no_size(make: Any) -> None:
    rgb = np.full((1280, 720, 3), 90, np.uint8)
    for answer in (None, mesh_at(10.0, 5.0)):
        found = inference.find_face(rgb, make.body(), FaceReader(answer))
        assert found is not None
        assert found.span_px is None


# ------------------------------------------------------------------ following


class Follower(DotReader):
    """Follows what it reads off the dots, whole pictures only."""

    def follow(self, rgb: np.ndarray) -> RawPose | None:
        found = self.poses(rgb)
        return found[0] if found else None


@pytest.mark.parametrize("by", [(0, 0), (200, -40), (-290, 15)])
def test_a_followed_body_is_in_px_and_in_the_camera_of_the_picture(
    make: Any, by: tuple[int, int]
) -> None:
    """640 x 360, padded to a square of 640 px and shown in 512."""
    moved = [(colour, x + by[0], y + by[1]) for colour, x, y in DOTS]
    follower = Follower(make.turned("y", 25))
    (body,) = inference.infer_followed(picture(640, 360, *moved), follower)
    assert follower.sides == [512]
    assert body.size == (640, 360)
    for joint, xy in TRUTH.items():
        np.testing.assert_allclose(body.keypoints_xy[joint], np.add(xy, by), atol=0.8)
    np.testing.assert_array_equal(body.local_xyz, follower.world)
    center = np.mean([TRUTH[Joint(j)] for j in (11, 12, 23, 24)], axis=0) + by
    turn = ray_rotation(center, Size(640, 360), inference.FOV_DEG)
    np.testing.assert_allclose(body.world_xyz, follower.world @ turn.T, atol=2e-3)


def test_small_pictures_are_followed_in_the_same_size(make: Any) -> None:
    follower = Follower(make.adult())
    assert inference.infer_followed(picture(120, 90), follower) == []
    assert follower.sides == [512]


def test_a_body_that_is_lost_is_no_body(make: Any) -> None:
    assert inference.infer_followed(picture(640, 360), Follower(make.adult())) == []
