from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.geometry import Size
from wan_prep.profile import default_profile
from wan_prep.sizing import (
    Frames,
    OutputSize,
    in_segments,
    letterboxed,
    output_size,
    rendered_frames,
)

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
    ("width", "height", "canvas", "share"),
    [
        (1280, 720, (624, 624), 351 / 624),  # 624 / 1280 * 720 = 351
        (720, 1280, (624, 624), 1.0),
        (520, 520, (560, 704), 560 / 704),
        (416, 520, (624, 624), 1.0),
        (1000, 333, (848, 480), 282 / 480),  # 282.38 px, rounded down
    ],
)
def test_the_height_that_a_fitted_picture_takes(
    width: int, height: int, canvas: tuple[int, int], share: float
) -> None:
    assert letterboxed(Size(width, height), Size(*canvas)).height / canvas[1] == share


@given(st.integers(64, 4096), st.integers(64, 4096), st.sampled_from(["480p", "720p"]))
def test_a_picture_lies_between_the_bars_that_its_size_has(
    width: int, height: int, resolution: str
) -> None:
    out = output_size(width, height, resolution, PROFILE)
    place = letterboxed(Size(width, height), Size(out.width, out.height))
    assert (out.width - place.width, out.height - place.height) == (out.bars_x, out.bars_y)
    assert (place.left, place.top) == (out.bars_x // 2, out.bars_y // 2)


@pytest.mark.parametrize(
    ("duration_s", "fps", "frames"),
    [
        ("8", "30", 240),
        ("5", "24", 150),
        ("1001/200", "30000/1001", 150),  # 150 frames, 150.15
        ("1001/100", "24000/1001", 300),  # 240 frames, 300.3
        ("101/60", "60", 50),  # 50.5, rounded down
        ("1001/30", "30000/1001", 1001),  # 1000 frames
        ("1/30", "30", 1),
        ("1/60", "60", 1),  # never none
        ("120", "25", 3600),
        ("2", "0", 60),
    ],
)
def test_frames_at_the_rate_of_the_model(duration_s: str, fps: str, frames: int) -> None:
    assert rendered_frames(Fraction(duration_s), Fraction(fps), PROFILE) == frames


@pytest.mark.parametrize(
    ("frames", "overlap", "segments", "filler"),
    [
        # 77 frames are one segment, every further one adds 76.
        (1, 1, 1, 76),
        (77, 1, 1, 0),
        (78, 1, 2, 75),  # 153 are rendered
        (153, 1, 2, 0),
        (154, 1, 3, 75),
        (240, 1, 4, 65),  # 305
        (3600, 1, 48, 49),  # 3649
        # With five frames shared every further one adds 72.
        (77, 5, 1, 0),
        (78, 5, 2, 71),
        (149, 5, 2, 0),
        (240, 5, 4, 53),  # 293
        (3600, 5, 50, 5),  # 3605
        (3, 5, 1, 74),
    ],
)
def test_segments(frames: int, overlap: int, segments: int, filler: int) -> None:
    assert in_segments(frames, PROFILE, overlap=overlap) == Frames(
        frames, segments, 77, overlap, filler
    )


def test_segments_share_one_frame_where_nothing_is_said() -> None:
    assert in_segments(78, PROFILE) == in_segments(78, PROFILE, overlap=1)


@given(st.integers(6, 4000), st.sampled_from([1, 5]))
def test_segments_hold_all_frames_and_none_too_many(frames: int, overlap: int) -> None:
    made = in_segments(frames, PROFILE, overlap=overlap)
    rendered = made.segments * 77 - (made.segments - 1) * overlap
    assert rendered - made.filler == frames
    assert 0 <= made.filler < 77
    assert made.filler < 77 - overlap or made.segments == 1
