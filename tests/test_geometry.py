from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wan_prep.geometry import (
    FACING,
    UNIT_BOX,
    Box,
    CrowdedBox,
    Size,
    ViewAngles,
    angle_between_deg,
    bounding_box,
    box_leaving_out,
    nearest_rotation,
    ray_rotation,
    rotation_angle_deg,
    square_around,
    torso_frame,
    unit,
    view_angle_deg,
    view_angles,
    view_difference,
    view_from_angles,
    weak_perspective_scale,
    wrap_deg,
)

degrees = st.floats(-179.0, 179.0)
ONES = np.ones(4)
SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def turn(axis: str, angle: float) -> np.ndarray:
    """Right-handed turn about a camera axis."""
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    rows = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    return np.array(rows[axis])


@st.composite
def rotations(draw: Any) -> np.ndarray:
    return turn("x", draw(degrees)) @ turn("y", draw(degrees)) @ turn("z", draw(degrees))


# ------------------------------------------------------------------ angles


@pytest.mark.parametrize(
    ("angle", "wrapped"),
    [(0, 0), (180, 180), (-180, 180), (540, 180), (-540, 180), (181, -179), (-181, 179), (720, 0)],
)
def test_wrapping_keeps_plus_180_and_never_minus_180(angle: float, wrapped: float) -> None:
    assert wrap_deg(angle) == wrapped


@given(st.floats(-1e4, 1e4))
def test_a_wrapped_angle_is_the_same_direction(angle: float) -> None:
    wrapped = wrap_deg(angle)
    assert -180.0 < wrapped <= 180.0
    assert math.cos(math.radians(angle - wrapped)) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "angle"),
    [
        ((1, 0), (1, 0), 0),
        ((1, 0), (3, 3), 45),
        ((1, 0, 0), (0, 2, 0), 90),
        ((1, 0), (-5, 0), 180),
        ((0, 0, 1), (0, 1, math.sqrt(3)), 30),
    ],
)
def test_angle_between_directions(a: tuple, b: tuple, angle: float) -> None:
    assert angle_between_deg(a, b) == pytest.approx(angle, abs=1e-6)


