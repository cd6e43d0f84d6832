from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.media.colors import ColorTags
from wan_prep.normalizers.crop_pad import picture, window_steps
from wan_prep.normalizers.filters import Filter, Over
from wan_prep.planning.model import Geometry, Window

# 4 wide, 3 high; pixel (x, y) is (10 x, 20 y, 7).
SMALL = np.array([[(10 * x, 20 * y, 7) for x in range(4)] for y in range(3)], np.uint8)


def geometry(
    left: int,
    top: int,
    width: int,
    height: int,
    *,
    size_wh: tuple[int, int] | None = None,
    **changes: object,
) -> Geometry:
    written = size_wh or (width, height)
    window = Window(left=left, top=top, width=width, height=height)
    return Geometry(window=window, width=written[0], height=written[1], **changes)


# ---- a still


def test_the_whole_picture_stays_as_it_is() -> None:
    assert np.array_equal(picture(SMALL, geometry(0, 0, 4, 3)), SMALL)


def test_a_window_inside_is_cut_out() -> None:
    cut = picture(SMALL, geometry(1, 2, 2, 1))
    assert cut.tolist() == [[[10, 40, 7], [20, 40, 7]]]


def test_edges_are_drawn_out() -> None:
    padded = picture(SMALL, geometry(-1, -1, 3, 3))
    assert padded[:, :, 0].tolist() == [[0, 0, 10]] * 3
    assert padded[:, :, 1].tolist() == [[0] * 3, [0] * 3, [20] * 3]


def test_a_colour_fills_what_is_missing() -> None:
    padded = picture(SMALL, geometry(3, 0, 2, 2, pad="color", pad_color="#0a14ff"))
    assert padded.tolist() == [[[30, 0, 7], [10, 20, 255]], [[30, 20, 7], [10, 20, 255]]]


def test_a_blurred_border_goes_on_and_leaves_the_picture_alone() -> None:
    rows = np.repeat(np.arange(0, 200, 2, np.uint8), 3).reshape(100, 1, 3)
    rgb = np.repeat(rows, 80, axis=1)
    padded = picture(rgb, geometry(-20, 0, 120, 100, pad="blur"))
    assert np.array_equal(padded[:, 20:100], rgb)
    # A slow vertical ramp stays one under any blur, so the border differs from it by little.
    assert np.abs(padded[10:90, :20].astype(int) - rgb[10:90, :20]).max() <= 2


def test_sizes_shrink_by_averaging() -> None:
    checks = np.indices((8, 8)).sum(axis=0) % 2 * 200
    rgb = np.repeat(checks.astype(np.uint8)[:, :, None], 3, axis=2)
    small = picture(rgb, geometry(0, 0, 8, 8, size_wh=(4, 4)))
    assert small.shape == (4, 4, 3)
    assert (small == 100).all()


def test_a_turn_is_clockwise_about_the_centre() -> None:
    rgb = np.zeros((5, 5, 3), np.uint8)
    rgb[0, 2] = 255  # at twelve o'clock
    turned = picture(rgb, geometry(0, 0, 5, 5, rotate_deg=90.0))
    assert turned[2, 4].tolist() == [255] * 3  # at three
    assert turned[0, 2].tolist() == [0] * 3


@pytest.mark.parametrize(("pad", "corner"), [("edge", 200), ("blur", 200), ("color", 30)], ids=str)
def test_the_corners_of_a_turned_picture_are_padded(pad: str, corner: int) -> None:
    rgb = np.full((60, 60, 3), 200, np.uint8)
    turned = picture(rgb, geometry(0, 0, 60, 60, rotate_deg=45.0, pad=pad, pad_color="#1e1e1e"))
    assert turned[0, 0].tolist() == [corner] * 3
    assert turned[30, 30].tolist() == [200] * 3


def test_turning_and_cutting_is_one_window_of_the_turned_picture() -> None:
    rng = np.random.default_rng(4)
    rgb = cv2.GaussianBlur(rng.integers(0, 256, (90, 120, 3), np.uint8), (0, 0), 3)
    whole = picture(rgb, geometry(0, 0, 120, 90, rotate_deg=7.5))
    part = picture(rgb, geometry(30, 20, 60, 40, rotate_deg=7.5))
    assert np.abs(part.astype(int) - whole[20:60, 30:90]).max() <= 1


