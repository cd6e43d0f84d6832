from __future__ import annotations

import math
import weakref
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.geometry import Box, Size
from wan_prep.measures import pair
from wan_prep.measures.face import face_crop, face_crop_share, face_px
from wan_prep.measures.model import Measures, ShotPair, typical
from wan_prep.measures.pair import (
    HEADS_ALIKE,
    aspect_gap,
    compare_proportions,
    limb_angles,
    limb_angles_in_plane,
    zoom_ratio,
)
from wan_prep.measures.parts import body_parts
from wan_prep.measures.side import (
    SubjectInFrame,
    anchor_xy,
    cut_edges,
    display_aspect,
    frame_height_m,
    headroom,
    plumb_deg,
    shot_class,
    subject_in_frame,
)
from wan_prep.pose.skeleton import ANKLES, HEAD, HIPS, KNEES, LIMBS, SHOULDERS, Joint
from wan_prep.profile import default_profile

PROFILE = default_profile()


def measure(image: SubjectInFrame, video: SubjectInFrame) -> Measures:
    return pair.measure(image, video, PROFILE)


def confidences(image: SubjectInFrame, video: SubjectInFrame) -> dict[str, float]:
    return pair.confidences(image, video, PROFILE)


def moved(make: Any, **places: tuple[float, float, float]) -> np.ndarray:
    """The adult with single joints elsewhere, in metres from where they were."""
    world = make.adult()
    for name, by in places.items():
        world[Joint[name.upper()]] += by
    return world


def raised_left_arm(make: Any, angle: float) -> np.ndarray:
    """The straight left arm turned by `angle` from hanging towards the person's left."""
    world = make.adult()
    arm = [Joint.LEFT_ELBOW, Joint.LEFT_WRIST]
    shoulder = world[Joint.LEFT_SHOULDER]
    world[arm] = shoulder + (world[arm] - shoulder) @ make.rotation("z", -angle).T
    return world


def hide(s: SubjectInFrame, *joints: Joint) -> SubjectInFrame:
    visibility = np.array(s.subject.visibility)
    visibility[list(joints)] = 0.1
    return SubjectInFrame(
        s.subject.model_copy(update={"visibility": visibility}), s.content, s.size
    )


# ------------------------------------------------------------------ zoom and placement


def test_a_pair_that_matches_itself(make: Any) -> None:
    m = measure(make.framed(), make.framed())
    assert (m.zoom_ratio, m.offset_x, m.offset_y, m.placement) == (1.0, 0.0, 0.0, 0.0)
    assert (m.yaw, m.pitch, m.roll, m.view_angle) == (0.0, 0.0, 0.0, 0.0)
    assert (m.pose_angle, m.shot_distance) == (0.0, 0)
    assert len(m.limbs) == len(m.limbs_in_plane) == 8
    assert set(m.proportions.values()) == {1.0}
    assert (m.shot.only_image, m.shot.only_video) == ((), ())


def test_zoom_is_above_one_where_the_image_shows_the_subject_larger(make: Any) -> None:
    image, video = make.framed(make.body(px_per_m=500.0)), make.framed(make.body(px_per_m=250.0))
    assert frame_height_m(image) == pytest.approx(2.56)
    assert frame_height_m(video) == pytest.approx(5.12)
    assert measure(image, video).zoom_ratio == pytest.approx(2.0)
    assert measure(video, image).zoom_ratio == pytest.approx(0.5)


def test_zoom_does_not_depend_on_the_number_of_pixels(make: Any) -> None:
    small = make.body(hips=(90.0, 150.0), px_per_m=125.0, size=(180, 320))
    m = measure(make.framed(small), make.framed())
    assert m.zoom_ratio == pytest.approx(1.0)
    assert (m.offset_x, m.offset_y) == pytest.approx((0.0, 0.0))


def test_offsets_are_image_minus_video(make: Any) -> None:
    image = make.framed(make.body(hips=(432.0, 536.0)))
    m = measure(image, make.framed())
    np.testing.assert_allclose(anchor_xy(image), (0.6, 286 / 1280), atol=1e-5)
    assert m.offset_x == pytest.approx(0.1, abs=1e-5)
    assert m.offset_y == pytest.approx(-0.05, abs=1e-5)
    assert m.placement == pytest.approx(math.hypot(0.1, 0.05), abs=1e-5)


