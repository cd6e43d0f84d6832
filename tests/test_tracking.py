from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from proposing import proposals_of
from wan_prep.geometry import Box, Size
from wan_prep.observing import intermediate_interval
from wan_prep.pose import body as bodies
from wan_prep.pose.body import Body
from wan_prep.pose.choice import PersonChoice
from wan_prep.pose.estimator import Proposal, RawFace, RawPose
from wan_prep.pose.people import find_people, people_in_still
from wan_prep.pose.search import (
    refine,
    retry_regions,
    seen_again,
    thirds,
    tiles,
)
from wan_prep.pose.skeleton import HIPS, MIRROR, SHOULDERS, Joint
from wan_prep.pose.track import OtherPerson
from wan_prep.sampling import AHEAD, WORK_SIDE_PX, Sampler
from wan_prep.tracking import WINDOW, Surroundings, TrackedSample
from wan_prep.tracking import track_subject as track_samples

SIDE = 256
BLUE = 150
FRAME = Fraction(1, 30)
HALF = Fraction(1, 2)
TENTH = Fraction(1, 10)
TWO_FRAMES = Fraction(2, 25)


@dataclass
class Tracked:
    seen: list[TrackedSample]
    cuts: list[Fraction]
    last_time: Fraction | None
    frames: int


def track_subject(
    frames: Any,
    estimator: Any,
    *,
    interval_s: Fraction,
    intermediate_s: Fraction | None = None,
    side_px: int = WORK_SIDE_PX,
    others_every: int = 99,
    **how: Any,
) -> Tracked:
    """Sample the frames and track the subject, as `observing` does, but not for others."""
    with Sampler(
        frames, interval_s=interval_s, intermediate_s=intermediate_s, side_px=side_px
    ) as sampler:
        seen = track_samples(sampler, estimator, others_every=others_every, **how)
        return Tracked(seen, sampler.cuts, sampler.last_time, sampler.frames)


def painted(number: int) -> np.ndarray:
    """A picture whose red says x, green y, and blue which one it is (1 … 99)."""
    rgb = np.empty((SIDE, SIDE, 3), np.uint8)
    rgb[..., 0] = np.arange(SIDE)[None, :]
    rgb[..., 1] = np.arange(SIDE)[:, None]
    rgb[..., 2] = BLUE + number
    return rgb


def fitted(lines: np.ndarray, shown: np.ndarray) -> tuple[float, float]:
    """Px of the whole picture per px along lines of pixels, and where the first one begins."""
    known = np.flatnonzero(shown.any(axis=0))[2:-2]
    values = np.nanmedian(np.where(shown, lines, np.nan)[:, known], axis=0)
    slope, at = np.polyfit(known + 0.5, values + 0.5, 1)
    return float(slope), float(at)


def whole_picture(region: Box) -> bool:
    return max(abs(a - b) for a, b in zip(region, (0, 0, SIDE, SIDE), strict=True)) < 1.5


class Onlooker:
    """An estimator that knows which part of which painted picture it was given.

    `answer(number, region)` says what it claims to see there, in px of the whole picture; the
    detector of several people sees the same.
    """

    name, sha256 = "onlooker", "e" * 64

    def __init__(self, answer: Callable[[int, Box], list[Body]]) -> None:
        self.answer = answer
        self.looks: list[tuple[int, Box]] = []
        self.followed: list[int] = []
        self.asked: list[int] = []
        self.score = 0.6

    def poses(self, rgb: np.ndarray) -> list[RawPose]:
        number, region, seen = self._there(rgb)
        self.looks.append((number, region))
        return seen

    def proposals(self, rgb: np.ndarray, side_px: int) -> list[Proposal]:
        number, _, seen = self._there(rgb)
        self.asked.append(number)
        return proposals_of(seen, self.score)

    def _there(self, rgb: np.ndarray) -> tuple[int, Box, list[RawPose]]:
        """Which picture it is, which region of it, and whom `answer` sees there."""
        blue = int(rgb[..., 2].max())
        shown = rgb[..., 2] == blue
        number = blue - BLUE
        per_px_x, at_x = fitted(rgb[::8, :, 0], shown[::8])
        per_px_y, at_y = fitted(rgb[:, ::8, 1].T, shown[:, ::8].T)
        side = rgb.shape[0] * per_px_y
        left = at_x if per_px_x > 0 else at_x - side
        region = Box(left, at_y, left + side, at_y + side)
        seen = [self._seen(b, per_px_x, at_x, per_px_y, at_y) for b in self.answer(number, region)]
        return number, region, seen

    @staticmethod
    def _seen(body: Body, per_px_x: float, at_x: float, per_px_y: float, at_y: float) -> RawPose:
        points = (body.keypoints_xy - (at_x, at_y)) / (per_px_x, per_px_y)
        if per_px_x > 0:
            return RawPose(points, body.visibility, body.local_xyz)
        # A mirrored person is seen: left is called right.
        mirrored = body.local_xyz[MIRROR] * (-1.0, 1.0, 1.0)
        return RawPose(points[MIRROR], body.visibility[MIRROR], mirrored)

    def follower(self) -> Onlooker:
        return self

    def follow(self, rgb: np.ndarray) -> RawPose | None:
        found = self.poses(rgb)
        self.followed.append(self.looks.pop()[0])
        return found[0] if found else None

    def face(self, rgb: np.ndarray) -> RawFace | None:
        return None

    def __enter__(self) -> Onlooker:
        return self

    def __exit__(self, *exc: object) -> None:
        return None


@dataclass
class Painted:
    time: Fraction
    number: int = 1

    def rgb(self, max_side: int | None = None) -> np.ndarray:
        step = 2 if max_side in (WORK_SIDE_PX // 2, SIDE // 2) else 1
        return np.ascontiguousarray(painted(self.number)[::step, ::step])


@dataclass
class Tiny:
    """A frame that costs nothing to look at."""

    time: Fraction

    def rgb(self, max_side: int | None = None) -> np.ndarray:
        return np.zeros((32, 32, 3), np.uint8)


def clip(
    numbers: list[int], every: Fraction = HALF, cuts: tuple[int, ...] = ()
) -> list[tuple[Painted, bool]]:
    return [(Painted(every * k, number), k in cuts) for k, number in enumerate(numbers)]


def decoders() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "wan-prep-decode"]


@pytest.fixture(scope="session")
def person(make: Any) -> Callable[..., Body]:
    """An adult in a painted picture, 1.8 m x `px_per_m` tall."""

    def at(x: float = 128.0, px_per_m: float = 70.0, y: float = 128.0, **turned: Any) -> Body:
        return make.body(**turned, hips=(x, y), px_per_m=px_per_m, size=(SIDE, SIDE))

    return at


@pytest.fixture
def always(person: Callable[..., Body]) -> Onlooker:
    return Onlooker(lambda number, region: [person()])


# ------------------------------------------------------------------ which frames are looked at


@settings(max_examples=25)
@given(
    count=st.integers(1, 80),
    cuts=st.sets(st.integers(1, 79), max_size=3),
    interval=st.sampled_from([Fraction(1, 5), Fraction(1, 3), HALF]),
)
def test_no_more_than_the_interval_goes_unseen(
    person: Any, count: int, cuts: set[int], interval: Fraction
) -> None:
    """At 1/30 s: never a longer gap, and the first, the last and every shot's first frame."""
    visited: list[Fraction] = []
    frames = [(Tiny(FRAME * k), k in cuts) for k in range(count)]
    body = person()
    raw = RawPose(body.keypoints_xy, body.visibility, body.local_xyz)
    quick = Onlooker(lambda number, region: [])
    quick.poses = lambda rgb: [raw]  # type: ignore[method-assign]
    result = track_subject(frames, quick, interval_s=interval, looks=1, on_progress=visited.append)
    times = [s.time for s in result.seen]
    assert times == visited == sorted(set(times))
    assert times[0] == 0
    assert times[-1] == result.last_time == FRAME * (count - 1)
    assert max((b - a for a, b in pairwise(times)), default=0) <= interval
    within = sorted(k for k in cuts if k < count)
    assert result.cuts == [FRAME * k for k in within]
    assert set(result.cuts) <= set(times)
    assert [s.scene for s in result.seen] == [sum(FRAME * k <= t for k in within) for t in times]
    assert result.frames == count


