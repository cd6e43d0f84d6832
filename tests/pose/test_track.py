from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from wan_prep.geometry import Box, view_angles
from wan_prep.pose import body as bodies
from wan_prep.pose.body import Body, FaceBox
from wan_prep.pose.choice import PersonChoice
from wan_prep.pose.track import (
    BREAK_COST,
    Candidate,
    PersonTrack,
    TrackSample,
    choose_subject,
    facing_steadily,
    identities,
    isolated,
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


def line(*frames: list[Candidate], scenes: tuple[int, ...] | None = None) -> list[TrackSample]:
    """One sample every half second."""
    return [
        TrackSample(HALF * k, 0 if scenes is None else scenes[k], list(frame))
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


@pytest.mark.parametrize(("times_the_area", "main"), [(1.5, 0), (1.8, 1)])
def test_who_was_only_seen_beside_another_has_to_be_clearly_larger(
    make: Any, times_the_area: float, main: int
) -> None:
    """Mirror images of each other but for the size; e to the half is 1.65."""
    seen = Candidate(make.body(hips=(440.0, 380.0), px_per_m=150.0, size=SIZE))
    scale = 150.0 * times_the_area**0.5
    beside = Candidate(make.body(hips=(840.0, 380.0), px_per_m=scale, size=SIZE), beside=True)
    assert choose_subject(line([seen, beside])) == [main]
    assert choose_subject(line([seen, Candidate(beside.body)])) == [1]


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


# ------------------------------------------------------------------ alone in time


def test_a_single_sighting_is_isolated(person: Any) -> None:
    here = [person(640.0)]
    assert isolated(line([], here, []), [None, 0, None]) == [1]
    assert isolated(line(here, [], []), [0, None, None]) == [0]
    assert isolated(line([], [], here), [None, None, 0]) == [2]
    assert isolated(line(here, [], here), [0, None, 0]) == [0, 2]


def test_two_sightings_that_go_on_are_not(person: Any) -> None:
    frames = [[], [person(640.0)], [person(700.0)], []]
    assert isolated(line(*frames), [None, 0, 0, None]) == []


def test_one_side_that_goes_on_is_enough(person: Any) -> None:
    """The third of three is somewhere else altogether."""
    frames = [[person(100.0)], [person(120.0)], [person(1200.0, 100.0)]]
    assert isolated(line(*frames), [0, 0, 0]) == [2]


@pytest.mark.parametrize(("moved_px", "alone"), [(630.0, []), (636.0, [0, 1])])
def test_what_can_be_a_walk_goes_on(person: Any, moved_px: float, alone: list[int]) -> None:
    """At 250 px per m in 0.5 s: (d / 1.35 m)^2 is 3.5, half of a break, at 2.526 m or 631 px."""
    frames = [[person(320.0)], [person(320.0 + moved_px)], []]
    assert isolated(line(*frames), [0, 0, None]) == alone


def test_nothing_goes_on_across_a_cut(person: Any) -> None:
    here = [person(640.0)]
    assert isolated(line(here, here, here), [0, 0, 0]) == []
    gone: list[Candidate] = []
    two_shots = line(here, gone, gone, here, here, gone, scenes=(0, 0, 0, 1, 1, 1))
    assert isolated(two_shots, [0, None, None, 0, 0, None]) == [0]


def test_a_shot_of_one_or_two_samples_says_nothing(person: Any) -> None:
    here = [person(640.0)]
    assert isolated(line(here, here, here, scenes=(0, 1, 2)), [0, 0, 0]) == []
    assert isolated(line(here, here, here, scenes=(0, 1, 1)), [0, 0, 0]) == []


def test_it_is_the_subject_who_goes_on_not_somebody_else(person: Any) -> None:
    main, other = person(300.0, 250.0), person(1200.0, 120.0, BLUE)
    samples = line([other], [main, other], [other])
    assert isolated(samples, [0, 1, 0]) == []
    assert isolated(samples, [None, 0, None]) == [1]
    assert isolated(samples, [0, 0, 0]) == [0, 1, 2]


def test_fewer_than_three_samples_say_nothing(person: Any) -> None:
    here, there = [person(100.0)], [person(1200.0, 100.0)]
    assert isolated([], []) == []
    assert isolated(line(here), [0]) == []
    assert isolated(line(here, []), [0, None]) == []
    assert isolated(line(here, there), [0, 0]) == []


# ------------------------------------------------------------------ backs taken for fronts

SURE = FaceBox(Box(0.0, 0.0, 1.0, 1.0), 0.0, 0.0, 1.0)
UNSURE = FaceBox(Box(0.0, 0.0, 1.0, 1.0), None, None, 0.3)


def turning(make: Any, *yaws: float, every: Fraction = HALF) -> list[tuple[Fraction, Body]]:
    """A person with these yaws, one sample `every` so many seconds."""
    return [(every * k, make.body(make.turned("y", -yaw))) for k, yaw in enumerate(yaws)]


def flipped(track: list[tuple[Fraction, Body]], *places: int) -> list[tuple[Fraction, Body]]:
    return [
        (time, bodies.turned_round(body) if k in places else body)
        for k, (time, body) in enumerate(track)
    ]


def with_face(
    track: list[tuple[Fraction, Body]], face: FaceBox, *places: int
) -> list[tuple[Fraction, Body]]:
    return [(t, b.with_face(face) if k in places else b) for k, (t, b) in enumerate(track)]


def assert_same(result: list[Body], track: list[tuple[Fraction, Body]]) -> None:
    assert len(result) == len(track)
    for got, (_, expected) in zip(result, track, strict=True):
        np.testing.assert_array_equal(got.keypoints_xy, expected.keypoints_xy)
        np.testing.assert_array_equal(got.world_xyz, expected.world_xyz)


def assert_untouched(result: list[Body], track: list[tuple[Fraction, Body]]) -> None:
    assert [id(body) for body in result] == [id(body) for _, body in track]


@pytest.mark.parametrize("yaw", [0.0, 180.0, 60.0, -90.0])
@pytest.mark.parametrize("places", [(6,), (6, 7, 8), (3, 9, 10, 15)])
def test_flips_in_the_middle_of_a_steady_track_are_turned_round(
    make: Any, yaw: float, places: tuple[int, ...]
) -> None:
    """Of somebody who is seen from the front, from behind, or from a side."""
    truth = turning(make, *[yaw] * 20)
    assert_same(facing_steadily(flipped(truth, *places)), truth)


def test_a_run_is_turned_round_as_long_as_that_is_cheaper(make: Any) -> None:
    """At 0.5 s two flips of 180 exceed what is allowed, 25 + 100, by 110: five times 20 is less,
    six times is more."""
    truth = turning(make, *[0.0] * 40)
    assert_same(facing_steadily(flipped(truth, *range(12, 17))), truth)
    six = flipped(truth, *range(12, 18))
    assert_untouched(facing_steadily(six), six)


def test_a_run_at_the_start_is_turned_round_too(make: Any) -> None:
    """One flip exceeds by 55: two times 20 is less, three times is more."""
    truth = turning(make, *[0.0] * 20)
    assert_same(facing_steadily(flipped(truth, 0, 1)), truth)
    three = flipped(truth, 0, 1, 2)
    assert_untouched(facing_steadily(three), three)


def test_samples_close_in_time_allow_less_of_a_turn(make: Any) -> None:
    """At 0.1 s 45 degrees are allowed: two flips exceed by 270; 13 * 20 is less, 14 * 20 more."""
    truth = turning(make, *[0.0] * 70, every=Fraction(1, 10))
    assert_same(facing_steadily(flipped(truth, *range(24, 37))), truth)
    more = flipped(truth, *range(24, 38))
    assert_untouched(facing_steadily(more), more)


@pytest.mark.parametrize(
    "yaws",
    [
        (0, 0, 0, 0, 0, 0),
        (0, 0, 45, 90, 135, 180, 180, 180),
        (0, 0, 0, 90, 180, 180, 180),
        (180, 180, 120, 60, 0, 0, 0),
        (0, 60, 120, 180, -120, -60, 0),
        (0, 120, -120, 0, 120, -120, 0),
    ],
)
def test_who_turns_no_faster_than_people_do_is_left_alone(
    make: Any, yaws: tuple[float, ...]
) -> None:
    track = turning(make, *yaws)
    assert_untouched(facing_steadily(track), track)


def test_a_half_turn_between_two_samples_that_lasts_is_a_turn(make: Any) -> None:
    """55 for the turn, 6 * 12 for turning either side of it round."""
    track = turning(make, *[0.0] * 6, *[180.0] * 6)
    assert_untouched(facing_steadily(track), track)


def test_flips_within_a_turn_are_turned_round(make: Any) -> None:
    """By 30 degrees a sample: with a flip in between it is 150 and back."""
    truth = turning(make, 0, 0, 0, 0, 30, 60, 90, 120, 150, 180, 180, 180, 180)
    assert_same(facing_steadily(flipped(truth, 2, 6, 7, 10)), truth)


def test_a_frontal_face_on_a_back_turns_it_round(make: Any) -> None:
    """180 apart, 100 is what a neck turns: 80 against 20."""
    back = turning(make, 180.0)
    (front,) = facing_steadily(with_face(back, SURE, 0))
    assert view_angles(bodies.view_matrix(front)).yaw == pytest.approx(0.0, abs=1e-6)
    assert front.face == SURE
    unsure = with_face(back, UNSURE, 0)
    assert_untouched(facing_steadily(unsure), unsure)


def test_a_face_over_the_shoulder_is_a_neck_turned(make: Any) -> None:
    side = with_face(turning(make, 95.0), SURE, 0)
    assert_untouched(facing_steadily(side), side)


def test_a_face_in_profile_says_nothing_of_the_body(make: Any) -> None:
    profile = SURE._replace(yaw_deg=-75.0)
    back = with_face(turning(make, 150.0), profile, 0)
    assert_untouched(facing_steadily(back), back)


def test_one_or_two_bodies_stay_without_reason(make: Any) -> None:
    assert facing_steadily([]) == []
    for yaws in ((0.0,), (180.0,), (90.0,), (0.0, 20.0)):
        track = turning(make, *yaws, every=Fraction(1, 30))
        assert_untouched(facing_steadily(track), track)


def test_a_body_without_a_view_says_nothing(make: Any) -> None:
    """Between two unknown ones a flip contradicts nobody."""
    nothing = make.body(np.zeros((33, 3)))
    front = turning(make, *[0.0] * 9)
    track = [(t, nothing if k in (3, 5) else b) for k, (t, b) in enumerate(flipped(front, 4))]
    assert_untouched(facing_steadily(track), track)


# ------------------------------------------------------------------ somebody who was asked for

GREEN = np.array([60.0, -40.0, 30.0])
LEFT, RIGHT = PersonChoice("left"), PersonChoice("right")


def test_nobody_asked_for_in_no_samples(person: Any) -> None:
    assert choose_subject([], LEFT) == []
    assert choose_subject(line([], []), LEFT) == [None, None]


def test_the_one_asked_for_is_followed_however_small(person: Any) -> None:
    large, small = person(640.0, 250.0), person(200.0, 120.0, BLUE)
    frames = [[large, small], [small, large], [large, small]]
    assert choose_subject(line(*frames), LEFT) == [1, 0, 1]
    assert choose_subject(line(*frames), RIGHT) == [0, 1, 0]
    assert choose_subject(line(*frames), PersonChoice.at(0.15, 0.5)) == [1, 0, 1]


def test_two_people_who_cross_stay_who_they_are(person: Any) -> None:
    """They meet in the middle, where one hides the other for one sample."""
    frames = [
        [person(200.0 + 120.0 * k, 200.0), person(1080.0 - 120.0 * k, 210.0, BLUE)]
        for k in range(8)
    ]
    frames[4] = frames[4][1:]
    assert choose_subject(line(*frames), LEFT) == [0, 0, 0, 0, None, 0, 0, 0]
    assert choose_subject(line(*frames), RIGHT) == [1, 1, 1, 1, 0, 1, 1, 1]


def test_a_larger_passer_by_does_not_take_over(person: Any) -> None:
    """Somebody twice as large walks by, right over the one asked for, who is hidden meanwhile."""
    here = person(300.0, 150.0)
    frames = [
        [here, person(800.0)],
        [here, person(1200.0, 320.0, BLUE), person(800.0)],
        [here, person(700.0, 320.0, BLUE), person(800.0)],
        [person(320.0, 320.0, BLUE), person(800.0)],
        [person(60.0, 320.0, BLUE), here, person(800.0)],
        [here, person(800.0)],
    ]
    assert choose_subject(line(*frames), LEFT) == [0, 0, 0, None, 1, 0]


@pytest.mark.parametrize("other", [RED, BLUE, None])
def test_where_the_one_asked_for_leaves_nobody_takes_the_place(person: Any, other: Any) -> None:
    """Whatever the other one wears, who is there all the time and walks to the very same place."""
    frames = [[person(300.0), person(900.0, 250.0, other)]] * 3
    frames += [[person(900.0 - 100.0 * k, 250.0, other)] for k in range(7)]
    assert choose_subject(line(*frames), LEFT) == [0] * 3 + [None] * 7


def test_who_comes_back_is_known_by_the_clothes(person: Any) -> None:
    away = [[person(900.0, 250.0, BLUE)]] * 12
    both = [person(300.0), person(900.0, 250.0, BLUE)]
    assert choose_subject(line(both, *away, both), LEFT) == [0, *[None] * 12, 0]
    somebody_else = [person(300.0, 250.0, GREEN), both[1]]
    assert choose_subject(line(both, *away, somebody_else), LEFT) == [0, *[None] * 13]
    unknown = [person(300.0, 250.0, None), both[1]]
    assert choose_subject(line(both, *away, unknown), LEFT) == [0, *[None] * 13]


def test_over_a_cut_only_the_clothes_count(person: Any) -> None:
    before = [[person(300.0), person(900.0, 250.0, BLUE)]] * 2
    after = [[person(200.0, 300.0, BLUE), person(1000.0, 120.0)]] * 2
    chosen = choose_subject(line(*before, *after, scenes=(0, 0, 1, 1)), LEFT)
    assert chosen == [0, 0, 1, 1]
    alone = [[person(640.0, 300.0, BLUE)]] * 2
    chosen = choose_subject(line(*before, *alone, scenes=(0, 0, 1, 1)), LEFT)
    assert chosen == [0, 0, None, None]


def test_over_a_cut_unknown_clothes_tell_nobody_apart(person: Any) -> None:
    one, other = person(300.0, 250.0, None), person(900.0, 250.0, None)
    chosen = choose_subject(line([one, other], [one, other], scenes=(0, 1)), LEFT)
    assert chosen == [0, None]
    assert choose_subject(line([one], [other], scenes=(0, 1)), LEFT) == [0, 0]  # nobody else is


def test_who_does_not_exist_is_nobody(person: Any) -> None:
    both = [person(300.0), person(900.0)]
    assert choose_subject(line(both, both), PersonChoice(number=3)) == [None, None]
    assert choose_subject(line(both, both), PersonChoice.at(0.95, 0.05)) == [None, None]


def test_who_enters_later_is_followed_from_there_and_back(person: Any) -> None:
    """The second from the left is the one who was there alone."""
    here, comes = person(900.0), person(200.0, 250.0, BLUE)
    chosen = choose_subject(line([here], [here], [comes, here]), PersonChoice(number=2))
    assert chosen == [0, 0, 1]


def test_everybody_has_a_number(person: Any) -> None:
    a, b, c = person(200.0), person(640.0, 250.0, BLUE), person(1080.0, 250.0, GREEN)
    assert identities(line([a, b], [b, a], [c, b], [b, a, c])) == [
        [0, 1],
        [1, 0],
        [2, 1],
        [1, 0, 2],
    ]
    assert identities([]) == []


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("who", ["left", "right", "2", "0.5,0.5"])
def test_window_by_window_the_same_person_is_chosen(person: Any, size: int, who: str) -> None:
    """Two people cross, and somebody comes; what is chosen twice changes nothing."""
    frames = [
        [person(200.0 + 120.0 * k, 200.0), person(1080.0 - 120.0 * k, 210.0, BLUE)]
        for k in range(8)
    ]
    frames[3].append(person(640.0, 320.0, GREEN))
    samples = line(*frames)
    track = PersonTrack(PersonChoice.parse(who))
    chosen: list[int | None] = []
    for k in range(0, len(samples), size):
        window = samples[k : k + size]
        assert track.choose(window) == track.choose(window)
        # With the last sample of the window before, as `pose.window` looks at them.
        assert track.choose([*samples[max(0, k - 1) : k], *window])[-len(window) :] == (
            track.choose(window)
        )
        chosen += track.choose(window)
        track.settle(window)
    assert chosen == choose_subject(samples, track.person)


def test_an_arm_before_the_body_makes_nobody_else_of_it(person: Any) -> None:
    """For one sample the torso has other colours, in the same place and scale."""
    other = person(900.0, 250.0, BLUE)
    frames = [[person(300.0), other], [person(310.0, 250.0, GREEN), other], [person(300.0), other]]
    assert choose_subject(line(*frames), LEFT) == [0, 0, 0]