def test_black_bars_do_not_count(make: Any) -> None:
    """The same picture, once bare and once with a fifth of bars at either end."""
    bare = make.framed()
    body = make.body(hips=(360.0, 240.0 + 600.0), size=(720, 1760))
    barred = SubjectInFrame(make.subject(body), Box(0.0, 240 / 1760, 1.0, 1520 / 1760), body.size)
    assert frame_height_m(barred) == pytest.approx(2.56)
    assert headroom(barred) == pytest.approx(headroom(bare), abs=1e-4)
    m = measure(barred, bare)
    assert m.zoom_ratio == pytest.approx(1.0)
    assert (m.offset_x, m.offset_y) == pytest.approx((0.0, 0.0), abs=1e-4)
    assert frame_height_m(
        SubjectInFrame(barred.subject, Box(0, 0, 1, 1), barred.size)
    ) == pytest.approx(3.52)


def test_headroom_is_the_share_above_the_crown(make: Any) -> None:
    assert headroom(make.framed()) == pytest.approx(172 / 1280)
    assert headroom(make.framed(make.body(hips=(360.0, 364.0)))) == pytest.approx(-64 / 1280)


def test_an_unknown_scale_gives_no_zoom(make: Any) -> None:
    unknown = make.framed(px_per_m=None)
    assert frame_height_m(unknown) is None
    assert measure(unknown, make.framed()).zoom_ratio is None
    assert measure(make.framed(), unknown).zoom_ratio is None
    assert measure(make.framed(), unknown).offset_x == 0.0


@given(factor=st.floats(0.2, 5.0), dx=st.floats(-0.3, 0.3), dy=st.floats(-0.3, 0.3))
def test_zoom_and_shift_come_back(make: Any, factor: float, dx: float, dy: float) -> None:
    neck = np.array([360.0, 350.0]) + np.array([dx, dy]) * (720, 1280)
    zoomed = make.body(hips=tuple(neck + (0.0, 250.0 * factor)), px_per_m=500.0 * factor)
    m = measure(make.framed(zoomed, px_per_m=500.0 * factor), make.framed())
    assert m.zoom_ratio == pytest.approx(factor, rel=1e-6)
    assert (m.offset_x, m.offset_y) == pytest.approx((dx, dy), abs=3e-5)


# ------------------------------------------------------------------ shots and edges


@pytest.mark.parametrize(
    ("hips_y", "px_per_m", "shot"),
    [
        (600.0, 500.0, "full"),
        # Ankles at 1350 px, knees at 1125 px of 1280.
        (900.0, 500.0, "three_quarter"),
        # Knees at 1300 px, hips at 850 px.
        (850.0, 1000.0, "half"),
        # Hips at 1400 px, shoulders at 900 px.
        (1400.0, 1000.0, "bust"),
        # Shoulders at 1300 px, the nose at 1030 px.
        (2050.0, 1500.0, "face"),
    ],
)
def test_shot_classes(make: Any, hips_y: float, px_per_m: float, shot: str) -> None:
    assert shot_class(make.framed(make.body(hips=(360.0, hips_y), px_per_m=px_per_m))) == shot


@pytest.mark.parametrize(
    ("ankles_y", "shot"), [(0.985, "full"), (0.989, "full"), (0.991, "three_quarter")]
)
def test_the_last_hundredth_does_not_count(make: Any, ankles_y: float, shot: str) -> None:
    body = make.body(hips=(360.0, ankles_y * 1280 - 450.0))
    assert shot_class(make.framed(body)) == shot


def test_joints_that_are_not_seen_do_not_count(make: Any) -> None:
    assert shot_class(hide(make.framed(), *ANKLES)) == "three_quarter"
    assert shot_class(hide(make.framed(), *ANKLES, *KNEES)) == "half"
    assert shot_class(hide(make.framed(), *ANKLES, *KNEES, *HIPS)) == "bust"
    assert shot_class(hide(make.framed(), *ANKLES, *KNEES, *HIPS, *SHOULDERS)) == "face"


def test_one_ankle_is_enough(make: Any) -> None:
    assert shot_class(hide(make.framed(), Joint.LEFT_ANKLE)) == "full"


def test_a_shot_is_cut_by_black_bars_too(make: Any) -> None:
    s = make.framed(content=Box(0.0, 0.0, 1.0, 0.7))
    assert shot_class(s) == "three_quarter"
    assert cut_edges(s) == ("bottom",)


