from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.geometry import Box, Size
from wan_prep.planning.foresee import foresee_image
from wan_prep.planning.sides import Side
from wan_prep.planning.turning import inscribed, turn_only, turn_to_upright, without_corners


def tilted(make: Any, degrees: float) -> Any:
    """The pair with its image taken by a camera that is turned the other way round."""
    image = make.image()
    return make.pair(image=foresee_image(image, turn_only(image, degrees), "png"))


@pytest.mark.parametrize("degrees", [-12.0, 8.0])
def test_a_tilted_camera_is_turned_back(make: Any, degrees: float) -> None:
    assert turn_to_upright(tilted(make, degrees)) == pytest.approx(-degrees, abs=0.1)


@pytest.mark.parametrize("degrees", [0.0, 3.0, 25.0])
def test_small_tilts_and_large_ones_stay(make: Any, degrees: float) -> None:
    assert turn_to_upright(tilted(make, degrees)) is None


def test_a_person_who_leans_is_not_turned(make: Any) -> None:
    # The body leans by 10 deg, the head is held up.
    world = make.turned("z", 10.0)
    world[:11] = make.adult()[:11]
    context = make.pair(image=make.image(make.body(world)))
    assert turn_to_upright(context) is None


def test_a_tilted_clip_is_left_alone(make: Any) -> None:
    leaning = make.body(make.turned("z", 10.0))
    assert turn_to_upright(make.pair(video=make.video([leaning] * 4))) is None


def test_pictures_with_bars_are_not_turned(make: Any) -> None:
    context = tilted(make, 8.0)
    barred = context.image.model_copy(update={"content": Box(0.0, 0.1, 1.0, 0.9)})
    assert turn_to_upright(make.pair(image=barred)) is None


@pytest.mark.parametrize("missing", ["image", "video", "torso"])
def test_nothing_is_turned_by_guess(make: Any, missing: str) -> None:
    bare = make.subject(view_matrix=None)
    context = {
        "image": make.pair(image=make.image(None)),
        "video": make.pair(video=make.video([None])),
        "torso": make.pair(image=make.image(bare)),
    }[missing]
    assert turn_to_upright(context) is None


def test_the_inscribed_box_of_a_square_by_hand() -> None:
    # s / (cos 30 + sin 30) = 100 / 1.36603
    assert inscribed(Size(100, 100), 30.0).width == pytest.approx(73.205, abs=1e-3)


def test_the_inscribed_box_of_a_long_picture_by_hand() -> None:
    # Half of the short side over sin and cos: it touches the long sides only.
    box = inscribed(Size(1000, 100), 30.0)
    assert (box.width, box.height) == pytest.approx((100.0, 100 / math.sqrt(3)))
    tall = inscribed(Size(100, 1000), -30.0)
    assert (tall.width, tall.height) == pytest.approx((box.height, box.width))


@given(width=st.integers(50, 3000), height=st.integers(50, 3000), degrees=st.floats(-44, 44))
def test_the_inscribed_box_lies_in_the_turned_picture(
    width: int, height: int, degrees: float
) -> None:
    if abs(degrees) < 0.01:
        return
    box = inscribed(Size(width, height), degrees)
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    for x in (box.left - width / 2, box.right - width / 2):
        for y in (box.top - height / 2, box.bottom - height / 2):
            # Turned back, every corner lies in the picture as it was.
            assert abs(x * c + y * s) <= width / 2 + 1e-6
            assert abs(-x * s + y * c) <= height / 2 + 1e-6


def side(keep: Box) -> Side:
    return Side(content=Box(0, 0, 1000, 1000), keep=keep, ease=keep, grid=1, is_shown=True)


def test_corners_are_left_out() -> None:
    inner = without_corners(side(Box(300, 300, 700, 700)), 10.0)
    assert inner is not None
    # 1000 / (cos 10 + sin 10) = 863.2, in the middle.
    assert inner.content == Box(69, 69, 931, 931)


def test_a_person_in_the_corners_is_not_cut() -> None:
    assert without_corners(side(Box(10, 10, 990, 990)), 10.0) is None
    inner = without_corners(side(Box(300, 50, 700, 900)), 10.0)
    assert inner is not None
    assert inner.content.top == 50
