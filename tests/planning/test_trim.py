from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wan_prep.errors import WanPrepError
from wan_prep.evidence import Evidence
from wan_prep.findings import Applicability
from wan_prep.planning.best_start import ScoredStart
from wan_prep.planning.options import PlanOptions
from wan_prep.planning.trim import Clip, Interval, Trim, counting_interval, runs, trim_clip
from wan_prep.profile import default_profile

PROFILE = default_profile()
DEFAULTS = PlanOptions()
FRAME = Fraction(1, 30)
NOBODY = None
ADULT = "adult"


def clip_of(
    video: Evidence,
    *,
    scores: dict[float, float] | None = None,
    first_score: float = 60.0,
    fails: tuple[str, ...] = (),
    options: PlanOptions = DEFAULTS,
    limbs: dict[float, int] | None = None,
    asked: list[Sequence[ScoredStart]] | None = None,
) -> Clip:
    """A clip of which every sample that shows the person scores 60, but for `scores` by time."""

    def starts(around: Sequence[ScoredStart]) -> list[ScoredStart]:
        if asked is not None:
            asked.append(around)
        return [
            ScoredStart(
                o, (scores or {}).get(float(o.time), 60.0), (limbs or {}).get(float(o.time), 8)
            )
            for o in video.found
        ]

    return Clip(
        video=video,
        whole=counting_interval(video, options),
        fps=Fraction(30),
        resolution="480p",
        profile=PROFILE,
        score_at_first=lambda: first_score,
        scored_starts=starts,
        failing_at_start=fails,
    )


def kept(clip: Clip, **options: Any) -> Trim:
    return trim_clip(clip, PlanOptions(**options))


def span(result: Trim) -> tuple[Fraction, Fraction]:
    (interval,) = result.intervals
    return interval.start, interval.end


@pytest.fixture
def lasting(make: Any) -> Callable[..., Evidence]:
    """A clip of so many seconds, a sample every half, with nobody where it says so."""

    def build(
        seconds: int, absent: Sequence[float] = (), cuts: Sequence[str] = (), **info: Any
    ) -> Evidence:
        times = [Fraction(k, 2) for k in range(2 * seconds)]
        subjects = [NOBODY if float(t) in absent else ADULT for t in times]
        facts = {"duration": Fraction(seconds), "frame_count": seconds * 30} | info
        return make.video(subjects, evidence={"cuts": tuple(Fraction(c) for c in cuts)}, **facts)

    return build


# ---- what is in the clip


def test_a_clip_with_the_person_throughout_is_kept_whole(lasting: Any) -> None:
    result = kept(clip_of(lasting(8)))
    assert (span(result), result.steps) == ((0, 8), ())


def test_a_head_and_a_tail_without_anybody_are_cut_off(lasting: Any) -> None:
    result = kept(clip_of(lasting(8, absent=(0.0, 0.5, 7.0, 7.5))))
    # The last sample with the person is at 6.5 s; its frame is kept.
    assert span(result) == (1, Fraction(13, 2) + FRAME)
    (step,) = result.steps
    assert (step.applied, step.applicability) == (True, Applicability.SAFE)
    assert step.title == "cut the clip to 1.00-6.53 s"
    assert step.reason == (
        "nobody is in the picture before 1.00 s; nobody is in the picture from 6.53 s on"
    )
    assert set(step.codes) == {"WP503", "WP504"}


def test_an_end_card_after_a_cut_is_cut_off_at_the_cut(lasting: Any) -> None:
    video = lasting(10, absent=(7.5, 8.0, 8.5, 9.0, 9.5), cuts=("7.4", "7.8"))
    result = kept(clip_of(video))
    assert span(result) == (0, Fraction("7.4"))
    assert result.steps[0].codes == ("WP503", "WP604")


def test_a_head_without_anybody_may_be_most_of_the_clip(lasting: Any) -> None:
    result = kept(clip_of(lasting(10, absent=[k / 2 for k in range(14)])))
    assert span(result) == (7, 10)
    assert result.steps[0].applicability is Applicability.SAFE


def test_the_longest_shot_is_kept_where_it_is_half(lasting: Any) -> None:
    result = kept(clip_of(lasting(8, cuts=("3",)), scores={3.0: 70.0}))
    assert span(result) == (3, 8)
    assert "the longest shot begins at 3.00 s" in result.steps[0].reason
    assert "WP604" in result.steps[0].codes