@pytest.mark.parametrize(
    ("hips", "edges"),
    [
        ((360.0, 600.0), ()),
        ((360.0, 1000.0), ("bottom",)),
        ((360.0, 420.0), ("top",)),
        ((80.0, 600.0), ("left",)),
        ((650.0, 1000.0), ("bottom", "right")),
    ],
)
def test_edges_that_cut_the_body(make: Any, hips: tuple, edges: tuple) -> None:
    assert cut_edges(make.framed(make.body(hips=hips))) == edges


def test_joints_that_only_one_side_shows(make: Any) -> None:
    image, video = make.framed(make.body(hips=(360.0, 900.0))), make.framed()
    m = measure(image, video)
    assert (m.shot.image, m.shot.video, m.shot_distance) == ("three_quarter", "full", 1)
    assert (m.shot.only_image, m.shot.only_video) == ((), ("left ankle", "right ankle"))
    back = measure(video, image)
    assert (back.shot.only_image, back.shot.only_video) == (("left ankle", "right ankle"), ())


def test_shot_distance_counts_classes(make: Any) -> None:
    face = make.framed(make.body(hips=(360.0, 2050.0), px_per_m=1500.0))
    assert measure(face, make.framed()).shot_distance == 4


# ------------------------------------------------------------------ views


def test_views_are_image_minus_video(make: Any) -> None:
    turned = make.framed(make.body(make.turned("y", -30.0)))
    m = measure(turned, make.framed())
    assert (m.yaw, m.pitch, m.roll) == pytest.approx((30.0, 0.0, 0.0), abs=1e-2)
    assert m.view_angle == pytest.approx(30.0, abs=1e-2)
    leaning = measure(make.framed(), make.framed(make.body(make.turned("z", 20.0))))
    assert leaning.roll == pytest.approx(-20.0, abs=1e-2)


def test_front_against_back(make: Any) -> None:
    back = make.framed(make.body(make.turned("y", 180.0)))
    m = measure(back, make.framed())
    assert m.view_angle == pytest.approx(180.0, abs=0.5)
    assert m.pose_angle == pytest.approx(0.0, abs=1e-2)


def test_an_unknown_view_leaves_out_what_needs_it(make: Any) -> None:
    m = measure(make.framed(view_matrix=None), make.framed())
    assert (m.yaw, m.pitch, m.roll, m.view_angle, m.pose_angle) == (None,) * 5
    assert m.limbs == {}
    assert len(m.limbs_in_plane) == 8


# ------------------------------------------------------------------ limbs


@pytest.mark.parametrize("angle", [0.0, 45.0, 90.0, 135.0, 180.0])
def test_a_raised_arm_is_off_by_what_it_was_raised(make: Any, angle: float) -> None:
    wide = {"hips": (640.0, 640.0), "size": (1280, 1280)}
    image = make.framed(make.body(raised_left_arm(make, angle), **wide))
    video = make.framed(make.body(**wide))
    limbs = limb_angles(image, video)
    assert limbs["left_upper_arm"] == pytest.approx(angle, abs=5e-3)
    assert limbs["left_forearm"] == pytest.approx(angle, abs=5e-3)
    others = {n: a for n, a in limbs.items() if not n.startswith("left_") or "arm" not in n}
    assert len(others) == 6
    assert max(others.values()) < 1e-3
    # Two of eight limbs.
    assert measure(image, video).pose_angle == pytest.approx(angle / 4, abs=5e-3)
    assert limb_angles_in_plane(image, video)["left_forearm"] == pytest.approx(angle, abs=5e-3)


def test_an_arm_stretched_to_the_camera_shows_in_space_only(make: Any) -> None:
    world = make.adult()
    world[Joint.LEFT_WRIST] = world[Joint.LEFT_ELBOW] + (0.0, 0.1, -0.3)
    image, video = make.framed(make.body(world)), make.framed()
    expected = math.degrees(math.atan2(0.3, 0.1))
    assert limb_angles(image, video)["left_forearm"] == pytest.approx(expected, abs=1e-2)
    assert limb_angles_in_plane(image, video)["left_forearm"] == pytest.approx(0.0, abs=1e-2)


def test_limbs_count_where_both_show_them(make: Any) -> None:
    without_shins = measure(make.framed(make.body(hips=(360.0, 900.0))), make.framed())
    assert {n for n in without_shins.limbs if "shin" in n} == set()
    assert len(without_shins.limbs) == 6
    without_wrist = limb_angles(make.framed(), hide(make.framed(), Joint.LEFT_WRIST))
    assert "left_forearm" not in without_wrist
    assert "left_upper_arm" in without_wrist


