from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.geometry import Box, view_angle_deg, view_angles
from wan_prep.pose import body as bodies
from wan_prep.pose import skeleton
from wan_prep.pose.body import Body, FaceBox
from wan_prep.pose.skeleton import LIMBS, MIRROR, Joint


def with_point(body: Body, joint: Joint, xy: tuple[float, float]) -> Body:
    points = body.keypoints_xy.copy()
    points[joint] = xy
    return replace(body, keypoints_xy=points)


def hidden(body: Body, *joints: Joint) -> Body:
    visibility = body.visibility.copy()
    visibility[list(joints)] = 0.1
    return replace(body, visibility=visibility)


# ------------------------------------------------------------------ the skeleton as data


def test_mirroring_twice_is_nothing_and_the_nose_is_its_own_partner() -> None:
    np.testing.assert_array_equal(MIRROR[MIRROR], np.arange(33))
    assert MIRROR[Joint.NOSE] == Joint.NOSE
    assert MIRROR[Joint.MOUTH_LEFT] == Joint.MOUTH_RIGHT
    assert MIRROR[Joint.LEFT_FOOT_INDEX] == Joint.RIGHT_FOOT_INDEX
    assert (MIRROR[1:] != np.arange(1, 33)).all()


def test_every_limb_has_a_partner_on_the_other_side() -> None:
    for name, (near, far) in LIMBS.items():
        other = name.replace("left", "?").replace("right", "left").replace("?", "right")
        assert LIMBS[other] == (MIRROR[near], MIRROR[far])


def test_labels_are_words() -> None:
    assert skeleton.label(Joint.LEFT_KNEE) == "left knee"


# ------------------------------------------------------------------ one body


def test_the_adult_in_numbers(make: Any) -> None:
    body = make.body()
    np.testing.assert_allclose(bodies.neck_xy(body), (360.0, 350.0))
    assert bodies.px_per_m(body) == pytest.approx(500.0)
    np.testing.assert_allclose(bodies.view_matrix(body), np.diag([1.0, -1.0, -1.0]), atol=1e-12)
    # Eyes at 240 px, mouth at 280 px: 240 - 1.7 * 40.
    assert bodies.crown_y(body) == pytest.approx(172.0)
    assert bodies.in_frame(body).all()


def test_the_box_holds_head_and_feet(make: Any) -> None:
    # Joints from x 260 to 460 and y 250 (ears) to 1050 (ankles); 6 % of 800 px all round,
    # the crown above.
    box = bodies.body_box(make.body())
    assert box == pytest.approx((260 - 48, 172, 460 + 48, 1050 + 48))


def test_the_box_is_made_of_visible_joints_and_stays_in_the_picture(make: Any) -> None:
    legs = (*skeleton.KNEES, *skeleton.ANKLES)
    bust = bodies.body_box(hidden(make.body(), *legs))
    # Down to the wrists at 625 px, 6 % of 375 px more.
    assert bust.bottom == pytest.approx(625 + 22.5)
    cut = bodies.body_box(make.body(hips=(360.0, 1030.0)))
    assert cut.bottom == 1280.0


def test_a_body_of_which_nothing_is_visible_is_boxed_by_its_head(make: Any) -> None:
    box = bodies.body_box(make.body(visibility=0.0))
    assert box.top == pytest.approx(172.0)
    assert box.bottom < 300.0


def test_the_head_box_is_centred_between_eyes_and_mouth(make: Any) -> None:
    box = bodies.head_box(make.body())
    # Ears 75 px apart, 1.3 eye-mouth distances are 52 px: the larger half counts.
    assert box == pytest.approx((308.0, 260 - 57.2, 412.0, 260 + 57.2))


def test_the_face_fills_the_middle_of_the_head_box(make: Any) -> None:
    """104 x 114.4 px around (360, 260): 0.83 and 0.73 of it, 4.576 px lower."""
    face = bodies.face_by_head(make.body().keypoints_xy)
    assert (face.width, face.height) == pytest.approx((86.32, 83.512))
    assert face.center == pytest.approx((360.0, 264.576))