def test_many_short_shots_are_not_cut_unasked(lasting: Any) -> None:
    video = lasting(9, cuts=("2", "5", "7"))
    result = kept(clip_of(video))
    assert span(result) == (0, 9)
    (offered,) = result.steps
    assert (offered.applied, offered.applicability) == (False, Applicability.UNSAFE)
    assert offered.title == "cut the clip to 2.00-5.00 s"
    asked = kept(clip_of(video), unsafe_fixes=True)
    assert span(asked) == (2, 5)
    assert asked.steps[0].applicability is Applicability.UNSAFE


def test_a_long_absence_ends_a_run_and_a_short_one_does_not(lasting: Any) -> None:
    video = lasting(10, absent=(2.0, 7.0, 7.5, 8.0))
    assert runs(clip_of(video)) == [
        Interval(Fraction(0), Fraction(13, 2) + FRAME),
        Interval(Fraction(17, 2), Fraction(10)),
    ]
    result = kept(clip_of(video))
    assert span(result) == (0, Fraction(13, 2) + FRAME)
    assert "the person leaves the picture at 6.53 s" in result.steps[0].reason


def test_a_clip_without_anybody_is_only_shortened(lasting: Any) -> None:
    video = lasting(8, absent=[k / 2 for k in range(16)])
    assert span(kept(clip_of(video))) == (0, 8)
    assert span(kept(clip_of(video), max_seconds=Fraction(5))) == (0, 5)


# ---- limits


def test_the_clip_ends_at_the_service_s_limit(lasting: Any) -> None:
    result = kept(clip_of(lasting(130)))
    assert span(result) == (0, 120)
    assert result.steps[0].reason == "the service takes 120 s at most"
    assert "WP601" in result.steps[0].codes


def test_a_limit_is_met_in_whole_frames() -> None:
    # 120 s hold 3596.4 frames of 29.97 a second.
    whole = Interval(Fraction(1), Fraction(200))
    cut = whole.cut_to(Fraction(120), Fraction(30000, 1001))
    assert cut.length == Fraction(3596 * 1001, 30000)


def test_seconds_asked_for_are_not_exceeded(lasting: Any) -> None:
    result = kept(clip_of(lasting(20)), max_seconds=Fraction("7.5"))
    assert span(result) == (0, Fraction(15, 2))
    assert result.steps[0].reason == "no more than 7.5 s were asked for"
    assert result.steps[0].applicability is Applicability.SAFE


def test_money_buys_whole_billing_steps(lasting: Any) -> None:
    # 5 s cost 0.20 at 480p: 0.59 pays for two steps.
    result = kept(clip_of(lasting(20)), max_cost=Decimal("0.59"))
    assert span(result) == (0, 10)
    assert result.steps[0].reason == "$0.59 pays for 10 s"


def test_too_little_money_is_an_error(lasting: Any) -> None:
    with pytest.raises(WanPrepError, match=r"shortest clip is billed with \$0.20 at 480p"):
        kept(clip_of(lasting(20)), max_cost=Decimal("0.19"))


def test_a_part_asked_for_is_kept_whatever_is_in_it(lasting: Any) -> None:
    options = {"start": Fraction(1), "end": Fraction(6)}
    video = lasting(8, absent=(1.0, 1.5), cuts=("4",))
    result = trim_clip(clip_of(video, options=PlanOptions(**options)), PlanOptions(**options))
    assert span(result) == (1, 6)
    assert "as asked" in result.steps[0].reason


def test_a_start_asked_for_ends_with_its_shot(lasting: Any) -> None:
    options = PlanOptions(start=Fraction(1))
    video = lasting(8, cuts=("4",))
    assert span(trim_clip(clip_of(video, options=options), options)) == (1, 4)


def test_only_what_was_checked_counts(lasting: Any) -> None:
    part = {"start": Fraction(2), "end": Fraction(5)}
    video = lasting(8).model_copy(update=part)
    assert counting_interval(video, DEFAULTS) == Interval(Fraction(2), Fraction(5))
    with pytest.raises(WanPrepError, match=r"what was checked lasts from 2.00 to 5.00 s"):
        counting_interval(video, PlanOptions(start=Fraction(6)))


def test_a_damaged_clip_ends_where_decoding_did(lasting: Any) -> None:
    video = lasting(8).model_copy(update={"decode_errors": 2, "decoded_until": Fraction(5)})
    assert counting_interval(video, DEFAULTS).end == 5 + FRAME


# ---- the start


def test_a_good_first_frame_is_not_given_up(lasting: Any) -> None:
    asked: list[Any] = []
    result = kept(clip_of(lasting(8), scores={2.0: 99.0}, asked=asked))
    assert (span(result), asked) == ((0, 8), [])