def test_no_limb_in_both_gives_no_angle(make: Any) -> None:
    face = make.framed(make.body(hips=(360.0, 2050.0), px_per_m=1500.0))
    assert measure(face, make.framed()).pose_angle is None


@given(
    yaw=st.floats(-180, 180),
    pitch=st.floats(-60, 60),
    roll=st.floats(-180, 180),
    raised=st.floats(0, 180),
)
def test_turning_the_whole_body_does_not_change_the_pose(
    make: Any, yaw: float, pitch: float, roll: float, raised: float
) -> None:
    turn = make.rotation("z", roll) @ make.rotation("x", pitch) @ make.rotation("y", yaw)
    world = raised_left_arm(make, raised)
    size = {"hips": (640.0, 640.0), "px_per_m": 300.0, "size": (1280, 1280)}
    image = make.framed(make.body(world @ turn.T, **size))
    m = measure(image, make.framed(make.body(**size)))
    assert m.pose_angle == pytest.approx(raised / 4, abs=2e-2)


# ------------------------------------------------------------------ proportions


def test_parts_in_px(make: Any) -> None:
    parts = body_parts(make.framed())
    assert all(part.seen == 1.0 for part in parts.values())
    assert {name: part.px for name, part in parts.items()} == pytest.approx(
        {"head": 40.0, "shoulders": 200.0, "hips": 150.0, "torso": 250.0, "legs": 450.0}, rel=1e-3
    )


def large_headed(make: Any, factor: float) -> Any:
    world = make.adult()
    chin = world[[Joint.MOUTH_LEFT, Joint.MOUTH_RIGHT]].mean(axis=0)
    world[list(HEAD)] = chin + factor * (world[list(HEAD)] - chin)
    return make.body(world)


def test_a_head_twice_as_large_is_two(make: Any) -> None:
    ratios, _ = compare_proportions(make.framed(large_headed(make, 2.0)), make.framed())
    assert ratios == pytest.approx(
        {"head": 2.0, "shoulders": 1.0, "torso": 1.0, "legs": 1.0, "width": 1.0}, rel=1e-3
    )


def test_two_face_meshes_decide_about_the_head(make: Any) -> None:
    """108 px at 600 px per m against 60 px at 500: 0.18 m against 0.12 m."""
    image = sized(make, 600.0, 108.0, body=make.body(px_per_m=600.0))
    video = sized(make, 500.0, 60.0)
    assert body_parts(image)["face"].px == 108.0
    assert compare_proportions(image, video)[0]["head"] == pytest.approx(1.5)
    without = sized(make, 500.0, None)
    assert compare_proportions(image, without)[0]["head"] == pytest.approx(1.0, rel=1e-3)


def test_a_wide_body_is_as_long_as_a_narrow_one(make: Any) -> None:
    """Twice as wide on a scale that stays: width sqrt(2 * 2) / 1."""
    world = make.adult()
    world[:, 0] *= 2.0
    ratios, _ = compare_proportions(make.framed(make.body(world, px_per_m=300.0)), make.framed())
    assert ratios == pytest.approx(
        {"head": 1.0, "shoulders": 2.0, "torso": 1.0, "legs": 1.0, "width": 2.0}, rel=1e-3
    )


def test_proportions_do_not_depend_on_the_cameras_distance(make: Any) -> None:
    near, far = make.framed(make.body(px_per_m=600.0)), make.framed(make.body(px_per_m=150.0))
    assert list(compare_proportions(near, far)[0].values()) == pytest.approx([1.0] * 5, rel=2e-3)


def test_foreshortened_parts_are_left_out(make: Any) -> None:
    sideways = make.framed(make.body(make.turned("y", 60.0)))
    assert "shoulders" not in body_parts(sideways)
    assert "torso" in body_parts(sideways)
    nodding = moved(make, mouth_left=(0, 0, 0.1), mouth_right=(0, 0, 0.1))
    assert "head" not in body_parts(make.framed(make.body(nodding)))


def test_a_head_from_behind_has_no_face_to_measure(make: Any) -> None:
    parts = body_parts(make.framed(make.body(make.turned("y", 180.0))))
    assert set(parts) == {"shoulders", "hips", "torso", "legs"}