def test_joints_outside_the_picture_or_unseen_are_not_trusted(make: Any) -> None:
    body = hidden(make.body(hips=(360.0, 900.0)), Joint.LEFT_WRIST)
    trusted = bodies.trusted(body)
    assert not trusted[Joint.LEFT_ANKLE]  # at 1350 px of 1280
    assert not trusted[Joint.LEFT_WRIST]
    assert trusted[Joint.RIGHT_WRIST]
    assert not bodies.in_frame(body)[Joint.LEFT_ANKLE]
    assert bodies.in_frame(body)[Joint.LEFT_WRIST]


@given(scale=st.floats(20, 2000), x=st.floats(-200, 900), pose=st.floats(0, 80))
def test_the_scale_is_that_of_the_camera_whatever_the_pose(
    make: Any, scale: float, x: float, pose: float
) -> None:
    """Bowed or straight, cut or whole: px per m is what made the picture."""
    world = make.turned("x", pose)
    body = make.body(world, hips=(x, 640.0), px_per_m=scale)
    measured = bodies.px_per_m(body)
    if bodies.trusted(body)[list(skeleton.BODY)].sum() >= 3:
        assert measured == pytest.approx(scale, rel=1e-6)
    else:
        assert measured is None


def test_the_scale_takes_the_networks_own_axes(make: Any) -> None:
    """Turned into the picture's camera, metres no longer match the pixels."""
    body = replace(make.body(), world_xyz=make.turned("y", 40))
    assert bodies.px_per_m(body) == pytest.approx(500.0)


def test_nothing_visible_has_no_scale(make: Any) -> None:
    assert bodies.px_per_m(make.body(visibility=0.2)) is None


def test_a_degenerate_torso_has_no_view(make: Any) -> None:
    assert bodies.view_matrix(make.body(np.zeros((33, 3)))) is None


# ------------------------------------------------------------------ mirrors


def test_a_mirrored_picture_shows_the_same_person_the_other_way_round(make: Any) -> None:
    body = with_point(make.body(hips=(300.0, 600.0)), Joint.LEFT_WRIST, (500.0, 300.0))
    back = bodies.mirrored(body)
    np.testing.assert_allclose(back.keypoints_xy[Joint.RIGHT_WRIST], (220.0, 300.0))
    np.testing.assert_allclose(bodies.neck_xy(back), (420.0, 350.0))
    assert bodies.px_per_m(back) == pytest.approx(bodies.px_per_m(body))


@given(yaw=st.floats(-170, 170))
def test_mirroring_twice_gives_the_body_back(make: Any, yaw: float) -> None:
    body = make.body(make.turned("y", yaw), hips=(300.0, 600.0))
    twice = bodies.mirrored(bodies.mirrored(body))
    np.testing.assert_allclose(twice.keypoints_xy, body.keypoints_xy)
    np.testing.assert_allclose(twice.world_xyz, body.world_xyz)
    np.testing.assert_array_equal(twice.visibility, body.visibility)


# ------------------------------------------------------------------ consensus


def test_one_look_is_its_own_consensus(make: Any) -> None:
    body = make.body()
    assert bodies.consensus([body]) is body


def test_the_consensus_is_the_median_joint_by_joint(make: Any) -> None:
    looks = [make.body(hips=(x, 600.0)) for x in (360.0, 364.0, 500.0)]
    agreed = bodies.consensus(looks)
    np.testing.assert_allclose(bodies.neck_xy(agreed), (364.0, 350.0))
    assert agreed.looks == 3


def test_a_look_that_answers_back_for_front_is_left_out(make: Any) -> None:
    looks = [
        make.body(make.turned("y", 180), hips=(900.0, 600.0)),
        make.body(),
        make.body(make.turned("y", 10)),
    ]
    agreed = bodies.consensus(looks)
    assert agreed.looks == 2
    np.testing.assert_allclose(bodies.neck_xy(agreed), (360.0, 350.0), atol=1e-9)