def test_no_more_frames_are_looked_at_than_needed(always: Onlooker) -> None:
    result = track_subject(clip([1] * 61, FRAME), always, interval_s=HALF, looks=1)
    assert [s.time for s in result.seen] == [0, HALF, 1, Fraction(3, 2), 2]


def test_frames_further_apart_than_the_interval_are_all_looked_at(always: Onlooker) -> None:
    result = track_subject(clip([1] * 4, Fraction(2)), always, interval_s=HALF, looks=1)
    assert [s.time for s in result.seen] == [0, 2, 4, 6]


def test_no_frames_no_samples(always: Onlooker) -> None:
    result = track_subject([], always, interval_s=HALF, looks=1)
    assert (result.seen, result.cuts, result.last_time, result.frames) == ([], [], None, 0)


def test_every_looked_at_picture_is_shown_to_the_caller_once(always: Onlooker) -> None:
    shown: list[int] = []
    track_subject(
        clip([3, 7, 9]),
        always,
        interval_s=HALF,
        looks=1,
        on_picture=lambda rgb: shown.append(int(rgb[0, 0, 2]) - BLUE),
    )
    assert shown == [3, 7, 9]


# ------------------------------------------------------------------ looking


def test_the_first_sample_is_refined_and_the_rest_is_looked_at_once(always: Onlooker) -> None:
    result = track_subject(clip([1, 2, 3]), always, interval_s=HALF, looks=1)
    assert [s.subject.looks for s in result.seen if s.subject] == [10, 1, 1]
    assert [number for number, _ in always.looks].count(2) == 1
    for s in result.seen:
        assert s.subject is not None
        np.testing.assert_allclose(
            s.subject.keypoints_xy[Joint.LEFT_WRIST], (142.0, 131.5), atol=0.5
        )
        assert not s.repaired


def test_two_looks_are_two_looks(always: Onlooker) -> None:
    result = track_subject(clip([1, 2, 3]), always, interval_s=HALF, looks=2)
    assert [s.subject.looks for s in result.seen if s.subject] == [10, 2, 2]


def test_refining_reaches_a_consensus_of_ten_looks(always: Onlooker, person: Any) -> None:
    truth = person()
    body = refine(painted(1), truth, always)
    assert body.looks == 10
    np.testing.assert_allclose(body.keypoints_xy, truth.keypoints_xy, atol=0.5)
    assert always.looks[-1][1].width > 0  # the mirrored one was understood as well


def upside_down_at(hallucinated: set[int], make: Any, person: Any) -> Callable[..., list[Body]]:
    """On the whole picture the network hangs those frames' person by the feet."""

    def answer(number: int, region: Box) -> list[Body]:
        if number in hallucinated and whole_picture(region):
            return [person(y=110.0, world=make.turned("z", 180.0))]
        return [person(100.0 + number)]

    return answer


def test_an_upside_down_hallucination_is_repaired_from_its_neighbours(
    make: Any, person: Any
) -> None:
    estimator = Onlooker(upside_down_at({4, 5}, make, person))
    result = track_subject(clip([1, 2, 3, 4, 5, 6, 7]), estimator, interval_s=HALF, looks=1)
    assert [s.repaired for s in result.seen] == [False] * 3 + [True] * 2 + [False] * 2
    for number, s in enumerate(result.seen, start=1):
        assert s.subject is not None
        expected = person(100.0 + number)
        np.testing.assert_allclose(s.subject.keypoints_xy, expected.keypoints_xy, atol=0.6)
    repaired_in = [region for number, region in estimator.looks if number == 4][1]
    box = bodies.body_box(person(103.0))
    assert repaired_in.width == pytest.approx(1.4 * box.height, rel=0.02)


def test_a_hallucination_in_the_first_frame_is_repaired_too(make: Any, person: Any) -> None:
    estimator = Onlooker(upside_down_at({1}, make, person))
    result = track_subject(clip([1, 2, 3]), estimator, interval_s=HALF, looks=1)
    assert result.seen[0].repaired
    assert result.seen[0].subject is not None
    np.testing.assert_allclose(
        bodies.neck_xy(result.seen[0].subject), bodies.neck_xy(person(101.0)), atol=0.5
    )