def test_a_better_start_is_taken_where_it_keeps_half_and_gains(lasting: Any) -> None:
    result = kept(clip_of(lasting(8), scores={2.0: 71.0}, fails=("WP401",)))
    assert span(result) == (2, 8)
    (step,) = result.steps
    assert step.applicability is Applicability.SAFE
    assert step.reason == (
        "at 2.00 s the person matches the image best (71 points as the first frame, 60 at 0.00 s)"
    )
    assert set(step.codes) == {"WP401", "WP403"}


def test_a_start_that_leaves_exactly_half_is_taken(lasting: Any) -> None:
    assert span(kept(clip_of(lasting(8), scores={4.0: 70.0}, fails=("WP401",)))) == (4, 8)


@pytest.mark.parametrize(
    ("time", "score", "drawback"),
    [
        (5.0, 90.0, "that is less than half of the clip"),
        (2.0, 64.0, "that is too small a gain to cut unasked"),
    ],
)
def test_otherwise_it_is_offered(lasting: Any, time: float, score: float, drawback: str) -> None:
    clip = clip_of(lasting(8), scores={time: score}, fails=("WP401",))
    result = kept(clip)
    assert span(result) == (0, 8)
    (step,) = result.steps
    assert (step.applied, step.applicability) == (False, Applicability.UNSAFE)
    assert step.reason.endswith(drawback)
    asked = kept(clip, unsafe_fixes=True)
    assert span(asked) == (Fraction(str(time)), 8)
    assert asked.steps[0].applicability is Applicability.UNSAFE


def test_the_best_safe_start_is_taken_and_a_better_one_offered(lasting: Any) -> None:
    clip = clip_of(lasting(8), scores={1.0: 68.0, 5.0: 80.0}, fails=("WP401",))
    result = kept(clip)
    assert span(result) == (1, 8)
    assert [step.title for step in result.steps] == [
        "cut the clip to 1.00-8.00 s",
        "cut the clip to 5.00-8.00 s",
    ]


def test_of_equal_starts_the_earlier_one_keeps_more(lasting: Any) -> None:
    scores = {1.0: 69.8, 3.0: 70.0}
    assert span(kept(clip_of(lasting(8), scores=scores, fails=("WP401",)))) == (1, 8)


def test_a_match_of_few_limbs_does_not_count(lasting: Any) -> None:
    clip = clip_of(lasting(8), scores={2.0: 90.0}, fails=("WP401",), limbs={2.0: 5})
    assert span(kept(clip)) == (0, 8)


def test_the_first_start_can_be_kept(lasting: Any) -> None:
    clip = clip_of(lasting(8), scores={2.0: 90.0}, fails=("WP401",))
    assert span(kept(clip, keep_start=True)) == (0, 8)


def test_a_start_hidden_in_another_shot_is_found(lasting: Any) -> None:
    # The first frame scores 30 and lies outside the longest shot.
    clip = clip_of(lasting(8, cuts=("3",)), scores={3.5: 75.0}, first_score=30.0, fails=("WP401",))
    assert span(kept(clip)) == (Fraction(7, 2), 8)


def test_only_promising_starts_are_looked_at_closer(lasting: Any) -> None:
    asked: list[Any] = []
    kept(clip_of(lasting(8), scores={2.0: 70.0}, fails=("WP401",), asked=asked))
    assert [[float(s.time) for s in around] for around in asked] == [[], [2.0, 2.0]]


# ---- splitting


def test_every_shot_becomes_a_part(lasting: Any) -> None:
    video = lasting(20, absent=[8.5, 9.0, 9.5], cuts=("4", "8", "9"))
    result = kept(clip_of(video), split=True)
    # The third shot shows nobody but for its first sample, and is too short for a host.
    assert [(float(p.start), float(p.end)) for p in result.intervals] == [(0, 4), (4, 8), (10, 20)]
    assert result.steps[0].title == "write 3 parts: 0.00-4.00 s, 4.00-8.00 s, 10.00-20.00 s"


def test_a_long_shot_becomes_equal_parts(lasting: Any) -> None:
    result = kept(clip_of(lasting(250)), split=True)
    assert [p.length for p in result.intervals] == [Fraction(250, 3)] * 3
    assert result.intervals[0].end == result.intervals[1].start


def test_limits_hold_for_all_parts_together(lasting: Any) -> None:
    video = lasting(20, cuts=("6", "12"))
    timed = kept(clip_of(video), split=True, max_seconds=Fraction(8))
    assert [float(p.length) for p in timed.intervals] == [6, 2]
    # 6 s are billed as two steps of 0.20; 0.20 is left for five seconds of the next.
    paid = kept(clip_of(video), split=True, max_cost=Decimal("0.60"))
    assert [float(p.length) for p in paid.intervals] == [6, 5]