@given(
    left=st.integers(-9, 9),
    top=st.integers(-9, 9),
    width=st.integers(1, 14),
    height=st.integers(1, 14),
)
def test_a_padded_window_shows_the_nearest_pixel(
    left: int, top: int, width: int, height: int
) -> None:
    columns = np.clip(np.arange(left, left + width), 0, 3)
    rows = np.clip(np.arange(top, top + height), 0, 2)
    framed = picture(SMALL, geometry(left, top, width, height))
    assert np.array_equal(framed, SMALL[rows][:, columns])


# ---- a clip: the steps alone; what they do to pixels is in test_clip


def steps(make, shape: Geometry, tags: ColorTags | None = None, **info: object) -> list:
    return list(window_steps(shape, make.video_info(**info), tags or ColorTags()))


def test_an_even_window_is_cut_from_the_frames_as_they_are(make) -> None:
    found = steps(make, geometry(10, 20, 400, 600))
    assert found == [Filter("crop", {"w": 400, "h": 600, "x": 10, "y": 20, "exact": 1})]


def test_the_whole_picture_needs_no_window(make) -> None:
    assert steps(make, geometry(0, 0, 720, 1280, size_wh=(360, 640))) == []


def test_an_odd_window_is_cut_where_every_pixel_has_its_colour(make) -> None:
    found = steps(make, geometry(11, 20, 400, 600))
    assert [step.name for step in found] == ["scale", "format", "crop"]
    assert found[1] == Filter("format", {"pix_fmts": "yuv444p"})


def test_deep_colour_stays_deep(make) -> None:
    found = steps(make, geometry(11, 20, 400, 600), bit_depth=10, pixel_format="yuv420p10le")
    assert found[1] == Filter("format", {"pix_fmts": "yuv444p16le"})


def test_a_turned_clip_is_turned_before_it_is_cut(make) -> None:
    sizes = {"coded_width": 1280, "coded_height": 720, "rotation_deg": 90}
    found = steps(make, geometry(0, 0, 700, 1280), **sizes)
    assert [step.name for step in found] == ["scale", "format", "transpose", "crop"]
    assert found[2] == Filter("transpose", {"dir": "clock"})


def test_wide_pixels_become_square(make) -> None:
    wide = {"coded_width": 360, "sample_aspect_ratio": Fraction(2)}
    found = steps(make, geometry(0, 0, 720, 1280), **wide)
    assert Filter("zscale", {"w": 720, "h": 1280, "f": "lanczos"}) in found


def test_transparency_is_dropped(make) -> None:
    tags = ColorTags(is_rgb=True)
    found = steps(make, geometry(0, 0, 720, 1280), tags, pixel_format="bgra", has_alpha=True)
    assert found == [Filter("format", {"pix_fmts": "gbrp"})]
    found = steps(make, geometry(0, 0, 720, 1280), pixel_format="yuva420p", has_alpha=True)
    assert found[-1] == Filter("format", {"pix_fmts": "yuv444p"})


def test_a_hidden_border_is_cut_off_before_the_turn(make) -> None:
    sizes = {"coded_width": 1300, "coded_height": 724, "hidden_ltrb": (12, 2, 8, 2)}
    found = steps(make, geometry(0, 0, 720, 1280), rotation_deg=90, is_mirrored=True, **sizes)
    names = [step.name for step in found]
    assert names == ["scale", "format", "crop", "transpose", "hflip"]
    assert found[2] == Filter("crop", {"w": 1280, "h": 720, "x": 12, "y": 2, "exact": 1})


def test_an_even_border_is_cut_from_the_frames_as_they_are(make) -> None:
    found = steps(make, geometry(0, 0, 720, 1280), coded_width=752, hidden_ltrb=(10, 0, 22, 0))
    crop = Filter("crop", {"w": 720, "h": 1280, "x": 10, "y": 0, "exact": 1})
    assert found == [crop]


def test_a_blurred_border_lies_behind_the_picture(make) -> None:
    found = steps(make, geometry(-20, 0, 760, 1280, pad="blur"))
    behind = found[-1]
    assert isinstance(behind, Over)
    assert (behind.left, behind.top) == (20, 0)
    assert [step.name for step in behind.backdrop] == ["pad", "fillborders", "gblur"]


def test_a_clip_is_not_rotated(make) -> None:
    with pytest.raises(ValueError, match="not rotated"):
        steps(make, geometry(0, 0, 720, 1280, rotate_deg=2.0))
