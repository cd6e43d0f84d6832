from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.geometry import Size
from wan_prep.planning.sizes import (
    Cut,
    even_unit,
    fixed_points,
    is_fixed_point,
    native_cuts,
    near_window,
    scaled_cuts,
)
from wan_prep.profile import Resolution, default_profile
from wan_prep.sizing import output_size

PROFILE = default_profile()
WIDE = Size(832, 464)
SHAPES = st.sampled_from([*fixed_points("480p", PROFILE), *fixed_points("720p", PROFILE)])


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
    assert even_unit(Size(*shape)) == unit


def test_native_windows_are_whole_multiples() -> None:
    # 720 / 58 = 12.4: the next ones are 12 and 13 times 104 x 58, of which 1352 is too wide.
    assert list(native_cuts(WIDE, [720.0], within=Size(1280, 2048))) == [
        Cut(Size(1248, 696), Size(1248, 696))
    ]
    assert list(native_cuts(WIDE, [720.0], within=Size(2048, 2048))) == [
        Cut(Size(1248, 696), Size(1248, 696)),
        Cut(Size(1352, 754), Size(1352, 754)),
    ]


def test_nothing_native_is_smaller_than_the_shape_s_unit() -> None:
    assert list(native_cuts(WIDE, [50.0], within=Size(90, 90))) == []


def test_a_scaled_window_is_written_a_little_smaller() -> None:
    # 1292 x 720 is 832 x 464 to 0.07 %.
    assert list(scaled_cuts(WIDE, [720.9], within=Size(2048, 2048))) == [
        Cut(Size(1292, 720), Size(1248, 696))
    ]
    assert Cut(Size(1292, 720), Size(1248, 696)).shrink == pytest.approx(696 / 720)


def test_a_scaled_window_may_be_written_as_the_shape_itself() -> None:
    cuts = list(scaled_cuts(WIDE, [720.0, 300.0], within=WIDE, as_shape=True))
    assert [cut.written for cut in cuts] == [WIDE, WIDE]


def test_a_tiny_window_is_enlarged_to_the_smallest_exact_size() -> None:
    assert list(scaled_cuts(WIDE, [40.0], within=Size(2048, 2048))) == [
        Cut(Size(68, 38), Size(104, 58))
    ]


def test_a_window_of_no_height_is_none() -> None:
    assert near_window(WIDE, 1.0) is None


@given(shape=SHAPES, height=st.floats(120, 2000), side=st.integers(64, 2048))
def test_native_windows_are_exact_even_and_inside(shape: Size, height: float, side: int) -> None:
    for cut in native_cuts(shape, [height], within=Size(side, side)):
        assert cut.window == cut.written
        assert cut.window.width * shape.height == cut.window.height * shape.width
        assert cut.window.width % 2 == cut.window.height % 2 == 0
        assert max(cut.window) <= side


@given(shape=SHAPES, height=st.floats(300, 2000))
def test_scaled_windows_have_the_shape_and_enlarge_nothing(shape: Size, height: float) -> None:
    for cut in scaled_cuts(shape, [height], within=Size(2048, 2048)):
        assert cut.written.width * shape.height == cut.written.height * shape.width
        assert cut.written.width % 2 == cut.written.height % 2 == 0
        assert cut.window.width % 2 == cut.window.height % 2 == 0
        assert height - 12 <= cut.window.height <= height
        assert cut.written.height <= cut.window.height or cut.written == even_unit(shape)
        aspect = cut.window.width / cut.window.height
        assert aspect == pytest.approx(shape.width / shape.height, abs=2.0 / cut.window.height)