@pytest.mark.parametrize("split", [False, True])
def test_less_than_one_frame_is_refused(make: Any, split: bool) -> None:
    clip = clip_of(make.video())
    with pytest.raises(WanPrepError, match=r"max_seconds is 1e-09, less than one frame \(1/30 s\)"):
        kept(clip, split=split, max_seconds=Fraction(1, 10**9))
    assert kept(clip, split=split, max_seconds=FRAME).intervals[0].length == FRAME


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("usd", ["1e12", "1e40", "1e300"])
def test_more_money_than_there_is_buys_the_whole_clip(make: Any, split: bool, usd: str) -> None:
    assert span(kept(clip_of(make.video()), split=split, max_cost=Decimal(usd))) == (0, 8)


@pytest.mark.parametrize("split", [False, True])
def test_too_little_money_is_refused(make: Any, split: bool) -> None:
    with pytest.raises(WanPrepError, match=r"max_cost is \$1E-9, but the shortest clip is billed"):
        kept(clip_of(make.video()), split=split, max_cost=Decimal("1e-9"))


@given(
    seconds=st.integers(3, 40),
    absent=st.sets(st.integers(0, 79)),
    cuts=st.sets(st.integers(1, 79), max_size=4),
    split=st.booleans(),
    most=st.none() | st.integers(2, 30),
)
def test_parts_lie_in_order_inside_the_clip_and_its_limits(
    make: Any, seconds: int, absent: set[int], cuts: set[int], split: bool, most: int | None
) -> None:
    video = make.video(
        [NOBODY if k in absent else ADULT for k in range(2 * seconds)],
        duration=Fraction(seconds),
        frame_count=30 * seconds,
        evidence={"cuts": tuple(Fraction(c, 2) for c in sorted(cuts) if c < 2 * seconds)},
    )
    options = {"split": split, "max_seconds": None if most is None else Fraction(most)}
    parts = kept(clip_of(video, fails=("WP504",)), **options).intervals
    assert parts
    assert all(0 <= p.start < p.end <= seconds for p in parts)
    assert all(a.end <= b.start for a, b in pairwise(parts))
    if most is not None:
        assert sum(p.length for p in parts) <= most


# ---- stillness


def still(video: Evidence, *spans: tuple[str, str]) -> Evidence:
    stretches = tuple((Fraction(a), Fraction(b)) for a, b in spans)
    return video.model_copy(update={"still": stretches})


def test_a_still_head_and_tail_are_cut_to_one_frame(lasting: Any) -> None:
    result = kept(clip_of(still(lasting(32), ("0", "2"), ("8", "32"))))
    assert span(result) == (2 - FRAME, 8 + FRAME)
    (step,) = result.steps
    assert (step.applied, step.applicability) == (True, Applicability.SAFE)
    assert step.codes == ("WP608",)
    assert step.reason == "nothing moves before 1.97 s; nothing moves from 8.03 s on"


def test_a_pause_in_the_middle_stays(lasting: Any) -> None:
    result = kept(clip_of(still(lasting(8), ("3", "5"))))
    assert (span(result), result.steps) == ((0, 8), ())


@pytest.mark.parametrize(
    "spans", [(("0", "8"),), (("0", "3"), ("3", "8")), (("0.5", "8"),)], ids=str
)
def test_a_clip_in_which_nothing_moves_is_kept(lasting: Any, spans: tuple) -> None:
    assert span(kept(clip_of(still(lasting(8), *spans)))) == (0, 8)


def test_a_start_that_was_asked_for_may_be_still(lasting: Any) -> None:
    options = PlanOptions(keep_start=True)
    video = still(lasting(12), ("0", "2"), ("8", "12"))
    result = trim_clip(clip_of(video, options=options), options)
    assert span(result) == (0, 8 + FRAME)
    options = PlanOptions(start=Fraction(1), end=Fraction(10))
    assert span(trim_clip(clip_of(video, options=options), options)) == (1, 10)


def test_every_part_of_a_split_loses_its_own_stillness(lasting: Any) -> None:
    video = still(lasting(16, cuts=("8",)), ("6", "8"), ("8", "10"))
    result = kept(clip_of(video), split=True)
    assert [(p.start, p.end) for p in result.intervals] == [(0, 6 + FRAME), (10 - FRAME, 16)]
