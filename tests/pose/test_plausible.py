from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from wan_prep.geometry import Size
from wan_prep.pose.body import Body
from wan_prep.pose.plausible import doubts
from wan_prep.pose.skeleton import HEAD, MIRROR, Joint

UPPER = [j for j in Joint if j <= Joint.RIGHT_THUMB]


def bowed(make: Any, degrees: float) -> np.ndarray:
    """Everything above the hips tipped towards the camera."""
    world = make.adult()
    world[UPPER] = world[UPPER] @ make.rotation("x", degrees).T
    return world


def bowed_sideways(make: Any, degrees: float) -> np.ndarray:
    """Seen from the side, everything above the hips tipped forwards in the picture."""
    world = make.turned("y", 90)
    world[UPPER] = world[UPPER] @ make.rotation("z", degrees).T
    return world


def test_a_standing_adult_is_believed(make: Any) -> None:
    assert doubts(make.body()) == ()


@pytest.mark.parametrize("yaw", [-135, -90, -45, 45, 90, 135, 180])
def test_seen_from_any_side_it_is_believed(make: Any, yaw: float) -> None:
    assert doubts(make.body(make.turned("y", yaw))) == ()


@pytest.mark.parametrize("degrees", [30, 60])
def test_a_bow_towards_the_camera_is_believed(make: Any, degrees: float) -> None:
    assert doubts(make.body(bowed(make, degrees))) == ()


@pytest.mark.parametrize("degrees", [-100, -90, 45, 90, 100])
def test_a_bow_seen_from_the_side_is_believed(make: Any, degrees: float) -> None:
    assert doubts(make.body(bowed_sideways(make, degrees))) == ()


@pytest.mark.parametrize("roll", [-90, 90])
def test_a_person_lying_on_the_side_is_believed(make: Any, roll: float) -> None:
    assert doubts(make.body(make.turned("z", roll))) == ()


@pytest.mark.parametrize("roll", [120, 180, -150])
def test_upside_down_is_doubted(make: Any, roll: float) -> None:
    assert doubts(make.body(make.turned("z", roll))) == ("upside_down",)


def moved_head(make: Any, down_m: float) -> Body:
    world = make.adult()
    world[list(HEAD), 1] += down_m
    return make.body(world)


def test_a_head_below_the_shoulders_is_doubted(make: Any) -> None:
    assert doubts(moved_head(make, 0.5)) == ("head_off_the_neck",)


def test_a_head_bent_to_the_chest_is_believed(make: Any) -> None:
    # Its middle, 0.2 m above the neck, comes 0.07 m below: less than its own 0.08 m.
    assert doubts(moved_head(make, 0.25)) == ()


def test_a_head_turned_over_on_an_upright_body_is_doubted(make: Any) -> None:
    world = make.adult()
    heads = list(HEAD)
    middle = world[heads].mean(axis=0)
    world[heads, 1] = 2 * middle[1] - world[heads, 1]
    assert doubts(make.body(world)) == ("head_turned_over",)


def test_hips_swapped_against_shoulders_are_doubted(make: Any) -> None:
    world = make.adult()
    hips = [Joint.LEFT_HIP, Joint.RIGHT_HIP]
    world[hips] = world[hips[::-1]]
    assert doubts(make.body(world)) == ("sides_swapped",)


def test_a_body_swapped_against_its_face_is_doubted(make: Any) -> None:
    """Eyes more than 0.12 of a torso apart are seen broadside; an adult's just are."""
    world = make.adult()
    world[list(HEAD), 0] *= 1.2
    below = [j for j in Joint if j not in HEAD]
    world[below] = world[MIRROR[below]]
    assert doubts(make.body(world)) == ("sides_swapped",)


def test_swapped_sides_need_a_broad_view(make: Any) -> None:
    """From the side left and right lie over each other: no doubt is to be had from them."""
    world = make.turned("y", 85)
    hips = [Joint.LEFT_HIP, Joint.RIGHT_HIP]
    world[hips] = world[hips[::-1]]
    assert doubts(make.body(world)) == ()


def test_a_collapsed_answer_is_shapeless(make: Any) -> None:
    assert doubts(make.body(np.zeros((33, 3)))) == ("shapeless",)


@pytest.mark.parametrize(("torso_m", "doubted"), [(0.03, ("shapeless",)), (0.07, ())])
def test_a_chibi_figure_is_believed_a_folded_one_is_not(
    make: Any, torso_m: float, doubted: tuple
) -> None:
    """Eyes to mouth are 0.08 m; the shortest torso believed is 0.4 of that."""
    world = make.adult()
    world[UPPER, 1] += 0.5 - torso_m
    assert doubts(make.body(world)) == doubted


def test_doubts_do_not_depend_on_the_pictures_size(make: Any) -> None:
    body = make.body(make.turned("z", 180))
    small = replace(body, keypoints_xy=body.keypoints_xy / 10, size=Size(72, 128))
    assert doubts(small) == doubts(body)
    assert doubts(make.body(px_per_m=20.0)) == ()