def test_one_straight_leg_is_enough(make: Any) -> None:
    """The other shin points at the camera."""
    kneeling = moved(make, left_ankle=(0.0, -0.4, 0.4))
    assert body_parts(make.framed(make.body(kneeling)))["legs"].px == pytest.approx(450.0, rel=1e-3)
    both = moved(make, left_ankle=(0.0, -0.4, 0.4), right_ankle=(0.0, -0.4, 0.4))
    assert "legs" not in body_parts(make.framed(make.body(both)))


def test_hidden_parts_are_left_out(make: Any) -> None:
    bust = make.framed(make.body(hips=(360.0, 1400.0), px_per_m=1000.0))
    assert set(body_parts(bust)) == {"head", "shoulders"}
    assert compare_proportions(bust, make.framed())[0] == pytest.approx(
        {"head": 1.0, "shoulders": 1.0}, rel=1e-3
    )


def test_without_a_body_to_measure_by_there_are_no_proportions(make: Any) -> None:
    face = make.framed(make.body(hips=(360.0, 2050.0), px_per_m=1500.0))
    assert compare_proportions(face, make.framed()) == ({}, {})
    assert compare_proportions(make.framed(), face) == ({}, {})
    assert compare_proportions(make.framed(px_per_m=None), make.framed()) == ({}, {})
    assert compare_proportions(make.framed(), make.framed(px_per_m=None)) == ({}, {})


# ------------------------------------------------------------------ faces


def test_the_side_of_a_face(make: Any) -> None:
    """0.16 x 0.09 of 720 x 1280: 115.2 by 115.2 px."""
    assert face_px(make.face, Size(720, 1280)) == pytest.approx(115.2)
    assert face_px(make.face, Size(360, 1280)) == pytest.approx(115.2 / math.sqrt(2))


@pytest.mark.parametrize(
    ("face", "crop", "share"),
    [
        # sqrt 1.3 - 1 = 0.140175: 7.01 px to either side, 10.51 above and 3.50 below.
        (Box(100.0, 200.0, 200.0, 300.0), Box(92.0, 189.0, 207.0, 303.0), 1.0),
        # The same at the top left corner: 93.01 of 114.02 px left in width, 89.50 in height.
        (Box(-14.0, -14.0, 86.0, 86.0), Box(0.0, 0.0, 93.0, 89.0), 0.640365),
        # At the bottom right corner of 640 x 480: 107.01 and 100.51 px left.
        (Box(540.0, 390.0, 640.0, 490.0), Box(532.0, 379.0, 640.0, 480.0), 0.827373),
        # 50 x 80 px: 3.50 to either side, 8.41 above, 2.80 below.
        (Box(300.0, 100.0, 350.0, 180.0), Box(296.0, 91.0, 353.0, 182.0), 1.0),
        # Beyond each edge, and no larger than a point.
        (Box(-200.0, 100.0, -100.0, 200.0), None, 0.0),
        (Box(100.0, -200.0, 200.0, -100.0), None, 0.0),
        (Box(700.0, 100.0, 800.0, 200.0), None, 0.0),
        (Box(100.0, 500.0, 200.0, 600.0), None, 0.0),
        (Box(100.0, 100.0, 100.0, 100.0), None, 0.0),
        # 0.49 of 4.79 px in width: less than a whole one.
        (Box(-4.0, 100.0, 0.2, 104.0), None, 0.103250),
    ],
)
def test_the_models_face_crop(face: Box, crop: Box | None, share: float) -> None:
    size = Size(640, 480)
    assert face_crop(face, size) == crop
    assert face_crop_share(face, size) == pytest.approx(share, abs=1e-4)


@given(
    left=st.floats(-500, 1000),
    top=st.floats(-500, 1000),
    width=st.floats(1, 400),
    height=st.floats(1, 400),
)
def test_a_face_crop_lies_in_the_frame(
    left: float, top: float, width: float, height: float
) -> None:
    box, size = Box(left, top, left + width, top + height), Size(640, 480)
    crop, share = face_crop(box, size), face_crop_share(box, size)
    assert 0.0 <= share <= 1.0 + 1e-9
    if crop is not None:
        assert 0 <= crop.left < crop.right <= 640
        assert 0 <= crop.top < crop.bottom <= 480
        assert all(edge == int(edge) for edge in crop)
        # A whole px may be lost and won at either end.
        assert abs(crop.area - share * 1.3 * box.area) <= 2 * (crop.width + crop.height) + 4


@given(left=st.floats(-300, 0), by=st.floats(0, 300), width=st.floats(1, 400))
def test_less_of_a_face_is_in_the_frame_the_further_it_leaves(
    left: float, by: float, width: float
) -> None:
    near = Box(left, 100.0, left + width, 200.0)
    far = Box(near.left - by, 100.0, near.right - by, 200.0)
    size = Size(640, 480)
    assert face_crop_share(far, size) <= face_crop_share(near, size) + 1e-9