def test_looks_that_see_the_other_side_are_kept_apart(make: Any) -> None:
    """Turned round, the body is what these looks saw, not a guess with its names exchanged."""
    face = FaceBox(Box(1.0, 2.0, 3.0, 4.0), None, None, 0.3)
    fronts = [make.body(make.turned("y", yaw)) for yaw in (-10, 0, 10)]
    backs = [make.body(make.turned("y", yaw), hips=(380.0, 600.0)) for yaw in (150, 170)]
    sideways = make.body(make.turned("y", 90))
    agreed = bodies.consensus([*fronts, *backs, sideways])
    assert (agreed.looks, agreed.agreement) == (3, pytest.approx(3 / 6))
    back = bodies.turned_round(agreed.with_face(face))
    assert view_angles(bodies.view_matrix(back)).yaw == pytest.approx(-160.0, abs=1.0)
    np.testing.assert_allclose(bodies.neck_xy(back), (380.0, 350.0), atol=1e-9)
    assert (back.looks, back.agreement, back.face) == (2, pytest.approx(2 / 6), face)
    assert not back.turned


def test_without_a_look_from_the_other_side_the_names_are_exchanged(make: Any) -> None:
    agreed = bodies.consensus([make.body(), make.body(), make.body(make.turned("y", 90))])
    assert agreed.opposite is None
    assert bodies.turned_round(agreed).turned


def test_looks_without_a_view_still_have_a_consensus(make: Any) -> None:
    looks = [make.body(np.zeros((33, 3)), hips=(x, 600.0)) for x in (100.0, 200.0, 240.0)]
    agreed = bodies.consensus(looks)
    np.testing.assert_allclose(agreed.keypoints_xy[0], (200.0, 600.0))


def test_the_face_of_a_body_can_be_set_and_taken_away(make: Any) -> None:
    face = FaceBox(Box(1.0, 2.0, 3.0, 4.0), 0.0, 0.0, 1.0)
    body = make.body().with_face(face)
    assert body.face == face
    assert body.with_face(None).face is None


def test_hips_that_are_not_seen_do_not_tip_the_torso(make: Any) -> None:
    """A guess of the network's: the hips 0.4 m nearer than the shoulders, and out of sight."""
    world = make.turned("y", 30.0)
    world[23:33, 2] -= 0.4
    body = make.body(world)
    tipped = view_angles(bodies.view_matrix(body))
    assert abs(tipped.pitch) > 20.0
    visibility = body.visibility.copy()
    visibility[[23, 24]] = 0.1
    upright = view_angles(bodies.view_matrix(replace(body, visibility=visibility)))
    assert upright.pitch == pytest.approx(0.0, abs=0.5)
    straight = view_angles(bodies.view_matrix(make.body(make.turned("y", 30.0))))
    assert upright.yaw == pytest.approx(straight.yaw, abs=3.0)


def test_across_the_picture_metres_and_pixels_count_alike(make: Any) -> None:
    """What the network says in px and in m differs: the view is that of the mean of both."""
    body = make.body(make.turned("y", -40.0))
    metres = make.turned("y", -40.0)
    metres[:, 0] = make.turned("y", -20.0)[:, 0]
    both = body.world_xyz.copy()
    both[:, 0] = (body.world_xyz[:, 0] + metres[:, 0]) / 2.0
    told_twice = replace(body, world_xyz=metres, local_xyz=metres)
    told_once = make.body(both)
    assert told_twice.px_per_m == pytest.approx(500.0, rel=0.05)
    np.testing.assert_allclose(
        view_angles(bodies.view_matrix(told_twice)),
        view_angles(bodies.view_matrix(told_once)),
        atol=1.0,
    )


def test_pixels_are_turned_by_the_viewing_ray_as_metres_are(make: Any) -> None:
    """A body that faces the lens from a corner of the picture."""
    local = make.adult()
    ray = make.rotation("y", 20.0) @ make.rotation("x", -10.0)
    body = replace(make.body(local, hips=(500.0, 650.0)), world_xyz=local @ ray.T)
    np.testing.assert_allclose(
        bodies.view_matrix(body), ray @ np.diag([1.0, -1.0, -1.0]), atol=1e-9
    )