def test_a_zero_vector_has_no_direction() -> None:
    with pytest.raises(ValueError, match="no direction"):
        unit((0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="no direction"):
        angle_between_deg((1.0, 0.0), (0.0, 0.0))


@pytest.mark.parametrize("axis", ["x", "y", "z"])
@pytest.mark.parametrize("angle", [0.0, 37.0, 90.0, 180.0])
def test_the_angle_of_a_rotation_does_not_depend_on_its_axis(axis: str, angle: float) -> None:
    assert rotation_angle_deg(turn(axis, angle)) == pytest.approx(angle, abs=1e-5)
    assert rotation_angle_deg(turn(axis, -angle)) == pytest.approx(angle, abs=1e-5)


# ------------------------------------------------------------------ views, by the contract


def camera_in_body_axes(view_matrix: np.ndarray) -> np.ndarray:
    """The contract's d: where the camera is, in axes left, up, out of the chest."""
    return view_matrix.T @ (0.0, 0.0, -1.0)


def test_the_frame_of_a_person_who_faces_the_camera() -> None:
    frame = torso_frame((0.2, -0.5, 2.0), (-0.2, -0.5, 2.0), (0.0, -0.5, 0.0))
    np.testing.assert_array_equal(frame, np.diag([1.0, -1.0, -1.0]))
    np.testing.assert_array_equal(frame, FACING)
    np.testing.assert_array_equal(camera_in_body_axes(frame), (0, 0, 1))
    assert view_angles(frame) == (0.0, 0.0, 0.0)


def test_yaw_is_plus_90_with_the_camera_on_the_persons_own_right() -> None:
    # The chest points to the picture's right: the right shoulder is nearer to the camera.
    frame = torso_frame((0.0, 0.0, 1.2), (0.0, 0.0, 0.8), (0.0, -1.0, 0.0))
    np.testing.assert_allclose(frame[:, 2], (1, 0, 0), atol=1e-12)
    np.testing.assert_allclose(camera_in_body_axes(frame), (-1, 0, 0), atol=1e-12)
    assert view_angles(frame) == pytest.approx((90.0, 0.0, 0.0))


def test_yaw_from_the_left_is_negative_and_from_behind_180() -> None:
    from_left = torso_frame((0.0, 0.0, 0.8), (0.0, 0.0, 1.2), (0.0, -1.0, 0.0))
    assert view_angles(from_left).yaw == pytest.approx(-90.0)
    from_behind = torso_frame((-0.2, 0.0, 1.0), (0.2, 0.0, 1.0), (0.0, -1.0, 0.0))
    assert abs(view_angles(from_behind).yaw) == pytest.approx(180.0)


def test_pitch_is_positive_with_the_camera_above() -> None:
    # Seen from 30 degrees above, the upper end of the spine is nearer to the camera.
    up = (0.0, -math.cos(math.radians(30)), -math.sin(math.radians(30)))
    frame = torso_frame((0.2, 0.0, 0.0), (-0.2, 0.0, 0.0), up)
    assert camera_in_body_axes(frame)[1] == pytest.approx(0.5)
    assert view_angles(frame) == pytest.approx((0.0, 30.0, 0.0), abs=1e-9)


def test_roll_is_positive_for_a_body_that_leans_clockwise_in_the_picture() -> None:
    # The head goes to the picture's right.
    up = (math.sin(math.radians(20)), -math.cos(math.radians(20)), 0.0)
    across = np.array((math.cos(math.radians(20)), math.sin(math.radians(20)), 0.0))
    frame = torso_frame(across, -across, up)
    assert view_angles(frame) == pytest.approx((0.0, 0.0, 20.0), abs=1e-9)


def test_the_spine_keeps_its_direction_where_the_shoulders_slope() -> None:
    frame = torso_frame((0.2, -0.1, 0.0), (-0.2, 0.1, 0.0), (0.0, -1.0, 0.0))
    np.testing.assert_allclose(frame, FACING, atol=1e-12)


def test_shoulders_along_the_spine_give_no_frame() -> None:
    with pytest.raises(ValueError, match="no direction"):
        torso_frame((0.0, -1.0, 0.0), (0.0, 1.0, 0.0), (0.0, -1.0, 0.0))


@given(st.floats(-175, 175), st.floats(-80, 80), st.floats(-175, 175))
def test_view_angles_round_trip(yaw: float, pitch: float, roll: float) -> None:
    """Turn by yaw about the spine, tip by pitch, lean by roll: the three come back."""
    frame = turn("z", roll) @ turn("x", pitch) @ turn("y", -yaw) @ FACING
    assert view_angles(frame) == pytest.approx((yaw, pitch, roll), abs=1e-6)


def test_a_difference_of_views_is_image_minus_video_and_wrapped() -> None:
    image, video = turn("y", -170) @ FACING, turn("y", 170) @ FACING
    assert view_angles(image).yaw == pytest.approx(170.0)
    assert view_difference(image, video).yaw == pytest.approx(-20.0)
    assert view_difference(video, image).yaw == pytest.approx(20.0)
    assert view_angle_deg(image, video) == pytest.approx(20.0)


@given(rotations(), rotations(), rotations())
def test_view_angle_is_symmetric_and_knows_no_common_turn(
    a: np.ndarray, b: np.ndarray, common: np.ndarray
) -> None:
    angle = view_angle_deg(a, b)
    assume(0.01 < angle < 179.99)  # acos is ill-conditioned at its ends
    assert view_angle_deg(b, a) == pytest.approx(angle, abs=1e-5)
    assert view_angle_deg(common @ a, common @ b) == pytest.approx(angle, abs=1e-5)
    assert view_angle_deg(a @ common, b @ common) == pytest.approx(angle, abs=1e-5)


def test_view_angle_of_a_view_with_itself_is_zero() -> None:
    assert view_angle_deg(FACING, FACING) == 0.0


# ------------------------------------------------------------------ the nearest rotation


def test_the_nearest_rotation_undoes_scale_and_is_never_a_mirror() -> None:
    np.testing.assert_allclose(nearest_rotation(3.0 * turn("z", 25)), turn("z", 25), atol=1e-12)
    of_mirror = nearest_rotation(np.diag([1.0, 1.0, -0.2]))
    np.testing.assert_allclose(of_mirror, np.eye(3), atol=1e-12)


@given(rotations(), st.floats(-0.05, 0.05))
def test_the_nearest_rotation_is_a_rotation(rotation: np.ndarray, noise: float) -> None:
    near = nearest_rotation(rotation + noise)
    np.testing.assert_allclose(near @ near.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(near) == pytest.approx(1.0)


# ------------------------------------------------------------------ rays


def test_the_middle_of_the_picture_needs_no_turn() -> None:
    np.testing.assert_array_equal(ray_rotation((640, 360), Size(1280, 720), 60.0), np.eye(3))


@pytest.mark.parametrize(
    ("xy", "ray"),
    [
        ((1280, 360), (0.5, 0.0, math.sqrt(3) / 2)),
        ((0, 360), (-0.5, 0.0, math.sqrt(3) / 2)),
    ],
)
def test_a_pixel_at_the_edge_of_60_degrees_lies_30_degrees_off(xy: tuple, ray: tuple) -> None:
    rotation = ray_rotation(xy, Size(1280, 720), 60.0)
    assert rotation_angle_deg(rotation) == pytest.approx(30.0)
    np.testing.assert_allclose(rotation @ (0.0, 0.0, 1.0), ray, atol=1e-12)


def test_the_field_of_view_spans_the_longer_side() -> None:
    tall = ray_rotation((360, 1280), Size(720, 1280), 60.0)
    np.testing.assert_allclose(tall @ (0.0, 0.0, 1.0), (0.0, 0.5, math.sqrt(3) / 2), atol=1e-12)


# ------------------------------------------------------------------ scale


def test_the_scale_is_exact_wherever_the_points_lie() -> None:
    assert weak_perspective_scale(SQUARE, 250.0 * SQUARE + (31.0, -7.0), ONES) == pytest.approx(250)


def test_one_outlier_hardly_moves_the_scale() -> None:
    world = np.array([[x, y] for x in (-0.2, 0.2) for y in (-0.5, 0.0, 0.45, 0.9)])
    points = 500.0 * world
    points[3] += (180.0, -240.0)
    plain = np.linalg.lstsq(
        (world - world.mean(0)).reshape(-1, 1), (points - points.mean(0)).ravel(), rcond=None
    )[0][0]
    robust = weak_perspective_scale(world, points, np.ones(8))
    assert robust == pytest.approx(500.0, rel=0.02)
    assert abs(robust - 500.0) < abs(plain - 500.0) / 4


def test_points_without_weight_do_not_count() -> None:
    points = 100.0 * SQUARE
    points[3] = (9e4, -9e4)
    assert weak_perspective_scale(SQUARE, points, np.array([1, 1, 1, 0])) == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("world", "weights"),
    [
        (SQUARE, np.array([1.0, 1.0, 0.0, 0.0])),
        (np.zeros((4, 2)), ONES),
        (SQUARE, np.zeros(4)),
    ],
)
def test_too_few_or_coinciding_points_have_no_scale(world: np.ndarray, weights: np.ndarray) -> None:
    assert weak_perspective_scale(world, 100.0 * SQUARE, weights) is None


def test_a_mirrored_fit_has_no_scale() -> None:
    assert weak_perspective_scale(SQUARE, -100.0 * SQUARE, ONES) is None


@given(
    st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30)), min_size=8, max_size=8),
    st.floats(0.05, 20.0),
    st.floats(-500, 500),
)
def test_twice_the_pixels_is_twice_the_scale(noise: list, factor: float, shift: float) -> None:
    world = np.array([[x, y] for x in (-0.2, 0.2) for y in (-0.5, 0.0, 0.45, 0.9)])
    points = 300.0 * world + np.array(noise)
    plain = weak_perspective_scale(world, points, np.ones(8))
    scaled = weak_perspective_scale(world, factor * points + shift, np.ones(8))
    assert scaled == pytest.approx(factor * plain, rel=1e-5)


