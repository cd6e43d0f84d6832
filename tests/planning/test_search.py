from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wan_prep.geometry import Box
from wan_prep.planning.crop import CropConstraints, is_fixed_point
from wan_prep.planning.foresee import foresee_image
from wan_prep.planning.model import Window
from wan_prep.planning.search import (
    Framing,
    ZoomRatios,
    candidate_framings,
    roll_correction_deg,
    rotation_only,
)
from wan_prep.profile import Mode, default_profile

PROFILE = default_profile()
UNKNOWN = ZoomRatios(None, None)
PLENTY = 1e9


def best(
    image: CropConstraints,
    video: CropConstraints,
    zooms: ZoomRatios = UNKNOWN,
    *,
    mode: Mode = "animate",
    area: float = PLENTY,
) -> Framing:
    return candidate_framings(
        image,
        video,
        zooms,
        mode=mode,
        resolution="480p",
        profile=PROFILE,
        video_area_max=area,
    )[0]


# ---- ranked by cost


def test_one_shape_for_both_and_the_shown_one_loses_least(constraints: Any) -> None:
    image = constraints((832, 464), (300, 50, 500, 450), is_shown=True)
    video = constraints((1280, 960), (500, 100, 800, 700), grid=2)
    found = best(image, video)
    assert (found.image, found.image_size) == (
        Window(left=0, top=0, width=832, height=464),
        (832, 464),
    )
    # Twelve times 104 x 58.
    assert found.video_size == (1248, 696)
    assert (found.video.width, found.video.height) == (1248, 696)


def test_the_wider_one_is_cropped_to_one_zoom(constraints: Any) -> None:
    # The person is twice as large in the image, and stands in the middle of both.
    image = constraints((1040, 1040), (420, 220, 620, 1020), neck=(520, 340), is_shown=True)
    video = constraints((1040, 1040), (470, 370, 570, 770), neck=(520, 430), grid=2)
    found = best(image, video, ZoomRatios(2.0, 2.0))
    assert 2.0 * found.video.height / found.image.height == pytest.approx(1.0, abs=0.06)
    assert found.image.height > 1000


def test_nothing_that_must_be_kept_is_cropped_for_a_zoom(constraints: Any) -> None:
    image = constraints((1040, 1040), (420, 220, 620, 1020), neck=(520, 340), is_shown=True)
    video = constraints((1040, 1040), (20, 20, 1020, 1030), neck=(520, 430), grid=2)
    found = best(image, video, ZoomRatios(2.0, 2.0))
    assert found.video.height >= 1000


def test_the_person_comes_to_the_same_place(constraints: Any) -> None:
    # At 42 % of the width in the image, at 58 % in the clip.
    image = constraints((832, 464), (250, 60, 450, 460), neck=(349, 150), is_shown=True)
    video = constraints((1280, 720), (600, 100, 880, 700), neck=(742, 240), grid=2)
    found = best(image, video, ZoomRatios(1.0, 1.0))
    here = (349 - found.image.left) / found.image.width
    there = (742 - found.video.left) / found.video.width
    assert abs(here - there) < 0.12
    assert abs(found.video.height / 720 - found.image.height / 464) < 0.05


def test_borders_only_where_a_crop_would_cut_the_person(constraints: Any) -> None:
    # The dancer fills the whole width of a landscape clip; the image is upright.
    image = constraints((464, 832), (40, 20, 424, 820), neck=(232, 200), is_shown=True)
    video = constraints((1280, 720), (10, 60, 1270, 690), neck=(640, 200), grid=2)
    found = best(image, video)
    assert found.video.height > 720
    assert found.video.left <= 10
    assert found.video.left + found.video.width >= 1270
    # As much as they can, the borders are the driving clip's, which the result does not show.
    assert found.image.height <= 832


def test_no_borders_under_a_body_that_the_edge_cuts(constraints: Any) -> None:
    image = constraints((464, 832), (40, 20, 424, 832), neck=(232, 200), is_shown=True)
    video = constraints((1280, 720), (10, 60, 1270, 720), neck=(640, 200), grid=2, closed="bottom")
    found = best(image, video)
    assert found.video.top + found.video.height == 720


def test_a_large_clip_is_scaled_into_the_limits(constraints: Any) -> None:
    image = constraints((832, 464), (300, 50, 500, 450), is_shown=True)
    video = constraints((3840, 2160), (10, 10, 3830, 2150), grid=2)
    found = best(image, video)
    assert found.video.width > 3700
    assert max(found.video_size) <= 2048
    small = best(image, video, area=1_000_000)
    assert small.video_size.width * small.video_size.height <= 1_000_000


def test_a_small_clip_is_not_cropped_under_the_limits(constraints: Any) -> None:
    # Twice as large in the image; the window that equals it would be 144 px wide.
    image = constraints((464, 832), (120, 100, 340, 800), neck=(230, 250), is_shown=True)
    video = constraints((290, 520), (115, 160, 175, 360), neck=(145, 200), grid=2)
    found = best(image, video, ZoomRatios(2.0, 2.0))
    assert min(found.video_size) >= 200


def test_in_replace_both_get_the_size(constraints: Any) -> None:
    image = constraints((1000, 700), (300, 50, 500, 650), neck=(400, 150))
    video = constraints((1280, 720), (500, 100, 800, 700), neck=(650, 250), grid=2, is_shown=True)
    found = best(image, video, mode="replace")
    assert found.image_size == found.video_size
    assert is_fixed_point(found.video_size, "480p", PROFILE)