# ------------------------------------------------------------------ over the clip


def test_typical_is_the_median_measure_by_measure() -> None:
    moments = [
        Measures(
            zoom_ratio=z,
            offset_x=x,
            pose_angle=p,
            limbs=limbs,
            shot=ShotPair(image="full", video=None),
        )
        for z, x, p, limbs in (
            (1.0, 0.0, 10.0, {"left_thigh": 4.0}),
            (1.2, None, 20.0, {"left_thigh": 6.0, "left_shin": 50.0}),
            (9.0, 0.2, 90.0, {}),
        )
    ]
    middle = typical(moments)
    assert (middle.zoom_ratio, middle.offset_x, middle.pose_angle) == (1.2, 0.1, 20.0)
    assert middle.limbs == {"left_shin": 50.0, "left_thigh": 5.0}
    assert (middle.offset_y, middle.view_angle, middle.shot.video) == (None, None, None)
    assert middle.shot.image == "full"


def test_the_typical_shot_is_the_most_frequent() -> None:
    shots = ["full", "half", "half", None, "bust"]
    assert (
        typical([Measures(shot=ShotPair(image=None, video=s)) for s in shots]).shot.video == "half"
    )


def test_the_typical_turn_goes_round_the_circle() -> None:
    """A back that sways about 180 degrees is not a front."""
    swaying = [Measures(yaw=y, roll=r) for y, r in ((179, 1), (-179, 2), (-177, 3), (175, 9))]
    middle = typical(swaying)
    assert middle.yaw == pytest.approx(180.0)
    assert middle.roll == pytest.approx(2.5)
    even = typical([Measures(yaw=y) for y in (10.0, 20.0, 60.0)])
    assert even.yaw == pytest.approx(20.0)


def test_typical_of_nothing_is_nothing() -> None:
    assert typical([]) == Measures()
    assert typical([Measures()]) == Measures()


# ------------------------------------------------------------------ aspect


def test_aspect_gap_is_the_larger_over_the_smaller(make: Any) -> None:
    image, video = make.image(width=1080, height=1080), make.video(width=1280, height=720)
    assert display_aspect(video) == pytest.approx(16 / 9)
    assert aspect_gap(image, video) == pytest.approx(16 / 9)
    assert aspect_gap(make.image(width=720, height=1440), make.video()) == pytest.approx(1.125)
    assert aspect_gap(make.image(), make.video()) == 1.0


def test_aspect_is_that_of_the_content_without_bars(make: Any) -> None:
    barred = make.video(width=1000, height=1000, evidence={"content": Box(0.0, 0.125, 1.0, 0.875)})
    assert display_aspect(barred) == pytest.approx(4 / 3)
    assert aspect_gap(make.image(width=400, height=300), barred) == pytest.approx(1.0)


def test_unreadable_media_have_neither_aspect_nor_seat(make: Any) -> None:
    nothing = make.unreadable("video")
    assert display_aspect(nothing) is None
    assert aspect_gap(make.image(), nothing) is None
    with pytest.raises(ValueError, match="unreadable"):
        subject_in_frame(nothing, make.subject())


def test_a_seat_is_the_subject_in_its_picture(make: Any) -> None:
    content = Box(0.1, 0.0, 0.9, 1.0)
    s = subject_in_frame(make.image(evidence={"content": content}), make.subject())
    assert (s.content, s.size) == (content, (720, 1280))
    assert replace(s, content=Box(0, 0, 1, 1)).subject is s.subject
    assert make.image().span == Fraction(0)


# ------------------------------------------------------------------ zoom by joints and by faces


def sized(
    make: Any, px_per_m: float | None, span_px: float | None, **seat_of: Any
) -> SubjectInFrame:
    """720 x 1280 with this scale of the joints and this size of the face; None: unknown."""
    face = make.face.model_copy(update={"span_px": span_px})
    return make.framed(px_per_m=px_per_m, face=face, **seat_of)


NO_FACE_SIZE = [
    pytest.param(lambda make, scale: make.framed(px_per_m=scale, face=None), id="no face"),
    pytest.param(lambda make, scale: sized(make, scale, None), id="no mesh"),
    pytest.param(lambda make, scale: sized(make, scale, 0.0), id="a mesh of one point"),
]


