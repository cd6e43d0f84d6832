from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.geometry import Box, Size
from wan_prep.planning.crop import (
    EVERY_JOINT,
    CropConstraints,
    ScaledWindow,
    content_px,
    covered_area,
    fixed_points,
    image_constraints,
    inscribed_box,
    is_fixed_point,
    joints_of,
    lost_margin,
    nearest_window_size,
    position_range,
    scaled_windows,
    smallest_even_size,
    union,
    unscaled_windows,
    video_constraints,
    window_heights,
    without_empty_corners,
    without_larger_people,
)
from wan_prep.planning.model import Window
from wan_prep.pose.choice import PersonChoice
from wan_prep.pose.skeleton import Joint
from wan_prep.profile import Resolution, default_profile
from wan_prep.sizing import output_size

PROFILE = default_profile()
WIDE = Size(832, 464)
SHAPES = st.sampled_from([*fixed_points("480p", PROFILE), *fixed_points("720p", PROFILE)])


# ---- what a window must hold


def of_image(make: Any, *args: Any, **info: Any) -> CropConstraints:
    return image_constraints(make.image(*args, **info), PROFILE, is_shown=True)


def of_video(make: Any, subjects: list[Any]) -> CropConstraints:
    return video_constraints(make.video(subjects), PROFILE, is_shown=False)


def test_every_joint_is_kept_with_a_little_room(make: Any) -> None:
    # Hips at (360, 600), 500 px/m: wrists 0.2 m beside, toes 0.95 m under, the nose 0.68 m over.
    found = of_image(make)
    assert found.keep.left < 260
    assert found.keep.right > 460
    assert found.keep.bottom > 1075
    assert found.keep.top < 260
    assert found.anchor_xy == pytest.approx((360.0, 350.0), abs=0.1)
    assert found.closed_edges == frozenset()


def test_the_box_with_its_margin_holds_hair_and_finger_tips(make: Any) -> None:
    found = of_image(make)
    assert found.keep_with_margin.left < found.keep.left - 20
    assert found.keep_with_margin.top < found.keep.top - 10
    assert union([found.keep, found.keep_with_margin]) == found.keep_with_margin


def test_the_window_of_a_clip_holds_every_sample(make: Any) -> None:
    left, right = (make.body(hips=(x, 600.0)) for x in (250.0, 500.0))
    found = of_video(make, [left, right])
    assert found.keep.left < 150
    assert found.keep.right > 600
    # The template is the first sample.
    assert found.anchor_xy == pytest.approx((250.0, 350.0), abs=0.1)


def test_joints_that_are_not_seen_are_not_kept(make: Any) -> None:
    visibility = np.ones(33)
    visibility[[Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE, *range(29, 33)]] = 0.1
    found = of_image(make, make.subject(visibility=visibility))
    assert 825 < found.keep.bottom < 870


def test_a_body_cut_by_an_edge_closes_it(make: Any) -> None:
    assert of_image(make, make.body(hips=(360.0, 1000.0))).closed_edges == {"bottom"}
    assert of_image(make, make.body(hips=(60.0, 600.0))).closed_edges == {"left"}


def test_an_edge_that_cuts_the_body_for_a_moment_stays_open(make: Any) -> None:
    inside, out = make.body(), make.body(hips=(60.0, 600.0))
    rarely = of_video(make, [inside] * 9 + [out])
    often = of_video(make, [inside] * 3 + [out])
    assert (rarely.closed_edges, often.closed_edges) == (frozenset(), {"left"})


def test_bars_close_every_edge_and_take_a_line_more(make: Any) -> None:
    barred = make.image(evidence={"content": Box(0.1, 0.0, 0.9, 1.0)})
    found = image_constraints(barred, PROFILE, is_shown=True)
    # 72 px on both sides of 720 x 1280.
    assert found.content == Box(73, 1, 647, 1279)
    assert found.closed_edges == {"left", "top", "right", "bottom"}
    assert found.has_bars


def test_content_is_whole_px_inwards() -> None:
    box = Box(0.0837, 0.0053, 0.9023, 1.0)
    assert content_px(box, Size(512, 758), 2) == Box(44, 6, 460, 758)
    assert content_px(Box(0.0, 0.0, 1.0, 1.0), Size(541, 959), 2) == Box(0, 0, 540, 958)