# ------------------------------------------------------------------ boxes


def test_box_arithmetic() -> None:
    box = Box(10.0, 20.0, 40.0, 60.0)
    assert (box.width, box.height, box.area, box.center) == (30.0, 40.0, 1200.0, (25.0, 40.0))
    assert box.scaled(0.1, 0.5) == Box(1.0, 10.0, 4.0, 30.0)
    assert box.clipped(Box(0.0, 0.0, 25.0, 100.0)) == Box(10.0, 20.0, 25.0, 60.0)


def test_boxes_that_do_not_meet_share_nothing() -> None:
    box, beside = Box(0.0, 0.0, 10.0, 10.0), Box(20.0, 0.0, 30.0, 10.0)
    assert box.clipped(beside).area == 0.0
    assert beside.clipped(box).area == 0.0
    assert box.iou(beside) == 0.0


def test_iou_worked_by_hand() -> None:
    a, b = Box(0.0, 0.0, 10.0, 10.0), Box(5.0, 0.0, 15.0, 10.0)
    assert a.iou(b) == pytest.approx(50.0 / 150.0)
    assert a.iou(a) == 1.0
    empty = Box(3.0, 3.0, 3.0, 3.0)
    assert empty.iou(empty) == 0.0


def test_a_box_turned_inside_out_is_empty() -> None:
    assert Box(5.0, 5.0, 1.0, 1.0).area == 0.0


