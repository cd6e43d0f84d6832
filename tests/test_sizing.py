from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.geometry import Size
from wan_prep.profile import default_profile
from wan_prep.sizing import OutputSize, letterboxed, output_size, segments

PROFILE = default_profile()


@pytest.mark.parametrize(
    ("width", "height", "resolution", "expected", "bars_px"),
    [
        (1920, 1080, "720p", (1280, 720), 0),
        (1440, 1080, "720p", (1104, 816), 16),
        (1080, 1350, "720p", (848, 1072), 12),
        (2560, 1080, "720p", (1472, 608), 31),
        (1920, 1080, "480p", (832, 464), 8),
        (1000, 1000, "480p", (624, 624), 0),
        (1280, 720, "720p", (1280, 720), 0),
        (720, 1280, "720p", (720, 1280), 0),
    ],
)
def test_the_sizes_that_the_facts_list(
    width: int, height: int, resolution: str, expected: tuple[int, int], bars_px: int
) -> None:
    size = output_size(width, height, resolution, PROFILE)
    assert (size.width, size.height) == expected
    assert size.bars_px == bars_px


def test_sizes_that_look_right_and_are_no_fixed_points() -> None:
    assert output_size(1088, 816, "720p", PROFILE) == OutputSize(1104, 816, 16, 0)
    assert output_size(480, 832, "480p", PROFILE) == OutputSize(464, 832, 0, 28)


def test_most_sizes_made_for_720p_have_bars_at_480p() -> None:
    assert output_size(1280, 720, "720p", PROFILE).bars_px == 0
    assert output_size(1280, 720, "480p", PROFILE).bars_px == 8


def test_the_share_is_that_of_the_side_the_bars_lie_along() -> None:
    assert output_size(1440, 1080, "720p", PROFILE).bars_share == pytest.approx(16 / 1104)
    assert output_size(1080, 1350, "720p", PROFILE).bars_share == pytest.approx(12 / 1072)
    assert output_size(1280, 720, "720p", PROFILE).bars_share == 0.0


@given(st.integers(64, 4096), st.integers(64, 4096), st.sampled_from(["480p", "720p"]))
def test_every_size_obeys_the_rule(width: int, height: int, resolution: str) -> None:
    size = output_size(width, height, resolution, PROFILE)
    budget = PROFILE.service.pixel_budget[resolution]
    assert size.width % 16 == size.height % 16 == 0
    assert size.width * size.height <= budget * (1 + 1e-9)
    assert min(size.bars_x, size.bars_y) == 0
    assert 0.0 <= size.bars_share < 1.0
    # Without its bars the picture keeps its shape to within a pixel.
    inner_width, inner_height = size.width - size.bars_x, size.height - size.bars_y
    assert abs(inner_width * height - inner_height * width) < max(width, height)


@given(st.integers(1, 8))
def test_doubling_a_picture_changes_nothing(factor: int) -> None:
    assert output_size(405 * factor, 720 * factor, "720p", PROFILE) == output_size(
        405, 720, "720p", PROFILE
    )


@pytest.mark.parametrize(
    ("duration_s", "count"),
    # 30 fps: 77 frames are one segment, every further one adds 76.
    [(0.0, 1), (0.5, 1), (77 / 30, 1), (78 / 30, 2), (153 / 30, 2), (154 / 30, 3), (120.0, 48)],
)
def test_segments(duration_s: float, count: int) -> None:
    assert segments(duration_s, PROFILE) == count


@given(st.floats(0, 200), st.floats(0, 10))
def test_a_longer_clip_has_no_fewer_segments(duration_s: float, more: float) -> None:
    assert segments(duration_s + more, PROFILE) >= segments(duration_s, PROFILE)
    assert segments(duration_s, PROFILE) >= math.floor(duration_s * 30 / 77)


@given(st.integers(64, 4096), st.integers(64, 4096), st.sampled_from(["480p", "720p"]))
def test_a_picture_lies_between_the_bars_that_its_size_has(
    width: int, height: int, resolution: str
) -> None:
    out = output_size(width, height, resolution, PROFILE)
    place = letterboxed(Size(width, height), Size(out.width, out.height))
    assert (out.width - place.width, out.height - place.height) == (out.bars_x, out.bars_y)
    assert (place.left, place.top) == (out.bars_x // 2, out.bars_y // 2)