def test_what_is_unknown_is_kept_nearly_whole(make: Any) -> None:
    found = of_image(make, None)
    assert found.anchor_xy is None
    assert found.keep == pytest.approx(Box(21.6, 38.4, 698.4, 1241.6))


def test_above_an_unrecognised_face_nothing_is_cut(make: Any) -> None:
    doubtful = make.face.model_copy(update={"confidence": 0.3})
    assert of_image(make, make.subject(face=doubtful)).keep.top == 0
    assert of_video(make, [make.subject(face=doubtful), "adult"]).keep.top > 0


@pytest.mark.parametrize(
    ("shot", "lowest", "kept", "not_kept"),
    [
        ("bust", 350, Joint.LEFT_SHOULDER, Joint.LEFT_ELBOW),
        ("half", 600, Joint.LEFT_HIP, Joint.LEFT_WRIST),
        ("three_quarter", 825, Joint.LEFT_KNEE, Joint.LEFT_ANKLE),
    ],
)
def test_a_shot_asks_for_its_joints_only(
    make: Any, shot: Any, lowest: float, kept: Joint, not_kept: Joint
) -> None:
    mask = joints_of(shot)
    assert (mask[kept], mask[not_kept]) == (True, False)
    found = image_constraints(make.image(), PROFILE, is_shown=True, joints=mask)
    assert lowest <= found.keep.bottom < lowest + 20


def test_a_full_shot_asks_for_everything() -> None:
    assert joints_of("full") is EVERY_JOINT


def test_unreadable_files_have_no_constraints(make: Any) -> None:
    with pytest.raises(ValueError, match="readable"):
        image_constraints(make.unreadable("image"), PROFILE, is_shown=True)


# ---- a turned picture


def test_the_inscribed_box_of_a_square_by_hand() -> None:
    # s / (cos 30 + sin 30) = 100 / 1.36603
    assert inscribed_box(Size(100, 100), 30.0).width == pytest.approx(73.205, abs=1e-3)


def test_the_inscribed_box_of_a_long_picture_by_hand() -> None:
    # Half of the short side over sin and cos: it touches the long sides only.
    box = inscribed_box(Size(1000, 100), 30.0)
    assert (box.width, box.height) == pytest.approx((100.0, 100 / math.sqrt(3)))
    tall = inscribed_box(Size(100, 1000), -30.0)
    assert (tall.width, tall.height) == pytest.approx((box.height, box.width))


@given(width=st.integers(50, 3000), height=st.integers(50, 3000), degrees=st.floats(-44, 44))
def test_the_inscribed_box_lies_in_the_turned_picture(
    width: int, height: int, degrees: float
) -> None:
    if abs(degrees) < 0.01:
        return
    box = inscribed_box(Size(width, height), degrees)
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    for x in (box.left - width / 2, box.right - width / 2):
        for y in (box.top - height / 2, box.bottom - height / 2):
            # Turned back, every corner lies in the picture as it was.
            assert abs(x * c + y * s) <= width / 2 + 1e-6
            assert abs(-x * s + y * c) <= height / 2 + 1e-6


def test_corners_are_left_out(constraints: Any) -> None:
    turned = constraints((1000, 1000), (300, 300, 700, 700), is_shown=True)
    inner = without_empty_corners(turned, 10.0)
    assert inner is not None
    # 1000 / (cos 10 + sin 10) = 863.2, in the middle.
    assert inner.content == Box(69, 69, 931, 931)


def test_a_person_in_the_corners_is_not_cut(constraints: Any) -> None:
    assert without_empty_corners(constraints((1000, 1000), (10, 10, 990, 990)), 10.0) is None
    inner = without_empty_corners(constraints((1000, 1000), (300, 50, 700, 900)), 10.0)
    assert inner is not None
    assert inner.content.top == 50


# ---- which sizes it may have


@pytest.mark.parametrize("resolution", ["480p", "720p"])
def test_every_fixed_point_comes_back_without_bars(resolution: Resolution) -> None:
    found = fixed_points(resolution, PROFILE)
    assert found
    for size in found:
        given_back = output_size(size.width, size.height, resolution, PROFILE)
        assert (given_back.width, given_back.height, given_back.bars_px) == (*size, 0)
        assert 1 / 3 <= size.width / size.height <= 3