@pytest.mark.parametrize("faceless", NO_FACE_SIZE)
def test_without_both_faces_the_joints_decide(make: Any, faceless: Any) -> None:
    assert zoom_ratio(faceless(make, 500.0), sized(make, 400.0, 80.0)) == pytest.approx(1.25)
    assert zoom_ratio(sized(make, 500.0, 80.0), faceless(make, 400.0)) == pytest.approx(1.25)
    assert zoom_ratio(faceless(make, 500.0), faceless(make, 400.0)) == pytest.approx(1.25)


@pytest.mark.parametrize(
    ("joints", "faces", "zoom"),
    [
        # No disagreement, no matter.
        (2.0, 2.0, 2.0),
        # ln(2 / 2.1) = -0.048790; its weight exp(-0.243951^2) = 0.942224;
        # 2 exp(0.942224 * 0.048790) = 2.094089.
        (2.0, 2.1, 2.094089),
        # ln(1 / 1.1) = -0.095310; exp(-0.476551^2) = 0.796840; exp(0.075947) = 1.078905.
        (1.0, 1.1, 1.078905),
        # As far apart as HEADS_ALIKE: weight 1 / e, exp(0.2 / e) = 1.076350.
        (1.0, math.exp(0.2), 1.076350),
        # ln 0.8 - ln 0.76 = 0.051293; exp(-0.256466^2) = 0.936341; 0.8 exp(-0.048028) = 0.762486.
        (0.8, 0.76, 0.762486),
    ],
)
def test_faces_decide_as_far_as_the_joints_agree(
    make: Any, joints: float, faces: float, zoom: float
) -> None:
    assert HEADS_ALIKE == 0.2
    image, video = sized(make, 400.0 * joints, 60.0 * faces), sized(make, 400.0, 60.0)
    assert zoom_ratio(image, video) == pytest.approx(zoom, abs=2e-6)
    assert zoom_ratio(video, image) == pytest.approx(1 / zoom, abs=4e-6)
    assert measure(image, video).zoom_ratio == zoom_ratio(image, video)


def test_a_head_twice_as_large_in_proportion_hardly_counts(make: Any) -> None:
    """exp(-(0.693147 / 0.2)^2) = exp(-12.0113) = 6.0750e-6 of a factor of 2."""
    character, driver = sized(make, 500.0, 140.0), sized(make, 500.0, 70.0)
    zoom = zoom_ratio(character, driver)
    assert zoom is not None
    assert math.log2(zoom) == pytest.approx(6.0750e-6, rel=1e-4)


def test_without_joints_faces_alone_say_nothing(make: Any) -> None:
    known, unknown = sized(make, 500.0, 70.0), sized(make, None, 70.0)
    assert zoom_ratio(unknown, known) is None
    assert zoom_ratio(known, unknown) is None
    assert zoom_ratio(unknown, unknown) is None


def test_faces_too_are_taken_without_black_bars(make: Any) -> None:
    """1280 of 1760 px are content in both; with the bars 1.375 would lie between the two."""
    body = make.body(hips=(360.0, 240.0 + 600.0), size=(720, 1760))
    content = Box(0.0, 240 / 1760, 1.0, 1520 / 1760)
    barred = sized(make, 500.0, 66.0, body=body, content=content)
    # 1.0 by the joints, 66 / 60 by the faces.
    assert zoom_ratio(barred, sized(make, 500.0, 60.0)) == pytest.approx(1.078905, abs=2e-6)
    assert zoom_ratio(sized(make, 500.0, 60.0), barred) == pytest.approx(0.926866, abs=2e-6)


def test_the_faces_of_pictures_of_two_sizes_compare(make: Any) -> None:
    small = make.body(hips=(90.0, 150.0), px_per_m=125.0, size=(180, 320))
    image = sized(make, 125.0, 16.5, body=small)
    assert zoom_ratio(image, sized(make, 500.0, 60.0)) == pytest.approx(1.078905, abs=2e-6)


@given(joints=st.floats(0.2, 5.0), faces=st.floats(0.2, 5.0))
def test_zoom_lies_between_joints_and_faces(make: Any, joints: float, faces: float) -> None:
    zoom = zoom_ratio(sized(make, 400.0 * joints, 60.0 * faces), sized(make, 400.0, 60.0))
    assert zoom is not None
    assert min(joints, faces) * (1 - 1e-9) <= zoom <= max(joints, faces) * (1 + 1e-9)