def test_a_repair_knows_that_the_first_picture_is_larger(make: Any, person: Any) -> None:
    """With smaller pictures only the template is looked at in full size."""

    def answer(number: int, region: Box) -> list[Body]:
        if number == 2 and whole_picture(region):
            return [person(y=110.0, world=make.turned("z", 180.0))]
        seen = person(60.0, 55.0, 60.0)
        return [seen] if region.right > 100.0 and region.left < 20.0 else []

    estimator = Onlooker(answer)
    result = track_subject(
        clip([1, 2]),
        estimator,
        interval_s=HALF,
        looks=1,
        side_px=WORK_SIDE_PX // 2,
    )
    assert [s.subject.size.width for s in result.seen if s.subject] == [SIDE, SIDE // 2]
    assert result.seen[1].repaired
    (first_retry, *_) = [region for number, region in estimator.looks if number == 2][1:]
    box = bodies.body_box(person(60.0, 55.0, 60.0))
    assert first_retry.width == pytest.approx(1.4 * box.height, rel=0.03)
    assert (first_retry.left, first_retry.top) == pytest.approx((0.0, 0.0), abs=1.0)


def test_repairs_reach_over_the_edge_of_a_window(make: Any, person: Any) -> None:
    first_of_second = WINDOW + 1
    estimator = Onlooker(upside_down_at({first_of_second}, make, person))
    numbers = list(range(1, first_of_second + 1))
    result = track_subject(clip(numbers), estimator, interval_s=HALF, looks=1)
    assert result.seen[-1].repaired


def test_a_body_that_jumps_away_and_back_is_looked_for_again(person: Any) -> None:
    def answer(number: int, region: Box) -> list[Body]:
        if number == 3 and whole_picture(region):
            return [person(225.0, 25.0)]
        return [person(60.0, 55.0)]

    result = track_subject(clip([1, 2, 3, 4, 5]), Onlooker(answer), interval_s=HALF, looks=1)
    assert result.seen[2].repaired
    assert result.seen[2].subject is not None
    assert bodies.neck_xy(result.seen[2].subject)[0] == pytest.approx(60.0, abs=0.5)


def test_the_subject_is_looked_for_although_a_stranger_is_there(person: Any) -> None:
    """One frame's first look shows only somebody small and far off, a crop the subject."""

    def answer(number: int, region: Box) -> list[Body]:
        stranger = person(232.0, 24.0, 215.0)
        if number == 3 and whole_picture(region):
            return [stranger]
        return [person(90.0), stranger]

    result = track_subject(clip(list(range(1, 10))), Onlooker(answer), interval_s=HALF, looks=1)
    for s in result.seen:
        assert s.subject is not None
        assert bodies.neck_xy(s.subject)[0] == pytest.approx(90.0, abs=0.5)
        assert len(s.others) == 1
    assert [s.repaired for s in result.seen] == [k == 3 for k in range(1, 10)]


def test_between_full_looks_the_one_body_is_followed(always: Onlooker) -> None:
    result = track_subject(
        clip(list(range(1, 9)), cuts=(5,)), always, interval_s=HALF, looks=1, full_look_every=3
    )
    # Searched: 1, 4 (every third), 6 (a new shot); the rest is followed.
    assert always.followed == [2, 3, 5, 7, 8]
    assert all(s.subject is not None for s in result.seen)


def test_a_body_that_is_lost_or_doubtful_is_searched_not_followed(make: Any, person: Any) -> None:
    estimator = Onlooker(lambda n, r: [person()])
    upside_down = RawPose(
        person(world=make.turned("z", 180.0)).keypoints_xy * 2, np.ones(33), make.adult()
    )
    answers = iter([None, upside_down])
    estimator.follow = lambda rgb: next(answers)  # type: ignore[method-assign]
    result = track_subject(clip([1, 2, 3]), estimator, interval_s=HALF, looks=1, full_look_every=9)
    for s in result.seen:
        assert s.subject is not None
        assert bodies.neck_xy(s.subject)[1] == pytest.approx(93.0, abs=0.5)
    assert {2, 3} <= {number for number, _ in estimator.looks}


def test_two_people_are_never_followed(person: Any) -> None:
    estimator = Onlooker(lambda n, r: [person(60.0, 60.0), person(190.0, 40.0)])
    track_subject(clip([1, 2, 3]), estimator, interval_s=HALF, looks=1, full_look_every=9)
    assert estimator.followed == []


def test_nobody_is_nobody(make: Any) -> None:
    result = track_subject(clip([1, 2]), Onlooker(lambda n, r: []), interval_s=HALF, looks=1)
    assert [(s.subject, s.others, s.repaired) for s in result.seen] == [(None, (), False)] * 2


def test_others_are_reported_beside_the_subject(person: Any) -> None:
    estimator = Onlooker(lambda n, r: [person(60.0, 60.0), person(190.0, 40.0)])
    result = track_subject(clip([1, 2, 3]), estimator, interval_s=HALF, looks=1)
    for s in result.seen:
        assert s.subject is not None
        assert bodies.neck_xy(s.subject)[0] == pytest.approx(60.0, abs=0.5)
        assert middles(s.others) == [190]


# ------------------------------------------------------------------ one picture


def test_one_person_seen_twice_is_one(person: Any) -> None:
    estimator = Onlooker(lambda n, r: [person(), person(131.0)])
    assert len(find_people(painted(1), [], estimator)) == 1


def test_a_doubtful_body_of_a_still_is_looked_at_again_around_its_head(
    make: Any, person: Any
) -> None:
    estimator = Onlooker(upside_down_at({4}, make, person))
    (found,) = find_people(painted(4), [], estimator)
    assert bodies.neck_xy(found.body)[0] == pytest.approx(104.0, abs=0.5)
    assert len(estimator.looks) == 2


def test_people_too_small_for_one_look_are_found_in_tiles_and_confirmed(person: Any) -> None:
    small = person(60.0, 25.0, 60.0)
    estimator = Onlooker(lambda n, r: [] if whole_picture(r) else [small])
    (found,) = find_people(painted(1), [], estimator)
    np.testing.assert_allclose(found.body.keypoints_xy, small.keypoints_xy, atol=0.5)


def test_somebody_who_fills_the_picture_is_looked_at_from_further_away(person: Any) -> None:
    """Seen in squares that are larger than the picture, and by closer looks then."""
    body = person(128.0, 130.0)
    estimator = Onlooker(lambda n, r: [body] if r.width > 1.2 * SIDE else [])
    (found,) = find_people(painted(1), [], estimator)
    np.testing.assert_allclose(found.body.keypoints_xy, body.keypoints_xy, atol=1.0)


@pytest.mark.parametrize(("proposed", "looks"), [(True, 3), (False, None)])
def test_whom_the_detector_sees_too_needs_fewer_looks(
    person: Any, proposed: bool, looks: int | None
) -> None:
    """Three of ten looks see the body."""
    body, answers = person(), iter("1100001")
    estimator = Onlooker(lambda n, r: [body] if next(answers, "0") == "1" else [])
    there = proposals_of([RawPose(body.keypoints_xy, body.visibility, body.local_xyz)])
    estimator.proposals = lambda rgb, side_px: there if proposed else []  # type: ignore[method-assign]
    found, _ = people_in_still(painted(1), estimator)
    assert (None if found is None else found.looks) == looks


def test_a_body_that_changes_with_every_look_is_not_believed(person: Any) -> None:
    """What an icon or a poster makes of itself: as tall as a part of the square looked at."""

    def answer(number: int, region: Box) -> list[Body]:
        if whole_picture(region):
            return []
        return [person(region.center[0], 0.3 * region.width, region.center[1])]

    assert people_in_still(painted(1), Onlooker(answer)) == (None, [])


def test_a_small_body_is_looked_at_again_closer(person: Any) -> None:
    exact, rough = person(100.0, 40.0), person(102.0, 40.0)
    estimator = Onlooker(lambda n, r: [rough] if whole_picture(r) else [exact])
    (found,) = find_people(painted(1), [], estimator)
    refined = refine(painted(1), found.body, estimator, looks=1)
    assert bodies.neck_xy(refined)[0] == pytest.approx(100.0, abs=0.3)


def test_the_colour_is_that_of_the_clothes(person: Any) -> None:
    rgb = np.full((SIDE, SIDE, 3), 255, np.uint8)
    body = person()
    neck, hips = (bodies.midpoint(body.keypoints_xy, pair) for pair in (SHOULDERS, HIPS))
    rgb[int(neck[1]) : int(hips[1]), 110:146] = (255, 0, 0)
    estimator = Onlooker(lambda n, r: [])
    raw = RawPose(body.keypoints_xy * 2, body.visibility, body.local_xyz)
    estimator.poses = lambda picture: [raw]  # type: ignore[method-assign]
    (found,) = find_people(rgb, [], estimator)
    # CIELAB of sRGB red (CIE 15).
    np.testing.assert_allclose(found.colour, (53.24, 80.09, 67.20), atol=0.7)


def test_retries_lie_around_the_head_even_where_it_left_the_picture(person: Any) -> None:
    body = person()
    points = body.keypoints_xy.copy()
    points[0] = (-500.0, 40.0)
    regions = retry_regions(replace(body, keypoints_xy=points))
    assert [r.width for r in regions] == pytest.approx([256.0, 192.0, 140.8])
    for region in regions:
        assert region.center == pytest.approx((0.0, 40.0 + 0.15 * 256))


@given(width=st.integers(64, 4000), height=st.integers(64, 4000))
def test_tiles_cover_the_picture_and_stay_in_it(width: int, height: int) -> None:
    assume(max(width, height) <= 6 * min(width, height))
    boxes = tiles(Size(width, height))
    assert min(b.left for b in boxes) == pytest.approx(0.0, abs=1e-6)
    assert max(b.right for b in boxes) == pytest.approx(width)
    assert min(b.top for b in boxes) == pytest.approx(0.0, abs=1e-6)
    assert max(b.bottom for b in boxes) == pytest.approx(height)
    for low, high in (("left", "right"), ("top", "bottom")):
        edges = sorted({(getattr(b, low), getattr(b, high)) for b in boxes})
        assert all(b[0] < a[1] for a, b in pairwise(edges))


# ------------------------------------------------------------------ memory and threads


def test_pictures_of_earlier_windows_are_released(always: Onlooker) -> None:
    """Alive at once: a window, one that waits for its faces, and what was decoded ahead (AHEAD
    waiting, 1 in either hand)."""
    made: list[Any] = []
    alive: list[int] = []

    class Counted(Painted):
        def rgb(self, max_side: int | None = None) -> np.ndarray:
            picture = super().rgb(max_side)
            made.append(weakref.ref(picture))
            alive.append(sum(ref() is not None for ref in list(made)))
            return picture

    frames = [(Counted(HALF * k), False) for k in range(5 * WINDOW)]
    result = track_subject(frames, always, interval_s=HALF, looks=1)
    assert len(result.seen) == len(made) == 5 * WINDOW
    assert WINDOW < max(alive) <= 2 * WINDOW + AHEAD + 2 < len(made)
    assert all(ref() is None for ref in made)


class DiskError(RuntimeError):
    pass


def failing(after: int) -> Iterator[tuple[Painted, bool]]:
    yield from clip([1] * after)
    raise DiskError("the disk is gone")


@pytest.mark.parametrize("after", [0, 3, WINDOW + 2])
def test_an_error_in_the_decoder_surfaces_in_the_caller(always: Onlooker, after: int) -> None:
    with pytest.raises(DiskError, match="the disk is gone"):
        track_subject(failing(after), always, interval_s=HALF, looks=1)
    assert decoders() == []


def test_an_error_in_the_network_ends_the_decoder_at_once(person: Any) -> None:
    """While the error is still being handled, its traceback holds on to everything."""

    def answer(number: int, region: Box) -> list[Body]:
        raise DiskError("the network broke")

    with pytest.raises(DiskError) as caught:
        track_subject(clip([1] * 60), Onlooker(answer), interval_s=HALF, looks=1)
    assert decoders() == []
    assert caught.traceback


def test_closing_early_ends_the_decoder_and_frees_the_file(person: Any) -> None:
    closed = []

    def frames() -> Iterator[Any]:
        try:
            yield from clip([1] * 1000)
        finally:
            closed.append(True)

    with Sampler(frames(), interval_s=HALF, ahead=2) as sampler:
        assert next(iter(sampler)).sample.time == 0
        assert len(decoders()) == 1
    assert decoders() == []
    gc.collect()
    assert closed == [True]


def test_samples_run_ahead_in_order_and_no_further_than_asked() -> None:
    drawn: list[int] = []

    def frames() -> Iterator[Any]:
        for k, frame in enumerate(clip([1] * 50)):
            drawn.append(k)
            yield frame

    seen = []
    with Sampler(frames(), interval_s=HALF, ahead=3) as sampler:
        for sampled in sampler:
            seen.append(sampled.sample.time)
            # 3 waiting, 1 in hand, 1 held back to see whether the next one would be too late.
            assert len(drawn) <= len(seen) + 5
    assert len(seen) == 50
    assert seen == sorted(seen)


def test_a_very_long_picture_is_searched_in_few_tiles() -> None:
    assert len(tiles(Size(1, 5000))) <= 40
    assert len(tiles(Size(5000, 200))) <= 40


# ------------------------------------------------------------------ seen by every look


class Facing(Onlooker):
    """Sees a face in the middle of every head it is shown, and counts the heads."""

    def __init__(self, answer: Callable[[int, Box], list[Body]]) -> None:
        super().__init__(answer)
        self.heads = 0

    def face(self, rgb: np.ndarray) -> RawFace | None:
        self.heads += 1
        mesh = np.full((468, 3), 128.0)
        mesh[93], mesh[336] = (78.0, 178.0, 0.0), (178.0, 78.0, 0.0)
        mesh[263], mesh[33] = (153.0, 103.0, 0.0), (103.0, 103.0, 0.0)
        mesh[10], mesh[152] = (128.0, 78.0, 0.0), (128.0, 178.0, 0.0)
        return RawFace(mesh)


def looks_at(estimator: Onlooker, number: int) -> list[Box]:
    return [region for seen, region in estimator.looks if seen == number]


def neck_x(body: Body | None) -> float | None:
    return None if body is None else round(float(bodies.neck_xy(body)[0]))


def test_a_person_found_each_time_is_refined_and_gets_a_face(person: Any) -> None:
    estimator = Facing(lambda n, r: [person(170.0), person(50.0, 55.0)])
    body, others = people_in_still(painted(1), estimator)
    assert body is not None
    assert (neck_x(body), body.looks) == (170, 10)
    assert body.face is not None
    assert (body.face.yaw_deg, body.face.confidence) == (0.0, 1.0)
    assert body.face.box.center == pytest.approx(bodies.head_box(body).center, abs=0.5)
    assert middles(others) == [50]
    # The whole picture, and nine closer looks at the one person. Of the face six looks, and two
    # whether there is a large head, which the detector does not see.
    assert (len(estimator.looks), estimator.heads) == (1 + 9, 6 + 2)
    assert body.face.agreement == 1.0


def test_a_body_that_closer_looks_do_not_find_is_nobody_and_the_next_one_is_taken(
    person: Any,
) -> None:
    """A large ghost in the middle, somebody on the left and somebody small on the right."""
    ghost, somebody, small = person(150.0), person(50.0, 55.0), person(235.0, 25.0, 215.0)

    def answer(number: int, region: Box) -> list[Body]:
        return [somebody, small, ghost] if whole_picture(region) else [somebody, small]

    estimator = Facing(answer)
    body, others = people_in_still(painted(1), estimator)
    assert body is not None
    assert (neck_x(body), body.looks) == (50, 10)
    assert body.face is not None
    assert middles(others) == [235]
    # The head of somebody that small is looked at once.
    assert (len(estimator.looks), estimator.heads) == (1 + 9 + 9, 1 + 2)


def test_a_picture_of_ghosts_shows_nobody(person: Any) -> None:
    ghosts = [person(170.0), person(50.0, 55.0)]
    estimator = Facing(lambda n, r: ghosts if whole_picture(r) else [])
    assert people_in_still(painted(1), estimator) == (None, [])
    # After nine closer looks at each the picture is searched once more. Of the head, which
    # was looked for beside them, two looks.
    assert (len(estimator.looks), estimator.heads) == (1 + 9 + 9 + 1, 2)


def test_an_empty_picture_shows_nobody() -> None:
    assert people_in_still(painted(1), Onlooker(lambda n, r: [])) == (None, [])


@pytest.mark.parametrize(
    ("found", "looks"),
    [("111111111", 10), ("011011101", 7), ("111000000", 4), ("000101100", 4), ("000010001", None)],
)
def test_four_of_ten_looks_make_a_person(person: Any, found: str, looks: int | None) -> None:
    answers = iter("1" + found)
    estimator = Facing(lambda n, r: [person()] if next(answers, "over") == "1" else [])
    estimator.proposals = lambda rgb, side_px: []  # type: ignore[method-assign]
    body, others = people_in_still(painted(1), estimator)
    assert (None if body is None else body.looks) == looks
    assert others == []
    assert next(answers, None) is None


@pytest.mark.parametrize(
    ("found", "again", "factors"),
    [("11", True, [1.5, 1.3]), ("10", False, [1.5, 1.3]), ("0", False, [1.5])],
)
def test_seen_again_is_seen_by_two_closer_looks(
    person: Any, found: str, again: bool, factors: list[float]
) -> None:
    answers = iter(found)
    estimator = Onlooker(lambda n, r: [person()] if next(answers) == "1" else [])
    body = person()
    assert seen_again(painted(1), body, estimator) is again
    height = bodies.body_box(body).height
    widths = [region.width for region in looks_at(estimator, 1)]
    assert widths == pytest.approx([factor * height for factor in factors], rel=0.02)


def test_neither_somebody_else_nor_a_doubtful_body_is_the_same_seen_again(
    make: Any, person: Any
) -> None:
    body = person(90.0, 55.0)
    beside, hanging = person(150.0, 55.0), person(90.0, 55.0, world=make.turned("z", 180.0))
    assert not seen_again(painted(1), body, Onlooker(lambda n, r: [beside, hanging]))
    assert seen_again(painted(1), body, Onlooker(lambda n, r: [beside, hanging, body]))


def test_thirds_of_a_wide_and_of_a_tall_picture() -> None:
    lefts = [280.0, 0.0, 560.0, 140.0, 420.0]
    assert thirds(Size(1280, 720)) == [Box(x, 0.0, x + 720.0, 720.0) for x in lefts]
    assert thirds(Size(720, 1280)) == [Box(0.0, y, 720.0, y + 720.0) for y in lefts]


@given(width=st.integers(16, 4000), height=st.integers(16, 4000))
def test_thirds_are_five_squares_inside_the_picture(width: int, height: int) -> None:
    boxes = thirds(Size(width, height))
    assert len(boxes) == 5
    for box in boxes:
        assert (box.width, box.height) == pytest.approx((min(width, height),) * 2)
        assert min(box.left, box.top) >= -1e-6
        assert box.right <= width + 1e-6
        assert box.bottom <= height + 1e-6
    assert min(b.left for b in boxes) == min(b.top for b in boxes) == pytest.approx(0.0)
    assert max(b.right for b in boxes) == pytest.approx(width)
    assert max(b.bottom for b in boxes) == pytest.approx(height)


# ------------------------------------------------------------------ confirmed subjects


def test_a_subject_that_only_the_first_look_saw_is_dropped(person: Any) -> None:
    def answer(number: int, region: Box) -> list[Body]:
        return [person()] if number == 3 and whole_picture(region) else []

    estimator = Facing(answer)
    result = track_subject(clip([1, 2, 3, 4, 5]), estimator, interval_s=HALF, looks=1)
    assert [(s.subject, s.others) for s in result.seen] == [(None, ())] * 5
    # One closer look that does not find it is enough.
    assert len(looks_at(estimator, 3)) == 2


def test_a_clip_of_which_only_first_looks_see_somebody_shows_nobody(person: Any) -> None:
    estimator = Facing(lambda n, r: [person()] if whole_picture(r) else [])
    result = track_subject(clip(list(range(1, 6))), estimator, interval_s=HALF, looks=1)
    assert [s.subject for s in result.seen] == [None] * 5


def test_who_continues_a_confirmed_subject_is_kept_without_further_looks(person: Any) -> None:
    """They walk 0.3 m in half a second; no closer look would have found them."""

    def answer(number: int, region: Box) -> list[Body]:
        seen = number == 1 or whole_picture(region)
        return [person(80.0 + 20.0 * number)] if seen else []

    estimator = Facing(answer)
    result = track_subject(clip([1, 2, 3, 4]), estimator, interval_s=HALF, looks=1)
    assert [neck_x(s.subject) for s in result.seen] == [100, 120, 140, 160]
    assert [s.subject.looks for s in result.seen if s.subject] == [10, 1, 1, 1]
    assert [len(looks_at(estimator, n)) for n in (1, 2, 3, 4)] == [10, 1, 1, 1]
    # As often as a still's, and once each in the rest.
    assert estimator.heads == 6 + 3
    assert all(s.subject.face is not None for s in result.seen if s.subject)


def test_the_chain_of_confirmed_subjects_goes_on_over_the_edge_of_a_window(person: Any) -> None:
    numbers = list(range(1, WINDOW + 3))
    estimator = Facing(lambda n, r: [person()] if n == 1 or whole_picture(r) else [])
    result = track_subject(clip(numbers), estimator, interval_s=HALF, looks=1)
    assert all(s.subject is not None for s in result.seen)
    assert [len(looks_at(estimator, n)) for n in numbers] == [10] + [1] * (WINDOW + 1)


@pytest.mark.parametrize("truly_there", [True, False])
def test_who_is_elsewhere_after_a_cut_is_looked_at_again(person: Any, truly_there: bool) -> None:
    """Half the size, on the other side: the shot before says nothing of this one."""

    def answer(number: int, region: Box) -> list[Body]:
        if number < 3:
            return [person(60.0)]
        return [person(200.0, 30.0)] if truly_there or whole_picture(region) else []

    estimator = Facing(answer)
    result = track_subject(clip([1, 2, 3, 4], cuts=(2,)), estimator, interval_s=HALF, looks=1)
    assert [s.subject is not None for s in result.seen] == [True, True, *[truly_there] * 2]
    assert len(looks_at(estimator, 3)) > len(looks_at(estimator, 2)) == 1


def test_who_stays_in_place_over_a_cut_goes_on(person: Any) -> None:
    """The same clothes, place and size: a jump cut in one take."""
    estimator = Facing(lambda n, r: [person()])
    result = track_subject(clip([1, 2, 3, 4], cuts=(2,)), estimator, interval_s=HALF, looks=1)
    assert all(s.subject is not None for s in result.seen)
    assert [len(looks_at(estimator, n)) for n in (1, 2, 3, 4)] == [10, 1, 1, 1]


def test_after_a_gap_a_subject_is_looked_at_again(person: Any) -> None:
    estimator = Facing(lambda n, r: [] if n in (2, 3) else [person()])
    result = track_subject(clip([1, 2, 3, 4, 5]), estimator, interval_s=HALF, looks=1)
    assert [s.subject is not None for s in result.seen] == [True, False, False, True, True]
    # The first look, and two more; then it goes on.
    assert [len(looks_at(estimator, n)) for n in (4, 5)] == [3, 1]
    # Whoever appears is looked beside.
    assert [estimator.asked.count(n) for n in (4, 5)] == [1, 0]


def test_with_two_looks_the_second_one_confirms(person: Any) -> None:
    estimator = Facing(lambda n, r: [] if n == 1 else [person()])
    result = track_subject(clip([1, 2, 3]), estimator, interval_s=HALF, looks=2)
    assert [s.subject.looks if s.subject else 0 for s in result.seen] == [0, 2, 2]
    assert [len(looks_at(estimator, n)) for n in (2, 3)] == [2, 2]
    # Whoever appears is looked beside.
    assert [estimator.asked.count(n) for n in (2, 3)] == [1, 0]


@pytest.mark.parametrize("network", [Onlooker, Facing])
def test_an_isolated_sighting_is_kept_for_a_sure_face_only(person: Any, network: Any) -> None:
    """Every look sees the body in one sample of five."""
    estimator = network(lambda n, r: [person()] if n == 3 else [])
    result = track_subject(clip([1, 2, 3, 4, 5]), estimator, interval_s=HALF, looks=1)
    expected = 128 if network is Facing else None
    assert [neck_x(s.subject) for s in result.seen] == [None, None, expected, None, None]
    assert len(looks_at(estimator, 3)) == 3
    kept = result.seen[2].subject
    if kept is not None:
        assert kept.face is not None
        assert kept.face.yaw_deg == 0.0


def test_two_sightings_that_go_on_need_no_face(person: Any) -> None:
    estimator = Onlooker(lambda n, r: [person()] if n in (3, 4) else [])
    result = track_subject(clip([1, 2, 3, 4, 5]), estimator, interval_s=HALF, looks=1)
    assert [neck_x(s.subject) for s in result.seen] == [None, None, 128, 128, None]


def test_of_two_samples_neither_is_isolated(person: Any) -> None:
    estimator = Onlooker(lambda n, r: [person()] if n == 1 else [])
    result = track_subject(clip([1, 2]), estimator, interval_s=HALF, looks=1)
    assert [neck_x(s.subject) for s in result.seen] == [128, None]


def test_a_back_among_fronts_is_turned_round(person: Any) -> None:
    back = bodies.turned_round(person())
    estimator = Onlooker(lambda n, r: [back if n in (4, 5) else person()])
    result = track_subject(clip(list(range(1, 10))), estimator, interval_s=HALF, looks=1)
    for s in result.seen:
        assert s.subject is not None
        assert s.subject.keypoints_xy[Joint.LEFT_WRIST] == pytest.approx((142.0, 131.5), abs=0.5)


def test_fronts_after_a_cut_say_nothing_of_backs_before_it(person: Any) -> None:
    back = bodies.turned_round(person())
    estimator = Onlooker(lambda n, r: [back if n in (4, 5, 6) else person()])
    result = track_subject(
        clip(list(range(1, 10)), cuts=(3, 6)), estimator, interval_s=HALF, looks=1
    )
    wrists = [s.subject.keypoints_xy[Joint.LEFT_WRIST, 0] for s in result.seen if s.subject]
    assert wrists == pytest.approx([142.0] * 3 + [114.0] * 3 + [142.0] * 3, abs=0.5)


# ------------------------------------------------------------------ people beside the main one


class OneEyed(Facing):
    """Sees one person in a picture: of those whose neck is in sight the one nearest its middle, in
    the whole picture the first one. The detector proposes everybody."""

    def poses(self, rgb: np.ndarray) -> list[RawPose]:
        side = rgb.shape[0]
        seen = [
            (np.abs(bodies.midpoint(raw.keypoints_xy, SHOULDERS) - side / 2).max(), raw)
            for raw in super().poses(rgb)
        ]
        inside = [one for one in seen if one[0] < side / 2]
        if not whole_picture(self.looks[-1][1]):
            inside.sort(key=lambda one: one[0])
        return [raw for _, raw in inside[:1]]


def middles(others: Iterable[OtherPerson]) -> list[int]:
    """x in px of the middles of other people's boxes."""
    return sorted(round(SIDE * other.box.center[0]) for other in others)


def test_whom_the_detector_alone_proposes_is_measured_and_counted(person: Any) -> None:
    estimator = OneEyed(lambda n, r: [person(170.0), person(50.0, 55.0)])
    body, others = people_in_still(painted(1), estimator)
    assert (neck_x(body), middles(others)) == (170, [50])
    assert [other.confidence for other in others] == [1.0]
    # The whole picture, the place proposed, nine closer looks.
    assert len(estimator.looks) == 1 + 1 + 9


class BehindSomebody(Onlooker):
    """The pose network always sees the first one alone."""

    def poses(self, rgb: np.ndarray) -> list[RawPose]:
        return super().poses(rgb)[:1]


def test_whom_only_closer_looks_of_the_detector_see_is_counted_with_less_confidence(
    person: Any,
) -> None:
    """A score of 0.42 lies half way between 0.28, which counts, and 0.56, which is sure."""
    estimator = BehindSomebody(lambda n, r: [person(128.0), person(165.0, 60.0)])
    estimator.score = 0.42
    body, others = people_in_still(painted(1), estimator)
    assert (neck_x(body), middles(others)) == (128, [165])
    assert others[0].confidence == pytest.approx(0.75)
    # Asked for the whole picture and for two closer looks.
    assert estimator.asked == [1, 1, 1]


def test_whom_closer_looks_of_the_detector_hardly_see_is_nobody(person: Any) -> None:
    estimator = BehindSomebody(lambda n, r: [person(128.0), person(165.0, 60.0)])
    estimator.score = 0.27
    assert people_in_still(painted(1), estimator)[1] == []


def test_who_shows_in_one_look_at_the_whole_picture_is_nobody(person: Any) -> None:
    ghost = person(50.0, 55.0)
    estimator = OneEyed(
        lambda n, r: [person(170.0), ghost] if whole_picture(r) else [person(170.0)]
    )
    body, others = people_in_still(painted(1), estimator)
    assert (neck_x(body), others) == (170, [])


def test_a_second_body_that_the_detector_does_not_propose_is_nobody(person: Any) -> None:
    class Doubtful(Onlooker):
        def proposals(self, rgb: np.ndarray, side_px: int) -> list[Proposal]:
            return super().proposals(rgb, side_px)[:1]

    estimator = Doubtful(lambda n, r: [person(170.0), person(50.0, 55.0)])
    body, others = people_in_still(painted(1), estimator)
    assert (neck_x(body), others) == (170, [])


def test_a_speck_is_not_counted(person: Any) -> None:
    """10 px/m: some 19 x 6 px of 256 x 256, less than 0.5 %."""
    estimator = Onlooker(lambda n, r: [person(), person(30.0, 10.0, 30.0)])
    assert people_in_still(painted(1), estimator)[1] == []


@pytest.mark.parametrize(("larger", "main"), [(1.2, 60), (1.4, 190)])
def test_who_is_much_larger_than_the_one_seen_first_is_the_main_one(
    person: Any, larger: float, main: int
) -> None:
    """Both as far from the middle; 1.65 times the area is 1.28 times the size."""
    first, second = person(60.0, 40.0), person(196.0 - 6.0, 40.0 * larger)
    body, others = people_in_still(painted(1), OneEyed(lambda n, r: [first, second]))
    assert body is not None
    assert (neck_x(body), body.looks) == (main, 10)
    assert body.face is not None
    assert sorted([main, *middles(others)]) == [60, 190]


def has_others(person: Any, *numbers: int) -> OneEyed:
    """Somebody all the time, and in these pictures somebody else whom they outshine."""
    main, other = person(80.0, 70.0), person(200.0, 50.0)
    return OneEyed(lambda n, r: [main, other] if n in numbers else [main])


def test_others_are_looked_for_in_every_so_many_samples(person: Any) -> None:
    estimator = has_others(person)
    track_subject(clip(list(range(1, 11))), estimator, interval_s=HALF, looks=1, others_every=3)
    # The template, then the third, sixth, ninth.
    counts = [estimator.asked.count(n) for n in range(1, 11)]
    assert counts == [1, 0, 1, 0, 0, 1, 0, 0, 1, 0]


def test_who_is_seen_once_is_followed_both_ways_until_they_are_not(person: Any) -> None:
    """Looked for in the sixth sample; there from the third to the ninth."""
    estimator = has_others(person, *range(3, 10))
    result = track_subject(
        clip(list(range(1, 13))), estimator, interval_s=HALF, looks=1, others_every=6
    )
    assert [middles(s.others) for s in result.seen] == [[]] * 2 + [[200]] * 7 + [[]] * 3
    assert [neck_x(s.subject) for s in result.seen] == [80] * 12
    # Where they are the pose network looks once more; the detector is asked there and beside.
    assert [len(looks_at(estimator, n)) for n in range(3, 10)] == [2] * 7
    assert [estimator.asked.count(n) for n in range(1, 13)] == [1, 2, 1, 1, 1, 1, 1, 1, 1, 2, 0, 1]


def test_who_is_there_at_the_end_of_a_window_is_followed_into_the_next(person: Any) -> None:
    estimator = has_others(person, *range(WINDOW - 1, WINDOW + 4))
    result = track_subject(
        clip(list(range(1, 2 * WINDOW + 1))),
        estimator,
        interval_s=HALF,
        looks=1,
        full_look_every=99,
        others_every=WINDOW,
    )
    there = [k + 1 for k, s in enumerate(result.seen) if s.others]
    assert there == list(range(WINDOW - 1, WINDOW + 4))
    # In company nobody is followed; whoever was there at the end may be in all of the next window.
    assert estimator.followed == list(range(2, WINDOW + 1))


def test_others_do_not_pass_over_a_cut(person: Any) -> None:
    """Both stand still; beyond the cut nobody has looked for others yet."""
    estimator = has_others(person, *range(1, 7))
    result = track_subject(clip(list(range(1, 7)), cuts=(3,)), estimator, interval_s=HALF, looks=1)
    assert [middles(s.others) for s in result.seen] == [[200]] * 3 + [[]] * 3


def test_whoever_enters_a_new_shot_is_looked_beside(person: Any) -> None:
    def answer(number: int, region: Box) -> list[Body]:
        return [person(80.0)] if number < 4 else [person(120.0, 30.0), person(200.0, 28.0)]

    result = track_subject(
        clip([1, 2, 3, 4, 5], cuts=(3,)), OneEyed(answer), interval_s=HALF, looks=1
    )
    assert [middles(s.others) for s in result.seen] == [[]] * 3 + [[200]] * 2


def test_a_stranger_without_the_subject_is_not_reported_unconfirmed(person: Any) -> None:
    """One first look shows somebody tiny and far off; no other look does."""

    def answer(number: int, region: Box) -> list[Body]:
        ghost = number == 3 and whole_picture(region)
        return [person(240.0, 14.0, 30.0)] if ghost else []

    result = track_subject(clip([1, 2, 3, 4, 5]), Onlooker(answer), interval_s=HALF, looks=1)
    assert [(s.subject, s.others) for s in result.seen] == [(None, ())] * 5


def test_everybody_has_had_their_face_looked_for(person: Any) -> None:
    """In the first window the larger one is the subject, over the whole clip the other one."""
    star, passer = person(100.0, 50.0), person(180.0, 66.0)
    numbers = list(range(1, 3 * WINDOW))
    estimator = Facing(lambda n, r: [passer, star] if n <= WINDOW else [star])
    result = track_subject(clip(numbers), estimator, interval_s=HALF, looks=1)
    assert {neck_x(s.subject) for s in result.seen} == {100}
    assert [middles(s.others) for s in result.seen[:WINDOW]] == [[180]] * WINDOW
    for s in result.seen:
        assert s.subject is not None
        assert s.subject.face is not None
        assert s.subject.face.confidence == 1.0
    # The template was refined before it was known whose clip it is.
    assert result.seen[0].subject is not None
    assert result.seen[0].subject.looks == 1


# ------------------------------------------------------------------ what changes beside the subject


def scene(seed: int = 0, right: int = 0, down: int = 0) -> np.ndarray:
    """A (360, 640, 3) picture of soft shapes, of values 60 to 180, seen from so many px further
    right and down."""
    coarse = np.random.default_rng(seed).integers(60, 181, (12, 20, 3)).astype(np.uint8)
    large = np.asarray(cv2.resize(coarse, (680, 400), interpolation=cv2.INTER_CUBIC), np.uint8)
    return large[down : 360 + down, right : 640 + right].copy()


def test_the_first_picture_counts_as_changed_and_the_same_again_does_not(person: Any) -> None:
    watched = Surroundings()
    assert watched.changed(scene(), [])
    assert not watched.changed(scene(), [])


def test_noise_and_a_camera_that_drifts_a_little_change_nothing() -> None:
    """A point of the thumbnail is 10 px; coding noise has a standard deviation of 4."""
    watched, rgb = Surroundings(), scene()
    watched.changed(rgb, [])
    noise = np.random.default_rng(1).normal(0.0, 4.0, rgb.shape)
    assert not watched.changed(np.clip(rgb + noise, 0, 255).astype(np.uint8), [])
    assert not watched.changed(scene(right=8, down=3), [])


@pytest.mark.parametrize("size", [(30, 90), (60, 180)])
def test_whoever_comes_in_changes_the_picture(size: tuple[int, int]) -> None:
    """The smaller one takes 1.2 % of it."""
    watched, rgb = Surroundings(), scene()
    watched.changed(rgb, [])
    width, height = size
    rgb[100 : 100 + height, 400 : 400 + width] = (30, 30, 40)
    assert watched.changed(rgb, [])
    assert not watched.changed(rgb, []), "it was looked at"


def test_what_changes_where_the_subject_is_or_was_is_their_own(make: Any) -> None:
    """They walk 200 px to the right before an even wall."""
    watched, wall = Surroundings(), np.full((360, 640, 3), 120, np.uint8)

    def at(x: int) -> tuple[np.ndarray, Body]:
        body = make.body(hips=(float(x), 200.0), px_per_m=120.0, size=(640, 360))
        box, rgb = bodies.body_box(body), wall.copy()
        rgb[int(box.top) : int(box.bottom), int(box.left) : int(box.right)] = 20
        return rgb, body

    rgb, body = at(150)
    watched.changed(rgb, [body])
    rgb, body = at(350)
    assert not watched.changed(rgb, [body])
    assert watched.changed(rgb, []), "unless nobody is known to be there"


def test_what_is_due_is_compared_with_from_then_on() -> None:
    watched = Surroundings()
    watched.changed(scene(0), [])
    assert watched.changed(scene(1), [], is_due=True)
    assert not watched.changed(scene(1), [])


def test_others_are_looked_for_where_a_clip_changes(
    person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody is there from the fifth sample on, in which the picture changes."""
    main, other = person(60.0, 40.0), person(200.0, 50.0)
    estimator = OneEyed(lambda n, r: [main, other] if n >= 5 else [main])
    how: dict[str, Any] = {"interval_s": HALF, "looks": 1, "full_look_every": 99}
    frames = clip(list(range(1, 10)))
    unchanged = track_subject(frames, estimator, **how)
    assert [s.others for s in unchanged.seen] == [()] * 9

    def changed(_self: Surroundings, rgb: np.ndarray, _known: Any, is_due: bool) -> bool:
        return is_due or int(rgb[..., 2].max()) - BLUE == 5

    monkeypatch.setattr(Surroundings, "changed", changed)
    result = track_subject(frames, estimator, **how)
    assert [middles(s.others) for s in result.seen] == [[]] * 4 + [[200]] * 5


# ------------------------------------------------------------------ coming and going


def there_in(person: Any, frames: range) -> Facing:
    """Somebody who can be seen in these frames of a clip whose every frame is numbered."""
    return Facing(lambda n, r: [person()] if n in frames else [])


def spans(result: Tracked) -> list[tuple[float, bool]]:
    """Times at which the subject comes (True) or is gone, the first sample's included."""
    states = [(float(s.time), s.subject is not None) for s in result.seen]
    return [states[0], *(b for a, b in pairwise(states) if a[1] != b[1])]


@pytest.mark.parametrize("first", [12, 14, 15, 17, 18, 20, 22, 25])
def test_who_comes_late_is_timed_to_a_tenth_of_a_second(person: Any, first: int) -> None:
    """At 25 frames a second, sampled every half second: frames 0, 12, 24, 36, 48, 60."""
    frames = clip(list(range(61)), Fraction(1, 25))
    result = track_subject(
        frames,
        there_in(person, range(first, 61)),
        interval_s=HALF,
        intermediate_s=TWO_FRAMES,
        looks=1,
    )
    (start, there), (comes, came) = spans(result)
    assert (start, there, came) == (0.0, False, True)
    assert first / 25 <= comes < first / 25 + 0.1


@pytest.mark.parametrize("last", [13, 16, 19, 23, 24, 30])
def test_who_leaves_is_timed_to_a_tenth_of_a_second(person: Any, last: int) -> None:
    frames = clip(list(range(61)), Fraction(1, 25))
    result = track_subject(
        frames,
        there_in(person, range(last + 1)),
        interval_s=HALF,
        intermediate_s=TWO_FRAMES,
        looks=1,
    )
    (_, there), (gone_at, is_there) = spans(result)
    assert (there, is_there) == (True, False)
    assert last / 25 < gone_at < last / 25 + 0.1


def test_times_of_an_absence_in_the_middle(person: Any) -> None:
    """Frames 20 to 40 show nobody. Spares lie at 14, 16, 18, 20, 22 and 38, 40, 42, 44, 46: the
    halves are 18, 22, 20 and 42, 40."""
    gone = range(20, 41)
    estimator = Facing(lambda n, r: [] if n in gone else [person()])
    frames = clip(list(range(61)), Fraction(1, 25))
    result = track_subject(frames, estimator, interval_s=HALF, intermediate_s=TWO_FRAMES, looks=1)
    assert spans(result) == [(0.0, True), (20 / 25, False), (42 / 25, True)]
    assert [s.time * 25 for s in result.seen] == [0, 12, 18, 20, 22, 24, 36, 40, 42, 48, 60]
    assert all(s.subject.face is not None for s in result.seen if s.subject)


def test_without_spare_frames_there_are_samples_only(person: Any) -> None:
    frames = clip(list(range(61)), Fraction(1, 25))
    result = track_subject(frames, there_in(person, range(30, 61)), interval_s=HALF, looks=1)
    assert [s.time * 25 for s in result.seen] == [0, 12, 24, 36, 48, 60]


def test_over_a_cut_nothing_is_halved(person: Any) -> None:
    frames = clip(list(range(49)), Fraction(1, 25), cuts=(30,))
    result = track_subject(
        frames, there_in(person, range(30, 49)), interval_s=HALF, intermediate_s=TENTH, looks=1
    )
    assert spans(result) == [(0.0, False), (30 / 25, True)]
    assert [s.time * 25 for s in result.seen] == [0, 12, 24, 30, 42, 48]


def test_frames_around_an_isolated_sighting_go_with_it(person: Any) -> None:
    """Without a face; the frames near the one sample show the same."""
    frames = clip(list(range(73)), Fraction(1, 25))
    estimator = Onlooker(lambda n, r: [person()] if 30 <= n <= 45 else [])
    result = track_subject(frames, estimator, interval_s=HALF, intermediate_s=TENTH, looks=1)
    assert len(result.seen) > 7
    assert [s.subject for s in result.seen] == [None] * len(result.seen)


@given(
    steps=st.lists(st.integers(1, 12), min_size=1, max_size=60),
    spare=st.sampled_from([TENTH, Fraction(1, 6), Fraction(1, 4)]),
)
def test_spares_are_apart_and_few_and_lie_between_their_samples(
    steps: list[int], spare: Fraction
) -> None:
    """Frames 1/50 to 12/50 s apart."""
    times = [Fraction(sum(steps[:k]), 50) for k in range(len(steps))]
    with Sampler(
        [(Tiny(t), False) for t in times], interval_s=HALF, intermediate_s=spare
    ) as sampler:
        sampled = list(sampler)
    assert sampled[0].intermediate_frames == ()
    for before, here in pairwise(sampled):
        kept = [before.sample.time, *(frame.time for frame in here.intermediate_frames)]
        assert all(b - a >= spare for a, b in pairwise(kept))
        assert all(t < here.sample.time for t in kept)
        passed = [t for t in times if kept[0] < t < here.sample.time]
        missed = [t for t in passed if t not in kept]
        assert all(t - max(k for k in kept if k < t) < spare for t in missed)


@pytest.mark.parametrize(
    ("size", "bits", "fps", "expected"),
    [
        ((1920, 1080), 8, 30, TENTH),
        ((1280, 720), 8, 25, TWO_FRAMES),
        ((1280, 720), 8, 5, Fraction(1, 5)),
        # 100 MB for 8 samples, 6 of them waiting: 4 frames of 3.1 MB each, 2 of 6.2 and so on.
        ((1920, 1080), 8, 25, TENTH),
        ((1920, 1080), 10, 30, Fraction(1, 6)),
        ((3840, 2160), 8, 30, Fraction(1, 4)),
        ((7680, 4320), 8, 30, HALF),
    ],
)
def test_of_large_frames_fewer_are_kept(
    make: Any, size: tuple[int, int], bits: int, fps: int, expected: Fraction
) -> None:
    info = make.video_info(width=size[0], height=size[1], bit_depth=bits, fps=Fraction(fps))
    assert intermediate_interval(info, HALF) == expected


def test_spares_far_from_any_change_are_let_go(person: Any) -> None:
    """Alive at once: those of AHEAD samples, of two in hand, and of four near a change."""
    made: list[Any] = []
    alive: list[int] = []

    class Counted(Painted):
        def rgb(self, max_side: int | None = None) -> np.ndarray:
            alive.append(sum(ref() is not None for ref in made))
            return super().rgb(max_side)

    def frames() -> Iterator[Any]:
        for k in range(15 * 3 * WINDOW):
            frame = Counted(FRAME * k, 1 + k // 15)
            made.append(weakref.ref(frame))
            yield frame, False

    result = track_subject(
        frames(), there_in(person, range(20, 99)), interval_s=HALF, intermediate_s=TENTH, looks=1
    )
    assert len(result.seen) > 3 * WINDOW
    assert max(alive) <= 5 * (AHEAD + 2 + 4)


# ------------------------------------------------------------------ the person one means


@pytest.mark.parametrize(("who", "x", "other"), [("largest", 170, 50), ("left", 50, 170)])
def test_a_still_is_looked_at_for_the_person_one_means(
    person: Any, who: str, x: int, other: int
) -> None:
    estimator = OneEyed(lambda n, r: [person(170.0), person(50.0, 55.0)])
    body, others = people_in_still(painted(1), estimator, PersonChoice.parse(who))
    assert body is not None
    assert (neck_x(body), middles(others)) == (x, [other])
    assert body.looks == 10
    assert body.face is not None


def test_of_two_people_nobody_is_the_third(person: Any) -> None:
    estimator = OneEyed(lambda n, r: [person(170.0), person(50.0, 55.0)])
    body, others = people_in_still(painted(1), estimator, PersonChoice(number=3))
    assert (body, middles(others)) == (None, [50, 170])


def test_the_person_one_means_is_followed_over_the_edge_of_a_window(person: Any) -> None:
    """The network answers with the larger one alone; the smaller one walks, and leaves at last."""
    last = WINDOW + 4

    def answer(number: int, region: Box) -> list[Body]:
        small = [person(30.0 + 3.0 * number, 50.0)] if number <= last else []
        return [person(190.0), *small]

    numbers = list(range(1, last + 4))
    result = track_subject(
        clip(numbers),
        OneEyed(answer),
        interval_s=HALF,
        looks=3,
        others_every=1,
        person=PersonChoice("left"),
    )
    xs = [neck_x(s.subject) for s in result.seen]
    assert xs == [30 + 3 * n for n in numbers if n <= last] + [None] * 3
    assert [middles(s.others) for s in result.seen] == [[190]] * len(numbers)
    # The template's looks, and those of a subject in all others.
    assert [s.subject.looks for s in result.seen if s.subject] == [10] + [3] * (last - 1)