def test_bounding_and_square_boxes() -> None:
    assert bounding_box(np.array([[3.0, 9.0], [1.0, 4.0], [2.0, 5.0]])) == Box(1, 4, 3, 9)
    assert square_around((10.0, 20.0), 8.0) == Box(6.0, 16.0, 14.0, 24.0)


coordinate = st.floats(0, 100)
boxes = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h),
    coordinate,
    coordinate,
    st.floats(0.1, 50),
    st.floats(0.1, 50),
)


@given(boxes, boxes)
def test_overlap_is_symmetric_and_bounded(a: Box, b: Box) -> None:
    assert a.iou(b) == pytest.approx(b.iou(a), abs=1e-12)
    assert 0.0 <= a.iou(b) <= 1.0 + 1e-12
    assert a.clipped(b).area <= min(a.area, b.area) + 1e-9


@given(yaw=st.floats(-179.0, 179.0), pitch=st.floats(-89.0, 89.0), roll=st.floats(-179.0, 179.0))
def test_a_view_from_angles_has_these_angles(yaw: float, pitch: float, roll: float) -> None:
    view = view_from_angles(ViewAngles(yaw, pitch, roll))
    assert view_angles(view) == pytest.approx((yaw, pitch, roll), abs=1e-6)
    np.testing.assert_allclose(view @ view.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(view) == pytest.approx(1.0)


@given(view=rotations())
def test_any_view_comes_back_from_its_angles(view: np.ndarray) -> None:
    angles = view_angles(view)
    assume(abs(angles.pitch) < 89.0)
    np.testing.assert_allclose(view_from_angles(angles), view, atol=1e-6)


def test_no_angles_face_the_camera() -> None:
    np.testing.assert_array_equal(view_from_angles(ViewAngles(0.0, 0.0, 0.0)), FACING)


# ------------------------------------------------------------------ leaving somebody out

KEEP = Box(0.4, 0.4, 0.6, 0.8)


def out(*boxes: Box, area_max: float = 0.02) -> Box | None:
    return box_leaving_out(UNIT_BOX, KEEP, [CrowdedBox(box, area_max) for box in boxes])


def test_with_nobody_to_leave_out_all_stays() -> None:
    assert out() == UNIT_BOX


@pytest.mark.parametrize(
    ("other", "room"),
    [
        (Box(0.0, 0.1, 0.3, 0.9), Box(0.3, 0.0, 1.0, 1.0)),
        (Box(0.7, 0.1, 0.9, 0.9), Box(0.0, 0.0, 0.7, 1.0)),
        (Box(0.2, 0.0, 0.9, 0.3), Box(0.0, 0.3, 1.0, 1.0)),
        (Box(0.0, 0.85, 1.0, 1.0), Box(0.0, 0.0, 1.0, 0.85)),
        # Both the right and the lower edge would do: the one that leaves more.
        (Box(0.7, 0.9, 1.0, 1.0), Box(0.0, 0.0, 1.0, 0.9)),
    ],
)
def test_somebody_at_one_side_is_cut_off_there(other: Box, room: Box) -> None:
    assert out(other) == room


def test_people_at_several_sides_are_all_cut_off() -> None:
    room = out(Box(0.0, 0.0, 0.2, 1.0), Box(0.1, 0.2, 0.3, 1.0), Box(0.8, 0.0, 1.0, 1.0))
    assert room == Box(0.3, 0.0, 0.8, 1.0)


def test_of_somebody_who_touches_little_may_stay() -> None:
    """0.05 of the width of what is kept, over 0.4 of the height: 0.02 of the picture."""
    beside = Box(0.0, 0.0, 0.45, 1.0)
    assert out(beside, area_max=0.0201 + 0.03) == Box(0.4, 0.0, 1.0, 1.0)
    assert out(beside, area_max=0.019) is None


def test_who_surrounds_what_is_kept_cannot_be_left_out() -> None:
    assert out(UNIT_BOX) is None


boxes = st.tuples(*[st.floats(0.0, 1.0)] * 4).map(
    lambda v: Box(min(v[0], v[1]), min(v[2], v[3]), max(v[0], v[1]), max(v[2], v[3]))
)


@given(st.lists(boxes, max_size=6), boxes, st.floats(0.0, 0.2))
def test_whatever_is_left_holds_what_is_kept_and_nobody_else(
    crowd: list[Box], keep: Box, area_max: float
) -> None:
    room = box_leaving_out(UNIT_BOX, keep, [CrowdedBox(box, area_max) for box in crowd])
    if room is None:
        assert any(box.clipped(keep).area > 0.0 for box in crowd)
    else:
        assert keep.clipped(room) == keep
        assert all(box.clipped(room).area <= area_max for box in crowd)