def test_without_a_scale_the_view_comes_from_metres_alone(make: Any) -> None:
    body = replace(make.body(make.turned("y", 30.0)), keypoints_xy=np.full((33, 2), 300.0))
    assert body.px_per_m is None
    assert view_angles(bodies.view_matrix(body)).yaw == pytest.approx(-30.0, abs=1e-6)


def stooped(world: Any, metres: float) -> Any:
    """The same torso with its shoulders so much nearer to the camera than its hips."""
    nearer = world.copy()
    nearer[:23, 2] -= metres
    return nearer


@pytest.mark.parametrize("yaw", [30.0, -50.0, 70.0, 140.0, -120.0])
@pytest.mark.parametrize("roll", [0.0, 25.0])
@pytest.mark.parametrize("metres", [0.1, -0.1])
def test_the_depth_of_a_turned_spine_is_told_by_its_right_angle_to_the_sides(
    make: Any, yaw: float, roll: float, metres: float
) -> None:
    """0.1 m over a spine of 0.5 m are 11 degrees of pitch."""
    world = make.turned("y", -yaw) @ make.rotation("z", roll).T
    truth = bodies.view_matrix(make.body(world))
    seen = bodies.view_matrix(make.body(stooped(world, metres)))
    assert view_angle_deg(seen, truth) < 5.0


@pytest.mark.parametrize("yaw", [0.0, 180.0])
def test_of_a_torso_that_faces_the_camera_the_right_angle_tells_nothing(
    make: Any, yaw: float
) -> None:
    body = make.body(stooped(make.turned("y", yaw), 0.15))
    assert view_angles(bodies.view_matrix(body)).pitch == pytest.approx(16.7, abs=0.1)


@given(
    yaw=st.floats(-180, 180),
    pitch=st.floats(-40, 40),
    roll=st.floats(-40, 40),
    wide=st.floats(0.4, 1.6),
    long=st.floats(0.6, 1.4),
)
def test_a_torso_of_any_proportions_keeps_its_view(
    make: Any, yaw: float, pitch: float, roll: float, wide: float, long: float
) -> None:
    """A child, a broad man, a cartoon: only the angle between sides and spine is known."""
    turn = make.rotation("z", roll) @ make.rotation("x", pitch) @ make.rotation("y", yaw)
    body = make.body(make.adult() * (wide, long, 1.0) @ turn.T)
    np.testing.assert_allclose(
        bodies.view_matrix(body), turn @ np.diag([1.0, -1.0, -1.0]), atol=1e-9
    )


def test_a_joint_that_looks_disagree_about_is_seen_less(make: Any) -> None:
    body = make.body()
    points = body.keypoints_xy.copy()
    scale = body.px_per_m
    assert scale is not None
    points[25] += (0.0, 0.48 * scale)
    looks = [body, replace(body, keypoints_xy=points)]
    agreed = bodies.consensus(looks)
    # Each look lies 0.24 m from their middle: four times what is still agreement.
    assert agreed.visibility[25] == pytest.approx(body.visibility[25] / 4, rel=0.05)
    assert agreed.visibility[26] == pytest.approx(body.visibility[26])


# ------------------------------------------------------------------ a front for a back