def test_what_fits_already_is_left_as_it_is(constraints: Any) -> None:
    image = constraints((832, 464), (300, 50, 500, 450), neck=(400, 150), is_shown=True)
    video = constraints((1664, 928), (600, 100, 1000, 900), neck=(800, 300), grid=2)
    found = best(image, video, ZoomRatios(1.0, 1.0))
    assert found.changed == 0
    assert (found.image.width, found.video.width) == (832, 1664)


BOXES = st.tuples(
    st.floats(0.0, 0.6), st.floats(0.0, 0.6), st.floats(0.1, 1.0), st.floats(0.1, 1.0)
)


@st.composite
def some_constraints(draw: Any, constraints: Any, grid: int, is_shown: bool) -> CropConstraints:
    width, height = draw(st.integers(120, 1500)) * 2, draw(st.integers(120, 1500)) * 2
    left, top, wide, tall = draw(BOXES)
    keep = (
        int(left * width),
        int(top * height),
        int(min(1.0, left + wide) * width),
        int(min(1.0, top + tall) * height),
    )
    neck = (keep[0] + keep[2]) / 2, keep[1] + (keep[3] - keep[1]) / 4
    closed = draw(st.sampled_from(["", "bottom", "left", "left right"]))
    return constraints(
        (width, height), keep, neck=neck, grid=grid, is_shown=is_shown, closed=closed
    )


@settings(max_examples=60)
@given(data=st.data(), mode=st.sampled_from(["animate", "replace"]), zoom=st.floats(0.4, 2.5))
def test_every_pair_of_windows_keeps_the_promises(
    constraints: Any, data: Any, mode: Mode, zoom: float
) -> None:
    image = data.draw(some_constraints(constraints, 1, mode == "animate"))
    video = data.draw(some_constraints(constraints, 2, mode == "replace"))
    found = candidate_framings(
        image,
        video,
        ZoomRatios(zoom, zoom),
        mode=mode,
        resolution="480p",
        profile=PROFILE,
        video_area_max=PLENTY,
    )
    for framing in found[::7]:
        shape = framing.image_size
        assert is_fixed_point(shape, "480p", PROFILE)
        assert framing.video_size.width * shape.height == framing.video_size.height * shape.width
        assert framing.video_size.width % 2 == framing.video_size.height % 2 == 0
        assert max(framing.video_size) <= 2048
        if mode == "replace":
            assert framing.video_size == shape
        for one, window in ((image, framing.image), (video, framing.video)):
            holds_its_person(one, window)
            stays_inside_or_around(one, window)
            aspect = window.width / window.height
            assert abs(aspect * shape.height / shape.width - 1.0) < 2.0 / min(
                window.width, window.height
            )
        assert framing.video.left % 2 == framing.video.top % 2 == 0
        assert framing.cost >= framing.changed >= 0


def holds_its_person(one: CropConstraints, window: Window) -> None:
    assert window.left <= one.keep.left + 1e-6
    assert window.top <= one.keep.top + 1e-6
    assert window.right >= one.keep.right - 1e-6
    assert window.bottom >= one.keep.bottom - 1e-6


def stays_inside_or_around(one: CropConstraints, window: Window) -> None:
    """Inside the picture along each axis or, where borders are needed, around all of it; and
    not beyond a closed edge."""
    for low, high, first, last, names in (
        (one.content.left, one.content.right, window.left, window.right, ("left", "right")),
        (one.content.top, one.content.bottom, window.top, window.bottom, ("top", "bottom")),
    ):
        inside = first >= low and last <= high
        around = first <= low and last >= high
        assert inside or around
        assert first >= low or names[0] not in one.closed_edges
        assert last <= high or names[1] not in one.closed_edges


# ---- a tilted camera


def tilted(make: Any, degrees: float) -> Any:
    """The pair with its image taken by a camera that is turned the other way round."""
    image = make.image()
    return make.pair(image=foresee_image(image, rotation_only(image, degrees), "png"))


@pytest.mark.parametrize("degrees", [-12.0, 8.0])
def test_a_tilted_camera_is_turned_back(make: Any, degrees: float) -> None:
    assert roll_correction_deg(tilted(make, degrees)) == pytest.approx(-degrees, abs=0.1)


@pytest.mark.parametrize("degrees", [0.0, 3.0, 25.0])
def test_small_tilts_and_large_ones_stay(make: Any, degrees: float) -> None:
    assert roll_correction_deg(tilted(make, degrees)) is None


def test_a_person_who_leans_is_not_turned(make: Any) -> None:
    # The body leans by 10 deg, the head is held up.
    world = make.turned("z", 10.0)
    world[:11] = make.adult()[:11]
    context = make.pair(image=make.image(make.body(world)))
    assert roll_correction_deg(context) is None


def test_a_tilted_clip_is_left_alone(make: Any) -> None:
    leaning = make.body(make.turned("z", 10.0))
    assert roll_correction_deg(make.pair(video=make.video([leaning] * 4))) is None


def test_pictures_with_bars_are_not_turned(make: Any) -> None:
    context = tilted(make, 8.0)
    barred = context.image.model_copy(update={"content": Box(0.0, 0.1, 1.0, 0.9)})
    assert roll_correction_deg(make.pair(image=barred)) is None


@pytest.mark.parametrize("missing", ["image", "video", "torso"])
def test_nothing_is_turned_by_guess(make: Any, missing: str) -> None:
    bare = make.subject(view_matrix=None)
    context = {
        "image": make.pair(image=make.image(None)),
        "video": make.pair(video=make.video([None])),
        "torso": make.pair(image=make.image(bare)),
    }[missing]
    assert roll_correction_deg(context) is None