# ------------------------------------------------------------------ confidence


def test_a_body_seen_whole_is_believed(make: Any) -> None:
    found = confidences(make.framed(), make.framed())
    assert set(found) == {
        "zoom_ratio",
        "offset",
        "shot",
        "view_angle",
        "pose_angle",
        "proportions",
    }
    assert min(found.values()) > 0.85
    assert (found["offset"], found["shot"], found["view_angle"]) == (1.0, 1.0, 1.0)


def test_hidden_hips_leave_the_turn_three_fifths_believed(make: Any) -> None:
    hidden = hide(make.framed(), *HIPS)  # visibility 0.1: 0.6 x 1 + 0.4 x 0.1
    assert confidences(hidden, make.framed())["view_angle"] == pytest.approx(0.64)
    assert confidences(make.framed(), hidden)["view_angle"] == pytest.approx(0.64)


def test_a_renamed_back_and_disputed_looks_halve_what_is_told_in_space(make: Any) -> None:
    good = make.framed()
    doubtful = [
        replace(good, subject=good.subject.model_copy(update=change))
        for change in ({"turned": True}, {"agreement": 0.5})
    ]
    sure = confidences(good, good)
    for seat_ in doubtful:
        found = confidences(good, seat_)
        assert found["view_angle"] == pytest.approx(sure["view_angle"] / 2)
        assert found["pose_angle"] == pytest.approx(sure["pose_angle"] / 2, abs=1e-4)
        assert found["zoom_ratio"] == sure["zoom_ratio"]


def test_no_limb_in_both_is_no_confidence_in_the_pose(make: Any) -> None:
    arms_and_legs = [j for limb in LIMBS.values() for j in limb]
    assert confidences(hide(make.framed(), *arms_and_legs), make.framed())["pose_angle"] == 0.0


@given(visibility=st.floats(0.0, 1.0), lower=st.floats(0.0, 1.0))
def test_seeing_less_never_makes_surer(make: Any, visibility: float, lower: float) -> None:
    def seen(share: float) -> SubjectInFrame:
        s = make.framed()
        return replace(s, subject=s.subject.model_copy(update={"visibility": np.full(33, share)}))

    more, less = max(visibility, lower), min(visibility, lower)
    a, b = confidences(make.framed(), seen(more)), confidences(make.framed(), seen(less))
    assert all(b[name] <= a[name] + 1e-9 for name in a if name != "shot")
    assert all(0.0 <= value <= 1.0 for value in (*a.values(), *b.values()))


# ------------------------------------------------------------------ the camera's roll


def test_a_plumb_line_turns_with_the_camera_and_not_with_the_spine(make: Any) -> None:
    upright = make.framed()
    assert plumb_deg(upright) == pytest.approx(0.0, abs=1e-6)
    tilted = make.framed(make.body(make.turned("z", 12.0)))
    assert plumb_deg(tilted) == pytest.approx(12.0, abs=0.01)
    assert measure(tilted, upright).camera_roll == pytest.approx(12.0, abs=0.01)
    # shoulders 0.1 m to one side, hips 0.1 m to the other: the spine leans, the balance holds
    bent = make.adult()
    bent[[Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER], 0] += 0.1
    bent[[Joint.LEFT_HIP, Joint.RIGHT_HIP], 0] -= 0.1
    m = measure(make.framed(make.body(bent)), upright)
    assert abs(m.roll) > 15.0
    assert abs(m.camera_roll) < 0.5


def test_without_the_feet_nothing_tells_the_cameras_roll(make: Any) -> None:
    assert plumb_deg(hide(make.framed(), *ANKLES)) is None
    assert measure(hide(make.framed(), *ANKLES), make.framed()).camera_roll is None


# ------------------------------------------------------------------ what is kept


def test_a_side_is_the_same_as_long_as_its_evidence_lives(make: Any) -> None:
    evidence = make.image()
    subject = evidence.found[0].subject
    side = subject_in_frame(evidence, subject)
    assert subject_in_frame(evidence, subject) is side
    barred = evidence.changed(content=Box(0.0, 0.0, 1.0, 0.5))
    assert subject_in_frame(barred, subject).content == Box(0.0, 0.0, 1.0, 0.5)
    gone = weakref.ref(side)
    del evidence, side
    assert gone() is None


def test_what_is_kept_cannot_be_changed(make: Any) -> None:
    anchor = anchor_xy(make.framed())
    with pytest.raises(ValueError, match="read-only"):
        anchor += 1.0