def test_a_front_turned_round_is_a_back_of_the_same_outline(make: Any) -> None:
    """The raised left hand becomes the right hand of somebody who looks away."""
    body = with_point(make.body(hips=(300.0, 600.0)), Joint.LEFT_WRIST, (500.0, 300.0))
    body = hidden(body, Joint.LEFT_KNEE)
    back = bodies.turned_round(body)
    np.testing.assert_array_equal(back.keypoints_xy[Joint.RIGHT_WRIST], (500.0, 300.0))
    np.testing.assert_array_equal(back.keypoints_xy[Joint.LEFT_WRIST], (200.0, 625.0))
    assert sorted(map(tuple, back.keypoints_xy)) == sorted(map(tuple, body.keypoints_xy))
    assert (back.visibility[Joint.RIGHT_KNEE], back.visibility[Joint.LEFT_KNEE]) == (0.1, 1.0)
    # The left hip, at 0.15 m, is now on the picture's left; what was near stays near.
    np.testing.assert_allclose(back.world_xyz[Joint.LEFT_HIP], (-0.15, 0.0, 0.0))
    np.testing.assert_allclose(back.world_xyz[Joint.LEFT_FOOT_INDEX], (-0.15, 0.95, -0.12))
    np.testing.assert_allclose(back.local_xyz, back.world_xyz)
    np.testing.assert_allclose(bodies.view_matrix(back), np.diag([-1.0, -1.0, 1.0]), atol=1e-12)


@given(yaw=st.floats(-179, 179), pitch=st.floats(-40, 40))
def test_turning_round_is_its_own_inverse(make: Any, yaw: float, pitch: float) -> None:
    world = make.turned("y", yaw) @ make.rotation("x", pitch).T
    body = replace(make.body(world, hips=(300.0, 600.0)), local_xyz=make.turned("y", yaw))
    twice = bodies.turned_round(bodies.turned_round(body))
    for name in ("keypoints_xy", "visibility", "world_xyz", "local_xyz"):
        np.testing.assert_array_equal(getattr(twice, name), getattr(body, name))


@pytest.mark.parametrize(
    ("yaw", "pitch", "round_yaw"),
    [(30, 0, -150), (-30, 0, 150), (90, 0, -90), (150, 0, -30), (30, 20, -150), (-90, -10, 90)],
)
def test_turned_round_the_view_is_turned_about_the_spine(
    make: Any, yaw: float, pitch: float, round_yaw: float
) -> None:
    """The nearer shoulder stays the nearer one, under the other name; above stays above."""
    body = make.body(make.turned("y", -yaw) @ make.rotation("x", pitch).T)
    seen, back = (view_angles(bodies.view_matrix(b)) for b in (body, bodies.turned_round(body)))
    assert (seen.yaw, seen.pitch) == pytest.approx((yaw, pitch), abs=1e-6)
    assert back == pytest.approx((round_yaw, pitch, seen.roll), abs=1e-6)


def test_turned_round_keeps_scale_place_looks_and_face(make: Any) -> None:
    face = FaceBox(Box(1.0, 2.0, 3.0, 4.0), None, None, 0.3)
    body = replace(make.body(make.turned("y", 40.0)), looks=4, face=face)
    back = bodies.turned_round(body)
    assert (back.size, back.looks, back.face) == ((720, 1280), 4, face)
    assert bodies.px_per_m(back) == pytest.approx(500.0)
    assert bodies.body_box(back) == pytest.approx(bodies.body_box(body))
    assert bodies.crown_y(back) == pytest.approx(bodies.crown_y(body))


def test_a_face_has_a_size_only_where_a_mesh_gave_it_one(make: Any) -> None:
    box = Box(1.0, 2.0, 3.0, 4.0)
    assert FaceBox(box, None, None, 0.3).span_px is None
    measured = FaceBox(box, 0.0, 0.0, 1.0, 70.0)
    assert measured.span_px == 70.0
    body = make.body().with_face(measured)
    assert bodies.turned_round(body).face == measured
    assert bodies.consensus([body, make.body()]).face == measured


def test_the_place_of_a_face_is_the_same_in_px_and_in_fractions(make: Any) -> None:
    """A head of a tenth of the picture, whose box in fractions is far below 1 px."""
    body = make.body(hips=(500.0, 500.0), px_per_m=400.0, size=(1000, 1000))
    in_px = bodies.face_by_head(body.keypoints_xy)
    in_fractions = bodies.face_by_head(body.keypoints_xy / 1000.0)
    assert in_px.width > 20.0
    assert in_fractions == pytest.approx(in_px.scaled(0.001, 0.001))
