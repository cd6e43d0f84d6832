from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from wan_prep.pose import body as bodies
from wan_prep.pose.track import (
    BREAK_COST,
    Candidate,
    Sample,
    choose_subject,
    jumps,
    move_cost,
    prominence,
)

SIZE = (1280, 720)
RED, BLUE = np.array([50.0, 60.0, 40.0]), np.array([40.0, 10.0, -50.0])
HALF = Fraction(1, 2)


@pytest.fixture(scope="session")
def person(make: Any) -> Any:
    """A candidate whose hips are at x, in a 1280 x 720 picture."""

    def at(x: float, px_per_m: float = 250.0, colour: Any = RED, y: float = 380.0) -> Candidate:
        return Candidate(make.body(hips=(x, y), px_per_m=px_per_m, size=SIZE), colour)

    return at


def line(*frames: list[Candidate], scenes: tuple[int, ...] | None = None) -> list[Sample]:
    """One sample every half second."""
    return [
        Sample(HALF * k, 0 if scenes is None else scenes[k], list(frame))
        for k, frame in enumerate(frames)
    ]


def test_no_samples_no_subject() -> None:
    assert choose_subject([]) == []


def test_nobody_anywhere_is_nobody() -> None:
    assert choose_subject(line([], [], [])) == [None, None, None]


def test_the_large_and_central_person_is_the_main_one(person: Any) -> None:
    large, small = person(640.0, 250.0), person(200.0, 120.0, BLUE)
    assert prominence(large.body) < prominence(small.body)
    assert choose_subject(line([small, large], [large, small])) == [1, 0]


def test_between_equals_the_central_one_is_the_main_one(person: Any) -> None:
    middle, side = person(640.0, 150.0), person(1150.0, 150.0, BLUE)
    assert choose_subject(line([side, middle], [side, middle])) == [1, 1]


def test_two_people_cross_and_identity_is_followed_not_size(person: Any) -> None:
    """The main one walks left to right; the other comes nearer and is larger for a while."""
    frames, truth = [], []
    for k in range(17):
        main = person(300.0 + 42.0 * k, 260.0, RED)
        # 0.69 m/s against each other; between 3.5 s and 4.5 s the other one is larger.
        nearer = 310.0 if 7 <= k <= 9 else 230.0
        other = person(980.0 - 42.0 * k, nearer, BLUE)
        swapped = k % 3 == 0
        frames.append([other, main] if swapped else [main, other])
        truth.append(1 if swapped else 0)
    largest = [max((0, 1), key=lambda i, f=f: bodies.body_box(f[i].body).area) for f in frames]
    chosen = choose_subject(line(*frames))
    assert chosen == truth
    assert largest != truth


def test_who_leaves_is_absent_and_is_found_again(person: Any) -> None:
    frames = [[person(640.0)]] * 4 + [[]] * 4 + [[person(700.0)]] * 4
    assert choose_subject(line(*frames)) == [0] * 4 + [None] * 4 + [0] * 4


def test_a_stranger_is_not_taken_for_the_one_who_was_missed(person: Any) -> None:
    """One frame shows only somebody else, far off and in other clothes."""
    stranger = person(150.0, 130.0, BLUE)
    frames = [[person(700.0)]] * 3 + [[stranger]] + [[person(700.0)]] * 3
    assert choose_subject(line(*frames)) == [0, 0, 0, None, 0, 0, 0]


def test_a_cut_resets_places(person: Any) -> None:
    before, after = person(300.0, 150.0), person(1000.0, 300.0)
    assert move_cost(before, after, 0.5) == BREAK_COST
    frames = [[before]] * 2 + [[after]] * 2
    # Without a cut nobody moves like this, yet two persons one after the other are possible.
    assert choose_subject(line(*frames, scenes=(0, 0, 1, 1))) == [0, 0, 0, 0]


def test_over_a_cut_clothes_tell_who_it_is(person: Any) -> None:
    first = [person(640.0, 200.0, RED)]
    second = [person(500.0, 200.0, BLUE), person(900.0, 190.0, RED)]
    chosen = choose_subject(line(first, second, scenes=(0, 1)))
    assert chosen == [0, 1]


def test_standing_still_costs_nothing_and_walking_little(person: Any) -> None:
    here = person(640.0)
    assert move_cost(here, here, 0.5) == 0.0
    # 0.5 m in half a second, of 0.35 + 2.0 * 0.5 m that are free of suspicion.
    walked = move_cost(here, person(765.0), 0.5)
    assert walked == pytest.approx((0.5 / 1.35) ** 2, rel=1e-6)


def test_a_smaller_picture_of_the_same_place_is_the_same_place(make: Any, person: Any) -> None:
    """The template is looked at in a larger picture than the rest of a long clip."""
    large = person(1000.0, 250.0)
    small = Candidate(make.body(hips=(600.0, 228.0), px_per_m=150.0, size=(768, 432)), large.colour)
    assert move_cost(large, small, 0.5) == pytest.approx(0.0, abs=1e-9)
    assert move_cost(small, person(1125.0), 0.5) == pytest.approx((0.5 / 1.35) ** 2, rel=1e-6)


def test_a_jump_across_the_picture_costs_the_most(person: Any) -> None:
    assert move_cost(person(100.0), person(1200.0), 0.1) == BREAK_COST


def test_growing_as_people_do_is_no_break(person: Any) -> None:
    nearer = move_cost(person(640.0, 250.0), person(640.0, 275.0, y=396.0), 0.5)
    assert nearer < 0.5
    assert move_cost(person(640.0, 100.0), person(640.0, 300.0), 0.1) == BREAK_COST


def test_unknown_scale_and_unknown_clothes_are_no_reason_to_break(make: Any) -> None:
    unseen = Candidate(make.body(hips=(640.0, 380.0), px_per_m=250.0, size=SIZE, visibility=0.0))
    assert move_cost(unseen, unseen, 0.5) == 0.0


# ------------------------------------------------------------------ jumps


def test_a_jump_there_and_back_is_reported(person: Any) -> None:
    frames = [[person(400.0)]] * 3 + [[person(1000.0, 120.0)]] + [[person(410.0)]] * 3
    samples = line(*frames)
    assert jumps(samples, [0] * 7) == [3]


def test_a_steady_walk_is_none(person: Any) -> None:
    samples = line(*[[person(200.0 + 60.0 * k)] for k in range(12)])
    assert jumps(samples, [0] * 12) == []


def test_going_away_for_good_is_none(person: Any) -> None:
    samples = line(*[[person(300.0)]] * 3, *[[person(1100.0, 120.0)]] * 3)
    assert jumps(samples, [0] * 6) == []


def test_a_jump_needs_neighbours_of_its_own_shot(person: Any) -> None:
    there_and_back = [[person(400.0)], [person(1000.0, 120.0)], [person(400.0)]]
    assert jumps(line(*there_and_back), [0, 0, 0]) == [1]
    assert jumps(line(*there_and_back, scenes=(0, 1, 2)), [0, 0, 0]) == []
    assert jumps(line(*there_and_back), [0, 0, None]) == []