@pytest.mark.parametrize("resolution", ["480p", "720p"])
def test_none_is_left_out(resolution: Resolution) -> None:
    every = {
        Size(width, height)
        for width in range(16, 1700, 16)
        for height in range(16, 1700, 16)
        if 1 / 3 <= width / height <= 3 and is_fixed_point(Size(width, height), resolution, PROFILE)
    }
    assert set(fixed_points(resolution, PROFILE)) == every


def test_fixed_points_that_are_known() -> None:
    low, high = fixed_points("480p", PROFILE), fixed_points("720p", PROFILE)
    assert {Size(832, 464), Size(624, 624), Size(464, 832)} <= set(low)
    assert not {Size(480, 832), Size(1280, 720)} & set(low)
    assert {Size(1280, 720), Size(720, 1280), Size(1104, 816)} <= set(high)
    assert Size(1088, 816) not in high
    assert [s.width / s.height for s in low] == sorted(s.width / s.height for s in low)


@pytest.mark.parametrize(
    ("shape", "unit"),
    [((832, 464), (104, 58)), ((624, 624), (2, 2)), ((1104, 816), (46, 34)), ((512, 768), (4, 6))],
)
def test_the_smallest_even_size_of_a_shape(shape: tuple[int, int], unit: tuple[int, int]) -> None:
    assert smallest_even_size(Size(*shape)) == unit


def test_unscaled_windows_are_whole_multiples() -> None:
    # 720 / 58 = 12.4: the next ones are 12 and 13 times 104 x 58, of which 1352 is too wide.
    assert list(unscaled_windows(WIDE, [720.0], within=Size(1280, 2048))) == [
        ScaledWindow(Size(1248, 696), Size(1248, 696))
    ]
    assert list(unscaled_windows(WIDE, [720.0], within=Size(2048, 2048))) == [
        ScaledWindow(Size(1248, 696), Size(1248, 696)),
        ScaledWindow(Size(1352, 754), Size(1352, 754)),
    ]


def test_nothing_unscaled_is_smaller_than_the_shape_s_unit() -> None:
    assert list(unscaled_windows(WIDE, [50.0], within=Size(90, 90))) == []


def test_a_scaled_window_is_written_a_little_smaller() -> None:
    # 1292 x 720 is 832 x 464 to 0.07 %.
    assert list(scaled_windows(WIDE, [720.9], within=Size(2048, 2048))) == [
        ScaledWindow(Size(1292, 720), Size(1248, 696))
    ]
    assert ScaledWindow(Size(1292, 720), Size(1248, 696)).scale == pytest.approx(696 / 720)


def test_a_scaled_window_may_be_written_as_the_shape_itself() -> None:
    windows = list(scaled_windows(WIDE, [720.0, 300.0], within=WIDE, as_shape=True))
    assert [scaled.written for scaled in windows] == [WIDE, WIDE]


def test_a_tiny_window_is_enlarged_to_the_smallest_exact_size() -> None:
    assert list(scaled_windows(WIDE, [40.0], within=Size(2048, 2048))) == [
        ScaledWindow(Size(68, 38), Size(104, 58))
    ]


def test_a_window_of_no_height_is_none() -> None:
    assert nearest_window_size(WIDE, 1.0) is None


@given(shape=SHAPES, height=st.floats(120, 2000), side=st.integers(64, 2048))
def test_unscaled_windows_are_exact_even_and_inside(shape: Size, height: float, side: int) -> None:
    for scaled in unscaled_windows(shape, [height], within=Size(side, side)):
        assert scaled.window == scaled.written
        assert scaled.window.width * shape.height == scaled.window.height * shape.width
        assert scaled.window.width % 2 == scaled.window.height % 2 == 0
        assert max(scaled.window) <= side


@given(shape=SHAPES, height=st.floats(300, 2000))
def test_scaled_windows_have_the_shape_and_enlarge_nothing(shape: Size, height: float) -> None:
    for scaled in scaled_windows(shape, [height], within=Size(2048, 2048)):
        assert scaled.written.width * shape.height == scaled.written.height * shape.width
        assert scaled.written.width % 2 == scaled.written.height % 2 == 0
        assert scaled.window.width % 2 == scaled.window.height % 2 == 0
        assert height - 12 <= scaled.window.height <= height
        assert (
            scaled.written.height <= scaled.window.height
            or scaled.written == smallest_even_size(shape)
        )
        aspect = scaled.window.width / scaled.window.height
        assert aspect == pytest.approx(shape.width / shape.height, abs=2.0 / scaled.window.height)


# ---- where it may lie


def test_a_window_holds_what_is_kept_and_stays_inside(constraints: Any) -> None:
    picture = constraints((1000, 1000), (300, 300, 600, 600))
    assert position_range(picture, 0, 400) == (200, 300)
    assert position_range(picture, 0, 800) == (0, 200)
    assert position_range(picture, 0, 200) is None


def test_a_window_larger_than_the_picture_holds_all_of_it(constraints: Any) -> None:
    picture = constraints((1000, 1000), (300, 300, 600, 600))
    assert position_range(picture, 0, 1200) == (-200, 0)
    assert position_range(replace(picture, closed_edges=frozenset({"left"})), 0, 1200) == (0, 0)
    assert position_range(replace(picture, closed_edges=frozenset({"right"})), 0, 1200) == (
        -200,
        -200,
    )
    assert (
        position_range(replace(picture, closed_edges=frozenset({"left", "right"})), 0, 1200) is None
    )


def test_positions_are_on_the_grid(constraints: Any) -> None:
    picture = constraints((1000, 1000), (301, 300, 599, 600), grid=2)
    assert position_range(picture, 0, 400) == (200, 300)
    # 301 … 599 in a window of 298 px begins at 301, which is odd.
    assert position_range(picture, 0, 298) is None


def test_the_margin_is_given_where_there_is_room(constraints: Any) -> None:
    picture = constraints((1000, 1000), (300, 300, 600, 600), margin=(250, 250, 650, 650))
    assert position_range(picture, 0, 500) == (150, 250)
    assert position_range(picture, 0, 350) == (250, 300)


def test_lost_margins_by_hand(constraints: Any) -> None:
    picture = constraints((1000, 1000), (300, 300, 600, 600), margin=(200, 250, 700, 650))
    whole = Window(left=0, top=0, width=1000, height=1000)
    assert lost_margin(picture, whole) == 0.0
    # The whole margin on the left, half of the one on the right.
    assert lost_margin(picture, Window(left=300, top=0, width=350, height=1000)) == pytest.approx(
        1.0 + 0.25
    )


def test_areas_by_hand(constraints: Any) -> None:
    picture = constraints((1000, 500), (300, 100, 600, 400))
    assert covered_area(picture, Window(left=-100, top=0, width=600, height=500)) == 250_000
    assert covered_area(picture, Window(left=2000, top=0, width=600, height=500)) == 1.0
    # 2:1 as the picture is; the least is 300 x 150 for the width and 600 x 300 for the height.
    assert window_heights(picture, Size(832, 416)) == (300, 500)


# ---- somebody larger than the person asked for

LEFT = {"person": PersonChoice("left")}
AT_RIGHT = Box(0.7, 0.0, 1.0, 1.0)


def lone(make: Any, others: dict[int, list[Box]], **evidence: Any) -> CropConstraints | None:
    hero = make.subject(make.body(hips=(260.0, 600.0)))
    video = make.video([hero] * 16, others=others, evidence=evidence)
    return without_larger_people(video_constraints(video, PROFILE, is_shown=False), video, PROFILE)


def test_whoever_is_larger_is_beyond_the_edge(make: Any) -> None:
    """In one sample of sixteen; 0.7 of 720 px."""
    found = lone(make, {5: [AT_RIGHT]}, **LEFT)
    assert found is not None
    assert found.content == Box(0, 0, 504, 1280)
    assert found.shut_out == {"right"} <= found.closed_edges
    # Nothing is added beyond that edge, though the picture goes on there.
    assert position_range(found, 0, 700) == (-196, -196)
    assert position_range(found, 0, 480)[1] == 24  # type: ignore[index]


def test_nobody_is_left_out_who_is_smaller_or_where_nobody_was_asked_for(make: Any) -> None:
    assert lone(make, {5: [AT_RIGHT]}) is None
    assert lone(make, {5: [Box(0.8, 0.0, 1.0, 0.5)]}, **LEFT) is None
    assert lone(make, {}, **LEFT) is None


def test_nobody_is_left_out_who_stands_around_the_person(make: Any) -> None:
    assert lone(make, {5: [Box(0.1, 0.0, 0.9, 1.0)]}, **LEFT) is None
